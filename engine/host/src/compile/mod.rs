//! Making native code of components.
//!
//! What comes with the engine is compiled in this process. A file may have been made to keep a compiler busy for ever, so it is
//! compiled by a process of its own with bounds, if the embedder names a program for that (see [`compile_program`]).

mod attempt;
mod child;
mod program;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::Engine;

use crate::bounds::CompileBounds;
use crate::engine::Runtime;
use crate::plugin::LoadError;

pub(crate) use attempt::Attempts;
use program::Settings;
pub use program::compile_program;

/// How plugin files are compiled. What is bundled is always compiled in this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Compiler {
    /// In this process, without bounds of time and memory: for files that somebody trusts.
    #[default]
    InProcess,
    /// By a program that calls [`compile_program`].
    Program {
        /// The program.
        path: PathBuf,
        /// Its arguments; one more is added, which is for [`compile_program`].
        arguments: Vec<OsString>,
    },
}

/// Compiles in this process.
pub(crate) fn here(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
    engine.precompile_component(wasm).map_err(|error| LoadError::NotAComponent(invalid(&error)))
}

/// What the compiler says of a component that it does not take.
fn invalid(error: &wasmtime::Error) -> String {
    format!("it is not a valid component: {error:#}")
}

/// Compiles in a process of its own, into `code`.
pub(crate) async fn elsewhere(
    (path, arguments): (&Path, &[OsString]),
    runtime: &Runtime,
    bounds: &CompileBounds,
    wasm: Arc<[u8]>,
    code: std::fs::File,
) -> Result<(), LoadError> {
    let settings = Settings::new(runtime, bounds);
    let command = settings.command(path, arguments);
    child::run(command, wasm, code, bounds).await
}

/// What the program could not be started for.
fn not_started(error: &io::Error) -> LoadError {
    LoadError::Compiler(format!("the program that compiles plugins cannot be started: {error}"))
}
