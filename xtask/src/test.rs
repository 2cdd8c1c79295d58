//! `cargo xtask test`: everything that must hold before a change is taken. CI runs exactly this.

use std::{ffi::OsString, path::Path, process::Command};

use anyhow::{Result, bail};

use crate::{
    codegen,
    exec::{self, say},
    peers, setup,
};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// Leave out the licence check and the test peers: tests that need a peer skip themselves.
    #[arg(long)]
    fast: bool,
}

/// Runs all checks, the cheapest first; the first failure ends it.
pub fn run(options: &Options) -> Result<()> {
    if options.fast && exec::require_all() {
        bail!(
            "`--fast` leaves tests out, which CI must not\nhint: unset `CI` and `WEFT_TEST_REQUIRE_ALL`, or leave `--fast` out"
        );
    }
    setup::run()?;
    exec::run(exec::cargo().args(["fmt", "--all", "--check"]))?;
    let lints = lints()?;
    codegen::run(&codegen::Options { check: true })?;
    if !options.fast {
        licences()?;
    }

    let mut tests = exec::cargo();
    tests.args(["test", "--workspace", "--no-fail-fast", "--profile", PROFILE]).envs(lints);
    if !options.fast {
        tests.envs(peers::up()?);
    }
    if exec::require_all() {
        tests.env("WEFT_TEST_REQUIRE_ALL", "1");
    }
    exec::run(&mut tests)
}

/// The profile of everything that is tested.
const PROFILE: &str = "checks";

/// Clippy, on everything for the host and on what runs in plugins for their target too: some of it exists only there.
///
/// On the host it is not a check of its own, which would compile every dependency a second time, but the compiler that
/// the tests are built with: Clippy is rustc with more lints. Returns the variables that make cargo use it.
fn lints() -> Result<[(&'static str, OsString); 2]> {
    let guests = ["--package", "weft-sdk", "--package", "weft-plugin-*"];
    let target = ["--target", "wasm32-wasip2", "--profile", "plugin", "--target-dir", "target/plugins"];
    exec::run(exec::cargo().arg("clippy").args(guests).args(target).args(["--", "-D", "warnings"]))?;

    let rustc = exec::capture(Command::new("rustc").args(["--print", "sysroot"]).current_dir(exec::root()))?;
    let driver = Path::new(rustc.trim()).join("bin/clippy-driver");
    if !driver.is_file() {
        bail!("Clippy is not installed\nhint: rustup component add clippy");
    }
    // As `cargo clippy -- -D warnings` hands them over.
    let arguments = "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__";
    let variables = [("RUSTC_WORKSPACE_WRAPPER", driver.into_os_string()), ("CLIPPY_ARGS", arguments.into())];
    let everything = ["build", "--workspace", "--all-targets", "--profile", PROFILE];
    exec::run(exec::cargo().args(everything).envs(variables.clone()))?;
    Ok(variables)
}

/// Licences, advisories and sources of all dependencies, by the rules of `deny.toml`.
fn licences() -> Result<()> {
    if exec::find("cargo-deny").is_none() {
        say(
            "skipped: the check of licences and advisories, as cargo-deny is not installed (`cargo install cargo-deny`)",
        );
        return Ok(());
    }
    exec::run(exec::cargo().args(["deny", "check"]))
}
