//! Files in a task's working directory: what may be written into it, what is taken out, and that it goes away.
//!
//! Whatever a script or a plugin can change is reached through a handle on the directory, [`Directory`], and nothing else:
//! a name is looked up below it, and what is found is an open file or a handle on a folder, which stays what it is whatever
//! becomes of the name. So a name never leads out of the directory, not by `..`, not by being absolute, not through a
//! symbolic link, and not through one that somebody puts there while it is looked up. What is read is a regular file: a
//! pipe, a socket or a device is told by its kind before it is opened, and is never waited for.
//!
//! A symbolic link to what lies inside is followed, also one that says it with the directory's whole path.

mod beneath;
mod collect;
mod directory;
mod pool;
mod remove;
mod walk;
mod workspace;

pub(crate) use beneath::{Folder, reopen};
pub use collect::{Found, MAX_FILES};
pub use directory::{Directory, Opened};
pub use pool::{Loan, WorkspacePool};
pub use walk::{Entry, Kind};
pub(crate) use walk::{Wanted, walk};
pub use workspace::Workspace;

/// The folder in a working directory that belongs to the engine: scripts, output directories, copies of stored files. It
/// is never collected.
pub const ENGINE_FOLDER: &str = ".weft";
