//! Whether files are as they were, without reading them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Of files that were changed less long before they were looked at, nothing is believed: they may be changed once more
/// within what file systems take for the same moment.
const SETTLED: Duration = Duration::from_millis(100);

/// What of a file or directory changes with its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// That of a file which has not just been changed. None too where there is none.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let (stamp, modified) = Self::look(path)?;
        // One of the future says nothing about when it was written.
        let settled = SystemTime::now().duration_since(modified).is_ok_and(|age| age >= SETTLED);
        settled.then_some(stamp)
    }

    fn look(path: &Path) -> Option<(Self, SystemTime)> {
        let metadata = fs::metadata(path).ok()?;
        let stamp = Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        Some((stamp, metadata.modified().ok()?))
    }

    /// Whether the file is as it was.
    pub(crate) fn still_holds(&self, path: &Path) -> bool {
        Self::look(path).is_some_and(|(now, _)| now == *self)
    }
}

/// The stamps of some files.
#[derive(Debug)]
pub(crate) struct Stamps(Vec<(PathBuf, Option<Stamp>)>);

impl Stamps {
    pub(crate) fn of(files: &[PathBuf]) -> Self {
        Self(files.iter().map(|path| (path.clone(), Stamp::of(path))).collect())
    }

    pub(crate) fn get(&self, path: &Path) -> Option<Stamp> {
        self.0.iter().find(|(known, _)| known == path)?.1
    }

    /// Whether these are the same files, and as they were.
    pub(crate) fn still_hold(&self, files: &[PathBuf]) -> bool {
        self.0.len() == files.len()
            && self.0.iter().zip(files).all(|((known, stamp), path)| {
                known == path && stamp.is_some_and(|stamp| stamp.still_holds(path))
            })
    }
}
