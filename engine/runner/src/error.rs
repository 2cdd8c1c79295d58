//! What can go wrong before a process runs, in words for the person who wrote the flow.

use std::io;
use std::path::PathBuf;

/// Why something could not be started or watched.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// No such program in `PATH`.
    #[error(
        "`{program}` was not found in PATH ({path})\n\
         hint: install it where the engine runs, or give its absolute path"
    )]
    NotFound {
        /// As written.
        program: String,
        /// The directories that were searched, separated by `:`.
        path: String,
    },
    /// A program given with its path is not there.
    #[error(
        "`{program}` does not exist, or the interpreter that it names does not\n\
         hint: check the path, and the `#!` line if it is a script"
    )]
    NoSuchFile {
        /// As written.
        program: String,
    },
    /// The file is there, but may not be executed.
    #[error(
        "`{program}` may not be executed by the engine's user\n\
         hint: `chmod +x` it, or give it to its interpreter as an argument: `sh {program}`"
    )]
    PermissionDenied {
        /// As written, or the file that was found in `PATH`.
        program: String,
    },
    /// The system does not know how to run this file.
    #[error(
        "`{program}` is not a program for this machine\n\
         hint: a script needs a first line such as `#!/bin/sh`, a binary must be built for this architecture"
    )]
    NotExecutable {
        /// As written.
        program: String,
    },
    /// The working directory cannot be entered.
    #[error(
        "cannot enter the working directory `{}`: {source}\n\
         hint: it must exist, and the engine's user must have access to it", cwd.display()
    )]
    WorkingDirectory {
        /// The directory.
        cwd: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused arguments and environment of this size.
    #[error(
        "arguments and environment of `{program}` are too long: {total} bytes, the longest one {longest} bytes; \
         Linux takes 131071 bytes in one argument\n\
         hint: put long text into a file with `inputFiles` and give the command its name"
    )]
    ArgumentsTooLong {
        /// As written.
        program: String,
        /// Size of all arguments and variables.
        total: usize,
        /// Size of the largest of them.
        longest: usize,
    },
    /// The command could not be given to any system.
    #[error("invalid command: {0}")]
    Invalid(String),
    /// The system has no more processes, memory or file descriptors to give.
    #[error(
        "no resources to start `{program}`: {source}\n\
         hint: run fewer tasks at the same time, or raise the limits of the engine (`ulimit -n -u`, pids of its container)"
    )]
    NoResources {
        /// As written.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something that it normally grants.
    #[error("cannot {action}: {source}")]
    System {
        /// What was attempted.
        action: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody watches the process any more: a sink panicked, or the async runtime was shut down. It has been killed.
    #[error(
        "the process was killed because its output could not be taken any more\nhint: this is a bug, or the engine is ending"
    )]
    Lost,
}

impl RunnerError {
    /// The documented code of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } | Self::NoSuchFile { .. } => "process.not-found",
            Self::PermissionDenied { .. } => "process.permission-denied",
            Self::NotExecutable { .. } => "process.not-executable",
            Self::WorkingDirectory { .. } => "process.working-directory",
            Self::ArgumentsTooLong { .. } => "process.arguments-too-long",
            Self::Invalid(_) => "process.invalid-command",
            Self::NoResources { .. } => "process.no-resources",
            Self::System { .. } => "process.system",
            Self::Lost => "process.lost",
        }
    }

    /// Whether the same command may succeed later, with nothing changed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NoResources { .. })
    }
}
