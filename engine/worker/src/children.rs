//! What a plugin starts: children of the runner, known to the attempt that owns them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;
use weft_host::{Child, Exit};
use weft_model::Failure;
use weft_runner::{Container, ContainerEnd, Process, RunnerError};

use crate::collected::Collected;

/// The children of one attempt, so that all of them can be asked to end.
#[derive(Debug)]
pub struct Children {
    processes: Mutex<Vec<Weak<Process>>>,
    containers: Mutex<Vec<(Weak<Container>, ContainerEnd)>>,
    /// The longest time that one of them may take to end after it was asked to.
    grace: Mutex<Duration>,
    stopping: watch::Sender<bool>,
}

impl Default for Children {
    fn default() -> Self {
        Self {
            processes: Mutex::default(),
            containers: Mutex::default(),
            grace: Mutex::default(),
            stopping: watch::Sender::new(false),
        }
    }
}

impl Children {
    /// Remembers a process for as long as its handle lives.
    pub fn add(&self, process: &Arc<Process>) {
        let mut processes = lock(&self.processes);
        if processes.len() == processes.capacity() {
            // A task may start any number of processes one after the other.
            processes.retain(|process| process.strong_count() > 0);
        }
        processes.push(Arc::downgrade(process));
    }

    /// Remembers a container, also when its handle is gone.
    pub fn add_container(&self, container: &Arc<Container>, grace: Duration) {
        lock(&self.containers).push((Arc::downgrade(container), container.end()));
        let mut longest = lock(&self.grace);
        *longest = grace.max(*longest);
    }

    /// Asks every child to end: SIGTERM, and SIGKILL after its grace period.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
        for process in lock(&self.processes).iter().filter_map(Weak::upgrade) {
            // A child that has ended already is what was asked for.
            let _ = process.kill(SIGTERM);
        }
        for container in lock(&self.containers).iter().filter_map(|(container, _)| container.upgrade()) {
            let _ = container.kill(SIGTERM);
        }
    }

    /// Ready once the children have been asked to end: what is still being started is not started.
    pub async fn stopping(&self) {
        // The sender is this very value's, so the channel is open.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// The longest time that one of them may take to end after it was asked to, if that is more than `least`.
    pub fn grace(&self, least: Duration) -> Duration {
        least.max(*lock(&self.grace))
    }

    /// Waits for the end of containers whose handle is gone: they are ended in the background, and write until then.
    pub async fn ended(&self) {
        let containers = std::mem::take(&mut *lock(&self.containers));
        for (_, end) in containers {
            end.wait().await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SIGTERM: i32 = 15;

/// A process as the host hands it to a plugin. Dropping it ends the process with all it started.
pub struct ProcessChild {
    process: Arc<Process>,
    collected: Arc<Mutex<Collected>>,
}

impl ProcessChild {
    /// Wraps a process whose messages go to `collected`.
    pub fn new(process: Arc<Process>, collected: Arc<Mutex<Collected>>) -> Self {
        Self { process, collected }
    }
}

#[async_trait]
impl Child for ProcessChild {
    async fn wait(&mut self) -> Result<Exit, Failure> {
        Ok(exit_of(&self.process.wait().await.map_err(|error| runner_failure(&error))?))
    }

    fn outputs(&self) -> Value {
        lock(&self.collected).vars()
    }

    fn kill(&self, signal: i32) -> Result<(), Failure> {
        self.process.kill(signal).map_err(|error| runner_failure(&error))
    }
}

/// The runner's exit in the words of the plugin contract.
pub fn exit_of(exit: &weft_runner::Exit) -> Exit {
    Exit {
        code: exit.code.unwrap_or(-1),
        signal: exit.signal,
        timed_out: exit.timed_out,
        stdout_lines: exit.stdout_lines,
        stderr_lines: exit.stderr_lines,
    }
}

/// A failure of the runner as a failure of the task.
pub fn runner_failure(error: &RunnerError) -> Failure {
    let failure = Failure::new(error.code(), error.to_string());
    if error.is_retryable() { failure.retryable() } else { failure }
}
