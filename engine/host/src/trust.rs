//! What the operator has looked at: folders of a project whose plugins may be used, and files that have a grant.
//!
//! A file is known by the SHA-256 of its content: one that changes is another file, and has to be looked at again. All of it
//! stands in one file of the data directory, for this user only.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;
use crate::cache::sha256_of;
use crate::files::plugin_names;
use crate::open;

/// More than all folders and files of one machine are.
const MAX_BYTES: u64 = 16 << 20;

/// The record of what is trusted.
#[derive(Debug, Clone)]
pub struct TrustStore {
    path: PathBuf,
}

/// What is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trusted {
    /// Folders by their full path, and of each the SHA-256 of its plugin files by name.
    pub folders: BTreeMap<String, BTreeMap<String, String>>,
    /// Files that have a grant of the configuration, by their full path, as they were when it was first used.
    pub granted: BTreeMap<String, String>,
}

/// Why something cannot be trusted, or what is trusted cannot be known.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The record is there and cannot be read.
    #[error(
        "what is trusted cannot be read from `{}`: {reason}\nhint: remove the file, and trust anew what you have looked at",
        path.display()
    )]
    Unreadable {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The record cannot be written.
    #[error("what is trusted cannot be written to `{}`: {source}", path.display())]
    Unwritable {
        /// The record.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is neither a plugin file nor a folder.
    #[error("`{}` cannot be trusted: {reason}", path.display())]
    NotAPlugin {
        /// As it was given.
        path: PathBuf,
        /// What was expected.
        reason: String,
    },
}

/// What came to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its full path.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Plugin files by name, and their SHA-256.
    pub files: Vec<(String, String)>,
    /// Plugin files that cannot be read, by name, and why.
    pub left_out: Vec<(String, String)>,
}

impl TrustStore {
    /// The record in this file, which need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// What is recorded.
    ///
    /// # Errors
    /// Where there is a record that cannot be read.
    pub fn read(&self) -> Result<Trusted, TrustError> {
        let unreadable = |reason: String| TrustError::Unreadable { path: self.path.clone(), reason };
        match open::read(&self.path, MAX_BYTES) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Trusted::default()),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Trusts the plugin files of a folder, or one file: as they are now.
    ///
    /// # Errors
    /// Where it is neither, or cannot be read or recorded.
    pub fn trust(&self, path: &Path, bounds: &Bounds) -> Result<Recorded, TrustError> {
        let refused = |reason: String| TrustError::NotAPlugin { path: path.to_owned(), reason };
        let full = fs::canonicalize(path).map_err(|error| refused(error.to_string()))?;
        let is_folder = full.is_dir();
        let mut recorded =
            Recorded { path: full.clone(), is_folder, files: Vec::new(), left_out: Vec::new() };
        if is_folder {
            let names = plugin_names(&full, bounds.files).map_err(|error| refused(error.to_string()))?.names;
            for name in names {
                let hash = hash(&full.join(&name), bounds);
                match hash {
                    Ok(sha256) => recorded.files.push((name, sha256)),
                    Err(error) => recorded.left_out.push((name, error.to_string())),
                }
            }
        } else {
            let name = full.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".wasm"));
            let name = name.ok_or_else(|| refused("expected a folder or a `*.wasm` file".to_owned()))?;
            let sha256 = hash(&full, bounds).map_err(|error| refused(error.to_string()))?;
            recorded.files.push((name.to_owned(), sha256));
        }
        let key = key(&full).ok_or_else(|| refused("its path is not UTF-8 text".to_owned()))?;
        let folder = full.parent().and_then(crate::trust::key);
        self.update(|trusted| {
            if is_folder {
                trusted.folders.insert(key, recorded.files.iter().cloned().collect());
                return;
            }
            for (name, sha256) in &recorded.files {
                trusted.granted.insert(key.clone(), sha256.clone());
                if let Some(files) = folder.as_ref().and_then(|folder| trusted.folders.get_mut(folder)) {
                    files.insert(name.clone(), sha256.clone());
                }
            }
        })?;
        Ok(recorded)
    }

    /// Forgets a folder or file; whether there was anything to forget.
    ///
    /// # Errors
    /// Where the record cannot be read or written.
    pub fn remove(&self, path: &Path) -> Result<bool, TrustError> {
        // What is gone is forgotten by the path that it had.
        let full = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        let Some(key) = full.ok().as_deref().and_then(key) else { return Ok(false) };
        self.update(|trusted| {
            let folder = trusted.folders.remove(&key).is_some();
            let file = trusted.granted.remove(&key).is_some();
            folder || file
        })
    }

    /// Remembers what a file with a grant is now, unless another one is remembered; what is remembered then.
    pub(crate) fn remember(&self, file: &Path, sha256: &str) -> Result<String, TrustError> {
        let Some(key) = key(file) else { return Ok(sha256.to_owned()) };
        if let Some(known) = self.read()?.granted.remove(&key) {
            return Ok(known);
        }
        self.update(|trusted| trusted.granted.entry(key).or_insert_with(|| sha256.to_owned()).clone())
    }

    /// Changes the record. Others who do the same wait.
    fn update<T>(&self, change: impl FnOnce(&mut Trusted) -> T) -> Result<T, TrustError> {
        let unwritable = |source: io::Error| TrustError::Unwritable { path: self.path.clone(), source };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(unwritable)?;
        let lock = self.lock().map_err(unwritable)?;
        let mut trusted = self.read()?;
        let changed = change(&mut trusted);
        let write = || {
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
            serde_json::to_writer_pretty(&mut file, &trusted)?;
            file.flush()?;
            file.as_file().sync_data()?;
            file.persist(&self.path)?;
            Ok(())
        };
        write().map_err(unwritable)?;
        drop(lock);
        Ok(changed)
    }

    fn lock(&self) -> io::Result<File> {
        let mut options = open::without_waiting();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let path = self.path.with_extension("lock");
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        open::require_file(&file.metadata()?)?;
        file.lock()?;
        Ok(file)
    }
}

