//! Why an execution could not be started or kept.

use weft_files::StorageError;
use weft_state::StateError;
use weft_worker::EncryptionError;

/// Why an execution could not be started or kept. A failure of a task is none of these: it is in the execution.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The store refused.
    #[error(transparent)]
    State(#[from] StateError),
    /// Internal storage refused.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Inputs are missing or wrong. One line each.
    #[error("{}", .0.join("\n"))]
    Inputs(Vec<String>),
    /// The flow says so.
    #[error("flow `{0}` is disabled\nhint: remove `disabled: true` from it")]
    Disabled(String),
    /// A trigger cannot be watched.
    #[error(transparent)]
    Trigger(#[from] weft_scheduler::SetupError),
    /// An execution cannot be taken up again as asked.
    #[error("{0}")]
    Again(String),
    /// The runtime ended while an execution was under way; what it had committed is kept.
    #[error("the engine was stopped while the execution was running")]
    Stopped,
    /// A secret cannot be encrypted, or one that was kept cannot be decrypted.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// A fixture of a test cannot be used.
    #[error("{0}")]
    Fixture(String),
    /// The disk did not take what was written.
    #[error("cannot bring the execution's journal to the disk: {0}")]
    Sync(std::io::Error),
}
