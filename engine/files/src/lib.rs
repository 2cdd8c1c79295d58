//! Internal storage and the files of a working directory.
//!
//! Owns: `kestra:///` URIs and where each kind of file lives ([`StorageUri`], [`ExecutionFiles`]), the objects behind
//! them ([`Storage`], on `object_store`), the globs that users write ([`PatternSet`], [`FileFilter`]), what may be
//! written into and collected from a task's directory ([`workdir`]), the cache of a `WorkingDirectory` ([`cache`]), and
//! reading files that people name ([`regular`]).
//! Never does: rendering, knowing task types, deciding when files are collected.
//! Called by: `weft-worker` around each task run, `weft-local` and the binary for inputs and downloads.

pub mod cache;
mod error;
mod glob;
mod local;
mod mounts;
mod open_file;
mod owner;
mod places;
pub mod private;
pub mod regular;
mod storage;
mod uri;
pub mod workdir;

pub use error::{Result, StorageError};
pub use glob::{FileFilter, Glob, PatternSet};
pub use open_file::OpenFile;
pub use owner::Owner;
pub use places::{
    ADDRESS_SCHEMES, ExecutionFiles, TaskRunFiles, address, addresses, cache_archive, namespace_files,
};
pub use storage::{Object, Storage};
pub use uri::StorageUri;
