//! The standard library for `wasm32-wasip2`, which plugins are compiled for.
//!
//! Two ways to get it: `rustup target add`, and where that cannot be had, building it once from Debian's copy of the
//! compiler's sources (`debian.rs`). Either way it ends up beside the host's, and a plain
//! `cargo build --target wasm32-wasip2` works.

mod debian;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::exec::{self, capture, say};

const TARGET: &str = "wasm32-wasip2";

/// The compiler that is to get the target.
struct Toolchain {
    /// `1.95.0`.
    release: String,
    sysroot: PathBuf,
}

impl Toolchain {
    fn current() -> Result<Toolchain> {
        let version = capture(Command::new("rustc").arg("-vV"))?;
        let release = version
            .lines()
            .find_map(|line| line.strip_prefix("release: "))
            .context("expected a line `release: VERSION` from `rustc -vV`")?
            .to_owned();
        let sysroot = capture(Command::new("rustc").args(["--print", "sysroot"]))?.trim().into();
        Ok(Toolchain { release, sysroot })
    }

    /// Where the target's standard library belongs.
    fn target_dir(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(TARGET)
    }

    fn has_std(&self) -> bool {
        fs::read_dir(self.target_dir().join("lib")).is_ok_and(|entries| {
            entries.filter_map(Result::ok).any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libstd-") && name.ends_with(".rlib")
            })
        })
    }
}

/// Makes sure that the current compiler can compile for `wasm32-wasip2`.
pub fn provide() -> Result<()> {
    let toolchain = Toolchain::current()?;
    if toolchain.has_std() {
        say(format!("{TARGET}: installed for rustc {}", toolchain.release));
        return Ok(());
    }
    if let Err(rustup) = from_rustup(&toolchain) {
        say(format!("{TARGET}: not from rustup: {rustup:#}"));
        debian::install(&toolchain).map_err(|debian| {
            anyhow::anyhow!(
                "cannot provide the target {TARGET} for rustc {}\n  with rustup: {rustup:#}\n  from Debian: {debian:#}\n\
                 hint: install it by hand: `rustup target add {TARGET}`, or the package of your distribution that holds \
                 Rust's standard library for wasm32 (Debian: `libstd-rust-dev-wasm32`)",
                toolchain.release
            )
        })?;
    }
    if !toolchain.has_std() {
        bail!(
            "expected {} to hold the standard library after its installation",
            toolchain.target_dir().display()
        );
    }
    // Cargo does not notice that a target's standard library was replaced: what was built against another one must go.
    remove(&exec::root().join("target/plugins"))?;
    say(format!("{TARGET}: installed now for rustc {}", toolchain.release));
    Ok(())
}

fn from_rustup(toolchain: &Toolchain) -> Result<()> {
    if exec::find("rustup").is_none() {
        bail!("rustup is not installed");
    }
    // Without a network, rustup's own patience is ten minutes.
    exec::run(
        Command::new("rustup")
            .args(["target", "add", TARGET])
            .env("RUSTUP_MAX_RETRIES", "1")
            .env("RUSTUP_DOWNLOAD_TIMEOUT", "60"),
    )?;
    if !toolchain.has_std() {
        bail!("the compiler in {} is not one of rustup's", toolchain.sysroot.display());
    }
    Ok(())
}

/// Removes a directory that may not be there.
fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}
