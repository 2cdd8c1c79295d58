//! The engine's own directory of compiled code and descriptions.
//!
//! Compiled code is native code that is run as it is, so the directory is used only while nobody else can write to it.
//! Everything in it can be made again: what cannot be read is ignored, what cannot be written is said once. Processes
//! that write the same entry at the same time are no trouble: an entry appears whole, by renaming.
//!
//! ```text
//! code/<sha256>-<engine>.cwasm     compiled code; <engine> stands for wasmtime's version, its settings and the CPU
//! describe/<sha256>.json           what `describe` returned
//! describe/<sha256>.problem.json   why there is no description
//! files.json                       hashes of plugin files by path, size, time of change and inode
//! ```

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::PluginProblem;

/// Compiled code that was written longer ago than this is removed when other code is written.
const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);

/// A file that changed as recently as this may change again without a new time of change.
const SETTLED: Duration = Duration::from_secs(1);

/// The cache, or nothing where the directory must not be used.
pub(crate) struct Cache {
    root: Option<PathBuf>,
}

/// A problem and the engine that found it: another engine may be able to read the plugin.
#[derive(Serialize, Deserialize)]
struct StoredProblem {
    engine: String,
    problem: PluginProblem,
}

impl Cache {
    /// The cache in `directory`, and what keeps it from being used.
    pub(crate) fn open(directory: &Path) -> (Self, Option<PluginProblem>) {
        let folders = [directory.to_owned(), directory.join("code"), directory.join("describe")];
        match folders.iter().try_for_each(|folder| own_directory(folder)) {
            Ok(()) => (Self { root: Some(directory.to_owned()) }, None),
            Err(reason) => {
                let message = format!(
                    "the plugin cache is not used, so plugins are compiled at every start: {reason}\n\
                     hint: make it a directory of your own with mode 0700, or name another one"
                );
                (Self { root: None }, Some(PluginProblem::warning(directory, "plugin.cache", message)))
            }
        }
    }

    /// Where the compiled code of a plugin is or would be.
    pub(crate) fn code_path(&self, sha256: &str, engine: u64) -> Option<PathBuf> {
        Some(self.root.as_ref()?.join("code").join(format!("{sha256}-{engine:016x}.cwasm")))
    }

    /// Stores compiled code at a path from [`Self::code_path`].
    pub(crate) fn store_code(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        // Code that reaches the disk after its name would be run as whatever was there before.
        write(path, code, true)?;
        if let Some(folder) = path.parent() {
            prune(folder);
        }
        Ok(())
    }

    /// The stored description of a plugin.
    pub(crate) fn description(&self, sha256: &str) -> Option<String> {
        fs::read_to_string(self.description_path(sha256, "json")?).ok()
    }

    /// The stored reason why a plugin has no description.
    pub(crate) fn problem(&self, sha256: &str) -> Option<PluginProblem> {
        let text = fs::read_to_string(self.description_path(sha256, "problem.json")?).ok()?;
        let stored: StoredProblem = serde_json::from_str(&text).ok()?;
        (stored.engine == env!("CARGO_PKG_VERSION")).then_some(stored.problem)
    }

    /// Stores what `describe` returned. Where that fails, the next start asks again.
    pub(crate) fn store_description(&self, sha256: &str, text: &str) {
        if let Some(path) = self.description_path(sha256, "json") {
            let _ = write(&path, text.as_bytes(), false);
        }
    }

    /// Stores why there is no description. Where that fails, the next start asks again.
    pub(crate) fn store_problem(&self, sha256: &str, problem: &PluginProblem) {
        let stored = StoredProblem { engine: env!("CARGO_PKG_VERSION").to_owned(), problem: problem.clone() };
        if let (Some(path), Ok(text)) =
            (self.description_path(sha256, "problem.json"), serde_json::to_vec(&stored))
        {
            let _ = write(&path, &text, false);
        }
    }

    fn description_path(&self, sha256: &str, extension: &str) -> Option<PathBuf> {
        Some(self.root.as_ref()?.join("describe").join(format!("{sha256}.{extension}")))
    }

    /// The hashes of plugin files that are known.
    pub(crate) fn hashes(&self) -> FileHashes {
        let path = self.root.as_ref().map(|root| root.join("files.json"));
        let known = path.as_ref().and_then(|path| serde_json::from_slice(&fs::read(path).ok()?).ok());
        FileHashes { path, known: known.unwrap_or_default(), changed: false }
    }
}

/// Hashes of plugin files, so that a file is read only when it is new or has changed.
pub(crate) struct FileHashes {
    path: Option<PathBuf>,
    known: BTreeMap<PathBuf, Known>,
    changed: bool,
}

#[derive(Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    sha256: String,
}

