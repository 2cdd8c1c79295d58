//! What to start, and how it ended: the same for a process and for a container.

use std::path::PathBuf;
use std::time::Duration;

use weft_files::workdir::Directory;

use crate::BaseEnvironment;

/// What to start.
#[derive(Debug, Clone)]
pub struct Command {
    /// Program and arguments. A program without a `/` is looked up in `PATH`: that of [`Command::env`] where it is
    /// given there, else that of [`Command::base`].
    pub argv: Vec<String>,
    /// What a process begins with of the engine's environment. A container has that of its image.
    pub base: BaseEnvironment,
    /// Variables added over that; the last of two equal names wins.
    pub env: Vec<(String, String)>,
    /// Working directory. It must exist.
    pub cwd: PathBuf,
    /// The same as a handle, where others may change what is at the path before a process starts there. A container finds
    /// the path itself.
    pub cwd_handle: Option<Directory>,
    /// Unique name of this start, for example `<execution>/<task run>/<attempt>`. It tells at the next start of an
    /// engine what a leftover belonged to, and the process itself sees it as `WEFT_TASK`. It becomes part of a
    /// file name: ASCII letters, digits and `-_.:/`, at most [`Command::MAX_MARKER`] of them.
    pub marker: String,
    /// How long it may run, counted from the start; without it, for ever.
    pub timeout: Option<Duration>,
    /// How long it may take over a polite request to end before it is killed.
    pub grace: Duration,
    /// Longest line handed over, in bytes; the rest of a longer one is counted and dropped.
    pub max_line: usize,
}

impl Command {
    /// From SIGTERM to SIGKILL.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);
    /// Longest line that is handed over whole: 1 MiB.
    pub const DEFAULT_MAX_LINE: usize = 1 << 20;
    /// Longest marker, in bytes.
    pub const MAX_MARKER: usize = 180;

    /// A command with default bounds, no variables of its own and no timeout.
    pub fn new(argv: Vec<String>, cwd: impl Into<PathBuf>, marker: impl Into<String>) -> Self {
        Self {
            argv,
            base: BaseEnvironment::default(),
            env: Vec::new(),
            cwd: cwd.into(),
            cwd_handle: None,
            marker: marker.into(),
            timeout: None,
            grace: Self::DEFAULT_GRACE,
            max_line: Self::DEFAULT_MAX_LINE,
        }
    }
}

/// How it ended. Exactly one of `code` and `signal` is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// What the main process returned.
    pub code: Option<i32>,
    /// The signal that ended the main process.
    pub signal: Option<i32>,
    /// [`Command::timeout`] ran out before the main process had ended. It may still have returned a code of its own.
    pub timed_out: bool,
    /// Its end was asked for while the main process was running.
    pub killed: bool,
    /// Lines written to stdout.
    pub stdout_lines: u64,
    /// Lines written to stderr.
    pub stderr_lines: u64,
    /// Whether something that was sent SIGKILL was still there when waiting for it was given up: a process stuck in
    /// the kernel, on a dead network file system for example.
    pub survivors: bool,
}
