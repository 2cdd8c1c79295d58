//! The bundled plugin of script tasks: five languages, each as `Script` and as `Commands`, and their predecessors.
//!
//! Owns: how a flow's properties become a command line, an environment and a runner, and what an exit means. Never
//! does: starting processes, reading their output, moving files; the engine does, on what this plugin asks for.
//! `language` is the table of languages, `properties` the documentation of what flows may write, `job` and `runner`
//! decide what to run where, `run` runs it.

mod examples;
mod job;
mod language;
mod properties;
mod run;
mod runner;
mod task;

use language::{NODE, POWERSHELL, PYTHON, R, SH};
use task::{Before, Commands, Script};

weft_sdk::plugin!(
    descriptor: "../descriptor.packed";
    Script<PYTHON>,
    Commands<PYTHON>,
    Before<PYTHON>,
    Script<R>,
    Commands<R>,
    Script<NODE>,
    Commands<NODE>,
    Before<NODE>,
    Script<SH>,
    Commands<SH>,
    Before<SH>,
    Script<POWERSHELL>,
    Commands<POWERSHELL>
);

#[cfg(test)]
mod tests;
