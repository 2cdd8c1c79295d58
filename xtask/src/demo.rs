//! `cargo xtask demo`: from a fresh checkout to a finished flow with one command.

use std::process::Command;

use anyhow::Result;

use crate::{
    exec::{self, say},
    setup,
};

/// The flow that a newcomer sees first.
const FLOW: &str = "examples/etl/flow.yaml";

/// Builds `weft` and runs [`FLOW`]; what the run leaves behind is in `target/demo`.
pub fn run() -> Result<()> {
    setup::run()?;
    say("building `weft` with its plugins; the first time takes a few minutes");
    exec::run(exec::cargo().args(["build", "--release", "--package", "weft"]))?;
    say(format!("running {FLOW}; history, logs and files go to target/demo"));
    exec::run(
        Command::new("target/release/weft")
            .current_dir(exec::root())
            .args(["--data-dir", "target/demo"])
            .args(["run", FLOW]),
    )
}
