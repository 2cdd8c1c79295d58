//! What can go wrong with a repository.

use weft_network::NetworkError;

/// Why a clone failed. URLs in messages are without credentials.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GitError {
    /// There is something where the clone was to be.
    #[error(
        "Destination path \"{0}\" already exists and is not an empty directory\n\
         hint: make this the first task of its `WorkingDirectory`, or name another `directory`"
    )]
    NotEmpty(String),
    /// A URL that leads to no repository.
    #[error("`{url}` is no URL of a repository that can be cloned: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server does not let the caller in.
    #[error("`{url}` does not let this caller in: {reason}")]
    Authentication {
        /// The repository.
        url: String,
        /// What the server says, and what was tried.
        reason: String,
    },
    /// There is no repository.
    #[error("there is no repository at `{url}`{hint}")]
    NotFound {
        /// Where it should be.
        url: String,
        /// What else it can be, on a line of its own.
        hint: String,
    },
    /// The branch, tag or commit is not there.
    #[error("{what} is not in `{url}`{hint}")]
    Reference {
        /// Kind and name.
        what: String,
        /// The repository.
        url: String,
        /// What is there, on a line of its own.
        hint: String,
    },
    /// The private key cannot be used.
    #[error("the private key cannot be used: {0}")]
    Key(String),
    /// The server shows another key than it is known by.
    #[error("the host key of `{host}` is not trusted: {reason}")]
    HostKey {
        /// Host and port.
        host: String,
        /// Why.
        reason: String,
    },
    /// A submodule that is not cloned.
    #[error("submodule `{path}`: {reason}")]
    Submodule {
        /// Its path in the repository.
        path: String,
        /// Why.
        reason: String,
    },
    /// The server says something that is not Git.
    #[error("`{url}` does not answer as a Git server: {reason}")]
    Protocol {
        /// The repository.
        url: String,
        /// What came.
        reason: String,
    },
    /// An entry for the configuration that is none.
    #[error("the Git configuration `{key}`: {reason}")]
    Config {
        /// The entry's name.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The repository holds what must not be written to a disk, or the disk does not take it.
    #[error("the files of `{url}` cannot be written: {reason}")]
    Checkout {
        /// The repository.
        url: String,
        /// Why.
        reason: String,
    },
    /// The task was asked to stop.
    #[error("the clone was cancelled")]
    Cancelled,
    /// The way to the server.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Whatever else libgit2 reports.
    #[error("cannot clone `{url}`: {reason}")]
    Other {
        /// The repository.
        url: String,
        /// What libgit2 says.
        reason: String,
    },
}

impl GitError {
    /// The documented code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotEmpty(_) => "git.not-empty",
            Self::Url { .. } => "git.url",
            Self::Authentication { .. } => "git.authentication",
            Self::NotFound { .. } => "git.not-found",
            Self::Reference { .. } => "git.reference",
            Self::Key(_) => "git.key",
            Self::HostKey { .. } => "git.host-key",
            Self::Submodule { .. } => "git.submodule",
            Self::Protocol { .. } => "git.protocol",
            Self::Config { .. } => "git.config",
            Self::Checkout { .. } => "git.checkout",
            Self::Cancelled => "git.cancelled",
            Self::Network(error) => error.code(),
            Self::Other { .. } => "git.failed",
        }
    }

    /// Whether trying again, with nothing changed, may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Network(error) if error.is_retryable())
    }
}
