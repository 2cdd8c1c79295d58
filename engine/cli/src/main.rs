//! `weft`: runs and checks flows, and shows what became of them.
//!
//! Owns: the command line and what is printed. Never does: anything that another front end would have to do again;
//! that is in `weft-local` and below. Called by: people, scripts, CI.

mod app;
mod args;
mod commands;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use crate::app::{App, Usage};
use crate::args::{Cli, Command};
use crate::ui::{Terminal, text};

/// The hidden command by which the engine has plugin files compiled: a process of its own, with bounds.
const COMPILE: &str = "__compile";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|command| command == COMPILE) {
        return weft_host::compile_program(&arguments.next().unwrap_or_default().to_string_lossy());
    }
    let cli = Cli::parse();
    let terminal = Terminal::new(cli.global.color);
    match dispatch(cli, terminal) {
        Ok(status) => status,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let label = text::styled("error:", text::ERROR, terminal.stderr_color);
            app::say(&format!("{label} {error:#}\n"));
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

fn dispatch(cli: Cli, terminal: Terminal) -> anyhow::Result<ExitCode> {
    let app = App::new(cli.global, terminal);
    match cli.command {
        Command::Run(args) => commands::run::run(&app, args),
        Command::Validate(args) => commands::validate::run(&app, args),
        Command::Explain { code } => commands::explain::run(code.as_deref()),
        Command::Test(args) => commands::test::run(&app, args),
        Command::Expr(args) => commands::expr::run(&app, args),
        Command::Executions(args) => commands::executions::run(&app, args),
        Command::Triggers(args) => commands::triggers::run(&app, args),
        Command::Plugins(args) => commands::plugins::run(&app, args),
        Command::Trust(args) => commands::trust::run(&app, args),
        Command::Flow(args) => commands::flow::run(&app, args),
        Command::Namespace(args) => commands::namespace::run(&app, args),
        Command::Schema { tests } => commands::schema::run(&app, tests),
        Command::Store(args) => commands::store::run(&app, args),
        Command::Completions { shell } => commands::completions::run(shell),
    }
}

/// `weft ... | head`: the reader has seen enough, which is no error.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
