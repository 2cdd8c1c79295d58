//! Files that a task left in its working directory.

use super::Directory;
use super::walk::{Entry, Kind, Wanted, walk};
use crate::{OpenFile, PatternSet, Result, StorageError};

/// How many files one collection may hold.
pub const MAX_FILES: usize = 100_000;

/// A file that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name below the folder that was looked through, with `/`.
    pub name: String,
    directory: Directory,
    /// Its name below the directory.
    place: String,
}

impl Found {
    /// Opens it. What is no regular file inside of the directory any more is an error.
    pub fn open(&self) -> Result<OpenFile> {
        self.directory.open_file(&self.place)
    }
}

impl Directory {
    /// The regular files that match, in the order of their names. No match is no error, and neither is it that the task
    /// removed the directory.
    ///
    /// A symbolic link to a file inside counts as that file; one to a file outside is an error that names it, and so is a
    /// match whose name is not UTF-8. Links to directories are not followed, and a link to nothing is no file, nor is a
    /// pipe, a socket or a device.
    pub fn collect(&self, patterns: &PatternSet) -> Result<Vec<Found>> {
        found(self, ".", Wanted::Matching(patterns), MAX_FILES)
    }

    /// Every regular file below the folder `below`, with names relative to it (`outputDir`).
    pub fn collect_tree(&self, below: &str) -> Result<Vec<Found>> {
        found(self, below, Wanted::Files, MAX_FILES)
    }
}

fn found(directory: &Directory, below: &str, wanted: Wanted<'_>, limit: usize) -> Result<Vec<Found>> {
    let Some(directory) = directory.renewed() else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    let walked = walk(&directory, below, wanted, &mut |entry| {
        if entry.kind == Kind::Special {
            return Ok(());
        }
        let name = entry.name()?;
        let place = match below {
            "." => name.to_owned(),
            below => format!("{below}/{name}"),
        };
        if !is_file(&directory, &entry, &place)? {
            return Ok(());
        }
        if files.len() == limit {
            return Err(StorageError::TooMany { directory: directory.path().join(below), limit });
        }
        files.push(Found { name: name.to_owned(), directory: directory.clone(), place });
        Ok(())
    });
    match walked {
        // The task may have removed it.
        Err(error) if files.is_empty() && error.is_missing() => return Ok(files),
        walked => walked?,
    }
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Whether the entry is a regular file, or a symbolic link to one inside.
fn is_file(directory: &Directory, entry: &Entry<'_>, place: &str) -> Result<bool> {
    match entry.kind {
        Kind::File => return Ok(true),
        Kind::Special | Kind::Folder => return Ok(false),
        Kind::Link => {}
    }
    match directory.metadata(place) {
        Ok(metadata) => Ok(metadata.is_file()),
        // To a file elsewhere it is a mistake to be told; to a folder, or to what is only in a container, it is none.
        Err(StorageError::Escape { name, reason }) if entry.leads_to_file() => {
            let reason = format!("{reason}; copy the file instead");
            Err(StorageError::Escape { name, reason })
        }
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_number_of_files_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["1", "2", "3", "4"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let directory = Directory::open(dir.path()).unwrap();
        let patterns = PatternSet::in_directory(dir.path(), &["*"]).unwrap();
        assert_eq!(found(&directory, ".", Wanted::Matching(&patterns), 4).unwrap().len(), 4);
        let error = found(&directory, ".", Wanted::Matching(&patterns), 3).unwrap_err();
        assert_eq!(error.code(), "files.too-many");
        assert!(error.to_string().contains("more than 3 files"), "{error}");
    }
}
