//! Starts what a task asks for and never leaks it.
//!
//! Owns: processes with everything they start, containers (`docker`), what they write, and the cutting of that into lines;
//! the operator's programs that answer a question ([`Helper`]).
//! Never does: parsing of `::{...}::` lines, logging, rendering, working directories, retries.
//! Called by: `weft-worker`, which gives a [`Command`] and a [`LineSink`] and awaits the [`Exit`]; and by whoever
//! starts an engine, to remove what an engine that died left behind ([`Engine::reap_orphans`], [`Docker::remove_orphans`]).
//!
//! ```no_run
//! # async fn example() -> Result<(), weft_runner::RunnerError> {
//! use weft_runner::{Command, Line, Process};
//! let argv = ["/bin/sh", "-c", "echo hello"].map(String::from).to_vec();
//! let command = Command::new(argv, "/tmp", "execution-1/taskrun-1/1");
//! let process = Process::spawn(command, |line: Line<'_>| assert_eq!(line.bytes, b"hello")).await?;
//! assert_eq!(process.wait().await?.code, Some(0));
//! # Ok(())
//! # }
//! ```
//!
//! Linux on 64-bit machines is the platform this is written for. Other Unixes get a process group and nothing better; Windows is not
//! supported.

#[cfg(not(unix))]
compile_error!("weft-runner needs a Unix: process groups and signals have no counterpart here");

mod command;
mod docker;
mod environment;
mod error;
mod helper;
mod lines;
mod output;
mod process;

pub use command::{Command, Exit};
pub use docker::{
    Container, ContainerCommand, ContainerEnd, ContainerError, Docker, DockerSettings, Importance, Notes,
    Shelf,
};
pub use environment::BaseEnvironment;
pub use error::RunnerError;
pub use helper::{Answer, Helper, HelperError};
pub use lines::Splitter;
pub use output::{Line, LineSink, Stream};
pub use process::{Containment, Engine, Orphan, Process};
pub use weft_contract::container::FileHandlingStrategy;
