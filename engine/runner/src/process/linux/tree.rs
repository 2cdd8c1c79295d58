//! A process and everything it started.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libc::pid_t;

use super::cgroup::{Group, Groups};
use super::marks::Marks;
use super::procfs;
use crate::process::status::{self, Status};

/// How long the drop of a tree that nobody watches any more waits for its processes to end.
const DROP_LIMIT: Duration = Duration::from_millis(500);

/// By what the processes of a tree are found.
#[derive(Debug)]
pub(super) enum Fence {
    /// The control group they cannot leave, until it is given back; and the marks of those that come to the engine when
    /// they are orphaned.
    Group { group: Group, groups: Arc<Groups>, adopted: Option<Marks> },
    /// What they have in common.
    Marks(Marks),
}

/// A process and everything it started. It is gone when this has been dropped.
#[derive(Debug)]
pub(crate) struct Tree {
    pid: pid_t,
    /// None once all has ended and was collected. Signals are sent under this lock only: afterwards, the process id and the
    /// group may belong to somebody else.
    fence: Mutex<Option<Fence>>,
}

impl Tree {
    pub(super) fn new(pid: pid_t, fence: Fence) -> Self {
        Self { pid, fence: Mutex::new(Some(fence)) }
    }

    /// Process id of the main process.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal to every process of the tree.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        let Some(fence) = &*self.lock() else { return Ok(()) };
        let main = procfs::signal(self.pid, signal);
        for pid in fence.processes_without(self.pid) {
            let _ = procfs::signal(pid, signal);
        }
        main
    }

    /// Sends SIGKILL to every process of the tree, also to those that are just being started; does not wait.
    pub(crate) fn kill(&self) {
        if let Some(fence) = &*self.lock() {
            let _ = procfs::signal(self.pid, libc::SIGKILL);
            fence.kill();
        }
    }

    /// Whether nothing but the main process is left, or not even that.
    pub(crate) fn is_alone(&self) -> bool {
        self.lock().as_ref().is_none_or(|fence| fence.processes_without(self.pid).is_empty())
    }

    /// To be called when the main process has ended: kills what it left behind, and tells whether all of it is gone.
    pub(crate) fn clear(&self) -> bool {
        self.lock().as_ref().is_none_or(Fence::clear)
    }

    /// To be called once, when the main process has ended and the rest was cleared: how it ended.
    pub(crate) fn collect(&self) -> Status {
        let mut fence = self.lock();
        if let Some(Fence::Group { group, groups, .. }) = fence.take() {
            groups.give_back(group);
        }
        status::collect(self.pid)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Fence>> {
        self.fence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fence {
    fn clear(&self) -> bool {
        let is_clear = match self {
            Self::Group { group, adopted, .. } => {
                let is_clear = group.clear();
                if is_clear && let Some(marks) = adopted {
                    marks.collect();
                }
                is_clear
            }
            Self::Marks(marks) => marks.collect(),
        };
        if !is_clear {
            self.kill();
        }
        is_clear
    }

    fn kill(&self) {
        match self {
            Self::Group { group, .. } => group.kill(),
            Self::Marks(marks) => marks.kill(),
        }
    }

    fn processes_without(&self, main: pid_t) -> Vec<pid_t> {
        let mut processes = match self {
            Self::Group { group, .. } => group.processes(),
            Self::Marks(marks) => marks.processes(),
        };
        processes.retain(|&pid| pid != main);
        processes
    }
}

impl Drop for Tree {
    /// For a tree that was not watched to its end: the engine's runtime is being shut down, or the start was given up.
    fn drop(&mut self) {
        if self.lock().is_none() {
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
