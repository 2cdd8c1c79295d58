//! Everything below a directory.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::{Errno, retry_on_intr};

use super::directory::listed;
use super::{Directory, beneath};
use crate::{OpenFile, PatternSet, Result, StorageError};

/// Something that was found below a directory.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Where it is below the folder that was walked.
    pub path: &'a Path,
    /// What it is.
    pub kind: Kind,
    folder: BorrowedFd<'a>,
    leaf: &'a CStr,
}

/// What is found below a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link to anything or nothing.
    Link,
    /// A pipe, a socket or a device.
    Special,
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::Link,
            _ => Self::Special,
        }
    }
}

impl Entry<'_> {
    /// Its name below the folder that was walked, with `/`. An error if it is not UTF-8.
    pub fn name(&self) -> Result<&str> {
        self.path.to_str().ok_or_else(|| StorageError::InvalidName {
            name: self.path.to_string_lossy().into_owned(),
            reason: "a name must be UTF-8 to be stored; rename the file".to_owned(),
        })
    }

    /// What the system says of it: of a link itself.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.handle()?.metadata()
    }

    /// Opens it, if it still is a regular file.
    pub fn open(&self) -> Result<OpenFile> {
        let failed = |error| StorageError::io("read", self.path, error);
        let handle = self.handle().map_err(failed)?;
        OpenFile::pinned(handle.into(), &self.path.to_string_lossy(), self.path.to_owned())
    }

    /// What it says, if it is a link.
    pub fn read_link(&self) -> io::Result<PathBuf> {
        let target = readlinkat(self.folder, self.leaf, Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    fn handle(&self) -> io::Result<File> {
        let leaf = Path::new(OsStr::from_bytes(self.leaf.to_bytes()));
        Ok(beneath::pin_in(self.folder, leaf)?.into())
    }

    /// When it was changed, and its size in bytes: of a link itself.
    #[allow(clippy::useless_conversion, reason = "the fields have other types on other systems")]
    pub(crate) fn modified_and_size(&self) -> Result<(SystemTime, u64), Errno> {
        let stat = statat(self.folder, self.leaf, AtFlags::SYMLINK_NOFOLLOW)?;
        let nanoseconds = Duration::from_nanos(u64::try_from(stat.st_mtime_nsec).unwrap_or(0));
        let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
        let modified = match stat.st_mtime >= 0 {
            true => SystemTime::UNIX_EPOCH.checked_add(seconds),
            false => SystemTime::UNIX_EPOCH.checked_sub(seconds),
        };
        let modified = modified.and_then(|time| time.checked_add(nanoseconds));
        Ok((modified.unwrap_or(SystemTime::UNIX_EPOCH), u64::try_from(stat.st_size).unwrap_or(0)))
    }

    /// Whether it leads to a regular file, wherever that is.
    pub(super) fn leads_to_file(&self) -> bool {
        statat(self.folder, self.leaf, AtFlags::empty())
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
    }
}

/// What a walk shows.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// Everything.
    All,
    /// Everything but folders.
    Files,
    /// The same, if its name matches.
    Matching(&'a PatternSet),
}

/// Calls `each` with everything below the folder `below` that is wanted.
///
/// A folder that is gone, or is another thing, when its turn comes is left out.
pub(crate) fn walk(
    directory: &Directory,
    below: &str,
    wanted: Wanted<'_>,
    each: &mut dyn FnMut(Entry<'_>) -> Result<()>,
) -> Result<()> {
    let depth = match wanted {
        Wanted::All | Wanted::Files => usize::MAX,
        Wanted::Matching(patterns) => patterns.max_depth().unwrap_or(usize::MAX),
    };
    let unreadable = |folder: &Path, error: Errno| {
        StorageError::io("read the directory", &directory.path().join(below).join(folder), error.into())
    };
    let top = match beneath::parts(below)?.is_empty() {
        true => listed(directory.as_fd()),
        false => listed(beneath::pin(directory, below)?.as_fd()),
    };
    let top = top.map_err(|error| unreadable(Path::new(""), error))?;
    // One folder is open at a time, however deep they lie in each other.
    let mut folders = vec![(PathBuf::new(), 1)];
    while let Some((folder, level)) = folders.pop() {
        if level > depth {
            continue;
        }
        let opened = match folder.as_os_str().is_empty() {
            true => listed(top.as_fd()),
            false => descend(top.as_fd(), &folder),
        };
        let mut entries = match opened.and_then(Dir::new) {
            Ok(entries) => entries,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => continue,
            Err(error) => return Err(unreadable(&folder, error)),
        };
        while let Some(entry) = entries.read() {
            let entry = match entry {
                Ok(entry) => entry,
                // The folder is gone.
                Err(Errno::NOENT) => break,
                Err(error) => return Err(unreadable(&folder, error)),
            };
            let leaf = entry.file_name();
            if matches!(leaf.to_bytes(), b"." | b"..") {
                continue;
            }
            let handle = entries.fd().map_err(|error| unreadable(&folder, error))?;
            let Some(kind) = kind_of(entry.file_type(), handle, leaf) else { continue };
            let path = folder.join(OsStr::from_bytes(leaf.to_bytes()));
            let is_wanted = match wanted {
                Wanted::All => true,
                Wanted::Files => kind != Kind::Folder,
                Wanted::Matching(patterns) => {
                    kind != Kind::Folder && patterns.matches(&path.to_string_lossy())
                }
            };
            if is_wanted {
                each(Entry { path: &path, kind, folder: handle, leaf })?;
            }
            if kind == Kind::Folder {
                folders.push((path, level + 1));
            }
        }
    }
    Ok(())
}

/// What an entry is; none if it is gone.
fn kind_of(told: FileType, folder: BorrowedFd<'_>, leaf: &CStr) -> Option<Kind> {
    match told {
        // Not every file system tells.
        FileType::Unknown => {
            let stat = statat(folder, leaf, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            Some(FileType::from_raw_mode(stat.st_mode).into())
        }
        kind => Some(kind.into()),
    }
}

/// Opens a folder below another, through no symbolic link.
fn descend(top: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{ResolveFlags, openat2};
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match retry_on_intr(|| openat2(top, path, flags, Mode::empty(), resolve)) {
            // A kernel that is older, or something around the engine that does not know the call.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
            opened => return opened,
        }
    }
    let mut folder: Option<OwnedFd> = None;
    for part in path {
        let here = folder.as_ref().map_or(top, AsFd::as_fd);
        folder = Some(retry_on_intr(|| openat(here, part, flags, Mode::empty()))?);
    }
    folder.ok_or(Errno::NOENT)
}

/// The names of what is directly in a folder.
pub(super) fn names(folder: BorrowedFd<'_>) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::new(listed(folder)?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}
