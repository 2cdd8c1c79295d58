//! The one error type of this crate.

use std::io;
use std::path::{Path, PathBuf};

/// What this crate's functions return.
pub type Result<T, E = StateError> = std::result::Result<T, E>;

/// Why state could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// No execution has this id, or begins with it.
    #[error("no execution `{id}` in `{}`", directory.display())]
    NotFound {
        /// The id, or the beginning of one, as given.
        id: String,
        /// Where was looked.
        directory: PathBuf,
    },
    /// Several executions begin with what was given.
    #[error(
        "`{prefix}` is the beginning of {count} execution ids\nhint: write more of it, as in {}",
        examples.join(", ")
    )]
    Ambiguous {
        /// The beginning, as given.
        prefix: String,
        /// How many there are.
        count: usize,
        /// Some of them.
        examples: Vec<String>,
    },
    /// The text cannot be an execution's id.
    #[error("`{id}` is not an execution id: letters and digits only, 64 at most")]
    InvalidId {
        /// As given.
        id: String,
    },
    /// There is an execution of this id already.
    #[error("execution `{id}` exists already in `{}`", directory.display())]
    Exists {
        /// The id.
        id: String,
        /// Where.
        directory: PathBuf,
    },
    /// Another process runs this execution.
    #[error(
        "execution `{id}` is being run by another process{}",
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The id.
        id: String,
        /// The process, if known.
        pid: Option<u32>,
    },
    /// Another process evaluates this trigger.
    #[error(
        "trigger `{id}` is being watched by another process{}",
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    TriggerInUse {
        /// The trigger's id.
        id: String,
        /// The process, if known.
        pid: Option<u32>,
    },
    /// The key or namespace cannot be used.
    #[error("`{key}` cannot be used as a {what}: {reason}")]
    InvalidKey {
        /// As given.
        key: String,
        /// `key` or `namespace`.
        what: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// The key has a value and was not to be overwritten.
    #[error(
        "key `{key}` has a value already in namespace `{namespace}`\nhint: set `overwrite: true` to replace it"
    )]
    KeyExists {
        /// The namespace.
        namespace: String,
        /// The key.
        key: String,
    },
    /// A record was written by a newer version of this program.
    #[error(
        "`{}` was written by a newer version of weft (format {found}, this one reads {known})\nhint: update weft",
        path.display()
    )]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// A record cannot be read.
    #[error(
        "`{}`{} is damaged: {reason}",
        path.display(),
        line.map(|line| format!(", line {line},")).unwrap_or_default()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: Option<usize>,
        /// What is wrong.
        reason: String,
    },
    /// The disk has no room.
    #[error("no space left in `{}`: the state of executions cannot be kept", directory.display())]
    Full {
        /// The directory that was written to.
        directory: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} `{}`: {reason}", path.display())]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
}

impl StateError {
    /// The documented code: kebab-case with a dot between area and reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "state.not-found",
            Self::Ambiguous { .. } => "state.ambiguous-id",
            Self::InvalidId { .. } => "state.invalid-id",
            Self::Exists { .. } => "state.exists",
            Self::InUse { .. } => "state.in-use",
            Self::TriggerInUse { .. } => "trigger.in-use",
            Self::InvalidKey { .. } => "kv.invalid-key",
            Self::KeyExists { .. } => "kv.key-exists",
            Self::NewerVersion { .. } => "state.newer-version",
            Self::Corrupt { .. } => "state.corrupt",
            Self::Full { .. } => "state.full",
            Self::Io { .. } => "state.io",
        }
    }

    /// An error of the operating system while `action` was done to `path`; a full disk becomes [`Self::Full`].
    pub(crate) fn io(action: &'static str, path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { directory: path.parent().unwrap_or(path).to_owned() }
            }
            _ => Self::Io { action, path: path.to_owned(), reason: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_names_the_directory() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let error = StateError::io("write", Path::new("/data/executions/x/journal.jsonl"), kind.into());
            assert_eq!(error.code(), "state.full");
            assert!(error.to_string().contains("`/data/executions/x`"), "{error}");
        }
        let error = StateError::io("write", Path::new("/x"), io::ErrorKind::PermissionDenied.into());
        assert_eq!(
            (error.code(), error.to_string()),
            ("state.io", "cannot write `/x`: permission denied".to_owned())
        );
    }
}
