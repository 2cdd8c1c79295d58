//! The plugin host: the catalogue of plugins, the capabilities they are offered, the limits they run under and the
//! cache of their compiled code.
//!
//! Owns: everything that knows wasmtime. Finds plugins (bundled, and `*.wasm` dropped into a directory), asks each once
//! for its description, compiles what a flow names, and runs each task in a store of its own.
//! Never does: start processes, open stores, render or validate properties; what a plugin asks for is handed to
//! [`Capabilities`], which the worker implements.
//! Called by: `weft-worker` for running, `weft-local` and the binary for the catalogue.
//!
//! A plugin cannot harm the engine by what it does: an endless loop, a memory bomb, a panic or a lying description ends
//! as a [`Failure`](weft_model::Failure) or as a [`PluginProblem`] that names the file.

mod bindings;
mod cache;
mod capabilities;
mod catalogue;
mod denial;
mod describe;
mod descriptor;
mod engine;
mod failure;
mod grants;
mod host;
mod limits;
mod options;
mod plugin;
mod problem;
mod rights;
mod run;
mod sizes;
mod stdio;
mod store;
mod ticker;

pub use capabilities::{Capabilities, Child, Command, Exit, FilePlace, Located};
pub use catalogue::{Catalogue, PluginInfo};
pub use descriptor::{Needs, TaskType};
pub use grants::{Capability, GrantError, Grants, ScopeKind};
pub use host::Host;
pub use options::{Bundled, HostOptions, Limits, OnProgress, Progress};
pub use problem::{PluginProblem, Severity};
pub use run::{Evaluation, Invocation, PollResult};
