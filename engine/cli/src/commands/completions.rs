//! `weft completions`: a completion script for a shell.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::app;
use crate::args::Cli;

/// Prints the script.
pub fn run(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "weft", &mut script);
    app::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
