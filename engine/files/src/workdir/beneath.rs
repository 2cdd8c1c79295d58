//! Names below an open directory, looked up so that whoever changes the directory meanwhile cannot lead them elsewhere.
//!
//! The kernel does it in one call where it has `openat2`. What that refuses (links that say where they lead with a whole
//! path, or by a way around through the directory's own name), and everything where there is no `openat2`, is looked up
//! part by part: each folder is opened in the one before it and never through a link, and links are read here.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, readlinkat, statat};
use rustix::io::{Errno, retry_on_intr};

use super::Directory;
use crate::{Result, StorageError};

/// How many symbolic links a name may lead through, as Linux counts them.
const MAX_LINKS: u32 = 40;
/// How often a part is looked at again that was another thing a moment before.
const MAX_TRIES: u32 = 1000;

/// Stands for what it was opened at, and cannot be read through: such a handle needs no permission of the file, does not
/// wait, and does nothing to a device.
#[cfg(target_os = "linux")]
const PIN: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const PIN: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// Where a name is to be found or made.
#[derive(Debug)]
pub(crate) enum Folder {
    /// In a working directory itself.
    Working(Directory),
    /// In a folder of one.
    Inside(OwnedFd),
    /// Anywhere: the name is a path that is the engine's own.
    Path,
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Working(directory) => directory.as_fd(),
            Self::Inside(folder) => folder.as_fd(),
            Self::Path => CWD,
        }
    }
}

/// What a name leads to.
#[derive(Debug)]
pub(super) enum Place {
    /// A folder that is there.
    Folder(Folder),
    /// Something else, or nothing yet, under this name in a folder. It was no symbolic link when it was looked at, and must
    /// not be followed as one.
    Entry(Folder, OsString),
}

/// The parts of a relative name, without `.`; none for the directory itself.
pub(super) fn parts(name: &str) -> Result<Vec<&OsStr>> {
    let escape = |reason: &str| StorageError::Escape { name: name.to_owned(), reason: reason.to_owned() };
    if name.is_empty() || name.contains('\0') {
        let reason = "it is empty or contains a NUL character".to_owned();
        return Err(StorageError::InvalidName { name: name.to_owned(), reason });
    }
    let mut parts = Vec::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => parts.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(escape("`..` is not allowed")),
            Component::RootDir | Component::Prefix(_) => return Err(escape("it must be relative")),
        }
    }
    Ok(parts)
}

/// A handle on what the name leads to, whatever it is, but for symbolic links, which are followed.
pub(super) fn pin(directory: &Directory, name: &str) -> Result<OwnedFd> {
    let parts = parts(name)?;
    match pin_at_once(directory, &parts) {
        Ok(handle) => Ok(handle),
        Err(Errno::NOENT) => Err(missing(directory, name)),
        Err(_) => pin_part_by_part(directory, name, &parts),
    }
}

#[cfg(target_os = "linux")]
fn pin_at_once(directory: &Directory, parts: &[&OsStr]) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    let path: PathBuf = if parts.is_empty() { ".".into() } else { parts.iter().collect() };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    retry_on_intr(|| openat2(directory, &path, PIN | OFlags::CLOEXEC, Mode::empty(), resolve))
}

#[cfg(not(target_os = "linux"))]
fn pin_at_once(_: &Directory, _: &[&OsStr]) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

fn pin_part_by_part(directory: &Directory, name: &str, parts: &[&OsStr]) -> Result<OwnedFd> {
    for _ in 0..MAX_TRIES {
        let failed = |error: Errno| io("open", directory, name, error);
        match Walk::new(directory, name, parts).run(false)? {
            Place::Folder(Folder::Inside(folder)) => return Ok(folder),
            Place::Folder(_) => return pin_in(directory.as_fd(), Path::new(".")).map_err(failed),
            Place::Entry(folder, leaf) => match pin_in(folder.as_fd(), Path::new(&leaf)) {
                Ok(handle) if !is_link(&handle) => return Ok(handle),
                // It has become one since.
                Ok(_) | Err(Errno::LOOP) => {}
                Err(Errno::NOENT) => return Err(missing(directory, name)),
                Err(error) => return Err(failed(error)),
            },
        }
    }
    Err(changing(name))
}

/// A handle on what `name`, one part, is in `folder`: a symbolic link itself where the system can.
pub(super) fn pin_in(folder: BorrowedFd<'_>, name: &Path) -> Result<OwnedFd, Errno> {
    let flags = PIN | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| openat(folder, name, flags, Mode::empty()))
}

