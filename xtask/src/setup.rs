//! `cargo xtask setup`: what a build needs beside the Rust compiler. Safe to run at any time; fast when all is there.

use anyhow::{Context as _, Result};

use crate::{
    exec::{capture, say},
    peers::debian,
    wasm_target,
};

/// Finds or provides everything; says what it found.
pub fn run() -> Result<()> {
    c_compiler()?;
    openssl()?;
    wasm_target::provide()
}

/// For SSH to Git servers. What is shipped has its own instead: the feature `vendored-openssl`.
fn openssl() -> Result<()> {
    let find = || capture(std::process::Command::new("pkg-config").args(["--modversion", "openssl"]));
    let version = match find() {
        Ok(version) => version,
        Err(_) => {
            debian::install(&["pkg-config", "libssl-dev"]).context(
                "expected the development files of OpenSSL\nhint: install them (Debian: `apt-get install pkg-config \
                 libssl-dev`), or build with `--features weft/vendored-openssl`, which needs Perl and make",
            )?;
            find()?
        }
    };
    say(format!("OpenSSL: {}", version.trim()));
    Ok(())
}

/// Some crates of the engine are C inside.
fn c_compiler() -> Result<()> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let version = capture(std::process::Command::new(&compiler).arg("--version"))
        .context("expected a C compiler\nhint: install one (Debian: `apt-get install gcc libc6-dev`) or name it in `CC`")?;
    say(format!("C compiler: {}", version.lines().next().unwrap_or(&compiler)));
    Ok(())
}
