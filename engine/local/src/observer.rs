//! Whoever watches executions while they run.

use jiff::Timestamp;
use weft_model::{Execution, Level, TaskRun};
use weft_worker::LogSource;

/// Told what happens, as it happens, after it was committed. Called from many threads; slow observers slow the engine.
pub trait Observer: Send + Sync {
    /// The execution was created, or its own state changed. It is as it is kept, and not to be shown.
    fn execution(&self, execution: &Execution);
    /// A task run was created or changed. Secrets are masked in it, and it comes without outputs where there are any; the
    /// execution is as it is kept, and not to be shown.
    fn task_run(&self, execution: &Execution, task_run: &TaskRun);
    /// A log line. `source` is none for what the engine says about the execution itself.
    fn log(&self, source: Option<&LogSource>, timestamp: Timestamp, level: Level, message: &[u8]);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn execution(&self, _: &Execution) {}
    fn task_run(&self, _: &Execution, _: &TaskRun) {}
    fn log(&self, _: Option<&LogSource>, _: Timestamp, _: Level, _: &[u8]) {}
}
