//! Directories that stand for a part of internal storage: a namespace's files as a developer keeps them beside a flow.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use crate::local::Slot;
use crate::workdir::Directory;
use crate::{Object, OpenFile, Result, StorageError, StorageUri};

/// What version control keeps beside the files is none of them.
const VERSION_CONTROL: &str = ".git";

/// The directories, with the part of storage that each stands for.
#[derive(Debug, Default)]
pub(crate) struct Mounts(RwLock<Vec<Mount>>);

#[derive(Debug, Clone)]
struct Mount {
    prefix: StorageUri,
    directory: PathBuf,
}

/// The place of an object in a directory.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    directory: PathBuf,
    name: String,
}

impl Mounts {
    /// Makes `directory` stand for what is below `prefix`. Of two for one prefix the later counts.
    pub(crate) fn add(&self, prefix: StorageUri, directory: PathBuf) {
        let mut mounts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        mounts.retain(|mount| mount.prefix != prefix);
        mounts.push(Mount { prefix, directory });
    }

    /// Where the object lies, if it is in a part that a directory stands for.
    pub(crate) fn place(&self, uri: &StorageUri) -> Option<Place> {
        let mounts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        mounts.iter().find_map(|mount| {
            let name = uri.relative_to(&mount.prefix)?.to_owned();
            Some(Place { directory: mount.directory.clone(), name })
        })
    }

    /// Every object below `prefix` that lies in one of the directories.
    pub(crate) fn list(&self, prefix: &StorageUri) -> Result<Vec<Object>> {
        let mounts = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut objects = Vec::new();
        for mount in mounts {
            let is_part = mount.prefix == *prefix
                || mount.prefix.relative_to(prefix).is_some()
                || prefix.relative_to(&mount.prefix).is_some();
            if !is_part {
                continue;
            }
            let Some(directory) = opened(&mount.directory)? else { continue };
            for found in directory.collect_tree(".")? {
                let uri = mount.prefix.join(&found.name)?;
                let is_kept = found.name.split('/').any(|part| part == VERSION_CONTROL);
                if uri.relative_to(prefix).is_some() && !is_kept {
                    let (size, modified) = stat(&directory, &found.name)?;
                    objects.push(Object { uri, size, modified });
                }
            }
        }
        Ok(objects)
    }
}

impl Place {
    /// The file, if it is there.
    pub(crate) fn file(&self) -> Result<Option<OpenFile>> {
        let Some(directory) = opened(&self.directory)? else { return Ok(None) };
        match directory.open_file(&self.name) {
            Ok(file) => Ok(Some(file)),
            // A folder, or a part of the path is a file: then there is nothing below it.
            Err(StorageError::InvalidName { .. }) => Ok(None),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file's place for writing; its folders are made.
    pub(crate) fn for_writing(&self) -> Result<Slot> {
        Directory::open(&self.directory)?.slot(&self.name)
    }

    /// Removes the file and the folders that are empty without it; whether there was one.
    pub(crate) fn remove(&self) -> Result<bool> {
        if self.file()?.is_none() {
            return Ok(false);
        }
        let directory = Directory::open(&self.directory)?;
        directory.remove(&self.name)?;
        for (end, _) in self.name.rmatch_indices('/') {
            // The first that is not empty ends it.
            if !directory.remove_empty(&self.name[..end]) {
                break;
            }
        }
        Ok(true)
    }
}

/// The directory, if it is there.
fn opened(path: &Path) -> Result<Option<Directory>> {
    match Directory::open(path) {
        Ok(directory) => Ok(Some(directory)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Size and time of change.
fn stat(directory: &Directory, name: &str) -> Result<(u64, SystemTime)> {
    let metadata = directory.metadata(name)?;
    let modified = metadata.modified();
    let modified = modified.map_err(|error| StorageError::io("read", &directory.path().join(name), error))?;
    Ok((metadata.len(), modified))
}
