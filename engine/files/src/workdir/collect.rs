//! Files that a task left in its working directory.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::{PatternSet, Result, StorageError};

/// How many files one collection may hold.
pub const MAX_FILES: usize = 100_000;

/// A regular file that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its name relative to the directory, with `/`.
    pub name: String,
    /// Where to read it: absolute, without symbolic links.
    pub path: PathBuf,
}

/// The regular files below `root` that match, in the order of their names. No match is no error, and neither is it that
/// the task removed the directory.
///
/// A symbolic link to a file inside of `root` counts as that file; one to a file outside is an error that names it, and
/// so is a match whose name is not UTF-8. Links to directories are not followed, and a link to nothing is no file.
pub fn collect(root: &Path, patterns: &PatternSet) -> Result<Vec<Found>> {
    found(root, root, Some(patterns), MAX_FILES)
}

/// Every regular file below `directory`, which lies in `root`; names are relative to `directory` (`outputDir`).
pub fn collect_tree(root: &Path, directory: &Path) -> Result<Vec<Found>> {
    found(root, directory, None, MAX_FILES)
}

fn found(root: &Path, directory: &Path, patterns: Option<&PatternSet>, limit: usize) -> Result<Vec<Found>> {
    // The task may have removed the directory, or put a link in its place.
    let (Some(root), Some(directory)) = (real_path(root)?, real_path(directory)?) else {
        return Ok(Vec::new());
    };
    if !directory.starts_with(&root) {
        let reason = "it was replaced by a symbolic link".to_owned();
        return Err(StorageError::Escape { name: directory.display().to_string(), reason });
    }
    let mut files = Vec::new();
    for entry in walk(&directory, patterns) {
        let Entry { name, entry } = entry?;
        let Some(path) = regular_file(&root, &name, &entry)? else { continue };
        if files.len() == limit {
            return Err(StorageError::TooMany { directory: directory.clone(), limit });
        }
        files.push(Found { name, path });
    }
    files.sort_unstable();
    Ok(files)
}

/// Where `directory` really is; none if it is not there.
fn real_path(directory: &Path) -> Result<Option<PathBuf>> {
    match fs::canonicalize(directory) {
        Ok(path) => Ok(Some(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::io("open", directory, error)),
    }
}

/// Where to read the file, if the entry is one.
fn regular_file(root: &Path, name: &str, entry: &DirEntry) -> Result<Option<PathBuf>> {
    if entry.file_type().is_file() {
        return Ok(Some(entry.path().to_owned()));
    }
    let Ok(target) = fs::canonicalize(entry.path()) else { return Ok(None) };
    if !target.is_file() {
        return Ok(None);
    }
    if !target.starts_with(root) {
        let reason = format!("it is a symbolic link to `{}`; copy the file instead", target.display());
        return Err(StorageError::Escape { name: name.to_owned(), reason });
    }
    Ok(Some(target))
}

/// A file or a symbolic link whose name matches.
pub(crate) struct Entry {
    /// Relative to the directory, with `/`.
    pub(crate) name: String,
    pub(crate) entry: DirEntry,
}

/// The files and symbolic links below `directory` whose names match (all of them, without patterns), in no order; links
/// are not followed.
pub(crate) fn walk<'a>(
    directory: &'a Path,
    patterns: Option<&'a PatternSet>,
) -> impl Iterator<Item = Result<Entry>> + 'a {
    let depth = patterns.and_then(PatternSet::max_depth).unwrap_or(usize::MAX);
    WalkDir::new(directory).min_depth(1).max_depth(depth).into_iter().filter_map(move |entry| {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return Some(Err(unreadable(directory, error))),
        };
        if !entry.file_type().is_file() && !entry.file_type().is_symlink() {
            return None;
        }
        let relative = entry.path().strip_prefix(directory).unwrap_or(entry.path());
        let name = relative.to_string_lossy();
        if patterns.is_some_and(|patterns| !patterns.matches(&name)) {
            return None;
        }
        Some(match relative.to_str() {
            Some(name) => Ok(Entry { name: name.to_owned(), entry }),
            None => Err(StorageError::InvalidName {
                name: name.into_owned(),
                reason: "a name must be UTF-8 to be stored; rename the file".to_owned(),
            }),
        })
    })
}

fn unreadable(directory: &Path, error: walkdir::Error) -> StorageError {
    let path = error.path().unwrap_or(directory).to_owned();
    StorageError::io("read the directory", &path, error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_files_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["1", "2", "3", "4"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let patterns = PatternSet::in_directory(dir.path(), &["*"]).unwrap();
        assert_eq!(found(dir.path(), dir.path(), Some(&patterns), 4).unwrap().len(), 4);
        let error = found(dir.path(), dir.path(), Some(&patterns), 3).unwrap_err();
        assert_eq!(error.code(), "files.too-many");
        assert!(error.to_string().contains("more than 3 files"), "{error}");
    }
}
