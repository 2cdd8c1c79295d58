//! The one way into a directory that scripts and plugins can change.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, open, openat, renameat_with, statat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use super::beneath::{self, Folder, Place};
use super::remove;
use super::walk::{self, Entry, Wanted};
use crate::local::{self, Slot};
use crate::{OpenFile, Result, StorageError};

/// An open directory, and all that may be done below it by name. Clones are the same handle.
///
/// Names are relative, with `/`. Every call holds for what the name leads to at that moment, and nothing outside is ever
/// read, written, renamed or removed, also while somebody changes the directory.
#[derive(Debug, Clone)]
pub struct Directory(Arc<Inner>);

/// What [`Directory::open_or_read_link`] found.
#[derive(Debug)]
pub enum Opened {
    /// A regular file.
    File(OpenFile),
    /// A symbolic link.
    Link {
        /// What it says.
        target: PathBuf,
        /// Of the link itself.
        metadata: fs::Metadata,
    },
}

/// How it was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// By its path, which may be a symbolic link.
    Path,
    /// By its path, which is the directory itself.
    Itself,
    /// Below another one. By its path it may be anything.
    Below,
}

#[derive(Debug)]
struct Inner {
    handle: OwnedFd,
    path: PathBuf,
    origin: Origin,
    /// The same without symbolic links, when it is needed.
    real: OnceLock<PathBuf>,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.handle.as_fd()
    }
}

impl Directory {
    /// Opens the directory at `path`, which must not be in reach of those who may change what is in it.
    pub fn open(path: &Path) -> Result<Self> {
        Self::opened(path, Origin::Path)
    }

    /// The same where `path` must not be a symbolic link.
    pub(crate) fn open_itself(path: &Path) -> Result<Self> {
        Self::opened(path, Origin::Itself)
    }

    fn opened(path: &Path, origin: Origin) -> Result<Self> {
        let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        flags.set(OFlags::NOFOLLOW, origin == Origin::Itself);
        let handle = retry_on_intr(|| open(path, flags, Mode::empty()))
            .map_err(|error| StorageError::io("open", path, error.into()))?;
        Ok(Self::new(handle, path.to_owned(), origin))
    }

    fn new(handle: OwnedFd, path: PathBuf, origin: Origin) -> Self {
        Self(Arc::new(Inner { handle, path, origin, real: OnceLock::new() }))
    }

    fn below(&self, handle: OwnedFd, name: &str) -> Self {
        Self::new(handle, self.path().join(name), Origin::Below)
    }

