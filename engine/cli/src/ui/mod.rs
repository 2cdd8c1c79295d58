//! What people see: text on the terminal. Nothing here decides anything.

mod lines;
mod live;
mod plain;
pub mod printable;
pub mod text;

pub use plain::Plain;

use std::io::IsTerminal;
use std::sync::Arc;

use weft_local::Observer;
use weft_model::{Execution, Level};

use crate::args::ColorChoice;

pub use lines::LineFormat;

/// How to show things on a stream.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Whether stdout takes colour.
    pub stdout_color: bool,
    /// Whether stderr takes colour.
    pub stderr_color: bool,
    /// Whether stderr is a terminal that can be drawn on.
    pub live: bool,
}

impl Terminal {
    /// Looks at the streams and the environment.
    pub fn new(choice: ColorChoice) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let color = |is_terminal: bool| match choice {
            ColorChoice::Auto => is_terminal && wanted,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        };
        let (stdout, stderr) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        Self {
            stdout_color: color(stdout),
            stderr_color: color(stderr),
            live: stderr && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        }
    }
}

/// Shows executions while they run, and how they ended.
pub trait Show: Observer {
    /// Draws what is left to draw.
    fn finish(&self, execution: Option<&Execution>);
}

/// What shows a run: a live tree on a terminal, lines elsewhere, nothing if that is wanted.
pub fn show(terminal: Terminal, least: Level, quiet: bool) -> Arc<dyn Show> {
    if terminal.live && !quiet {
        live::Live::start(terminal.stderr_color, least)
    } else {
        Plain::new(terminal.stderr_color, if quiet { None } else { Some(least) })
    }
}
