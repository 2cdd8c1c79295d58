//! Processes: started, watched, and ended with everything they started.

mod engine;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;
mod program;
mod pump;
mod status;
mod supervise;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::{Notify, watch};

pub use self::engine::{Containment, Engine, Orphan};
#[cfg(target_os = "linux")]
use self::linux as platform;
use self::platform::Tree;
#[cfg(not(target_os = "linux"))]
use self::portable as platform;
use self::pump::Pump;
use self::supervise::Supervisor;
use crate::{Command, Exit, LineSink, RunnerError};

/// A process that has just been started.
struct Launched {
    tree: Tree,
    stdout: OwnedFd,
    stderr: OwnedFd,
    /// Becomes readable when the main process ends; without it, a thread waits.
    pidfd: Option<OwnedFd>,
}

/// A running process with everything it starts.
///
/// Its output is passed on and its timeout is kept whether or not somebody waits for it. Dropping it kills the whole
/// tree at once.
#[derive(Debug)]
pub struct Process {
    shared: Arc<Shared>,
    exit: watch::Receiver<Option<Exit>>,
    /// Keeps the thread alive without which the process would end.
    _engine: Engine,
}

/// What handle and supervisor have in common.
#[derive(Debug)]
struct Shared {
    tree: Tree,
    /// Somebody has asked for the end.
    kill: Notify,
}

impl Process {
    /// Starts a process with [`Engine::shared`]; see [`Engine::spawn`].
    pub async fn spawn(command: Command, sink: impl LineSink + 'static) -> Result<Self, RunnerError> {
        Engine::shared()?.spawn(command, sink).await
    }

    async fn start(
        engine: &Engine,
        command: Command,
        program: PathBuf,
        sink: Box<dyn LineSink>,
    ) -> Result<Self, RunnerError> {
        let Command { max_line, timeout, grace, .. } = command;
        let Launched { tree, stdout, stderr, pidfd } = engine.launcher.launch(command, program).await?;
        let watched = |source| RunnerError::System { action: "watch the process".to_owned(), source };
        let stdout = Receiver::from_owned_fd(stdout).map_err(watched)?;
        let stderr = Receiver::from_owned_fd(stderr).map_err(watched)?;
        let shared = Arc::new(Shared { tree, kill: Notify::new() });
        let supervisor = Supervisor::new(Arc::clone(&shared), pidfd, timeout, grace).map_err(watched)?;
        let pump = Pump::new(stdout, stderr, max_line, sink);
        let (result, exit) = watch::channel(None);
        tokio::spawn(supervisor.run(pump, result));
        Ok(Self { shared, exit, _engine: engine.clone() })
    }

    /// Process id of the main process.
    pub fn id(&self) -> i32 {
        self.shared.tree.pid()
    }

    /// Waits until the main process has ended, everything it left behind has been killed, and all output has been
    /// handed over. It may be called again, and given up at any time.
    pub async fn wait(&self) -> Result<Exit, RunnerError> {
        let mut exit = self.exit.clone();
        let exit = exit.wait_for(Option::is_some).await.map_err(|_| RunnerError::Lost)?;
        (*exit).ok_or(RunnerError::Lost)
    }

    /// Ends the process: sends the signal to the whole tree, and SIGKILL to what is left of it after
    /// [`Command::grace`]. With SIGKILL there is no such delay. It does nothing once the process has ended.
    pub fn kill(&self, signal: i32) -> Result<(), RunnerError> {
        if signal < 1 {
            return Err(RunnerError::Invalid(format!("{signal} is not a signal")));
        }
        if signal == libc::SIGKILL {
            self.shared.tree.kill();
        } else {
            self.shared.tree.signal(signal).map_err(|source| match source.raw_os_error() {
                Some(libc::EINVAL) => RunnerError::Invalid(format!("{signal} is not a signal")),
                _ => RunnerError::System { action: format!("send signal {signal}"), source },
            })?;
        }
        self.shared.kill.notify_one();
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit.borrow().is_none() {
            self.shared.tree.kill();
        }
    }
}
