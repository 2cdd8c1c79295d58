//! The developer's tasks of this repository, as `cargo xtask COMMAND`: set-up, demo, tests, fuzzing, generated
//! code, test peers and benchmarks.
//!
//! It runs other programs (cargo, apt, pip, npm, `weft` itself), echoes what it runs, and links no crate of the engine,
//! so that it compiles in seconds on a fresh checkout. What it downloads is kept in `$XDG_CACHE_HOME/weft-dev` (or
//! `~/.cache/weft-dev`); what it builds is kept in `target/`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod bench;
mod codegen;
mod demo;
mod dist;
mod exec;
mod fuzz;
mod peers;
mod setup;
mod test;
mod wasm_target;

use std::process::ExitCode;

use clap::Parser;

/// Developer's tasks of this repository.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
enum Task {
    /// Provide what a build needs: the `wasm32-wasip2` target of the Rust compiler, a C compiler.
    Setup,
    /// Build `weft` and run the example flow with it.
    Demo,
    /// Build the binary that is shipped: small, and with all it needs linked in.
    Dist,
    /// Check format, lints, generated code and licences, and run every test.
    Test(test::Options),
    /// Look for inputs that break something, with libFuzzer on the targets of `fuzz/`.
    Fuzz(fuzz::Options),
    /// Regenerate the bindings of the Rust SDK from `wit/`.
    Codegen(codegen::Options),
    /// The real programs that tests run against.
    #[command(subcommand)]
    Peers(peers::Action),
    /// Measure the shipped binary against what the same work costs without it.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Setup => setup::run(),
        Task::Demo => demo::run(),
        Task::Dist => dist::run(),
        Task::Test(options) => test::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Codegen(options) => codegen::run(&options),
        Task::Peers(action) => peers::run(&action),
        Task::Bench(options) => bench::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
