//! Writing files in a way that leaves either the old file, the new one, or nothing.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

use crate::private::{self, Access, create_folders};
use crate::{Result, StorageError};

/// Writes `path` through a file beside it that is renamed once complete. Folders are made as needed.
///
/// `size` is what is going to be written, for the message about a full disk. If it is `durable`, the bytes are on the disk
/// before the name is.
pub(crate) fn write_atomically(
    path: &Path,
    size: Option<u64>,
    (access, durable): (Access, bool),
    write: impl FnOnce(&mut File) -> io::Result<u64>,
) -> Result<u64> {
    let staged = Staged::create(path, access)?;
    staged.fill(path, durable, write).map_err(|error| match size {
        Some(size) => error.needing(size),
        None => error,
    })
}

/// Copies `from` to `to` atomically; the kernel moves the bytes (and shares them where the file system can).
pub(crate) fn copy_atomically(from: &Path, to: &Path, how: (Access, bool)) -> Result<u64> {
    let mut source = File::open(from).map_err(|error| StorageError::io("read", from, error))?;
    let metadata = source.metadata().map_err(|error| StorageError::io("read", from, error))?;
    if !metadata.is_file() {
        let reason = "only a regular file can be stored".to_owned();
        return Err(StorageError::InvalidName { name: from.display().to_string(), reason });
    }
    write_atomically(to, Some(metadata.len()), how, |file| io::copy(&mut source, file))
}

/// Renames `from` to `to`, for this user alone, or copies it where that is on another file system; then `from` is still there.
pub(crate) fn move_atomically(from: &Path, to: &Path, durable: bool) -> Result<u64> {
    let metadata = fs::symlink_metadata(from).map_err(|error| StorageError::io("read", from, error))?;
    // Somebody else may hold a link to the file, and could go on writing to what is stored.
    if durable || !metadata.is_file() || is_shared(&metadata) {
        return copy_atomically(from, to, (Access::Private, durable));
    }
    let folder = to.parent().unwrap_or(Path::new("."));
    let renamed = match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create_folders(folder)
                .map_err(|error| StorageError::io("create the directory", folder, error))?;
            fs::rename(from, to)
        }
        result => result,
    };
    match renamed {
        Ok(()) => {
            close_to_others(to);
            Ok(metadata.len())
        }
        Err(_) => copy_atomically(from, to, (Access::Private, durable)),
    }
}

/// What a script made others may read. That this fails is no loss: nobody else enters the folder.
fn close_to_others(path: &Path) {
    // Whoever shares the directory it came from may have put something else in its place: nothing is followed or waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if let Ok(file) = open(path, flags, Mode::empty()) {
        let _ = private::close_to_others(&File::from(file));
    }
}

#[cfg(unix)]
fn is_shared(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 1
}

#[cfg(not(unix))]
fn is_shared(_: &fs::Metadata) -> bool {
    true
}

/// Writes `bytes` to `path` atomically.
pub(crate) fn put_atomically(path: &Path, bytes: &[u8], how: (Access, bool)) -> Result<u64> {
    let size = bytes.len() as u64;
    write_atomically(path, Some(size), how, |file| file.write_all(bytes).map(|()| size))
}

/// A file under another name, removed again unless it was given its own.
struct Staged {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Staged {
    fn create(target: &Path, access: Access) -> Result<Self> {
        let folder = target.parent().unwrap_or(Path::new("."));
        // `#` and digits at the end: the local object store leaves such names out of its listings, and no object has
        // one, since `#` is encoded in keys.
        let path = folder.join(format!(".{}#0", weft_model::new_id()));
        let mut tries = 0;
        loop {
            match access.options().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { file, path, kept: false }),
                // Somebody who removes empty folders may come between making the folder and the file.
                Err(error) if error.kind() == ErrorKind::NotFound && tries < 100 => {
                    access
                        .create_folders(folder)
                        .map_err(|error| StorageError::io("create the directory", folder, error))?;
                    tries += 1;
                }
                Err(error) => return Err(StorageError::io("create a file in", &folder.join("."), error)),
            }
        }
    }

    fn fill(
        mut self,
        target: &Path,
        durable: bool,
        write: impl FnOnce(&mut File) -> io::Result<u64>,
    ) -> Result<u64> {
        let failed = |error| StorageError::io("write", target, error);
        let written = write(&mut self.file).map_err(failed)?;
        if durable {
            self.file.sync_data().map_err(failed)?;
        }
        fs::rename(&self.path, target).map_err(failed)?;
        self.kept = true;
        if durable {
            // The new name is on the disk only when its directory is.
            let folder = target.parent().unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(written)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.kept {
            // What went wrong is already being reported; a left-over is hidden from listings.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_disk_leaves_the_old_file_and_says_how_much_was_needed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.txt");
        put_atomically(&path, b"old", (Access::Umask, false)).unwrap();
        let error = write_atomically(&path, Some(1234), (Access::Umask, false), |file| {
            file.write_all(b"half")?;
            Err(io::Error::from(ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert_eq!(error.code(), "storage.full");
        assert!(error.to_string().contains("1234 bytes were needed"), "{error}");
        assert!(error.to_string().contains("are free"), "{error}");
        assert_eq!(entries(path.parent().unwrap()), ["b.txt"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn permissions_of_the_source_are_not_taken_over() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "x").unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(copy_atomically(&from, &to, (Access::Private, true)).unwrap(), 1);
        assert_ne!(fs::metadata(&to).unwrap().permissions().mode() & 0o200, 0);
    }

    #[test]
    fn a_file_that_only_its_owner_knows_is_renamed() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("a/b/to"));
        for (durable, linked, renamed) in [(false, false, true), (true, false, false), (false, true, false)] {
            fs::write(&from, "text").unwrap();
            let inode = fs::metadata(&from).unwrap().ino();
            if linked {
                fs::hard_link(&from, dir.path().join("link")).unwrap();
            }
            assert_eq!(move_atomically(&from, &to, durable).unwrap(), 4);
            assert_eq!(fs::metadata(&to).unwrap().ino() == inode, renamed, "{durable} {linked}");
            assert_eq!(from.exists(), !renamed);
        }
    }

    #[test]
    fn what_is_no_file_cannot_be_copied() {
        let dir = tempfile::tempdir().unwrap();
        for (from, code) in
            [(dir.path().to_owned(), "files.invalid-name"), (dir.path().join("no"), "storage.io")]
        {
            let error = copy_atomically(&from, &dir.path().join("to"), (Access::Umask, false)).unwrap_err();
            assert_eq!(error.code(), code);
        }
        assert!(entries(dir.path()).is_empty());
    }
}
