//! Directories that are used again, one attempt after the other, as long as nobody leaves anything in them.
//!
//! Most tasks of a long flow use no file. To make and to remove a directory for each is most of what they would cost: it
//! goes through the file system's journal, and waits for everybody else who writes to the disk.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Directory, ENGINE_FOLDER, Workspace};
use crate::{Result, StorageError};

/// How many directories are kept for later.
const MAX_IDLE: usize = 16;
/// Name of the output directory in the engine's folder.
const OUTPUT: &str = "output";

/// Makes directories, or finds one that was given back as it was made. Clones share what they keep.
#[derive(Debug, Clone)]
pub struct WorkspacePool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    base: PathBuf,
    idle: Mutex<Vec<Made>>,
}

/// A directory with the folders that were made in it, and how they were then.
#[derive(Debug)]
struct Made {
    workspace: Workspace,
    output: Option<PathBuf>,
    /// The directory itself, then the folders inside, each the only entry of the one before.
    folders: Vec<(PathBuf, Looks)>,
}

/// What a task could have changed about a directory without leaving anything in it.
#[derive(Debug, PartialEq, Eq)]
struct Looks {
    device: u64,
    inode: u64,
    mode: u32,
    owner: (u32, u32),
}

/// A directory on loan: empty but for the engine's folder, and nobody else's. Dropping it gives it back if it is as it
/// was; else it is removed with all it holds.
#[derive(Debug)]
pub struct Loan {
    directory: Directory,
    /// None only while it is dropped.
    made: Option<Made>,
    /// The answer of [`Self::is_untouched`], once it was asked.
    untouched: Option<bool>,
    pool: WorkspacePool,
}

impl WorkspacePool {
    /// A pool of directories below `base`, which need not exist yet.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { shared: Arc::new(Shared { base: base.into(), idle: Mutex::default() }) }
    }

    /// A directory, with an output directory in the engine's folder if that is asked for.
    pub fn take(&self, with_output: bool) -> Result<Loan> {
        let kept = {
            let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let found = idle.iter().rposition(|made| made.output.is_some() == with_output);
            found.map(|index| idle.swap_remove(index))
        };
        let made = match kept {
            Some(made) => made,
            None => Made::new(&self.shared.base, with_output)?,
        };
        let directory = made.workspace.directory().clone();
        Ok(Loan { directory, made: Some(made), untouched: None, pool: self.clone() })
    }

    /// Removes the directories that nobody uses at the moment.
    pub fn clear(&self) {
        let idle = std::mem::take(&mut *self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner));
        drop(idle);
    }
}

impl Loan {
    /// The directory, absolute if the pool's base was.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The way into it.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The output directory, if it was asked for.
    pub fn output(&self) -> Option<&Path> {
        self.made.as_ref()?.output.as_deref()
    }

    /// Whether it is as it was made: there is no file in it, and it can be lent to the next. To be asked when nobody uses it
    /// any more; the answer stays.
    pub fn is_untouched(&mut self) -> bool {
        let look = || self.made.as_ref().is_some_and(Made::is_untouched);
        *self.untouched.get_or_insert_with(look)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let untouched = self.is_untouched();
        let Some(made) = self.made.take().filter(|_| untouched) else { return };
        let mut idle = self.pool.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(made);
        }
    }
}

impl Made {
    fn new(base: &Path, with_output: bool) -> Result<Self> {
        let workspace = Workspace::create(base)?;
        let mut paths = vec![workspace.path().to_owned()];
        if with_output {
            paths.push(workspace.path().join(ENGINE_FOLDER));
            paths.push(workspace.path().join(ENGINE_FOLDER).join(OUTPUT));
        }
        for path in &paths[1..] {
            fs::create_dir(path).map_err(|error| StorageError::io("create the directory", path, error))?;
        }
        let output = with_output.then(|| paths.last().cloned()).flatten();
        let folders = paths.into_iter().map(|path| {
            let metadata = fs::symlink_metadata(&path)
                .map_err(|error| StorageError::io("look at the directory", &path, error))?;
            Ok((path, Looks::of(&metadata)))
        });
        let folders = folders.collect::<Result<_>>()?;
        Ok(Self { workspace, output, folders })
    }

    fn is_untouched(&self) -> bool {
        let inner = self.folders.iter().skip(1).map(|(path, _)| path.file_name()).chain([None]);
        self.folders.iter().zip(inner).all(|((path, looks), inner)| {
            fs::symlink_metadata(path).is_ok_and(|metadata| Looks::of(&metadata) == *looks)
                && holds_only(path, inner)
        })
    }
}

impl Looks {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
        }
    }
}

/// Whether `name`, or nothing, is all there is in the directory.
fn holds_only(directory: &Path, name: Option<&OsStr>) -> bool {
    let Ok(mut entries) = fs::read_dir(directory) else { return false };
    let is_expected = match (entries.next(), name) {
        (None, None) => true,
        (Some(Ok(entry)), Some(name)) => entry.file_name() == name,
        _ => false,
    };
    is_expected && entries.next().is_none()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_directory_comes_back_only_as_it_was() {
        type Task = fn(&Path);
        let tasks: [(&str, bool, Task); 9] = [
            ("does nothing", true, |_| {}),
            ("tidies up", true, |path| {
                fs::write(path.join("a"), "1").unwrap();
                fs::remove_file(path.join("a")).unwrap();
            }),
            ("leaves a file", false, |path| fs::write(path.join("a"), "1").unwrap()),
            ("leaves a hidden file", false, |path| fs::write(path.join(".a"), "1").unwrap()),
            ("leaves an output", false, |path| fs::write(path.join(".weft/output/a"), "1").unwrap()),
            ("leaves a script", false, |path| fs::write(path.join(".weft/script.py"), "1").unwrap()),
            ("changes the mode", false, |path| {
                fs::set_permissions(path, Permissions::from_mode(0o500)).unwrap();
            }),
            ("removes a folder", false, |path| fs::remove_dir(path.join(".weft/output")).unwrap()),
            ("replaces a folder", false, |path| {
                fs::rename(path.join(".weft"), path.with_extension("moved")).unwrap();
                symlink(path.with_extension("moved"), path.join(".weft")).unwrap();
            }),
        ];
        for (what, comes_back, task) in tasks {
            let dir = tempfile::tempdir().unwrap();
            let pool = WorkspacePool::new(dir.path().join("base"));
            let loan = pool.take(true).unwrap();
            let path = loan.path().to_owned();
            assert_eq!(loan.output(), Some(&*path.join(".weft/output")), "{what}");
            task(&path);
            drop(loan);
            assert_eq!(path.exists(), comes_back, "{what}");
            let next = pool.take(true).unwrap();
            assert_eq!(next.path() == path, comes_back, "{what}");
            assert!(holds_only(next.output().unwrap(), None), "{what}");
        }
    }

    #[test]
    fn loans_at_the_same_time_are_different_and_go_with_the_pool() {
        let dir = tempfile::tempdir().unwrap();
        let pool = WorkspacePool::new(dir.path());
        let (first, second, plain) =
            (pool.take(true).unwrap(), pool.take(true).unwrap(), pool.take(false).unwrap());
        assert_ne!(first.path(), second.path());
        assert!(holds_only(plain.path(), None) && plain.output().is_none());
        drop((first, second, plain));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        assert_eq!(Workspace::sweep(dir.path()).unwrap(), 0, "they are held");
        drop(pool);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
