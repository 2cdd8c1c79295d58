//! Writing files in a way that leaves either the old file, the new one, or nothing.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, statat, symlinkat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use crate::private::{self, Access};
use crate::workdir::Folder;
use crate::{OpenFile, Result, StorageError};

/// Where a file is to be: a name in a folder that is open, or a path of the engine's own.
#[derive(Debug)]
pub(crate) struct Slot {
    folder: Folder,
    name: PathBuf,
    /// To be shown.
    path: PathBuf,
    /// Who may get at the file.
    access: Access,
}

impl Slot {
    pub(crate) fn new(folder: Folder, name: PathBuf, path: PathBuf) -> Self {
        Self { folder, name, path, access: Access::Umask }
    }

    /// At a path that nobody can change but the engine. Folders are made as needed.
    pub(crate) fn at(path: PathBuf, access: Access) -> Self {
        Self { folder: Folder::Path, name: path.clone(), path, access }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the file of this name, which must not be there.
    fn create(&self, name: &Path) -> Result<File, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(self.access.mode());
        retry_on_intr(|| openat(&self.folder, name, flags, mode)).map(File::from)
    }

    /// The same for its own name.
    pub(crate) fn create_new(&self) -> Result<File, Errno> {
        self.create(&self.name)
    }

    /// Makes a symbolic link, which must not be there.
    pub(crate) fn create_link(&self, target: &str) -> Result<(), Errno> {
        symlinkat(target, &self.folder, &self.name)
    }

    /// Whether there is anything of this name, also a symbolic link that leads nowhere.
    pub(crate) fn is_taken(&self) -> bool {
        statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// A name beside it. `#` and digits at the end: the local object store leaves such names out of its listings, and no
    /// object has one, since `#` is encoded in keys.
    fn beside(&self) -> PathBuf {
        self.name.with_file_name(format!(".{}#0", weft_model::new_id()))
    }

    /// Makes the folders of a path.
    fn make_folders(&self) -> Result<()> {
        let Some(above) = self.path.parent() else { return Ok(()) };
        let made = self.access.create_folders(above);
        made.map_err(|error| StorageError::io("create the directory", above, error))
    }

    fn is_path(&self) -> bool {
        matches!(self.folder, Folder::Path)
    }

    /// Waits until the name is on the disk.
    fn sync(&self) -> io::Result<()> {
        let above = match &self.folder {
            Folder::Path => self.name.parent().unwrap_or(Path::new(".")),
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        File::from(openat(&self.folder, above, flags, Mode::empty())?).sync_all()
    }
}

/// Writes the file through one beside it that is renamed once complete.
///
/// `size` is what is going to be written, for the message about a full disk. If it is `durable`, the bytes are on the disk
/// before the name is.
pub(crate) fn write_atomically(
    slot: &Slot,
    size: Option<u64>,
    durable: bool,
    write: impl FnOnce(&mut File) -> io::Result<u64>,
) -> Result<u64> {
    let staged = Staged::create(slot)?;
    staged.fill(durable, write).map_err(|error| match size {
        Some(size) => error.needing(size),
        None => error,
    })
}

/// Copies a file atomically.
pub(crate) fn copy_atomically(from: &OpenFile, to: &Slot, durable: bool) -> Result<u64> {
    write_atomically(to, Some(from.size()), durable, |file| from.copy_to(file))
}

/// Gives the name `to` to a file that is `from` in a working directory, or copies it where that is on another file system.
/// Afterwards `from` may still be there.
///
/// What gets the name is the file that was opened, whatever `from` is by then.
pub(crate) fn link_atomically(from: &OpenFile, to: &Slot, durable: bool) -> Result<u64> {
    if durable || !is_ours(from) {
        return copy_atomically(from, to, durable);
    }
    match Staged::linked(from, to) {
        Ok(staged) => {
            staged.rename()?;
            if to.access == Access::Private {
                // What a script let others read. That this fails is no loss: nobody else enters the folder.
                let _ = private::close_to_others(from.file());
            }
            Ok(from.size())
        }
        Err(_) => copy_atomically(from, to, durable),
    }
}

/// Whether the file can become the engine's own as it is: nobody else has a name for it, by which he could go on writing
/// to what is stored, and it is nothing that the system runs with other rights.
fn is_ours(file: &OpenFile) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata();
    metadata.nlink() == 1
        && metadata.mode() & 0o7000 == 0
        && metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Writes `bytes` atomically.
pub(crate) fn put_atomically(slot: &Slot, bytes: &[u8], durable: bool) -> Result<u64> {
    let size = bytes.len() as u64;
    write_atomically(slot, Some(size), durable, |file| file.write_all(bytes).map(|()| size))
}

/// A file under another name, removed again unless it was given its own.
struct Staged<'a> {
    slot: &'a Slot,
    name: PathBuf,
    file: Option<File>,
    kept: bool,
}

impl<'a> Staged<'a> {
    fn create(slot: &'a Slot) -> Result<Self> {
        let name = slot.beside();
        let mut tries = 0;
        loop {
            match slot.create(&name) {
                Ok(file) => return Ok(Self { slot, name, file: Some(file), kept: false }),
                // Somebody who removes empty folders may come between making the folder and the file.
                Err(Errno::NOENT) if slot.is_path() && tries < 100 => {
                    slot.make_folders()?;
                    tries += 1;
                }
                Err(error) => {
                    let folder = slot.path.parent().unwrap_or(Path::new("."));
                    return Err(StorageError::io("create a file in", &folder.join("."), error.into()));
                }
            }
        }
    }