/// What changes when a file's content does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    modified_ns: u128,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        let modified = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Self { size: metadata.len(), modified_ns: modified.as_nanos(), inode: inode(metadata) })
    }
}

impl FileHashes {
    /// The SHA-256 of the file at `path`, in hexadecimal.
    pub(crate) fn hash(&mut self, path: &Path) -> io::Result<String> {
        let metadata = fs::metadata(path)?;
        let stamp = Stamp::of(&metadata)?;
        if let Some(known) = self.known.get(path).filter(|known| known.stamp == stamp) {
            return Ok(known.sha256.clone());
        }
        let sha256 = sha256(&fs::read(path)?);
        let settled = metadata.modified()?.elapsed().is_ok_and(|age| age > SETTLED);
        // Still the file that was looked at, and one whose next change will show?
        if settled && Stamp::of(&fs::metadata(path)?)? == stamp {
            self.known.insert(path.to_owned(), Known { stamp, sha256: sha256.clone() });
            self.changed = true;
        }
        Ok(sha256)
    }

    /// Stores what has been learnt, and forgets files that are gone.
    pub(crate) fn save(mut self) {
        let Some(path) = self.path.filter(|_| self.changed) else { return };
        self.known.retain(|file, _| file.exists());
        if let Ok(text) = serde_json::to_vec(&self.known) {
            let _ = write(&path, &text, false);
        }
    }
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    if durable {
        file.as_file().sync_data()?;
    }
    file.persist(path)?;
    Ok(())
}

/// Removes what is old, among it what a killed process left behind. What cannot be removed now is tried again later.
fn prune(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let age =
            entry.metadata().and_then(|metadata| metadata.modified()).map(|modified| modified.elapsed());
        if matches!(age, Ok(Ok(age)) if age > KEEP) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Makes sure that `folder` exists and that only this user can write to it.
#[cfg(unix)]
fn own_directory(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    let error = |error: io::Error| format!("{}: {error}", folder.display());
    let metadata = match fs::symlink_metadata(folder) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(error)?;
            fs::symlink_metadata(folder).map_err(error)?
        }
        metadata => metadata.map_err(error)?,
    };
    let problem = if !metadata.is_dir() {
        "is not a directory".to_owned()
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        format!("belongs to another user (uid {})", metadata.uid())
    } else if metadata.mode() & 0o022 != 0 {
        format!("can be written by others (mode {:04o})", metadata.mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(format!("{} {problem}", folder.display()))
}

/// Elsewhere a user's own directory is private by default.
#[cfg(not(unix))]
fn own_directory(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_directory_that_others_can_write_is_not_used() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let parent = tempfile::tempdir().unwrap();
        for (mode, usable) in [(0o700, true), (0o755, true), (0o770, false), (0o777, false), (0o1777, false)]
        {
            let path = parent.path().join(format!("{mode:o}"));
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let (cache, problem) = Cache::open(&path);
            assert_eq!((cache.root.is_some(), problem.is_none()), (usable, usable), "{mode:o}");
        }
        let link = parent.path().join("link");
        symlink(parent.path().join("700"), &link).unwrap();
        assert!(Cache::open(&link).1.unwrap().message.contains("is not a directory"));

        let new = parent.path().join("a/b");
        assert!(Cache::open(&new).1.is_none());
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_hash_is_remembered_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, _) = Cache::open(&folder.path().join("cache"));
        let file = folder.path().join("p.wasm");
        let write = |content: &str, time: SystemTime| {
            fs::write(&file, content).unwrap();
            fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        };
        let hash = || {
            let mut hashes = cache.hashes();
            let sha256 = hashes.hash(&file).unwrap();
            let read = hashes.changed;
            hashes.save();
            (sha256, read)
        };
        let old = SystemTime::now() - Duration::from_secs(60);
        write("one", old);
        assert_eq!(hash(), (sha256(b"one"), true));
        assert_eq!(hash(), (sha256(b"one"), false));
        write("two", old + Duration::from_nanos(1000));
        assert_eq!(hash(), (sha256(b"two"), true));
        // Changed just now: it may change again within the clock's resolution, so it is not remembered.
        write("six", SystemTime::now());
        assert_eq!(hash(), (sha256(b"six"), false));
    }

    #[test]
    fn what_is_not_readable_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, _) = Cache::open(folder.path());
        let problem = PluginProblem::error("p.wasm", "plugin.world", "wrong");
        cache.store_problem("s", &problem);
        assert_eq!(cache.problem("s"), Some(problem));
        fs::write(folder.path().join("describe/s.problem.json"), "{").unwrap();
        fs::write(folder.path().join("files.json"), "{").unwrap();
        assert_eq!(cache.problem("s"), None);
        assert!(cache.hashes().known.is_empty());
        assert_eq!(cache.description("s"), None);
    }
}
