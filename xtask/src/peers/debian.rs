//! Programs of the machine's distribution.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::exec::{self, find, run};

/// The file of a program, also where only the superuser looks for programs.
pub fn program(name: &str) -> Option<PathBuf> {
    find(name).or_else(|| Some(Path::new("/usr/sbin").join(name)).filter(|path| path.is_file()))
}

/// Sees to it that `programs` are there. What is missing is installed from `packages` only where somebody said, by
/// `WEFT_TEST_REQUIRE_ALL` or `CI`, that the machine is there for the tests: it cannot be had in a folder of its own.
pub fn provide(programs: &[&str], packages: &[&str]) -> Result<()> {
    let missing: Vec<_> =
        programs.iter().filter(|name| program(name).is_none()).map(|name| format!("`{name}`")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (missing, packages_shown) = (missing.join(", "), packages.join(" "));
    if !exec::require_all() {
        bail!(
            "{missing} not installed\nhint: `apt-get install {packages_shown}`, or set `WEFT_TEST_REQUIRE_ALL=1` to have \
             that done on Debian"
        );
    }
    install(packages).with_context(|| format!("{missing} not installed"))
}

/// Installs packages on a machine that is there for the tests.
pub fn install(packages: &[&str]) -> Result<()> {
    if !exec::require_all() || !exec::is_root() || find("apt-get").is_none() {
        bail!("expected these Debian packages, or what they hold: {}", packages.join(" "));
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.arg("-qq").env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    run(apt().arg("update"))?;
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}
