//! What a plugin starts: children of the runner, known to the attempt that owns them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use serde_json::Value;
use weft_host::{Child, Exit};
use weft_model::Failure;
use weft_runner::{Process, RunnerError};

use crate::collected::Collected;

/// The children of one attempt, so that all of them can be asked to end.
#[derive(Debug, Default)]
pub struct Children {
    processes: Mutex<Vec<Weak<Process>>>,
}

impl Children {
    /// Remembers a process for as long as its handle lives.
    pub fn add(&self, process: &Arc<Process>) {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(process));
    }

    /// Asks every child to end: SIGTERM, and SIGKILL after its grace period.
    pub fn stop(&self) {
        for process in self.processes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(process) = process.upgrade() {
                // A child that has ended already is what was asked for.
                let _ = process.kill(SIGTERM);
            }
        }
    }
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
        let exit = self.process.wait().await.map_err(|error| runner_failure(&error))?;
        Ok(Exit {
            code: exit.code.unwrap_or(-1),
            signal: exit.signal,
            timed_out: exit.timed_out,
            stdout_lines: exit.stdout_lines,
            stderr_lines: exit.stderr_lines,
        })
    }

    fn outputs(&self) -> Value {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner).vars()
    }

    fn kill(&self, signal: i32) -> Result<(), Failure> {
        self.process.kill(signal).map_err(|error| runner_failure(&error))
    }
}

/// A failure of the runner as a failure of the task.
pub fn runner_failure(error: &RunnerError) -> Failure {
    let failure = Failure::new(error.code(), error.to_string());
    if error.is_retryable() { failure.retryable() } else { failure }
}
