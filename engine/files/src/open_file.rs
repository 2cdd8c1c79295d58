//! Files that are open for reading, and are known to be files.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, SeekFrom as Seek, seek};
use rustix::io::{Errno, retry_on_intr};

use crate::workdir::reopen;
use crate::{Result, StorageError};

/// What is copied through memory, in bytes.
const SMALL: u64 = 64 << 10;

/// A regular file, open for reading. Whatever becomes of its name, it is this file that is read.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    metadata: Metadata,
    path: PathBuf,
    /// How much of it is taken at most, in bytes.
    limit: u64,
}

impl OpenFile {
    /// Opens the file at `path`, through symbolic links. For files that nobody can name or change but who may read what the
    /// engine may: its own, and those that its user names. A pipe, a socket or a device is an error at once.
    pub fn open(path: &Path) -> Result<Self> {
        Self::opened(path, OFlags::empty())
    }

    /// The same where `path` must not be a symbolic link.
    pub(crate) fn open_itself(path: &Path) -> Result<Self> {
        Self::opened(path, OFlags::NOFOLLOW)
    }

    fn opened(path: &Path, flags: OFlags) -> Result<Self> {
        let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let failed = |error| StorageError::io("read", path, error);
        let name = || path.display().to_string();
        let handle = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()));
        let file = match handle {
            Ok(handle) => File::from(handle),
            // So Linux refuses to open a socket.
            Err(Errno::NXIO) => return Err(no_file(name(), "a socket or a device that is not there")),
            Err(error) => return Err(failed(error.into())),
        };
        let metadata = file.metadata().map_err(failed)?;
        check(&metadata, name)?;
        // What a file of `/proc` holds is not known before.
        let limit = u64::MAX;
        Ok(Self { file, metadata, path: path.to_owned(), limit })
    }

    /// A file that the engine has written and nobody else has opened, from its beginning.
    pub(crate) fn of(mut file: File, path: PathBuf) -> Result<Self> {
        let metadata = file.rewind().and_then(|()| file.metadata());
        let metadata = metadata.map_err(|error| StorageError::io("read", &path, error))?;
        Ok(Self { file, metadata, path, limit: u64::MAX })
    }

    /// Opens what a handle from a working directory stands for, known as `name` there. It is taken as long as it is now: who
    /// goes on writing to it does not keep its reader for ever.
    pub(crate) fn pinned(handle: OwnedFd, name: &str, path: PathBuf) -> Result<Self> {
        let file = File::from(handle);
        let metadata = file.metadata().map_err(|error| StorageError::io("read", &path, error))?;
        check(&metadata, || name.to_owned())?;
        let file = reopen(&file.into()).map_err(|error| StorageError::io("read", &path, error.into()))?;
        let limit = metadata.len();
        Ok(Self { file, metadata, path, limit })
    }

    /// Its size in bytes, when it was opened.
    pub fn size(&self) -> u64 {
        self.metadata.len()
    }

    /// How much of it is taken at most, in bytes: what it had when it was opened, if others may go on writing to it.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// What the system said of it when it was opened.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The file itself.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Where it was found, to be shown.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself, at its beginning. It may be longer by now.
    pub fn into_file(self) -> File {
        self.file
    }

    /// A path that leads to this very file as long as it is open.
    #[cfg(target_os = "linux")]
    pub(crate) fn handle_path(&self) -> String {
        use std::os::fd::AsRawFd as _;
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }

    /// Reads it, as long as it was when it was opened.
    pub fn bounded(&self) -> impl Read + '_ {
        (&self.file).take(self.limit)
    }

    /// Its text, if it has no more than `max_bytes`.
    pub fn read_to_string(&self, max_bytes: u64) -> io::Result<String> {
        let mut text = String::new();
        let taken = (&self.file).take(max_bytes.saturating_add(1)).read_to_string(&mut text)?;
        if taken as u64 > max_bytes {
            return Err(io::Error::other(format!("it has more than {max_bytes} bytes")));
        }
        Ok(text)
    }

    /// Copies it to `target`, which is empty. The kernel moves the bytes (and shares them where the file system can), and
    /// holes stay holes: what takes no room takes none in the copy, and no time.
    pub(crate) fn copy_to(&self, target: &mut File) -> io::Result<u64> {
        let size = self.size();
        if size <= SMALL && self.limit == size {
            // Read and written is sooner than asked how it would be best copied.
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            self.bounded().read_to_end(&mut bytes)?;
            target.write_all(&bytes)?;
            return Ok(bytes.len() as u64);
        }
        let is_sparse = size > SMALL && self.metadata.blocks().saturating_mul(512) < size;
        if is_sparse && self.copy_extents(target)? {
            return Ok(size);
        }
        io::copy(&mut (&self.file).take(self.limit), target)
    }

    /// Copies the parts that hold something. False, with nothing done, if the file system does not tell them.
    fn copy_extents(&self, target: &mut File) -> io::Result<bool> {
        let size = self.size();
        let mut position = 0;
        while position < size {
            let begin = match seek(&self.file, Seek::Data(position)) {
                Ok(begin) => begin,
                // Nothing but a hole up to the end.
                Err(Errno::NXIO) => break,
                Err(Errno::INVAL) if position == 0 => {
                    (&self.file).seek(SeekFrom::Start(0))?;
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            };
            let end = seek(&self.file, Seek::Hole(begin))?.min(size);
            if begin >= end {
                break;
            }
            (&self.file).seek(SeekFrom::Start(begin))?;
            target.seek(SeekFrom::Start(begin))?;
            io::copy(&mut (&self.file).take(end - begin), target)?;
            position = end;
        }
        target.set_len(size)?;
        Ok(true)
    }
}

fn check(metadata: &Metadata, name: impl FnOnce() -> String) -> Result<()> {
    let kind = metadata.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(no_file(name(), what))
}

fn no_file(name: String, what: &str) -> StorageError {
    let reason = format!("it is {what}, and only a regular file can be read and stored");
    StorageError::InvalidName { name, reason }
}
