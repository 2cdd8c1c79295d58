//! Folders and files that only this user can get at, whatever the umask.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Mode of a file.
const FILE: u32 = 0o600;
/// Mode of a folder.
const FOLDER: u32 = 0o700;

/// Who may get at what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// This user alone: what the engine keeps.
    Private,
    /// Whom the umask lets: what is written for a person or a task.
    Umask,
}

impl Access {
    pub(crate) fn create_folders(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Private => create_folders(path),
            Self::Umask => std::fs::create_dir_all(path),
        }
    }

    /// The mode that a file is made with.
    pub(crate) fn mode(self) -> u32 {
        match self {
            Self::Private => FILE,
            Self::Umask => 0o666,
        }
    }
}

/// Makes a folder and those above it that are missing.
pub fn create_folders(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)
}

/// Writes a file, in place of one that is there; folders are made as needed.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        create_folders(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE).open(path)?;
    file.write_all(content.as_ref())
}

/// Takes from others what they may do with the file that is open.
pub(crate) fn close_to_others(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(FILE))
}
