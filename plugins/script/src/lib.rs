//! The bundled plugin of script tasks: five languages, each as `Script` and as `Commands`, and their predecessors.
//!
//! Owns: how a flow's properties become a command line, an environment and a runner, and what an exit means. Never
//! does: starting processes, reading their output, moving files; the engine does, on what this plugin asks for.
//! `language` is the table of languages, `job` and `docker` decide what to run where, `run` runs it.

mod docker;
mod examples;
mod job;
mod language;
mod properties;
mod run;
mod task;

use language::{NODE, POWERSHELL, PYTHON, R, SH};
use task::{Commands, Script};

weft_sdk::plugin!(
    descriptor: "../descriptor.json";
    Script<PYTHON>,
    Commands<PYTHON>,
    Script<R>,
    Commands<R>,
    Script<NODE>,
    Commands<NODE>,
    Script<SH>,
    Commands<SH>,
    Script<POWERSHELL>,
    Commands<POWERSHELL>
);
