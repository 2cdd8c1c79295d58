//! A directory of one task run, or of one `WorkingDirectory`, that goes away with its owner.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::{CWD, FlockOperation, flock};
use rustix::io::Errno;

use super::{Directory, remove};
use crate::private::create_folders;
use crate::{Result, StorageError};

/// A directory `<base>/<random id>` that only this user can enter. Dropping it removes it with all it holds, also what
/// the task made read-only; symbolic links are removed, never followed.
///
/// While it lives, it holds a lock on the directory that the system releases however the process ends, so that
/// [`Workspace::sweep`] can tell what nobody uses any more.
#[derive(Debug)]
pub struct Workspace {
    /// Holds the lock, too, where the file system knows locks.
    directory: Directory,
    removed: bool,
}

impl Workspace {
    /// Makes a directory below `base`, and `base` if need be.
    pub fn create(base: &Path) -> Result<Self> {
        loop {
            let path = base.join(weft_model::new_id());
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    create_folders(base)
                        .map_err(|error| StorageError::io("create the directory", base, error))?;
                    continue;
                }
                Err(error) => return Err(StorageError::io("create the directory", &path, error)),
            }
            match lock(&path) {
                Ok(Lock::Held(directory) | Lock::Unsupported(directory)) => {
                    return Ok(Self { directory, removed: false });
                }
                // A sweep came between: it takes the new directory for a forgotten one. The next is another.
                Ok(Lock::Busy) => {}
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The directory, absolute if `base` was.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The way into it.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Removes the directory now, and says so if that fails.
    pub fn close(mut self) -> Result<()> {
        self.removed = true;
        remove(self.path())
    }

    /// Removes the directories below `base` whose owner is gone, killed perhaps. Returns how many. One that cannot be
    /// removed does not keep the others; it is the error.
    pub fn sweep(base: &Path) -> Result<usize> {
        let entries = match fs::read_dir(base) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(StorageError::io("read the directory", base, error)),
        };
        let (mut removed, mut failed) = (0, Ok(()));
        for entry in entries {
            let entry = entry.map_err(|error| StorageError::io("read the directory", base, error))?;
            let is_workspace = entry.file_name().to_str().is_some_and(is_id);
            if !is_workspace || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            // The lock is held until the directory is gone, so that `create` cannot take it for its own.
            if let Ok(Lock::Held(_lock)) = lock(&entry.path()) {
                match remove(&entry.path()) {
                    Ok(()) => removed += 1,
                    Err(error) => failed = Err(error),
                }
            }
        }
        failed.map(|()| removed)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if !self.removed {
            // Nobody is left to be told; `sweep` tries again at the next start.
            let _ = remove(self.path());
        }
    }
}

fn is_id(name: &str) -> bool {
    name.len() == 22 && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

enum Lock {
    Held(Directory),
    Busy,
    Unsupported(Directory),
}

/// Opens and locks the directory at `path`, unless another process has.
fn lock(path: &Path) -> Result<Lock> {
    let directory = Directory::open_itself(path)?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(Lock::Busy),
        Err(_) => return Ok(Lock::Unsupported(directory)),
    }
    // Between opening and locking it may have been removed.
    if directory.is_at_its_path() {
        Ok(Lock::Held(directory))
    } else {
        Err(StorageError::io("lock the directory", path, ErrorKind::NotFound.into()))
    }
}

/// Removes what is at `path` with all it holds, also below directories that were made read-only.
fn remove(path: &Path) -> Result<()> {
    remove::tree(CWD, path).map_err(|error| StorageError::io("remove the directory", path, error.into()))
}
