//! Files in a task's working directory: what may be written into it, what is taken out, and that it goes away.
//!
//! A name never leads out of the directory: not by `..`, not by being absolute, not through a symbolic link. Checks are
//! made on paths; they hold as long as nobody changes the directory meanwhile, which is so before a task starts and
//! after it ended.

mod collect;
mod pool;
mod resolve;
mod workspace;

pub(crate) use collect::walk;
pub use collect::{Found, MAX_FILES, collect, collect_tree};
pub use pool::{Loan, WorkspacePool};
pub use resolve::{prepare, resolve};
pub use workspace::Workspace;

/// The folder in a working directory that belongs to the engine: scripts, output directories, copies of stored files. It
/// is never collected.
pub const ENGINE_FOLDER: &str = ".weft";
