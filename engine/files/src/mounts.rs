//! Directories that stand for a part of internal storage: a namespace's files as a developer keeps them beside a flow.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use crate::workdir::{self, Found};
use crate::{Object, Result, StorageError, StorageUri};

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
            for Found { name, path } in workdir::collect_tree(&mount.directory, &mount.directory)? {
                let uri = mount.prefix.join(&name)?;
                if uri.relative_to(prefix).is_some() && !name.split('/').any(|part| part == VERSION_CONTROL) {
                    let (size, modified) = stat(&path)?;
                    objects.push(Object { uri, size, modified });
                }
            }
        }
        Ok(objects)
    }
}

impl Place {
    /// The file, if it is there.
    pub(crate) fn file(&self) -> Result<Option<PathBuf>> {
        match workdir::resolve(&self.directory, &self.name) {
            Ok(path) => Ok(path.is_file().then_some(path)),
            // A part of the path is a file: then there is nothing below it.
            Err(StorageError::InvalidName { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file's path for writing; its folders are made.
    pub(crate) fn for_writing(&self) -> Result<PathBuf> {
        workdir::prepare(&self.directory, &self.name)
    }

    /// Removes the file and the folders that are empty without it; whether there was one.
    pub(crate) fn remove(&self) -> Result<bool> {
        let Some(path) = self.file()? else { return Ok(false) };
        fs::remove_file(&path).map_err(|error| StorageError::io("delete", &path, error))?;
        let root = fs::canonicalize(&self.directory)
            .map_err(|error| StorageError::io("open", &self.directory, error))?;
        for folder in path.ancestors().skip(1).take_while(|folder| *folder != root) {
            // The first that is not empty ends it.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(true)
    }
}

/// Size and time of change.
pub(crate) fn stat(path: &Path) -> Result<(u64, SystemTime)> {
    let unreadable = |error| StorageError::io("read", path, error);
    let metadata = fs::metadata(path).map_err(unreadable)?;
    Ok((metadata.len(), metadata.modified().map_err(unreadable)?))
}
