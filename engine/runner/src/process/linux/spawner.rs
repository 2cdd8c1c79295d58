//! The thread that starts all processes of an engine.
//!
//! It is one thread, and lives as long as the engine, because the kernel kills a child (`PR_SET_PDEATHSIG`) when the
//! thread that started it ends; and it has all signals blocked, as [`vfork`] wants it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use libc::pid_t;
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::oneshot;

use super::cgroup::{Group, Groups};
use super::child::{Child, Descriptors, Failure, Step};
use super::identity::Identity;
use super::marks::{self, Marks};
use super::strings::Strings;
use super::tag::Tag;
use super::tree::{Fence, Tree};
use super::vfork::{self, Stack};
use crate::process::{Launched, status};
use crate::{Command, RunnerError};

/// Asked of the kernel for each pipe, in bytes: fewer switches between a chatty child and its reader.
const PIPE_CAPACITY: usize = 256 * 1024;

/// Counts the starts of all engines in this program. They have one process id, but tags must differ.
static SEQUENCE: AtomicU64 = AtomicU64::new(1);

/// The state of the thread.
pub(super) struct Spawner {
    identity: Identity,
    /// Without them, processes are found by their marks.
    groups: Option<Arc<Groups>>,
    null: File,
    stack: Stack,
}

/// A command that has been checked, and where to send what became of it.
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) program: PathBuf,
    pub(super) reply: oneshot::Sender<Result<Launched, RunnerError>>,
}

impl Spawner {
    /// Starts the thread. It ends when the sender is dropped.
    pub(super) fn start(
        identity: Identity,
        groups: Option<Arc<Groups>>,
    ) -> io::Result<mpsc::Sender<Request>> {
        let null = File::open("/dev/null")?;
        let (sender, requests) = mpsc::channel::<Request>();
        let work = move || {
            block_signals();
            let mut spawner = Self { identity, groups, null, stack: Stack::new() };
            for Request { command, program, reply } in requests {
                // Where nobody waits any more, dropping the answer kills what was started.
                let _ = reply.send(spawner.launch(&command, program));
            }
        };
        std::thread::Builder::new().name("weft-spawner".to_owned()).spawn(work)?;
        Ok(sender)
    }

    fn launch(&mut self, command: &Command, program: PathBuf) -> Result<Launched, RunnerError> {
        let strings = Strings::new(command, program, &self.identity)?;
        let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        let tag = Tag::new(self.identity.pid, sequence);
        let group = self.groups.clone().and_then(|groups| Some((groups.take().ok()?, groups)));
        let in_group = group.map(|group| self.attempt(command, &strings, tag, Some(group)));
        let result = match in_group {
            // There is no group to be had, or not for processes (it is a threaded one, say): marks must do.
            None | Some(Err(Failure { step: Step::Join, .. })) => self.attempt(command, &strings, tag, None),
            Some(result) => result,
        };
        result.map_err(|failure| strings.explain(command, failure))
    }

    fn attempt(
        &mut self,
        command: &Command,
        strings: &Strings<'_>,
        tag: Tag,
        group: Option<(Group, Arc<Groups>)>,
    ) -> Result<Launched, Failure> {
        let start_failed = |source| Failure { step: Step::Start, source };
        let (stdout, stdout_writer) = io::pipe().map_err(start_failed)?;
        let (stderr, stderr_writer) = io::pipe().map_err(start_failed)?;
        for writer in [&stdout_writer, &stderr_writer] {
            // The system's limit for all pipes of a user may be reached; then it stays at the default.
            let _ = fcntl_setpipe_size(writer, PIPE_CAPACITY);
        }
        if group.is_none() {
            marks::adopt_orphans();
        }
        let descriptors = Descriptors {
            stdin: self.null.as_raw_fd(),
            stdout: stdout_writer.as_raw_fd(),
            stderr: stderr_writer.as_raw_fd(),
        };
        let mut child = Child::new(strings, tag, descriptors);
        if let Some(directory) = &command.cwd_handle {
            child.start_in(directory.as_fd().as_raw_fd());
        }
        let pid = match self.run(&mut child, group.as_ref().map(|(group, _)| group)) {
            Ok(pid) => pid,
            Err(failure) => {
                if let Some((group, _)) = group {
                    group.remove();
                }
                return Err(failure);
            }
        };
        let marks = || Marks::new(pid, tag, &command.marker, self.identity);
        let fence = match group {
            // Orphans come to process 1, which the engine of a container may be.
            Some((group, groups)) => {
                Fence::Group { group, groups, adopted: (self.identity.pid == 1).then(marks) }
            }
            None => Fence::Marks(marks()),
        };
        let pidfd = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Ok(Launched { tree: Tree::new(pid, fence), stdout: stdout.into(), stderr: stderr.into(), pidfd })
    }

    /// Starts the child in the group, and returns when it has executed its program.
    fn run(&mut self, child: &mut Child<'_>, group: Option<&Group>) -> Result<pid_t, Failure> {
        let pid = match group {
            None => self.vfork(child),
            Some(group) => match group.directory().map(|directory| self.vfork_in_group(child, directory)) {
                Some(Ok(pid)) => Ok(pid),
                // cgroup v1, or a kernel or sandbox without `clone3`: the child joins by itself.
                None | Some(Err(_)) => {
                    let entrance = group.entrance().map_err(|source| Failure { step: Step::Join, source })?;
                    child.join(entrance.as_raw_fd());
                    self.vfork(child)
                }
            },
        };
        let pid = pid.map_err(|source| Failure { step: Step::Start, source })?;
        match child.failure() {
            None => Ok(pid),
            Some(failure) => {
                status::collect(pid);
                Err(failure)
            }
        }
    }

    fn vfork(&mut self, child: &mut Child<'_>) -> io::Result<pid_t> {
        child.inherit_handlers();
        // SAFETY: this thread has its signals blocked; the entry keeps the rules and gets what it expects.
        unsafe { vfork::run(&mut self.stack, Child::enter, (&raw mut *child).cast()) }
    }

    fn vfork_in_group(&mut self, child: &mut Child<'_>, directory: BorrowedFd<'_>) -> io::Result<pid_t> {
        // SAFETY: as above.
        unsafe { vfork::run_in_group(&mut self.stack, Child::enter, (&raw mut *child).cast(), directory) }
    }
}

/// For the whole life of the thread: no handler of the engine runs on it, or in a child that shares its memory.
///
/// But for SIGCHLD, to which the engine does not listen: blocked, it would be kept instead of ignored, and wake another thread
/// at each child's end.
fn block_signals() {
    // SAFETY: the set is plain data, initialized by `sigfillset`.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigdelset(&mut all, libc::SIGCHLD);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
    }
}
