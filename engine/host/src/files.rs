//! Plugin files: which there are, and what can be known of them without running anything.
//!
//! A folder is looked at when a flow names a type that does not come with the engine, and not before. Looking is names and
//! what the system says of the files; a file is opened when it may be the one that is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::cache::{FileHashes, Stamp, sha256_of};
use crate::catalogue::Described;
use crate::entitled::Asking;
use crate::host::Inner;
use crate::inspect::require_component;
use crate::plugin::{LoadError, Plugin, Source};
use crate::store::Identity;
use crate::trust::Trusted;
use crate::{PluginProblem, TrustStore, open};

/// Entries of a folder that are looked at: what has more is no folder of plugins.
const MAX_ENTRIES: usize = 100_000;

/// A folder whose `*.wasm` files are plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginDirectory {
    /// The folder. One that does not exist is an empty one.
    pub path: PathBuf,
    /// Who is responsible for what is in it.
    pub whose: Whose,
}

/// Who is responsible for the files of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The operator, who has named it: all files are plugins, and grants by name are for them.
    Operator,
    /// A project's, such as a checked-out repository: only files that are trusted as they are, see [`TrustStore`].
    Project,
}

/// The operator's.
impl From<PathBuf> for PluginDirectory {
    fn from(path: PathBuf) -> Self {
        Self { path, whose: Whose::Operator }
    }
}

/// The plugin files of all folders.
pub(crate) struct Files {
    /// In the order in which they go before each other.
    pub(crate) entries: Vec<Arc<FileEntry>>,
    /// Folders that cannot be read or have too many files.
    pub(crate) problems: Vec<PluginProblem>,
    /// A project's folder that has plugin files and is not trusted.
    pub(crate) untrusted: Option<PathBuf>,
    hashes: Arc<Mutex<FileHashes>>,
}

/// A plugin file and what is known of it.
pub(crate) struct FileEntry {
    path: PathBuf,
    /// In a project's folder: the hash with which it is trusted, if any.
    trusted: Option<Option<String>>,
    pub(crate) described: OnceCell<Described>,
    hashes: Arc<Mutex<FileHashes>>,
}

/// What can be known of a file without opening it.
enum Seen {
    Hash(String),
    /// It must be read.
    New(Stamp),
}

impl Files {
    /// Looks through the folders.
    pub(crate) fn discover(inner: &Inner) -> Self {
        let options = &inner.options;
        let hashes = Arc::new(Mutex::new(inner.cache.hashes()));
        let mut found =
            Self { entries: Vec::new(), problems: Vec::new(), untrusted: None, hashes: Arc::clone(&hashes) };
        let mut looked_at = BTreeSet::new();
        for directory in &options.directories {
            // Named twice, by the operator and as a project's: the first counts.
            let full = fs::canonicalize(&directory.path);
            if full.as_ref().is_ok_and(|full| !looked_at.insert(full.clone())) {
                continue;
            }
            let names = match plugin_names(&directory.path, options.bounds.files) {
                Ok(names) => names,
                Err(error) => {
                    let message = format!("the plugin directory cannot be read: {error}");
                    found.problems.push(PluginProblem::error(&directory.path, "plugin.unreadable", message));
                    continue;
                }
            };
            if names.names.is_empty() {
                continue;
            }
            let trusted = match directory.whose {
                Whose::Operator => None,
                Whose::Project => {
                    let full = full.unwrap_or_else(|_| directory.path.clone());
                    match found.trusted(inner, &full) {
                        Some(trusted) => Some(trusted),
                        None => {
                            found.untrusted = Some(directory.path.clone());
                            continue;
                        }
                    }
                }
            };
            if let Some(message) = names.too_many {
                found.problems.push(PluginProblem::error(&directory.path, "plugin.too-large", message));
            }
            for name in names.names {
                found.entries.push(Arc::new(FileEntry {
                    path: directory.path.join(&name),
                    trusted: trusted.as_ref().map(|trusted| trusted.get(&name).cloned()),
                    described: OnceCell::new(),
                    hashes: Arc::clone(&hashes),
                }));
            }
        }
        found
    }

    /// What is trusted of a project's folder; nothing where it is not.
    fn trusted(&mut self, inner: &Inner, full: &Path) -> Option<BTreeMap<String, String>> {
        let record = inner.options.trust.as_ref()?;
        let trusted = TrustStore::new(record).read().unwrap_or_else(|error| {
            self.problems.push(PluginProblem::error(record, "plugin.untrusted", error.to_string()));
            Trusted::default()
        });
        trusted.folder(full).cloned()
    }

    /// Stores what has been learnt of the files.
    pub(crate) fn save(&self) {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).save();
    }
}

impl FileEntry {
    /// What is known of the file without running or hashing anything.
    pub(crate) fn known(&self, inner: &Inner) -> Option<Described> {
        let sha256 = match self.seen(inner) {
            Ok(Seen::Hash(sha256)) => sha256,
            Ok(Seen::New(_)) => return None,
            Err(problem) => return Some(Described::problem(problem)),
        };
        let (plugin, notes) = match self.plugin(inner, sha256) {
            Ok(found) => found,
            Err(problem) => return Some(Described::problem(problem)),
        };
        Some(Described::new(plugin.clone(), inner.known(&plugin)?, notes))
    }

