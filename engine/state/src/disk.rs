//! Small helpers over the file system that several stores share.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::{Result, StateError};

/// Options that make a file for this user alone, whatever the umask.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Makes a folder and those above it that are missing, for this user alone.
pub(crate) fn create_folders(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| StateError::io("create the directory", path, error))
}

/// The bytes of a file, if there is one.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateError::io("read", path, error)),
    }
}

/// Whether a file does not end with a line break: what comes next must not be taken for the rest of that line.
pub(crate) fn ends_in_half_a_line(file: &fs::File) -> std::io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != [b'\n'])
}

/// The names in a directory, or none if it is not there. Names that are not UTF-8 are not ours.
pub(crate) fn names(directory: &Path) -> Result<Vec<String>> {
    let failed = |error| StateError::io("read the directory", directory, error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// Writes `bytes` to `path` so that readers see the old content or the new one. Folders are made as needed.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], durable: bool) -> Result<()> {
    let failed = |error| StateError::io("write", path, error);
    let folder = path.parent().unwrap_or(Path::new("."));
    create_folders(folder)?;
    let mut file = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    if durable {
        file.as_file().sync_data().map_err(failed)?;
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    if durable {
        // The new name is on the disk only when its directory is.
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(())
}
