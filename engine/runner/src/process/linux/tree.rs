//! A process and everything it started.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libc::pid_t;

use super::cgroup::Group;
use super::marks::Marks;
use super::procfs;
use crate::process::status::{self, Status};

/// How long the drop of a tree that nobody watches any more waits for its processes to end.
const DROP_LIMIT: Duration = Duration::from_millis(500);

/// By what the processes of a tree are found.
#[derive(Debug)]
pub(super) enum Fence {
    /// The control group they cannot leave; and the marks of those that come to the engine when they are orphaned.
    Group { group: Group, adopted: Option<Marks> },
    /// What they have in common.
    Marks(Marks),
}

/// A process and everything it started. It is gone when this has been dropped.
#[derive(Debug)]
pub(crate) struct Tree {
    pid: pid_t,
    fence: Fence,
    /// Whether all has ended and was collected. Signals are sent under this lock only: afterwards, the process id may
    /// belong to somebody else.
    is_gone: Mutex<bool>,
}

impl Tree {
    pub(super) fn new(pid: pid_t, fence: Fence) -> Self {
        Self { pid, fence, is_gone: Mutex::new(false) }
    }

    /// Process id of the main process.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal to every process of the tree.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        self.unless_gone(|| {
            let main = procfs::signal(self.pid, signal);
            for pid in self.processes() {
                let _ = procfs::signal(pid, signal);
            }
            main
        })
        .unwrap_or(Ok(()))
    }

    /// Sends SIGKILL to every process of the tree, also to those that are just being started; does not wait.
    pub(crate) fn kill(&self) {
        self.unless_gone(|| {
            let _ = procfs::signal(self.pid, libc::SIGKILL);
            self.kill_others();
        });
    }

    /// Whether nothing but the main process is left, or not even that.
    pub(crate) fn is_alone(&self) -> bool {
        self.unless_gone(|| self.processes().is_empty()).unwrap_or(true)
    }

    /// To be called when the main process has ended: kills what it left behind, and tells whether all of it is gone.
    pub(crate) fn clear(&self) -> bool {
        self.unless_gone(|| self.try_clear()).unwrap_or(true)
    }

    /// To be called once, when the main process has ended and the rest was cleared: how it ended.
    pub(crate) fn collect(&self) -> Status {
        let mut is_gone = self.lock();
        *is_gone = true;
        status::collect(self.pid)
    }

    fn try_clear(&self) -> bool {
        let is_clear = match &self.fence {
            Fence::Group { group, adopted } => {
                let is_clear = group.remove();
                if is_clear && let Some(marks) = adopted {
                    marks.collect();
                }
                is_clear
            }
            Fence::Marks(marks) => marks.collect(),
        };
        if !is_clear {
            self.kill_others();
        }
        is_clear
    }

    fn kill_others(&self) {
        match &self.fence {
            Fence::Group { group, .. } => group.kill(),
            Fence::Marks(marks) => marks.kill(),
        }
    }

    fn processes(&self) -> Vec<pid_t> {
        let mut processes = match &self.fence {
            Fence::Group { group, .. } => group.processes(),
            Fence::Marks(marks) => marks.processes(),
        };
        processes.retain(|&pid| pid != self.pid);
        processes
    }

    fn unless_gone<R>(&self, action: impl FnOnce() -> R) -> Option<R> {
        let is_gone = self.lock();
        (!*is_gone).then(action)
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tree {
    /// For a tree that was not watched to its end: the engine's runtime is being shut down, or the start was given up.
    fn drop(&mut self) {
        if *self.lock() {
            return;
        }
        self.kill();
        let limit = Instant::now() + DROP_LIMIT;
        while Instant::now() < limit {
            if status::has_ended(self.pid) && self.clear() {
                self.collect();
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
