//! Removes a folder with all it holds.
//!
//! Each folder is opened in the one before it and never through a symbolic link, so whatever is renamed or put in place
//! meanwhile, nothing outside is removed. However deep folders lie in each other, few are open at a time.

use std::ffi::{CString, OsStr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, openat, renameat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

#[cfg(target_os = "linux")]
use super::beneath::{pin_in, set_mode};

/// How many folders are open at a time. What lies deeper is moved up.
const MAX_OPEN: usize = 64;
/// How often a folder is gone through again into which somebody keeps putting things.
const MAX_PASSES: u32 = 100;
/// How often something is moved up.
const MAX_MOVES: u32 = 1 << 20;

/// A folder that is being emptied.
struct Level {
    entries: Dir,
    /// Its name in the folder before it.
    name: CString,
    passes: u32,
}

/// Removes what `name` is in `parent`: a file, a symbolic link itself, or a folder with all it holds, also below what was
/// made read-only. If it is not there, that is as well.
pub(super) fn tree(parent: BorrowedFd<'_>, name: &Path) -> Result<(), Errno> {
    let name = CString::new(name.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    // Mostly it is a folder with nothing in it.
    match unlinkat(parent, &name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(_) => {}
    }
    let (mut levels, mut moves) = (Vec::new(), 0);
    levels.extend(entered_or_removed(parent, name, false)?);
    while let Some(level) = levels.last_mut() {
        let Some((name, kind)) = next(level)? else {
            leave(&mut levels, parent)?;
            continue;
        };
        let folder = level.entries.fd()?;
        if kind != FileType::Directory && unlink(folder, &name, true)? {
            continue;
        }
        if levels.len() < MAX_OPEN {
            let inner = entered_or_removed(levels[levels.len() - 1].entries.fd()?, name, true)?;
            levels.extend(inner);
        } else if moves < MAX_MOVES {
            move_up(&levels, &name)?;
            moves += 1;
            levels[0].passes = 0;
        } else {
            return Err(Errno::NAMETOOLONG);
        }
    }
    Ok(())
}

/// Removes the last folder, which has been gone through.
fn leave(levels: &mut Vec<Level>, parent: BorrowedFd<'_>) -> Result<(), Errno> {
    let Some(level) = levels.pop() else { return Ok(()) };
    let own = !levels.is_empty();
    let above = levels.last().map_or(Ok(parent), |level| level.entries.fd())?;
    let mut removed = unlinkat(above, &level.name, AtFlags::REMOVEDIR);
    if own && matches!(removed, Err(Errno::ACCESS | Errno::PERM)) {
        fchmod(above, Mode::RWXU)?;
        removed = unlinkat(above, &level.name, AtFlags::REMOVEDIR);
    }
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        // It is another thing by now.
        Err(Errno::NOTDIR) => unlink(above, &level.name, own).map(|_| ()),
        // What was moved up, or has been put there since.
        Err(Errno::NOTEMPTY | Errno::EXIST) if level.passes < MAX_PASSES => {
            let Level { mut entries, name, passes } = level;
            entries.rewind();
            levels.push(Level { entries, name, passes: passes + 1 });
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Moves a folder that lies too deep to the first of them all.
fn move_up(levels: &[Level], name: &CString) -> Result<(), Errno> {
    let (Some(top), Some(last)) = (levels.first(), levels.last()) else { return Ok(()) };
    let (top, folder) = (top.entries.fd()?, last.entries.fd()?);
    let fresh = format!(".{}", weft_model::new_id());
    match renameat(folder, name, top, fresh.as_str()) {
        Err(Errno::ACCESS | Errno::PERM) => {
            for folder in [folder, top] {
                fchmod(folder, Mode::RWXU)?;
            }
            // To be moved, a folder must be writable itself: its `..` changes.
            make_accessible(folder, name)?;
            renameat(folder, name, top, fresh.as_str())
        }
        Err(Errno::NOENT) => Ok(()),
        moved => moved,
    }
}

/// The next entry of a folder.
fn next(level: &mut Level) -> Result<Option<(CString, FileType)>, Errno> {
    loop {
        match level.entries.read() {
            None | Some(Err(Errno::NOENT)) => return Ok(None),
            Some(Err(error)) => return Err(error),
            Some(Ok(entry)) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
            Some(Ok(entry)) => return Ok(Some((entry.file_name().to_owned(), entry.file_type()))),
        }
    }
}

/// Removes what is no folder. Whether nothing of this name is left. The permissions of `folder` may be changed for it if it
/// is to be removed itself.
fn unlink(folder: BorrowedFd<'_>, name: &CString, own: bool) -> Result<bool, Errno> {
    let mut removed = unlinkat(folder, name, AtFlags::empty());
    if matches!(removed, Err(Errno::ACCESS | Errno::PERM)) {
        // Some systems say it so of a folder.
        if listed(folder, name).is_ok() {
            return Ok(false);
        }
        if own {
            fchmod(folder, Mode::RWXU)?;
            removed = unlinkat(folder, name, AtFlags::empty());
        }
    }
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens the folder of this name. If it is another thing, that is removed, and if it is gone there is nothing to open.
fn entered_or_removed(folder: BorrowedFd<'_>, name: CString, own: bool) -> Result<Option<Level>, Errno> {
    for _ in 0..MAX_PASSES {
        match listed(folder, &name) {
            Ok(handle) => return Ok(Some(Level { entries: Dir::new(handle)?, name, passes: 0 })),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                if unlink(folder, &name, own)? {
                    return Ok(None);
                }
            }
            Err(Errno::ACCESS) => {
                // Without the right to search the folder above nothing in it can be looked at.
                if own {
                    fchmod(folder, Mode::RWXU)?;
                }
                make_accessible(folder, &name)?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(Errno::BUSY)
}

fn listed(folder: BorrowedFd<'_>, name: &CString) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| openat(folder, name, flags, Mode::empty()))
}

/// Lets this user list and change the folder of this name, which he could not open.
#[cfg(target_os = "linux")]
fn make_accessible(folder: BorrowedFd<'_>, name: &CString) -> Result<(), Errno> {
    let handle = pin_in(folder, Path::new(OsStr::from_bytes(name.to_bytes())))?;
    let stat = rustix::fs::fstat(&handle)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        // Another thing since: looked at again.
        return Ok(());
    }
    set_mode(&handle, 0o700)
}

#[cfg(not(target_os = "linux"))]
fn make_accessible(folder: BorrowedFd<'_>, name: &CString) -> Result<(), Errno> {
    rustix::fs::chmodat(folder, name, Mode::RWXU, AtFlags::SYMLINK_NOFOLLOW)
}
