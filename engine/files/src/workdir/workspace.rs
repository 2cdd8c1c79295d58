//! A directory of one task run, or of one `WorkingDirectory`, that goes away with its owner.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::private::create_folders;
use crate::{Result, StorageError};

/// A directory `<base>/<random id>` that only this user can enter. Dropping it removes it with all it holds, also what
/// the task made read-only; symbolic links are removed, never followed.
///
/// While it lives, it holds a lock on the directory that the system releases however the process ends, so that
/// [`Workspace::sweep`] can tell what nobody uses any more.
#[derive(Debug)]
pub struct Workspace {
    path: PathBuf,
    /// Holds the lock. None where the file system knows no locks.
    _lock: Option<File>,
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
                Ok(Lock::Held(file)) => return Ok(Self { path, _lock: Some(file), removed: false }),
                Ok(Lock::Unsupported) => return Ok(Self { path, _lock: None, removed: false }),
                // A sweep came between: it takes the new directory for a forgotten one. The next is another.
                Ok(Lock::Busy) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(StorageError::io("lock the directory", &path, error)),
            }
        }
    }

    /// The directory, absolute if `base` was.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory now, and says so if that fails.
    pub fn close(mut self) -> Result<()> {
        self.removed = true;
        remove(&self.path)
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
            let _ = remove(&self.path);
        }
    }
}

fn is_id(name: &str) -> bool {
    name.len() == 22 && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

enum Lock {
    Held(File),
    Busy,
    Unsupported,
}

/// Locks the directory at `path`, unless another process has.
fn lock(path: &Path) -> io::Result<Lock> {
    let file = File::open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Lock::Busy),
        Err(_) => return Ok(Lock::Unsupported),
    }
    // Between opening and locking it may have been removed.
    let (locked, named) = (file.metadata()?, fs::metadata(path)?);
    if (locked.dev(), locked.ino()) == (named.dev(), named.ino()) {
        Ok(Lock::Held(file))
    } else {
        Err(ErrorKind::NotFound.into())
    }
}

/// Removes `path` with all it holds, also below directories that were made read-only.
fn remove(path: &Path) -> Result<()> {
    // Mostly nothing is left in it, and one call does.
    if fs::remove_dir(path).is_ok() {
        return Ok(());
    }
    let again = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            make_writable(path);
            fs::remove_dir_all(path)
        }
        result => result,
    };
    match again {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(StorageError::io("remove the directory", path, error))
        }
        _ => Ok(()),
    }
}

/// Lets this user list and change every directory below `path`. What cannot be changed shows when it is removed.
fn make_writable(path: &Path) {
    let mut directories = vec![path.to_owned()];
    while let Some(directory) = directories.pop() {
        let _ = fs::set_permissions(&directory, Permissions::from_mode(0o700));
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(entry.path());
            }
        }
    }
}