fn is_link(handle: &OwnedFd) -> bool {
    rustix::fs::fstat(handle).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

/// Opens for reading what a handle stands for, which must be known to be a regular file or a folder.
#[cfg(target_os = "linux")]
pub(crate) fn reopen(handle: &OwnedFd) -> Result<File, Errno> {
    use std::os::fd::AsRawFd as _;
    // The one link of the kernel's own that is followed: it leads to what the handle stands for, and nowhere else.
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::open(path.as_str(), flags, Mode::empty())).map(File::from)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn reopen(handle: &OwnedFd) -> Result<File, Errno> {
    handle.try_clone().map(File::from).map_err(|_| Errno::MFILE)
}

/// Sets the permissions of what a handle stands for, also of one that is only for finding names.
#[cfg(target_os = "linux")]
pub(super) fn set_mode(handle: &OwnedFd, mode: u32) -> Result<(), Errno> {
    use std::os::fd::AsRawFd as _;
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    rustix::fs::chmod(path.as_str(), Mode::from_raw_mode(mode))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn set_mode(handle: &OwnedFd, mode: u32) -> Result<(), Errno> {
    rustix::fs::fchmod(handle, Mode::from_raw_mode(mode as _))
}

/// Where the name leads, with the folders above it made if `make` says so.
pub(super) fn locate(directory: &Directory, name: &str, make: bool) -> Result<Place> {
    let parts = parts(name)?;
    Walk::new(directory, name, &parts).run(make)
}

/// The folder above the name, and the name in it: of a symbolic link itself. None for the directory itself.
pub(super) fn locate_entry(
    directory: &Directory,
    name: &str,
    make: bool,
) -> Result<Option<(Folder, OsString)>> {
    let mut parts = parts(name)?;
    let Some(leaf) = parts.pop() else { return Ok(None) };
    let walk = Walk::new(directory, name, &parts);
    match if make { walk.run_and_make()? } else { walk.run(false)? } {
        Place::Folder(folder) => Ok(Some((folder, leaf.to_owned()))),
        Place::Entry(folder, leaf) => match statat(&folder, &leaf, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Err(missing(directory, name)),
            _ => Err(not_a_directory(name, &directory.path().join(leaf))),
        },
    }
}

/// Makes the folder of this name, and those above it.
pub(super) fn make_folder(directory: &Directory, name: &str) -> Result<Folder> {
    let parts = parts(name)?;
    match Walk::new(directory, name, &parts).run_and_make()? {
        Place::Folder(folder) => Ok(folder),
        Place::Entry(_, leaf) => Err(not_a_directory(name, &directory.path().join(leaf))),
    }
}

/// A name on its way through the directory.
struct Walk<'a> {
    directory: &'a Directory,
    name: &'a str,
    /// The folders that were entered, with their names.
    entered: Vec<(OwnedFd, OsString)>,
    /// How far above the directory a link has led. Nothing is opened there: it must come back by the directory's own path.
    above: usize,
    /// What is still to come, the next part last.
    left: Vec<OsString>,
    links: u32,
    /// The last link: where it is, and what it says.
    link: Option<(PathBuf, PathBuf)>,
    /// Whether that was one too many.
    is_lost: bool,
}

impl<'a> Walk<'a> {
    fn new(directory: &'a Directory, name: &'a str, parts: &[&OsStr]) -> Self {
        let left = parts.iter().rev().map(|&part| part.to_owned()).collect();
        Self { directory, name, entered: Vec::new(), above: 0, left, links: 0, link: None, is_lost: false }
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.entered.last().map_or(self.directory.as_fd(), |(folder, _)| folder.as_fd())
    }

    /// The path of `part` here, to be shown.
    fn shown(&self, part: &OsStr) -> PathBuf {
        let mut path = self.directory.path().to_owned();
        path.extend(self.entered.iter().map(|(_, name)| name));
        path.join(part)
    }

    fn failed(&self, part: &OsStr, error: Errno) -> StorageError {
        StorageError::io("open", &self.shown(part), error.into())
    }

    fn end(mut self) -> Folder {
        match self.entered.pop() {
            Some((folder, _)) => Folder::Inside(folder),
            None => Folder::Working(self.directory.clone()),
        }
    }

    /// With `make`, folders are made, but for the last part.
    fn run(self, make: bool) -> Result<Place> {
        self.go(make, false)
    }

    /// The same with a folder made for the last part.
    fn run_and_make(self) -> Result<Place> {
        self.go(true, true)
    }

    fn go(mut self, make: bool, make_last: bool) -> Result<Place> {
        let mut tries = 0;
        while let Some(part) = self.left.pop() {
            if part == ".." {
                self.up();
                continue;
            }
            if self.above > 0 {
                self.down(&part)?;
                continue;
            }
            let found = match statat(self.here(), &part, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
                Err(Errno::NOENT) => None,
                Err(error) => return Err(self.failed(&part, error)),
            };
            let is_last = self.left.is_empty();
            let done = match found {
                Some(FileType::Symlink) => self.follow(&part),
                Some(FileType::Directory) => self.enter(&part),
                Some(_) if is_last => return Ok(Place::Entry(self.end(), part)),
                Some(_) => return Err(not_a_directory(self.name, &self.shown(&part))),
                None if is_last && !make_last => return Ok(Place::Entry(self.end(), part)),
                None if make => match mkdirat(self.here(), &part, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => self.enter(&part),
                    Err(error) => Err(error),
                },
                None => return Err(missing(self.directory, self.name)),
            };
            match done {
                Ok(()) => {}
                // It is no longer what it was: looked at again.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL) if tries < MAX_TRIES => {
                    tries += 1;
                    self.left.push(part);
                }
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL) => {
                    return Err(changing(self.name));
                }
                Err(error) => {
                    let path = self.shown(&part);
                    let action = if found.is_none() { "create the directory" } else { "open" };
                    return Err(StorageError::io(action, &path, error.into()));
                }
            }
        }
        if self.above > 0 || self.is_lost {
            return Err(self.astray());
        }
        Ok(Place::Folder(self.end()))
    }

    /// Enters a folder, which must not be a link.
    fn enter(&mut self, part: &OsStr) -> Result<(), Errno> {
        #[cfg(target_os = "linux")]
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        #[cfg(not(target_os = "linux"))]
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = retry_on_intr(|| openat(self.here(), part, flags, Mode::empty()))?;
        self.entered.push((folder, part.to_owned()));
        Ok(())
    }

    /// Goes on with what a link says.
    fn follow(&mut self, part: &OsStr) -> Result<(), Errno> {
        let target = readlinkat(self.here(), part, Vec::new())?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        self.link = Some((self.shown(part), target.clone()));
        self.links += 1;
        if self.links > MAX_LINKS {
            self.is_lost = true;
            self.left.clear();
            return Ok(());
        }
        let mut rest = target.as_path();
        if target.is_absolute() {
            self.entered.clear();
            match target.strip_prefix(self.directory.path()) {
                Ok(inside) => rest = inside,
                Err(_) => self.above = self.depth(),
            }
        }
        for component in rest.components().rev() {
            match component {
                Component::Normal(part) => self.left.push(part.to_owned()),
                Component::ParentDir => self.left.push("..".into()),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        Ok(())
    }

    /// How many parts the directory's own path has.
    fn depth(&self) -> usize {
        own_parts(self.directory).count()
    }

    fn up(&mut self) {
        if self.above == 0 && self.entered.pop().is_some() {
            return;
        }
        // Above `/` is `/`.
        self.above = (self.above + 1).min(self.depth());
    }

    /// From above the directory, the only way that is gone is the one that leads into it.
    fn down(&mut self, part: &OsStr) -> Result<()> {
        let own = self.depth().checked_sub(self.above).and_then(|index| own_parts(self.directory).nth(index));
        if own != Some(part) {
            return Err(self.astray());
        }
        self.above -= 1;
        Ok(())
    }

    fn astray(&self) -> StorageError {
        let reason = match &self.link {
            Some((link, target)) if self.is_lost => {
                format!(
                    "`{}` is a symbolic link to `{}`, which leads nowhere",
                    link.display(),
                    target.display()
                )
            }
            Some((link, target)) => {
                format!("`{}` is a symbolic link to `{}`", link.display(), target.display())
            }
            None => "it does not lie inside".to_owned(),
        };
        StorageError::Escape { name: self.name.to_owned(), reason }
    }
}

fn own_parts(directory: &Directory) -> impl Iterator<Item = &OsStr> {
    directory.real_path().components().filter_map(|component| match component {
        Component::Normal(part) => Some(part),
        _ => None,
    })
}

pub(super) fn io(action: &'static str, directory: &Directory, name: &str, error: Errno) -> StorageError {
    StorageError::io(action, &directory.path().join(name), error.into())
}

pub(super) fn missing(directory: &Directory, name: &str) -> StorageError {
    io("read", directory, name, Errno::NOENT)
}

fn changing(name: &str) -> StorageError {
    let reason = "somebody keeps changing what it leads through".to_owned();
    StorageError::InvalidName { name: name.to_owned(), reason }
}

fn not_a_directory(name: &str, path: &Path) -> StorageError {
    let reason = format!("`{}` is a file, not a directory", path.display());
    StorageError::InvalidName { name: name.to_owned(), reason }
}

#[cfg(test)]
#[path = "beneath/tests.rs"]
mod tests;
