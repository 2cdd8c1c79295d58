//! `cargo xtask codegen`: the SDK's bindings from the plugin contract. The work is done by the crate `xtask-codegen`,
//! which takes longer to compile than all of this.

use anyhow::Result;

use crate::exec;

/// Options of `cargo xtask codegen`.
#[derive(clap::Args)]
pub struct Options {
    /// Write nothing; fail if the checked-in bindings are not what would be written.
    #[arg(long)]
    pub check: bool,
}

/// Writes `sdk/rust/src/bindings.rs`, or compares it.
pub fn run(options: &Options) -> Result<()> {
    let mut generator = exec::cargo();
    generator.args(["run", "--quiet", "--package", "xtask-codegen", "--"]);
    if options.check {
        generator.arg("--check");
    }
    exec::run(&mut generator)
}
