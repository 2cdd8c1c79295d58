//! What an engine that was killed left behind: processes, containers, working directories, executions that say they are running.

use std::thread::JoinHandle;

use jiff::Timestamp;
use weft_files::workdir::Workspace;
use weft_model::{Execution, ExecutionError, State};
use weft_runner::Engine;
use weft_state::{JournalStore, KeptExecution, Owner, Running, StateError};

use crate::{Layout, containers};

/// Cleaning up in the background.
pub struct Cleanup {
    thread: Option<JoinHandle<()>>,
}

impl Cleanup {
    pub(crate) fn start(layout: Layout, store: JournalStore) -> Self {
        let thread =
            std::thread::Builder::new().name("weft-cleanup".to_owned()).spawn(move || clean(&layout, &store));
        Self { thread: thread.ok() }
    }

    /// Waits until it is done.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn clean(layout: &Layout, store: &JournalStore) {
    let running = Running::new(layout.running());
    let dead = running.dead(store);
    // Something died: then look also for what hides from the cheap search.
    if let Ok(engine) = Engine::shared() {
        engine.reap_orphans(!dead.is_empty(), |_| false);
    }
    containers::clean_up(layout);
    let _ = Workspace::sweep(&layout.temp());
    for id in dead {
        // What cannot be ended now (no room, another process has it) keeps its mark for the next start.
        let _ = end(store, &running, &id, died());
    }
}

/// What an execution says whose engine died.
pub(crate) fn died() -> ExecutionError {
    ExecutionError {
        code: "engine.died".to_owned(),
        message:
            "the engine that ran this execution was killed; what it had started was ended by the next start"
                .to_owned(),
    }
}

/// Ends an execution with which nobody goes on by itself, and removes its mark. One that has an end, or waits for a person
/// or its trigger, stays as it is.
///
/// # Errors
/// When another process has it, or its end cannot be written: then the mark stays.
pub(crate) fn end(
    store: &JournalStore,
    running: &Running,
    id: &str,
    why: ExecutionError,
) -> Result<(), StateError> {
    match store.resume(id, &Owner::current()) {
        Ok((KeptExecution { mut execution, .. }, mut journal)) => {
            if abandon(&mut execution, why, Timestamp::now()) {
                journal.replace(&execution)?;
            }
            // While the journal is held: whoever takes the execution up after that makes a mark of its own.
            running.clear(id);
        }
        // Deleted meanwhile, or what is left of one that never was: its files say nothing to anybody.
        Err(StateError::NotFound { .. }) => {
            store.delete(id)?;
            running.clear(id);
        }
        Err(StateError::InvalidId { .. }) => running.clear(id),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Ends everything that is not; whether there was anything.
pub(crate) fn abandon(execution: &mut Execution, why: ExecutionError, now: Timestamp) -> bool {
    if !execution.is_under_way() {
        return false;
    }
    for task_run in &mut execution.task_run_list {
        for attempt in &mut task_run.attempts {
            if !attempt.state.current().is_terminal() {
                attempt.state.enter(State::Killed, now);
            }
        }
        if !task_run.current().is_terminal() {
            task_run.state.enter(State::Killed, now);
        }
    }
    execution.state.enter(State::Killed, now);
    execution.error = Some(why);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_abandoned_execution_ends_with_all_it_had_running() {
        let date = "2026-01-01T00:00:00Z";
        let state = |state: &str| json!({"current": state, "histories": [{"state": state, "date": date}], "startDate": date});
        let task_run = |id: &str, name: &str| {
            json!({"id": id, "executionId": "e", "namespace": "n", "flowId": "f", "taskId": id,
                   "attempts": [{"state": state(name)}], "state": state(name)})
        };
        let execution = |name: &str| -> Execution {
            serde_json::from_value(json!({
                "id": "e", "namespace": "n", "flowId": "f", "flowRevision": 1, "originalId": "e",
                "metadata": {"attemptNumber": 1, "originalCreatedDate": date}, "state": state(name),
                "taskRunList": [task_run("done", "SUCCESS"), task_run("open", name)],
            }))
            .unwrap()
        };
        let started = |name: &str| Execution {
            trigger: serde_json::from_value(json!({"id": "t", "type": "T"})).unwrap(),
            ..execution(name)
        };
        for (name, mut execution, expected) in [
            ("RUNNING", execution("RUNNING"), true),
            ("CREATED", execution("CREATED"), true),
            ("SUCCESS", execution("SUCCESS"), false),
            ("PAUSED", execution("PAUSED"), false),
            ("CREATED by a trigger", started("CREATED"), false),
            ("RUNNING by a trigger", started("RUNNING"), true),
        ] {
            assert_eq!(abandon(&mut execution, died(), Timestamp::now()), expected, "{name}");
            if expected {
                assert_eq!(execution.current(), State::Killed);
                assert_eq!(execution.task_run_list[0].current(), State::Success);
                assert_eq!(execution.task_run_list[1].current(), State::Killed);
                assert_eq!(execution.task_run_list[1].attempts[0].state.current(), State::Killed);
            }
        }
    }
}
