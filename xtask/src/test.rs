//! `cargo xtask test`: everything that must hold before a change is taken. CI runs exactly this.

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
    lints()?;
    codegen::run(&codegen::Options { check: true })?;
    if !options.fast {
        licences()?;
    }

    let mut tests = exec::cargo();
    tests.args(["test", "--workspace", "--no-fail-fast", "--profile", "checks"]);
    if !options.fast {
        tests.envs(peers::up()?);
    }
    if exec::require_all() {
        tests.env("WEFT_TEST_REQUIRE_ALL", "1");
    }
    exec::run(&mut tests)
}

/// Clippy, on everything for the host and on what runs in plugins for their target too: some of it exists only there.
fn lints() -> Result<()> {
    let deny = ["--", "-D", "warnings"];
    // The profile of the tests, so that build scripts and procedural macros are compiled once for both.
    exec::run(
        exec::cargo().args(["clippy", "--workspace", "--all-targets", "--profile", "checks"]).args(deny),
    )?;
    let guests = ["--package", "weft-sdk", "--package", "weft-plugin-*"];
    let target = ["--target", "wasm32-wasip2", "--profile", "plugin", "--target-dir", "target/plugins"];
    exec::run(exec::cargo().arg("clippy").args(guests).args(target).args(deny))
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