    /// A further name of a file that is open.
    #[cfg(target_os = "linux")]
    fn linked(file: &OpenFile, slot: &'a Slot) -> Result<Self, Errno> {
        use rustix::fs::{CWD, linkat};
        let (name, path) = (slot.beside(), file.handle_path());
        let link = || linkat(CWD, path.as_str(), &slot.folder, &name, AtFlags::SYMLINK_FOLLOW);
        match link() {
            Err(Errno::NOENT) if slot.is_path() => {
                slot.make_folders().map_err(|_| Errno::NOENT)?;
                link()?;
            }
            linked => linked?,
        }
        Ok(Self { slot, name, file: None, kept: false })
    }

    #[cfg(not(target_os = "linux"))]
    fn linked(_: &OpenFile, _: &'a Slot) -> Result<Self, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    fn fill(mut self, durable: bool, write: impl FnOnce(&mut File) -> io::Result<u64>) -> Result<u64> {
        let failed = |error| StorageError::io("write", &self.slot.path, error);
        let Some(file) = &mut self.file else { return Ok(0) };
        let written = write(file).map_err(failed)?;
        if durable {
            file.sync_data().map_err(failed)?;
        }
        let slot = self.slot;
        self.rename()?;
        if durable {
            // The new name is on the disk only when its directory is.
            slot.sync().map_err(|error| StorageError::io("write", &slot.path, error))?;
        }
        Ok(written)
    }

    fn rename(mut self) -> Result<()> {
        renameat(&self.slot.folder, &self.name, &self.slot.folder, &self.slot.name)
            .map_err(|error| StorageError::io("write", &self.slot.path, error.into()))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // What went wrong is already being reported; a left-over is hidden from listings.
            let _ = unlinkat(self.slot.folder.as_fd(), &self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::workdir::Directory;

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
        let slot = Slot::at(path.clone(), Access::Umask);
        put_atomically(&slot, b"old", false).unwrap();
        let error = write_atomically(&slot, Some(1234), false, |file| {
            file.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
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
        let file = OpenFile::open(&from).unwrap();
        assert_eq!(copy_atomically(&file, &Slot::at(to.clone(), Access::Private), true).unwrap(), 1);
        assert_ne!(fs::metadata(&to).unwrap().permissions().mode() & 0o200, 0);
    }

    #[test]
    fn a_file_that_only_its_owner_knows_is_not_copied() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("a/b/to"));
        let directory = Directory::open(dir.path()).unwrap();
        for (durable, linked, mode, same) in [
            (false, false, 0o600, true),
            (true, false, 0o600, false),
            (false, true, 0o600, false),
            // Nothing that runs with its owner's rights comes into storage.
            (false, false, 0o4755, false),
        ] {
            let _ = fs::remove_file(&from);
            fs::write(&from, "text").unwrap();
            fs::set_permissions(&from, fs::Permissions::from_mode(mode)).unwrap();
            let inode = fs::metadata(&from).unwrap().ino();
            let link = dir.path().join("link");
            if linked {
                fs::hard_link(&from, &link).unwrap();
            }
            let file = directory.open_file("from").unwrap();
            assert_eq!(link_atomically(&file, &Slot::at(to.clone(), Access::Private), durable).unwrap(), 4);
            let stored = fs::metadata(&to).unwrap();
            assert_eq!(stored.ino() == inode, same, "{durable} {linked} {mode:o}");
            assert_eq!(stored.mode() & 0o7000, 0);
            assert_eq!(entries(to.parent().unwrap()), ["to"]);
            let _ = fs::remove_file(link);
        }
    }

    #[test]
    fn holes_take_no_room() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let size = 8 << 40;
        for parts in
            [&[][..], &[(0, "begin")], &[(1 << 30, "middle"), (5 << 40, "later")], &[(size - 3, "end")]]
        {
            let file = File::create(&from).unwrap();
            file.set_len(size).unwrap();
            for (at, text) in parts {
                std::os::unix::fs::FileExt::write_all_at(&file, text.as_bytes(), *at).unwrap();
            }
            let source = OpenFile::open(&from).unwrap();
            assert_eq!(
                copy_atomically(&source, &Slot::at(to.clone(), Access::Private), false).unwrap(),
                size
            );
            let copy = File::open(&to).unwrap();
            let metadata = copy.metadata().unwrap();
            assert_eq!(metadata.len(), size);
            assert!(metadata.blocks() < 1000, "{parts:?}: {} blocks", metadata.blocks());
            for (at, text) in parts {
                let mut read = vec![0; text.len()];
                std::os::unix::fs::FileExt::read_exact_at(&copy, &mut read, *at).unwrap();
                assert_eq!(read, text.as_bytes(), "{parts:?}");
            }
        }
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        for (from, code) in [
            (dir.path().to_owned(), "files.invalid-name"),
            (pipe, "files.invalid-name"),
            (dir.path().join("socket"), "files.invalid-name"),
            ("/dev/null".into(), "files.invalid-name"),
            (dir.path().join("no"), "storage.io"),
        ] {
            let error = OpenFile::open(&from).unwrap_err();
            assert_eq!(error.code(), code, "{}: {error}", from.display());
        }
    }
}