    /// Looks at the file, and asks it for its description if nobody has yet.
    pub(crate) async fn describe(self: Arc<Self>, inner: Arc<Inner>) -> Described {
        let hashed = {
            let (entry, inner) = (Arc::clone(&self), Arc::clone(&inner));
            tokio::task::spawn_blocking(move || entry.hash(&inner)).await
        };
        let sha256 = match hashed {
            Ok(Ok(sha256)) => sha256,
            Ok(Err(problem)) => return Described::problem(problem),
            Err(panic) => {
                let message = format!("it cannot be read: {panic}");
                return Described::problem(PluginProblem::error(&self.path, "plugin.unreadable", message));
            }
        };
        match self.plugin(&inner, sha256) {
            Ok((plugin, notes)) => {
                let description = inner.describe(&plugin).await;
                Described::new(plugin, description, notes)
            }
            Err(problem) => Described::problem(problem),
        }
    }

    /// Looks at the file without opening it.
    fn seen(&self, inner: &Inner) -> Result<Seen, PluginProblem> {
        if self.trusted == Some(None) {
            let folder = self.path.parent().unwrap_or(&self.path).display().to_string();
            let message = format!(
                "it is not among the files that were trusted, so it is not used\n\
                 hint: look at it, then `weft trust {folder}`"
            );
            return Err(PluginProblem::error(&self.path, "plugin.untrusted", message));
        }
        let metadata = fs::metadata(&self.path).map_err(|error| self.unreadable(&error))?;
        open::require_file(&metadata).map_err(|error| self.unreadable(&error))?;
        let (size, bound) = (metadata.len(), inner.options.bounds.file_bytes);
        if size > bound {
            let message = format!("it is {size} bytes long; a plugin has at most {bound}");
            return Err(PluginProblem::error(&self.path, "plugin.too-large", message));
        }
        let stamp = Stamp::of(&metadata).map_err(|error| self.unreadable(&error))?;
        let known = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).known(&self.key(), &stamp);
        Ok(known.map_or(Seen::New(stamp), Seen::Hash))
    }

    /// The hash of the file. What is no component is refused by its first bytes.
    fn hash(&self, inner: &Inner) -> Result<String, PluginProblem> {
        let stamp = match self.seen(inner)? {
            Seen::Hash(sha256) => return Ok(sha256),
            Seen::New(stamp) => stamp,
        };
        let read = || -> io::Result<Result<String, LoadError>> {
            use std::io::{Read, Seek};

            let (mut file, _) = open::file(&self.path)?;
            let mut head = Vec::new();
            file.by_ref().take(64).read_to_end(&mut head)?;
            if let Err(error) = require_component(&head) {
                return Ok(Err(error));
            }
            file.rewind()?;
            sha256_of(file, inner.options.bounds.file_bytes).map(Ok)
        };
        let sha256 = read()
            .map_err(|error| self.unreadable(&error))?
            .map_err(|error| PluginProblem::error(&self.path, error.code(), error.to_string()))?;
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).learn(&self.key(), stamp, &sha256);
        Ok(sha256)
    }

    /// The plugin that a file with this hash is, and what there is to say of its grants.
    fn plugin(
        &self,
        inner: &Inner,
        sha256: String,
    ) -> Result<(Arc<Plugin>, Vec<PluginProblem>), PluginProblem> {
        if let Some(Some(trusted)) = &self.trusted
            && *trusted != sha256
        {
            let message = format!(
                "it has changed since it was trusted, so it is not used\nhint: look at it, then `weft trust {}`",
                self.path.display()
            );
            return Err(PluginProblem::error(&self.path, "plugin.untrusted", message));
        }
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let whose = if self.trusted.is_some() { Whose::Project } else { Whose::Operator };
        let asking = Asking { name: &name, path: &self.path, whose, sha256: &sha256 };
        let (grants, notes) = asking.grants(&inner.options);
        let identity = Identity { plugin: name.into(), grants, types: Arc::default() };
        Ok((Arc::new(Plugin::new(identity, Source::File(self.path.clone()), sha256)), notes))
    }

    /// The path by which the hash is kept: relative ones are of many folders.
    fn key(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    fn unreadable(&self, error: &io::Error) -> PluginProblem {
        let message = match error.kind() {
            io::ErrorKind::InvalidInput => error.to_string(),
            _ => format!("it cannot be read: {error}"),
        };
        PluginProblem::error(&self.path, "plugin.unreadable", message)
    }
}

/// Names of plugin files.
pub(crate) struct Names {
    /// The first ones, sorted.
    pub(crate) names: Vec<String>,
    /// There are more.
    pub(crate) too_many: Option<String>,
}

/// The names that end in `.wasm` in a folder, whatever has them.
pub(crate) fn plugin_names(folder: &Path, bound: usize) -> io::Result<Names> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Names { names: Vec::new(), too_many: None });
        }
        entries => entries?,
    };
    let mut names = Vec::new();
    for (index, entry) in entries.enumerate() {
        if index >= MAX_ENTRIES {
            let message = format!(
                "it has more than {MAX_ENTRIES} entries; the others are not looked at\n\
                 hint: put plugins into a folder of their own"
            );
            return Ok(Names { names, too_many: Some(message) });
        }
        // A name that is not UTF-8 cannot be written in a flow, a grant or a message.
        if let Ok(name) = entry?.file_name().into_string()
            && name.ends_with(".wasm")
        {
            names.push(name);
        }
    }
    names.sort();
    let too_many = (names.len() > bound).then(|| {
        format!(
            "it has {} plugin files; the first {bound} by name are looked at\n\
             hint: put those that are used into a folder of their own",
            names.len()
        )
    });
    names.truncate(bound);
    Ok(Names { names, too_many })
}
