//! The one error type of this crate.

use std::io;
use std::path::{Path, PathBuf};

/// What this crate's functions return.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Why a file could not be stored, fetched, matched or collected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// There is no object at this URI.
    #[error("no file at `{uri}` in internal storage; it was never stored, or it was deleted")]
    NotFound {
        /// The URI asked for.
        uri: String,
    },
    /// The text is not a `kestra:///` URI, or a name cannot be part of one.
    #[error("`{text}` is not a valid storage URI: {reason}")]
    InvalidUri {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The object is larger than the caller can take into memory.
    #[error("`{uri}` has {size} bytes, more than the {limit} that can be read into memory here")]
    TooLarge {
        /// The object.
        uri: String,
        /// Its size in bytes.
        size: u64,
        /// The bound in bytes.
        limit: u64,
    },
    /// The disk has no room.
    #[error("no space left in `{}`: {}", directory.display(), room(*needed, *free))]
    Full {
        /// The directory that was written to.
        directory: PathBuf,
        /// Bytes to be written, if known.
        needed: Option<u64>,
        /// Bytes free for this user, if the file system says.
        free: Option<u64>,
    },
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The object store refused.
    #[error("cannot {action} `{uri}`: {reason}")]
    Store {
        /// What was being done, as a verb.
        action: &'static str,
        /// To what.
        uri: String,
        /// The store's reason.
        reason: String,
    },
    /// A glob or a regular expression cannot be read.
    #[error("invalid file pattern `{pattern}`{}: {reason}", at(*position))]
    InvalidPattern {
        /// As written.
        pattern: String,
        /// The offending character, counted from 1; none for a regular expression.
        position: Option<usize>,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A name leads out of the directory.
    #[error("`{name}` leads out of the working directory: {reason}")]
    Escape {
        /// The name or pattern as written, or the file found.
        name: String,
        /// How it leads out.
        reason: String,
    },
    /// A name cannot be used for a file.
    #[error("`{name}` cannot be used as a file name here: {reason}")]
    InvalidName {
        /// The name as written.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// More files match than are taken.
    #[error(
        "more than {limit} files match in `{}`; narrow the patterns, or put the files into one archive",
        directory.display()
    )]
    TooMany {
        /// Where was looked.
        directory: PathBuf,
        /// The bound.
        limit: usize,
    },
    /// A cached archive cannot be read.
    #[error("the cached archive `{uri}` cannot be read: {reason}; delete it and it will be built again")]
    BrokenArchive {
        /// The archive.
        uri: String,
        /// What is wrong.
        reason: String,
    },
}

impl StorageError {
    /// The documented code: kebab-case with a dot between area and reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "storage.not-found",
            Self::InvalidUri { .. } => "storage.invalid-uri",
            Self::TooLarge { .. } => "storage.too-large",
            Self::Full { .. } => "storage.full",
            Self::Io { .. } | Self::Store { .. } => "storage.io",
            Self::InvalidPattern { .. } => "files.invalid-pattern",
            Self::Escape { .. } => "files.escape",
            Self::InvalidName { .. } => "files.invalid-name",
            Self::TooMany { .. } => "files.too-many",
            Self::BrokenArchive { .. } => "files.broken-archive",
        }
    }

    /// Whether it is that there is no such file or folder.
    pub(crate) fn is_missing(&self) -> bool {
        let missing = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        };
        matches!(self, Self::Io { source, .. } if missing(source))
    }

    /// An error of the operating system while `action` was done to `path`; a full disk becomes [`Self::Full`].
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        if is_full(&source) {
            let directory = path.parent().unwrap_or(path).to_owned();
            return Self::Full { free: free_bytes(&directory), directory, needed: None };
        }
        Self::Io { action, path: path.to_owned(), source }
    }

    /// The same error, if it is a full disk saying how many bytes were to be written and, now that what was written of
    /// them is gone again, how many are free.
    pub(crate) fn needing(mut self, bytes: u64) -> Self {
        if let Self::Full { directory, needed, free } = &mut self {
            *needed = Some(bytes);
            *free = free_bytes(directory);
        }
        self
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Bytes that an ordinary user may still write where `directory` is.
fn free_bytes(directory: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(directory).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn room(needed: Option<u64>, free: Option<u64>) -> String {
    match (needed, free) {
        (Some(needed), Some(free)) => format!("{needed} bytes were needed, {free} are free"),
        (Some(needed), None) => format!("{needed} bytes were needed"),
        (None, Some(free)) => format!("{free} bytes are free"),
        (None, None) => "make room and run again".to_owned(),
    }
}

fn at(position: Option<usize>) -> String {
    position.map(|position| format!(" at character {position}")).unwrap_or_default()
}
