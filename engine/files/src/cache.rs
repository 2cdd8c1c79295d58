//! The cache of a `WorkingDirectory`: one zip archive per namespace, flow, task and loop value.
//!
//! Restored files never replace existing ones. Permissions, symbolic links and times of change are kept, so that a
//! Python environment works after it was restored and is not taken for changed. The archive is only an accelerator: a
//! broken one is deleted and counts as absent.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;

use crate::workdir::{Directory, Kind, MAX_FILES, Wanted, walk};
use crate::{OpenFile, PatternSet, Result, Storage, StorageError, StorageUri};

mod archive;

/// The cache of one `WorkingDirectory`.
#[derive(Debug, Clone)]
pub struct Cache {
    storage: Storage,
    uri: StorageUri,
    patterns: Vec<String>,
    ttl: Option<Duration>,
}

/// What [`Cache::restore`] found, to be handed to [`Cache::save`].
#[derive(Debug)]
pub struct Restored {
    /// What became of the archive.
    pub outcome: Outcome,
    /// Files of the archive that were there already and were left as they are.
    pub kept: Vec<String>,
    before: Snapshot,
}

/// What became of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was none.
    Absent,
    /// It was older than the time to live and has been deleted.
    Expired,
    /// It could not be read, for this reason, and has been deleted.
    Broken(String),
    /// It was unpacked: so many files.
    Restored(usize),
}

/// What [`Cache::save`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// No matching file was added, changed or removed since the cache was restored.
    Unchanged,
    /// A new archive was stored.
    Stored {
        /// Files in it.
        files: usize,
        /// Its size in bytes.
        bytes: u64,
    },
}

/// Time of change and size of each matching file.
type Snapshot = HashMap<String, (SystemTime, u64)>;

impl Cache {
    /// A cache of the files that match `patterns`, kept at `uri` (see [`crate::cache_archive`]) for `ttl` after it was
    /// last saved; without `ttl` for good.
    pub fn new(storage: Storage, uri: StorageUri, patterns: Vec<String>, ttl: Option<Duration>) -> Self {
        Self { storage, uri, patterns, ttl }
    }

    /// Unpacks the archive, if there is one, into the directory.
    pub async fn restore(&self, directory: &Directory) -> Result<Restored> {
        let patterns = PatternSet::in_directory(directory.path(), &self.patterns)?;
        let (outcome, kept) = match self.storage.metadata(&self.uri).await {
            Err(StorageError::NotFound { .. }) => (Outcome::Absent, Vec::new()),
            Err(error) => return Err(error),
            Ok(object) if self.is_expired(object.modified) => {
                self.storage.delete(&self.uri).await?;
                (Outcome::Expired, Vec::new())
            }
            Ok(_) => self.unpack(directory).await?,
        };
        let directory = directory.clone();
        let before = blocking(move || snapshot(&directory, &patterns)).await?;
        Ok(Restored { outcome, kept, before })
    }

    /// Stores a new archive, if a matching file changed since `restored`.
    pub async fn save(&self, directory: &Directory, restored: &Restored) -> Result<Saved> {
        let patterns = PatternSet::in_directory(directory.path(), &self.patterns)?;
        let from = directory.clone();
        let now = blocking(move || snapshot(&from, &patterns)).await?;
        if now == restored.before {
            return Ok(Saved::Unchanged);
        }
        let mut names: Vec<String> = now.into_keys().collect();
        names.sort_unstable();
        let from = directory.clone();
        let (files, packed) = blocking(move || {
            let path = from.path();
            // Without a name nobody can put another file in its place, and it is gone whatever happens.
            let file = tempfile::tempfile_in(path)
                .map_err(|error| StorageError::io("create a file in", &path.join("."), error))?;
            let files = archive::pack(&from, &names, &file)?;
            Ok((files, OpenFile::of(file, path.join("."))?))
        })
        .await?;
        let bytes = self.storage.put_file(&self.uri, packed).await?;
        Ok(Saved::Stored { files, bytes })
    }

    fn is_expired(&self, saved: SystemTime) -> bool {
        // A clock that went back makes no archive expire.
        self.ttl.is_some_and(|ttl| saved.elapsed().is_ok_and(|age| age > ttl))
    }

    async fn unpack(&self, directory: &Directory) -> Result<(Outcome, Vec<String>)> {
        let packed = self.storage.open(&self.uri, directory.path()).await?;
        let (directory, uri) = (directory.clone(), self.uri.clone());
        match blocking(move || archive::unpack(packed, &directory, &uri)).await {
            Ok(unpacked) => Ok((Outcome::Restored(unpacked.files), unpacked.kept)),
            Err(StorageError::BrokenArchive { reason, .. }) => {
                self.storage.delete(&self.uri).await?;
                Ok((Outcome::Broken(reason), Vec::new()))
            }
            Err(error) => Err(error),
        }
    }
}

fn snapshot(directory: &Directory, patterns: &PatternSet) -> Result<Snapshot> {
    let Some(directory) = directory.renewed() else { return Ok(Snapshot::new()) };
    let mut files = Snapshot::new();
    walk(&directory, ".", Wanted::Matching(patterns), &mut |entry| {
        if entry.kind == Kind::Special {
            return Ok(());
        }
        let (modified, size) = entry
            .modified_and_size()
            .map_err(|error| StorageError::io("read", &directory.path().join(entry.path), error.into()))?;
        files.insert(entry.name()?.to_owned(), (modified, size));
        if files.len() > MAX_FILES {
            return Err(StorageError::TooMany { directory: directory.path().to_owned(), limit: MAX_FILES });
        }
        Ok(())
    })?;
    Ok(files)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    crate::storage::joined(spawn_blocking(work).await)
}

#[cfg(test)]
#[path = "cache/tests.rs"]
mod tests;
