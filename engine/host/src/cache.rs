//! The engine's own directory of compiled code and descriptions.
//!
//! Compiled code is native code that is run as it is, so the directory is used only while nobody else can write to it.
//! Everything in it can be made again: what cannot be read is ignored, what cannot be written is said once. Processes
//! that write the same entry at the same time are no trouble: an entry appears whole, by renaming.
//!
//! ```text
//! code/<sha256>-<engine>.cwasm     compiled code; <engine> stands for wasmtime's version, its settings and the CPU
//! code/<sha256>-<engine>.attempts  how often compiling it was begun and broken off; see `compile::Attempts`
//! describe/<sha256>.json           what `describe` returned
//! describe/<sha256>.problem.json   why there is no description
//! files.json                       hashes of plugin files by path and by what changes with a file
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::describe::JSON_BYTES;
use crate::{PluginProblem, open};

/// Compiled code that was written longer ago than this is removed when other code is written.
const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);

/// A file that changed as recently as this may change again without a new time of change.
const SETTLED: Duration = Duration::from_secs(1);

/// The same for the time that the system itself keeps, which is that of its clock's ticks.
const TICK: Duration = Duration::from_millis(50);

/// More than `files.json` has for all files that are looked at.
const MAX_HASHES: u64 = 16 << 20;

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

    /// An empty file for compiled code, for this user only and gone when it is dropped.
    pub(crate) fn new_code(&self) -> io::Result<NamedTempFile> {
        match &self.root {
            Some(root) => new_file(&root.join("code")),
            None => NamedTempFile::new(),
        }
    }

    /// Stores code that was written to a file from [`Self::new_code`], at a path from [`Self::code_path`].
    pub(crate) fn keep_code(&self, file: NamedTempFile, path: &Path) -> io::Result<()> {
        file.as_file().sync_data()?;
        file.persist(path)?;
        if let Some(folder) = path.parent() {
            prune(folder);
        }
        Ok(())
    }

    /// Where it is counted how often a plugin was compiled in vain.
    pub(crate) fn attempts_path(&self, sha256: &str, engine: u64) -> Option<PathBuf> {
        Some(self.root.as_ref()?.join("code").join(format!("{sha256}-{engine:016x}.attempts")))
    }

    /// Forgets what may come out otherwise at another attempt: that a plugin took too much to compile.
    pub(crate) fn forget_refusals(&self) {
        let Some(root) = &self.root else { return };
        let entries = |folder: &str| fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        let attempts = entries("code").map(|entry| entry.path());
        for path in attempts.filter(|path| path.extension().is_some_and(|found| found == "attempts")) {
            let _ = fs::remove_file(path);
        }
        for entry in entries("describe") {
            let path = entry.path();
            let stored =
                || serde_json::from_slice::<StoredProblem>(&open::read(&path, JSON_BYTES).ok()?).ok();
            if path.to_string_lossy().ends_with(".problem.json")
                && stored().is_some_and(|stored| stored.problem.code.starts_with("plugin.compile"))
            {
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// The stored description of a plugin.
    pub(crate) fn description(&self, sha256: &str) -> Option<String> {
        let bytes = open::read(&self.description_path(sha256, "json")?, JSON_BYTES).ok()?;
        String::from_utf8(bytes).ok()
    }

    /// The stored reason why a plugin has no description.
    pub(crate) fn problem(&self, sha256: &str) -> Option<PluginProblem> {
        let bytes = open::read(&self.description_path(sha256, "problem.json")?, JSON_BYTES).ok()?;
        let stored: StoredProblem = serde_json::from_slice(&bytes).ok()?;
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
        let read = |path: &PathBuf| serde_json::from_slice(&open::read(path, MAX_HASHES).ok()?).ok();
        let known = path.as_ref().and_then(read);
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
pub(crate) struct Stamp {
    size: u64,
    modified_ns: u128,
    /// The time that no program can set.
    changed_ns: i128,
    device: u64,
    inode: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> io::Result<Self> {
        let modified = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (changed_ns, device, inode) = identity(metadata);
        Ok(Self { size: metadata.len(), modified_ns: modified.as_nanos(), changed_ns, device, inode })
    }

    /// Whether the file's next change will show.
    fn is_settled(&self) -> bool {
        let Ok(now) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) else { return false };
        let now = now.as_nanos();
        self.modified_ns + SETTLED.as_nanos() < now
            && u128::try_from(self.changed_ns).is_ok_and(|changed| changed + TICK.as_nanos() < now)
    }
}

impl FileHashes {
    /// The SHA-256 of a file in hexadecimal, if it was learnt.
    pub(crate) fn known(&self, path: &Path, stamp: &Stamp) -> Option<String> {
        let known = self.known.get(path).filter(|known| known.stamp == *stamp)?;
        Some(known.sha256.clone())
    }

    /// Keeps the hash of a file that had this stamp before it was read, unless it may have changed meanwhile.
    pub(crate) fn learn(&mut self, path: &Path, stamp: Stamp, sha256: &str) {
        let now = fs::metadata(path).and_then(|metadata| Stamp::of(&metadata));
        if stamp.is_settled() && now.is_ok_and(|now| now == stamp) {
            self.known.insert(path.to_owned(), Known { stamp, sha256: sha256.to_owned() });
            self.changed = true;
        }
    }

    /// Stores what has been learnt, and forgets files that are gone.
    pub(crate) fn save(&mut self) {
        let Some(path) = self.path.as_ref().filter(|_| self.changed) else { return };
        self.changed = false;
        self.known.retain(|file, _| file.exists());
        if let Ok(text) = serde_json::to_vec(&self.known) {
            let _ = write(path, &text, false);
        }
    }
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The same of what a file holds, read in pieces.
///
/// # Errors
/// Where it cannot be read, or has more than `limit` bytes.
pub(crate) fn sha256_of(file: File, limit: u64) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = file.take(limit.saturating_add(1));
    let mut piece = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hexadecimal(&hasher.finalize()));
        }
        hasher.update(&piece[..read]);
        size += read as u64;
        if size > limit {
            return Err(io::Error::other(format!("it has more than {limit} bytes")));
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = new_file(folder)?;
    file.write_all(bytes)?;
    if durable {
        file.as_file().sync_data()?;
    }
    file.persist(path)?;
    Ok(())
}

fn new_file(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".new-").tempfile_in(folder)
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

/// When the system saw the last change, and the file behind the name.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> (i128, u64, u64) {
    use std::os::unix::fs::MetadataExt;

    let changed = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
    (changed, metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (i128, u64, u64) {
    (0, 0, 0)
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
            File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        };
        let look = |content: &str| {
            let stamp = Stamp::of(&fs::metadata(&file).unwrap()).unwrap();
            let mut hashes = cache.hashes();
            let known = hashes.known(&file, &stamp);
            hashes.learn(&file, stamp, &sha256(content.as_bytes()));
            hashes.save();
            known
        };
        let old = SystemTime::now() - Duration::from_secs(60);
        // Until the tick in which it was written is over.
        let remembered = |content: &str| {
            (0..1000).any(|_| {
                std::thread::sleep(TICK / 10);
                look(content).is_some()
            })
        };
        write("one", old);
        assert_eq!(look("one"), None);
        assert!(remembered("one"));
        assert_eq!(look("one"), Some(sha256(b"one")));
        write("two", old + Duration::from_nanos(1000));
        assert_eq!(look("two"), None);
        assert!(remembered("two"));
        // The same size and time as before, as somebody who hides a change would set them.
        write("six", old + Duration::from_nanos(1000));
        assert_eq!(look("six"), None);
        // Changed just now: it may change again within the clock's resolution, so it is not remembered.
        write("now", SystemTime::now() + Duration::from_secs(3600));
        assert_eq!((look("now"), look("now")), (None, None));
    }

    #[test]
    fn files_are_hashed_in_pieces_and_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.wasm");
        for size in [0, 1, 64 << 10, (64 << 10) + 1, 200_000] {
            let content = vec![7; size];
            fs::write(&path, &content).unwrap();
            let open = || File::open(&path).unwrap();
            assert_eq!(sha256_of(open(), size as u64).unwrap(), sha256(&content), "{size}");
            if size > 0 {
                assert!(sha256_of(open(), size as u64 - 1).is_err(), "{size}");
            }
        }
    }

    /// What stands in place of an entry neither holds a command up nor ends it.
    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_there() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("cache");
        let (cache, _) = Cache::open(&root);
        let fifo = |path: PathBuf| {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        };
        fifo(root.join("describe/s.json"));
        fs::create_dir(root.join("describe/s.problem.json")).unwrap();
        fifo(root.join("files.json"));
        assert_eq!((cache.description("s"), cache.problem("s")), (None, None));
        assert!(cache.hashes().known.is_empty());
        let problem = PluginProblem::error("p.wasm", "plugin.world", "wrong");
        cache.store_problem("s", &problem);
        cache.store_description("s", "text");
        assert_eq!((cache.description("s"), cache.problem("s")), (Some("text".to_owned()), None));
        let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("describe"), mode("describe/s.json")), (0o700, 0o600));
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
