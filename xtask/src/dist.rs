//! `cargo xtask dist`: the binary as it is shipped.

use std::path::PathBuf;

use anyhow::Result;

use crate::{exec, setup};

/// Builds the binary and tells where it is.
pub fn run() -> Result<()> {
    let binary = build()?;
    let bytes = std::fs::metadata(&binary)?.len();
    println!("{} ({:.1} MB)", binary.display(), bytes as f64 / 1e6);
    Ok(())
}

/// Builds the binary: small, and without a need for libraries that a machine may not have.
pub fn build() -> Result<PathBuf> {
    setup::run()?;
    exec::run(exec::cargo().args([
        "build",
        "--profile",
        "dist",
        "--package",
        "weft",
        "--features",
        "vendored-openssl",
    ]))?;
    Ok(exec::root().join("target/dist/weft"))
}
