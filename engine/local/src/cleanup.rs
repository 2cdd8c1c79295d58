//! What an engine that was killed left behind: processes, containers, working directories, executions that say they are running.

use std::path::PathBuf;
use std::thread::JoinHandle;

use jiff::Timestamp;
use weft_files::private;
use weft_files::workdir::Workspace;
use weft_model::{Execution, ExecutionError, State};
use weft_runner::Engine;
use weft_state::{JournalStore, KeptExecution, Owner, StateError};

use crate::{Layout, containers};

/// A file that says that this engine is running an execution. Finding those of dead engines is looking into one small
/// directory, however many executions there are.
pub(crate) struct RunningMark {
    path: PathBuf,
}

impl RunningMark {
    pub(crate) fn set(layout: &Layout, id: &str, owner: &Owner) -> Self {
        let path = layout.running().join(id);
        // Without the mark an execution whose engine is killed is shown as interrupted all the same; it is only not
        // ended by the next start.
        if let Ok(owner) = serde_json::to_vec(owner) {
            let _ = private::write(&path, owner);
        }
        Self { path }
    }

    pub(crate) fn clear(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

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
    let dead = dead_executions(layout);
    // Something died: then look also for what hides from the cheap search.
    if let Ok(engine) = Engine::shared() {
        engine.reap_orphans(!dead.is_empty(), |_| false);
    }
    containers::clean_up(layout);
    let _ = Workspace::sweep(&layout.temp());
    for (mark, id) in dead {
        if end(store, &id).is_ok() {
            let _ = std::fs::remove_file(mark);
        }
    }
}

/// Marks whose engine is gone, with the execution they stand for.
fn dead_executions(layout: &Layout) -> Vec<(PathBuf, String)> {
    let Ok(marks) = std::fs::read_dir(layout.running()) else { return Vec::new() };
    let mut dead = Vec::new();
    for mark in marks.flatten() {
        let owner =
            std::fs::read(mark.path()).ok().and_then(|json| serde_json::from_slice::<Owner>(&json).ok());
        if !owner.is_some_and(|owner| owner.is_alive())
            && let Ok(id) = mark.file_name().into_string()
        {
            dead.push((mark.path(), id));
        }
    }
    dead
}

/// Ends an execution whose engine died: nobody will go on with it by itself.
fn end(store: &JournalStore, id: &str) -> Result<(), StateError> {
    let (KeptExecution { mut execution, .. }, mut journal) = match store.resume(id, &Owner::current()) {
        Ok(resumed) => resumed,
        // Deleted meanwhile: nothing to end.
        Err(StateError::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    if abandon(&mut execution, Timestamp::now()) {
        journal.replace(&execution)?;
    }
    Ok(())
}

/// Ends everything that is not; whether there was anything.
fn abandon(execution: &mut Execution, now: Timestamp) -> bool {
    // One that a trigger started and that has not begun is begun when the trigger is watched again.
    let begins_later = execution.current() == State::Created
        && execution.trigger.is_some()
        && execution.parent_id.is_none()
        && execution.original_id == execution.id;
    if begins_later || execution.current() == State::Paused || execution.current().is_terminal() {
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
    execution.error = Some(ExecutionError {
        code: "engine.died".to_owned(),
        message:
            "the engine that ran this execution was killed; what it had started was ended by the next start"
                .to_owned(),
    });
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
            assert_eq!(abandon(&mut execution, Timestamp::now()), expected, "{name}");
            if expected {
                assert_eq!(execution.current(), State::Killed);
                assert_eq!(execution.task_run_list[0].current(), State::Success);
                assert_eq!(execution.task_run_list[1].current(), State::Killed);
                assert_eq!(execution.task_run_list[1].attempts[0].state.current(), State::Killed);
            }
        }
    }
}