    /// The path that it was opened at: to be shown, and to be given to scripts. What lies below is not to be opened by it.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub(super) fn real_path(&self) -> &Path {
        self.0.real.get_or_init(|| fs::canonicalize(&self.0.path).unwrap_or_else(|_| self.0.path.clone()))
    }

    /// Whether it is what its path leads to.
    pub(super) fn is_at_its_path(&self) -> bool {
        let named = match self.0.origin {
            Origin::Path => rustix::fs::stat(self.path()),
            Origin::Itself => rustix::fs::lstat(self.path()),
            Origin::Below => return true,
        };
        let (Ok(named), Ok(own)) = (named, fstat(self)) else { return false };
        (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino)
    }

    /// The directory that is at its path now: another one if a script has removed this and made it anew. None if there is
    /// none. What was opened below another directory stays what it is.
    pub fn renewed(&self) -> Option<Self> {
        match self.is_at_its_path() {
            true => Some(self.clone()),
            false => Self::opened(self.path(), self.0.origin).ok(),
        }
    }

    /// The folder of this name as a directory of its own.
    pub fn open_directory(&self, name: &str) -> Result<Self> {
        let handle = beneath::pin(self, name)?;
        let kind = fstat(&handle).map(|stat| FileType::from_raw_mode(stat.st_mode));
        match kind {
            Ok(FileType::Directory) => Ok(self.below(handle, name)),
            Ok(_) => {
                let reason = "it is a file, not a directory".to_owned();
                Err(StorageError::InvalidName { name: name.to_owned(), reason })
            }
            Err(error) => Err(beneath::io("open", self, name, error)),
        }
    }

    /// Makes the folder of this name and those above it, and opens it.
    pub fn make_directory(&self, name: &str) -> Result<Self> {
        match beneath::make_folder(self, name)? {
            Folder::Inside(handle) => Ok(self.below(handle, name)),
            Folder::Working(_) | Folder::Path => Ok(self.clone()),
        }
    }

    /// Opens a regular file to be read. Anything else under this name is an error at once.
    pub fn open_file(&self, name: &str) -> Result<OpenFile> {
        OpenFile::pinned(beneath::pin(self, name)?, name, self.path().join(name))
    }

    /// Opens a file, or reads a symbolic link itself; none if there is neither under this name.
    pub fn open_or_read_link(&self, name: &str) -> Result<Option<Opened>> {
        let failed = |error| StorageError::io("read", &self.path().join(name), error);
        let (folder, leaf) = match beneath::locate_entry(self, name, false) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error),
        };
        let handle = match beneath::pin_in(folder.as_fd(), Path::new(&leaf)) {
            Ok(handle) => handle,
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let file = File::from(handle);
        let metadata = file.metadata().map_err(failed)?;
        let kind = metadata.file_type();
        if kind.is_symlink() {
            let target =
                rustix::fs::readlinkat(&file, "", Vec::new()).map_err(|error| failed(error.into()))?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            return Ok(Some(Opened::Link { target, metadata }));
        }
        match kind.is_file() {
            true => OpenFile::pinned(file.into(), name, self.path().join(name)).map(Opened::File).map(Some),
            false => Ok(None),
        }
    }

    /// Size and times of what the name leads to, and what it is.
    pub fn metadata(&self, name: &str) -> Result<fs::Metadata> {
        let failed = |error| StorageError::io("read", &self.path().join(name), error);
        File::from(beneath::pin(self, name)?).metadata().map_err(failed)
    }

    /// Whether there is anything under this name, also a symbolic link that leads nowhere.
    pub fn has(&self, name: &str) -> bool {
        match beneath::locate_entry(self, name, false) {
            Ok(Some((folder, leaf))) => statat(folder, leaf, AtFlags::SYMLINK_NOFOLLOW).is_ok(),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Writes the file of this name, in place of what is there. Folders are made as needed.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        local::put_atomically(&self.slot(name)?, bytes, false).map(|_| ())
    }

    /// Where the file of this name is to be written, its folders made. A name of a directory is refused.
    pub(crate) fn slot(&self, name: &str) -> Result<Slot> {
        let is_folder = || {
            let reason = "it names a directory, not a file".to_owned();
            StorageError::InvalidName { name: name.to_owned(), reason }
        };
        if name.ends_with('/') {
            // Said of the name before of what it leads to.
            return Err(beneath::parts(name).err().unwrap_or_else(is_folder));
        }
        match beneath::locate(self, name, true)? {
            Place::Entry(folder, leaf) => Ok(Slot::new(folder, leaf.into(), self.path().join(name))),
            Place::Folder(_) => Err(is_folder()),
        }
    }

    /// The same with a symbolic link taken for what it is, a thing that is there already. None for the directory itself.
    pub(crate) fn own_slot(&self, name: &str, make: bool) -> Result<Option<Slot>> {
        let found = beneath::locate_entry(self, name, make)?;
        Ok(found.map(|(folder, leaf)| Slot::new(folder, leaf.into(), self.path().join(name))))
    }

    /// Removes the file, symbolic link, or folder with all it holds. None there is no error.
    pub fn remove(&self, name: &str) -> Result<()> {
        let failed = |error: Errno| beneath::io("remove", self, name, error);
        match beneath::locate_entry(self, name, false) {
            Ok(Some((folder, leaf))) => remove::tree(folder.as_fd(), Path::new(&leaf)).map_err(failed),
            Ok(None) => self.clear(),
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the file of this name, or the one that a symbolic link of this name leads to, if it still is the one with
    /// this device and inode.
    pub(crate) fn remove_file(&self, name: &str, inode: (u64, u64)) -> Result<()> {
        let failed = |error: Errno| beneath::io("remove", self, name, error);
        let (folder, leaf) = match beneath::locate(self, name, false) {
            Ok(Place::Entry(folder, leaf)) => (folder, leaf),
            Ok(Place::Folder(_)) => return Ok(()),
            Err(error) if error.is_missing() => return Ok(()),
            Err(error) => return Err(error),
        };
        match statat(&folder, &leaf, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if (stat.st_dev, stat.st_ino) != inode => Ok(()),
            Ok(_) => match unlinkat(&folder, &leaf, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(failed(error)),
            },
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Removes the folder of this name if there is nothing in it. Whether it is gone.
    pub(crate) fn remove_empty(&self, name: &str) -> bool {
        match beneath::locate_entry(self, name, false) {
            Ok(Some((folder, leaf))) => unlinkat(folder, leaf, AtFlags::REMOVEDIR).is_ok(),
            _ => false,
        }
    }

    /// Removes everything that is in it.
    pub fn clear(&self) -> Result<()> {
        for name in self.names()? {
            remove::tree(self.as_fd(), Path::new(&name))
                .map_err(|error| StorageError::io("remove", &self.path().join(name), error.into()))?;
        }
        Ok(())
    }

    /// The names of what is directly in it, in no order.
    pub fn names(&self) -> Result<Vec<OsString>> {
        walk::names(self.as_fd())
            .map_err(|error| StorageError::io("read the directory", self.path(), error.into()))
    }

    /// Moves what is directly in it to `target`, which is on the same file system, where nothing has these names. If that
    /// fails, what was moved is moved back.
    pub fn move_all_to(&self, target: &Self) -> Result<()> {
        let mut moved: Vec<OsString> = Vec::new();
        for name in self.names()? {
            if let Err(error) = rename_to_new(self, target, &name) {
                for name in moved {
                    // The first error is the one to report.
                    let _ = rename_to_new(target, self, &name);
                }
                return Err(StorageError::io("write", &target.path().join(name), error.into()));
            }
            moved.push(name);
        }
        Ok(())
    }

    /// Sets who may read, change and enter the directory.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        beneath::set_mode(&self.0.handle, mode)
            .map_err(|error| StorageError::io("change", self.path(), error.into()))
    }

    /// Calls `each` with everything below the folder `below` (`.` is the directory itself), folders before what is in them,
    /// else in no order; symbolic links are not followed.
    pub fn walk(&self, below: &str, each: &mut dyn FnMut(Entry<'_>) -> Result<()>) -> Result<()> {
        walk::walk(self, below, Wanted::All, each)
    }
}

/// Renames, but not onto anything.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_to_new(from: &Directory, to: &Directory, name: &OsStr) -> Result<(), Errno> {
    use rustix::fs::RenameFlags;
    match renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
        // Some file systems know no flags.
        Err(Errno::INVAL | Errno::NOSYS) => rename_unless_there(from, to, name),
        renamed => renamed,
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_to_new(from: &Directory, to: &Directory, name: &OsStr) -> Result<(), Errno> {
    rename_unless_there(from, to, name)
}

fn rename_unless_there(from: &Directory, to: &Directory, name: &OsStr) -> Result<(), Errno> {
    match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => rustix::fs::renameat(from, name, to, name),
        Err(error) => Err(error),
        Ok(_) => Err(Errno::EXIST),
    }
}

/// Opens a folder that a handle stands for, to be listed.
pub(super) fn listed(folder: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    retry_on_intr(|| openat(folder, ".", flags, Mode::empty()))
}