impl Trusted {
    /// What is recorded of a folder, by its full path.
    pub(crate) fn folder(&self, full: &Path) -> Option<&BTreeMap<String, String>> {
        self.folders.get(&key(full)?)
    }
}

fn hash(path: &Path, bounds: &Bounds) -> io::Result<String> {
    let (file, metadata) = open::file(path)?;
    if metadata.len() > bounds.file_bytes {
        return Err(io::Error::other(format!("it has more than {} bytes", bounds.file_bytes)));
    }
    sha256_of(file, bounds.file_bytes)
}

/// A path in the record.
fn key(full: &Path) -> Option<String> {
    full.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_recorded_as_they_are() {
        let place = tempfile::tempdir().unwrap();
        let store = TrustStore::new(place.path().join("data/trust.json"));
        assert_eq!(store.read().unwrap(), Trusted::default());
        let folder = place.path().join("plugins");
        fs::create_dir_all(folder.join("folder.wasm")).unwrap();
        fs::write(folder.join("a.wasm"), "one").unwrap();
        fs::write(folder.join("notes.txt"), "").unwrap();
        let recorded = store.trust(&folder, &Bounds::default()).unwrap();
        let one = crate::cache::sha256(b"one");
        assert_eq!(recorded.files, [("a.wasm".to_owned(), one.clone())]);
        assert_eq!(
            recorded.left_out,
            [("folder.wasm".to_owned(), "it is a directory, not a file".to_owned())]
        );
        let full = folder.canonicalize().unwrap();
        assert_eq!(store.read().unwrap().folder(&full).unwrap()["a.wasm"], one);

        // A file that is trusted anew counts for its folder, too.
        fs::write(folder.join("a.wasm"), "two").unwrap();
        store.trust(&folder.join("a.wasm"), &Bounds::default()).unwrap();
        let two = crate::cache::sha256(b"two");
        assert_eq!(store.read().unwrap().folder(&full).unwrap()["a.wasm"], two);
        assert_eq!(store.remember(&full.join("a.wasm"), "other").unwrap(), two);
        assert!(store.remove(&folder).unwrap());
        assert!(!store.remove(&folder).unwrap());
        assert!(store.read().unwrap().folder(&full).is_none());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(place.path().join("data/trust.json")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_with_a_grant_is_remembered_once() {
        let place = tempfile::tempdir().unwrap();
        let store = TrustStore::new(place.path().join("trust.json"));
        let file = Path::new("/opt/x/inbox.wasm");
        assert_eq!(store.remember(file, "one").unwrap(), "one");
        assert_eq!(store.remember(file, "two").unwrap(), "one");
        assert!(store.remove(file).unwrap());
        assert_eq!(store.remember(file, "two").unwrap(), "two");
    }

    #[test]
    fn a_record_that_cannot_be_read_is_not_replaced() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("trust.json");
        fs::write(&path, "{").unwrap();
        let store = TrustStore::new(&path);
        assert!(matches!(store.read(), Err(TrustError::Unreadable { .. })));
        assert!(matches!(store.remember(Path::new("/a.wasm"), "one"), Err(TrustError::Unreadable { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{");
    }

    #[test]
    fn only_folders_and_plugin_files_are_trusted() {
        let place = tempfile::tempdir().unwrap();
        let store = TrustStore::new(place.path().join("trust.json"));
        fs::write(place.path().join("notes.txt"), "").unwrap();
        for (name, reason) in
            [("notes.txt", "expected a folder or a `*.wasm` file"), ("gone", "No such file")]
        {
            let error = store.trust(&place.path().join(name), &Bounds::default()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
