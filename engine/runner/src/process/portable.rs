//! Processes on Unixes other than Linux: a process group each, and nothing for what leaves it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::status::{self, Status};
use super::{Containment, Launched, Orphan};
use crate::{Command, RunnerError};

/// Starts processes.
#[derive(Debug)]
pub(super) struct Launcher;

impl Launcher {
    pub(super) fn available() -> Vec<Containment> {
        vec![Containment::ProcessGroup]
    }

    pub(super) fn start(_: Option<Containment>) -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) fn containment(&self) -> Containment {
        Containment::ProcessGroup
    }

    pub(super) async fn launch(&self, command: Command, program: PathBuf) -> Result<Launched, RunnerError> {
        let name = command.argv.first().cloned().unwrap_or_default();
        let system = |source| RunnerError::System { action: format!("start `{name}`"), source };
        if let Err(source) = std::fs::read_dir(&command.cwd) {
            return Err(RunnerError::WorkingDirectory { cwd: command.cwd, source });
        }
        let (stdout, stdout_writer) = io::pipe().map_err(system)?;
        let (stderr, stderr_writer) = io::pipe().map_err(system)?;
        let mut start = std::process::Command::new(program);
        match command.cwd_handle {
            // SAFETY: one system call, which may be made between fork and exec.
            Some(directory) => unsafe {
                start.pre_exec(move || match libc::fchdir(directory.as_fd().as_raw_fd()) {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                })
            },
            None => start.current_dir(&command.cwd),
        };
        let child = start
            .arg0(&name)
            .args(command.argv.iter().skip(1))
            .env_clear()
            .envs(command.base.entries().iter().filter_map(|(name, entry)| {
                let value = entry.as_bytes().get(name.len() + 1..)?;
                Some((OsStr::from_bytes(name), OsStr::from_bytes(value)))
            }))
            .envs(command.env)
            .env("WEFT_TASK", command.marker)
            .stdin(Stdio::null())
            .stdout(stdout_writer)
            .stderr(stderr_writer)
            .process_group(0)
            .spawn();
        let child = child.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => RunnerError::NoSuchFile { program: name.clone() },
            io::ErrorKind::PermissionDenied => RunnerError::PermissionDenied { program: name.clone() },
            _ => system(source),
        })?;
        let tree = Tree { pid: child.id() as i32, is_gone: Mutex::new(false) };
        Ok(Launched { tree, stdout: stdout.into(), stderr: stderr.into(), pidfd: None })
    }

    pub(super) fn tidy_up(&self) {}

    pub(super) fn reap_orphans(&self, _: bool, _: &dyn Fn(&str) -> bool) -> Vec<Orphan> {
        Vec::new()
    }
}

/// A process and its group.
#[derive(Debug)]
pub(super) struct Tree {
    pid: i32,
    /// Whether it was collected: afterwards, the process id may belong to somebody else.
    is_gone: Mutex<bool>,
}

impl Tree {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn signal(&self, signal: i32) -> io::Result<()> {
        let is_gone = self.lock();
        // SAFETY: no memory is involved.
        if *is_gone || unsafe { libc::kill(-self.pid, signal) } == 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            // A group of processes that have all ended.
            error if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EPERM)) => Ok(()),
            error => Err(error),
        }
    }

    pub(super) fn kill(&self) {
        let _ = self.signal(libc::SIGKILL);
    }

    /// The group cannot be listed, so what is left of it is given no time.
    pub(super) fn is_alone(&self) -> bool {
        true
    }

    pub(super) fn clear(&self) -> bool {
        self.kill();
        true
    }

    pub(super) fn collect(&self) -> Status {
        let mut is_gone = self.lock();
        *is_gone = true;
        status::collect(self.pid)
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let is_gone = *self.lock();
        if !is_gone {
            self.kill();
            self.collect();
        }
    }
}
