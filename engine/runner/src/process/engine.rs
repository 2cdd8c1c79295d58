//! What starts processes, and finds those of its predecessors.

use std::sync::{Arc, OnceLock};

use super::platform::Launcher;
use super::{Process, program};
use crate::{Command, LineSink, RunnerError};

/// By what the processes that a task starts are kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Containment {
    /// A control group (cgroup v2) for each process: complete, and killed in one step.
    GroupV2,
    /// A group in the `pids` hierarchy of cgroup v1 for each process: complete.
    GroupV1,
    /// A resource limit that serves as a mark, process groups, environment and ancestry: finds all but what takes off
    /// its marks on purpose, and costs a look at every process of the machine when a task ends. For users who may not
    /// make control groups, and for containers in which they are mounted read-only.
    Marks,
    /// The process group only: where the system is not Linux. What leaves its session is not found.
    ProcessGroup,
}

/// Starts processes, each contained so that everything it starts ends with it.
///
/// A process of an engine that is killed by SIGKILL ends with it; what that process had started is found and killed
/// by [`Engine::reap_orphans`] when the next engine starts. Clones are handles to the same engine, and a running
/// [`Process`] is one, too.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(super) launcher: Arc<Launcher>,
}

/// Something that was found running without its engine, and killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// [`Command::marker`] of the process that started it, where it still could be told.
    pub marker: Option<String>,
    /// The process ids that they had.
    pub processes: Vec<i32>,
}

static SHARED: OnceLock<Engine> = OnceLock::new();

impl Engine {
    /// The one that [`Process::spawn`] uses. A program normally needs no other.
    pub fn shared() -> Result<&'static Self, RunnerError> {
        if let Some(engine) = SHARED.get() {
            return Ok(engine);
        }
        let engine = Self::start(None)?;
        Ok(SHARED.get_or_init(|| engine))
    }

    /// Starts an engine, which is one thread, with the wanted containment; with the best one where nothing is wanted
    /// or that is not available.
    pub fn start(wanted: Option<Containment>) -> Result<Self, RunnerError> {
        let launcher = Launcher::start(wanted).map_err(|source| RunnerError::System {
            action: "prepare to start processes".to_owned(),
            source,
        })?;
        Ok(Self { launcher: Arc::new(launcher) })
    }

    /// What works on this machine for this user, the best first.
    pub fn available() -> Vec<Containment> {
        Launcher::available()
    }

    /// What this engine uses. (If a group cannot be made for one process, it is found by its marks.)
    pub fn containment(&self) -> Containment {
        self.launcher.containment()
    }

    /// Starts a process, and tasks on the current tokio runtime that pass its output on and see to its end. The
    /// runtime must have I/O and time enabled.
    ///
    /// It returns when the program has been executed, or with the reason why it could not. If the future is dropped
    /// before, the process is killed.
    pub async fn spawn(
        &self,
        command: Command,
        sink: impl LineSink + 'static,
    ) -> Result<Process, RunnerError> {
        program::validate(&command)?;
        let program = program::resolve(&command)?;
        Process::start(self, command, program, Box::new(sink)).await
    }

    /// Removes the control groups that are kept for later processes, of the engine that [`Process::spawn`] uses, if that was
    /// started at all. To be called at the end of a program, which does not drop that engine; a program that is
    /// killed leaves them to [`Engine::reap_orphans`].
    pub fn tidy_up_shared() {
        if let Some(engine) = SHARED.get() {
            engine.launcher.tidy_up();
        }
    }

    /// Kills what engines that have ended left behind, for all markers but the wanted ones, and says what it was. It
    /// never touches the processes of a living engine.
    ///
    /// With control groups this reads one directory. With `crashed`, after an engine is known to have been killed, or
    /// without control groups, it looks at every process and group of the machine, which takes some milliseconds. It
    /// blocks until what was killed is gone, or for a second.
    pub fn reap_orphans(&self, crashed: bool, is_wanted: impl Fn(&str) -> bool) -> Vec<Orphan> {
        self.launcher.reap_orphans(crashed, &is_wanted)
    }
}
