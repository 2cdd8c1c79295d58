//! What can go wrong with a container, in words for the person who wrote the flow.

use std::error::Error as StdError;
use std::io;

use bollard::errors::Error as ApiError;
use weft_network::NetworkError;

/// Why a container could not be run, or did not end as a program ends.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ContainerError {
    /// There is no daemon to speak to.
    #[error(
        "cannot reach a container daemon at {tried}: {reason}\n\
         hint: {hint}, or run the script as a local process: `--runner process`, or `runner: PROCESS` in the task"
    )]
    Unreachable {
        /// The addresses that were tried.
        tried: String,
        /// Why that did not work.
        reason: String,
        /// What to do about it.
        hint: String,
    },
    /// The daemon has gone away in mid-task.
    #[error(
        "the container daemon was stopped or restarted while the task was running{detail}\n\
         hint: give the task a `retry` if it can run twice"
    )]
    DaemonLost {
        /// What is known of the container, beginning with `: `; or nothing.
        detail: String,
    },
    /// An option has a value that cannot be used.
    #[error("option `{option}`: {problem}")]
    InvalidOption {
        /// The option's path.
        option: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// The operator has not allowed something.
    #[error(
        "option `{option}` is not allowed here\n\
         hint: who operates the engine can allow it in its configuration file: `docker: {{{key}: true}}`"
    )]
    NotAllowed {
        /// The option's path.
        option: &'static str,
        /// The key of the configuration that allows it.
        key: &'static str,
    },
    /// A socket that only the operator may name.
    #[error(
        "option `host`: `{host}` is not a daemon that a flow may name\n\
         hint: who operates the engine can allow it in its configuration file: `docker: {{hosts: [\"{host}\"]}}`"
    )]
    HostNotAllowed {
        /// The address.
        host: String,
    },
    /// The rules of the network refuse the daemon.
    #[error(transparent)]
    Network(NetworkError),
    /// There is no such image.
    #[error("image `{image}` was not found: {reason}\nhint: {hint}")]
    ImageNotFound {
        /// As written.
        image: String,
        /// What the daemon said.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The registry does not know who is asking, or does not want to serve him.
    #[error("registry `{registry}` refused to give image `{image}` ({given}): {reason}\nhint: {hint}")]
    Credentials {
        /// The registry's address.
        registry: String,
        /// As written.
        image: String,
        /// Which credentials were shown, without their secret.
        given: String,
        /// What the daemon said.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// An image could not be pulled, for a reason that may pass.
    #[error(
        "cannot pull image `{image}` ({attempts} attempts): {reason}\n\
         hint: check that the daemon reaches the registry; an image that the daemon has needs no registry"
    )]
    Pull {
        /// As written.
        image: String,
        /// How often it was tried.
        attempts: u32,
        /// What the daemon said at last.
        reason: String,
    },
    /// The daemon's disk is full.
    #[error(
        "the container daemon has no space left: {reason}\n\
         hint: free some: `docker system df` says what takes it, `docker system prune` removes what nobody uses"
    )]
    NoSpace {
        /// What the daemon said.
        reason: String,
    },
    /// The image lacks what is to run the commands.
    #[error(
        "`{program}` does not exist in image `{image}`\n\
         hint: use an image that has it, or set `interpreter` to one that the image has (`[]` for none)"
    )]
    Interpreter {
        /// The program.
        program: String,
        /// The image.
        image: String,
    },
    /// The daemon refused to create or to start the container.
    #[error("cannot {action} a container of image `{image}`: {reason}")]
    Refused {
        /// What was attempted.
        action: &'static str,
        /// As written.
        image: String,
        /// What the daemon said.
        reason: String,
    },
    /// The container used more memory than it may.
    #[error(
        "the container ran out of memory{limit} and was killed\n\
         hint: give it more with `docker.memory.memory`, or let the script use less"
    )]
    OutOfMemory {
        /// The limit, beginning with ` (`; or nothing.
        limit: String,
        /// The exit code.
        code: i32,
    },
    /// Somebody has removed the container.
    #[error(
        "the container was removed by somebody else while the task was running\n\
         hint: find out who cleans up on this daemon, and spare containers with the label `io.weft.engine`"
    )]
    Removed,
    /// Files could not be copied into the container or out of it.
    #[error("cannot copy the working directory {way} the container: {reason}")]
    Copy {
        /// `into` or `out of`.
        way: &'static str,
        /// Why.
        reason: String,
    },
    /// A signal could not be sent.
    #[error("cannot send signal {signal} to the container: {reason}")]
    Signal {
        /// The signal.
        signal: i32,
        /// Why.
        reason: String,
    },
    /// The daemon said something that is none of the above.
    #[error("cannot {action}: {reason}")]
    Api {
        /// What was attempted.
        action: String,
        /// What the daemon said.
        reason: String,
    },
    /// It was asked to end before it had begun.
    #[error("the container was asked to end before it had started")]
    Abandoned,
    /// Nobody watches the container any more: a sink panicked, or the async runtime was shut down. It is removed.
    #[error(
        "the container was removed because its output could not be taken any more\nhint: this is a bug, or the engine is ending"
    )]
    Lost,
}

impl ContainerError {
    /// The documented code of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "container.unreachable",
            Self::DaemonLost { .. } => "container.daemon-lost",
            Self::InvalidOption { .. } => "container.invalid-option",
            Self::NotAllowed { .. } | Self::HostNotAllowed { .. } => "container.not-allowed",
            Self::Network(error) => error.code(),
            Self::ImageNotFound { .. } => "container.image-not-found",
            Self::Credentials { .. } => "container.credentials",
            Self::Pull { .. } => "container.pull",
            Self::NoSpace { .. } => "container.no-space",
            Self::Interpreter { .. } => "container.interpreter",
            Self::Refused { .. } => "container.refused",
            Self::OutOfMemory { .. } => "container.out-of-memory",
            Self::Removed => "container.removed",
            Self::Copy { .. } => "container.copy",
            Self::Signal { .. } | Self::Api { .. } => "container.api",
            Self::Abandoned | Self::Lost => "container.lost",
        }
    }

    /// Whether the same command may succeed later, with nothing changed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::DaemonLost { .. } | Self::Pull { .. } | Self::Removed)
    }

    /// The exit code that the container ended with all the same.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::OutOfMemory { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// What the daemon said, without the wrapping of the library.
pub(super) fn reason(error: &ApiError) -> String {
    match error {
        ApiError::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        ApiError::DockerStreamError { error } => error.trim().to_owned(),
        ApiError::DockerContainerWaitError { error, .. } => error.trim().to_owned(),
        other => chain(other),
    }
}

/// An error with all its causes.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// The HTTP status of the daemon's answer, if it gave one.
pub(super) fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Whether the daemon knows no such container.
pub(super) fn is_gone(error: &ApiError) -> bool {
    status(error) == Some(404)
}

/// Whether the connection to the daemon failed, in contrast to an answer that says no.
pub(super) fn is_connection(error: &ApiError) -> bool {
    matches!(
        error,
        ApiError::HyperResponseError { .. }
            | ApiError::HyperLegacyError { .. }
            | ApiError::IOError { .. }
            | ApiError::RequestTimeoutError
            | ApiError::SocketNotFoundError(_)
    )
}

/// The system's error behind a failed connection.
pub(super) fn io_kind(error: &ApiError) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

pub(super) fn is_no_space(reason: &str) -> bool {
    reason.contains("no space left on device") || reason.contains("disk quota exceeded")
}
