//! `cargo xtask setup`: what a build needs beside the Rust compiler. Safe to run at any time; fast when all is there.

use anyhow::{Context as _, Result};

use crate::{
    exec::{capture, say},
    wasm_target,
};

/// Finds or provides everything; says what it found.
pub fn run() -> Result<()> {
    c_compiler()?;
    wasm_target::provide()
}

/// Some crates of the engine are C inside.
fn c_compiler() -> Result<()> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let version = capture(std::process::Command::new(&compiler).arg("--version"))
        .context("expected a C compiler\nhint: install one (Debian: `apt-get install gcc libc6-dev`) or name it in `CC`")?;
    say(format!("C compiler: {}", version.lines().next().unwrap_or(&compiler)));
    Ok(())
}
