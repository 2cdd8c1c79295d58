//! Records to store.

use jiff::{SignedDuration, Timestamp};
use weft_model::{Execution, Metadata, State, StateHistory, TaskRun, new_id};

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A running execution without task runs.
pub fn execution(id: &str, second: i64) -> Execution {
    let mut state = StateHistory::new(State::Created, at(second));
    state.enter(State::Running, at(second) + SignedDuration::from_millis(1));
    Execution {
        id: id.to_owned(),
        namespace: "company.team".to_owned(),
        flow_id: "flow".to_owned(),
        flow_revision: 3,
        task_run_list: Vec::new(),
        inputs: serde_json::from_str(r#"{"text":"größe \n \" ","n":1.5,"list":[1,null,true]}"#).unwrap(),
        outputs: None,
        labels: Vec::new(),
        variables: Default::default(),
        state,
        parent_id: None,
        original_id: id.to_owned(),
        trigger: None,
        metadata: Metadata { attempt_number: 1, original_created_date: at(second) },
        schedule_date: None,
        error: None,
    }
}

pub fn new_execution(second: i64) -> Execution {
    execution(&new_id(), second)
}

pub fn task_run(execution: &Execution, id: &str) -> TaskRun {
    TaskRun {
        id: id.to_owned(),
        execution_id: execution.id.clone(),
        namespace: execution.namespace.clone(),
        flow_id: execution.flow_id.clone(),
        task_id: format!("task-{id}"),
        parent_task_run_id: None,
        value: None,
        iteration: None,
        attempts: Vec::new(),
        outputs: None,
        state: StateHistory::new(State::Created, at(0)),
    }
}
