//! The plugin host: the catalogue of plugins, the capabilities they are offered, the limits they run under and the
//! cache of their compiled code.
//!
//! Owns: everything that knows wasmtime. Finds plugins (bundled, and `*.wasm` dropped into a directory), asks each once
//! for its description, compiles what a flow names, and runs each task in a store of its own. Knows which files are
//! trusted, and which of them has which grants.
//! Never does: start processes (but the one that compiles plugin files), open stores, render or validate properties; what a plugin asks for is handed to
//! [`Capabilities`], which the worker implements.
//! Called by: `weft-worker` for running, `weft-local` and the binary for the catalogue.
//!
//! A plugin cannot harm the engine by what it does: an endless loop, a memory bomb, a panic or a lying description ends
//! as a [`Failure`](weft_model::Failure) or as a [`PluginProblem`] that names the file. Nor by being there: a file is opened
//! without waiting, and what it may take before it runs has [`Bounds`].

mod bindings;
mod bounds;
mod cache;
mod capabilities;
mod catalogue;
mod compile;
mod denial;
mod describe;
mod descriptor;
mod engine;
mod entitled;
mod failure;
mod files;
mod grants;
mod host;
mod inspect;
mod limits;
mod open;
mod options;
mod plugin;
mod problem;
mod rights;
mod run;
mod sizes;
mod stdio;
mod store;
mod ticker;
mod trust;

pub use bounds::{Bounds, CompileBounds, ComponentBounds};
pub use capabilities::{Capabilities, Child, Command, Exit, FilePlace, Located};
pub use catalogue::{Catalogue, PluginInfo};
pub use compile::{Compiler, compile_program};
pub use descriptor::{Needs, TaskType};
pub use entitled::{GrantKey, GrantKeyError, GrantRules};
pub use files::{PluginDirectory, Whose};
pub use grants::{Capability, GrantError, Grants, ScopeKind};
pub use host::Host;
pub use options::{Bundled, HostOptions, Limits, OnProgress, Progress};
pub use problem::{PluginProblem, Severity};
pub use run::{Evaluation, Invocation, PollResult};
pub use trust::{Recorded, TrustError, TrustStore, Trusted};
