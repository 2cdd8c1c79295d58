//! Marks of what engines are running: one small file for each execution, so that finding those of engines that died is
//! looking into one small directory, however many executions there are.
//!
//! Whoever makes an execution marks it before there is anything of it, and whoever takes one up does so while it holds its
//! journal. The mark goes when the state that was written is an end, and while the journal is still held. So there is no
//! moment at which an execution is under way without a mark, and none at which one process removes another's.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::{JournalStore, Owner, Result, StateError, disk};

/// The marks of one data directory.
#[derive(Debug, Clone)]
pub struct Running {
    directory: PathBuf,
}

/// The mark of one execution. It stays when this is dropped: only [`Self::clear`] says that the execution has an end.
#[derive(Debug)]
#[must_use = "a mark that nobody clears has its execution ended by the next start"]
pub struct RunningMark {
    path: PathBuf,
    /// Whether it says whose it is: a full disk has room for a name, and may have none for its content.
    named: bool,
}

impl Running {
    /// The marks in a directory, which is made with the first.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Marks an execution as this owner's. Where there is no room for the owner, the mark is empty: whose it is says the
    /// execution's record.
    ///
    /// # Errors
    /// When there can be no mark. Then the execution must not be begun: nobody would end it after a crash.
    pub fn mark(&self, id: &str, owner: &Owner) -> Result<RunningMark> {
        fs::create_dir_all(&self.directory)
            .map_err(|error| StateError::io("create the directory", &self.directory, error))?;
        let mut mark = RunningMark { path: self.directory.join(id), named: false };
        mark.write(owner)?;
        Ok(mark)
    }

    /// The marks whose engine is gone: of each, the execution's id.
    pub fn dead(&self, store: &JournalStore) -> Vec<String> {
        // What cannot be looked at now is looked at by the next start.
        let ids = disk::names(&self.directory).unwrap_or_default();
        let is_alive = |id: &String| {
            let owner = Owner::read(&self.directory.join(id)).or_else(|| store.owner(id).ok().flatten());
            owner.is_some_and(|owner| owner.is_alive())
        };
        ids.into_iter().filter(|id| !is_alive(id)).collect()
    }

    /// Removes the mark of an execution that has an end. To be called while its journal is held.
    pub fn clear(&self, id: &str) {
        remove(&self.directory.join(id));
    }
}

impl RunningMark {
    fn write(&mut self, owner: &Owner) -> Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&self.path)
            .map_err(|error| StateError::io("write", &self.path, error))?;
        let json = serde_json::to_vec(owner).unwrap_or_default();
        self.named = file.write_all(&json).is_ok();
        Ok(())
    }

    /// Makes sure that the mark is there, once the execution's record says whose it is: another engine that starts may
    /// have taken a mark without a name for that of a dead one.
    pub fn confirm(&mut self, owner: &Owner) -> Result<()> {
        if self.named { Ok(()) } else { self.write(owner) }
    }

    /// The execution has an end, or there is none. To be called while its journal is held.
    pub fn clear(self) {
        remove(&self.path);
    }
}

/// What cannot be removed is looked at by the next start, which finds that there is nothing to end.
fn remove(path: &Path) {
    // Somebody may have put a directory there; one with content is not ours to empty.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        let _ = fs::remove_dir(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_the_dead_are_found_whatever_is_in_them() {
        let data = tempfile::tempdir().unwrap();
        let (running, store) = (Running::new(data.path().join("running")), JournalStore::new(data.path()));
        assert!(running.dead(&store).is_empty());
        let me = Owner::current();
        let gone = Owner { pid: u32::MAX, started: None, boot: None };
        let mark = running.mark("mine", &me).unwrap();
        let _ = running.mark("gone", &gone).unwrap();
        let place = |id: &str| data.path().join("running").join(id);
        fs::write(place("empty"), "").unwrap();
        fs::write(place("torn"), "{\"pid\":").unwrap();
        fs::create_dir(place("folder")).unwrap();
        // Where the mark does not say it, the execution's record does.
        for (id, owner) in [("emptyofmine", &me), ("emptyofgone", &gone)] {
            fs::write(place(id), "").unwrap();
            fs::create_dir_all(data.path().join("executions").join(id)).unwrap();
            owner.write(&data.path().join("executions").join(id).join("engine.json")).unwrap();
        }
        let mut dead = running.dead(&store);
        dead.sort_unstable();
        assert_eq!(dead, ["empty", "emptyofgone", "folder", "gone", "torn"]);
        for id in dead {
            running.clear(&id);
        }
        assert!(running.dead(&store).is_empty());
        mark.clear();
        assert!(!place("mine").exists() && place("emptyofmine").exists());
    }

    #[test]
    fn a_mark_without_a_name_is_made_again() {
        let data = tempfile::tempdir().unwrap();
        let running = Running::new(data.path());
        let mut mark = running.mark("a", &Owner::current()).unwrap();
        fs::remove_file(data.path().join("a")).unwrap();
        mark.confirm(&Owner::current()).unwrap();
        assert!(!data.path().join("a").exists(), "one with a name is nobody else's to remove");
        mark.named = false;
        mark.confirm(&Owner::current()).unwrap();
        assert_eq!(Owner::read(&data.path().join("a")), Some(Owner::current()));
    }
}
