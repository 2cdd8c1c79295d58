//! Building the driver: with coverage that libFuzzer reads, by flags that a stable compiler takes.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::exec;

/// What `cargo fuzz` passes to a nightly compiler, without its sanitizer of addresses: what is fuzzed is safe Rust, so checks
/// of overflow and debug assertions are what finds mistakes. They are the profile's.
const FLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Clink-dead-code",
];

/// The program that libFuzzer drives.
pub struct Driver {
    path: PathBuf,
}

impl Driver {
    /// A run of it for a target, with a temporary directory of its own.
    pub fn command(&self, target: &str, scratch: &Path) -> Command {
        let mut command = Command::new(&self.path);
        // The state of this process is nothing that a target should see.
        command.env("WEFT_FUZZ_TARGET", target).env("TMPDIR", scratch).env_remove("RUST_BACKTRACE");
        command
    }
}

/// Builds it.
pub fn driver() -> Result<Driver> {
    let machine = machine()?;
    let mut build = exec::cargo();
    build.args([
        "build",
        "--package",
        "weft-fuzz",
        "--features",
        "libfuzzer",
        "--bin",
        "fuzz",
        "--profile",
        "fuzz",
    ]);
    // Naming the machine keeps the flags off build scripts and procedural macros.
    build.args(["--target", &machine, "--target-dir", "target/fuzz"]);
    build.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}")).env_remove("RUSTFLAGS");
    exec::run(&mut build).context("the fuzzer could not be built; it takes a C++ compiler (`g++`)")?;
    Ok(Driver { path: exec::root().join("target/fuzz").join(machine).join("fuzz/fuzz") })
}

/// The triple of this machine.
fn machine() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let about = exec::capture(Command::new(rustc).arg("-vV").current_dir(exec::root()))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("expected `rustc -vV` to name its host")
}
