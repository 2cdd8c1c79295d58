//! An execution and its task runs, in the JSON shape of Kestra's REST API (compat.md, "Execution JSON").

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Map, State, StateHistory};

/// The label that every execution carries: the id of the execution that began the chain.
pub const CORRELATION_ID_LABEL: &str = "system.correlationId";

/// How the keys of labels begin that only the engine sets.
pub const SYSTEM_LABELS: &str = "system.";

/// A key and a value on a flow or an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// What started an execution, when it was not a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerContext {
    /// The trigger's id in the flow.
    pub id: String,
    /// The trigger's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What expressions see as `trigger`.
    #[serde(default)]
    pub variables: Map,
}

/// Facts about an execution that are not part of its work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Which attempt at the flow this is, from 1 (retry with `CREATE_NEW_EXECUTION`).
    pub attempt_number: u32,
    /// When the first attempt was created.
    pub original_created_date: Timestamp,
}

/// Why an execution ended badly, where no task run can carry the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionError {
    /// A documented code.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
}

/// One run of one flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// 22 characters of base 62.
    pub id: String,
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow_id: String,
    /// The flow's revision, from 1.
    pub flow_revision: u32,
    /// Task runs in the order in which they were created.
    #[serde(default)]
    pub task_run_list: Vec<TaskRun>,
    /// Input values after parsing and defaults.
    #[serde(default)]
    pub inputs: Map,
    /// Values of the flow's `outputs`, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map>,
    /// The flow's labels and those given at the start.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// Variables set while running (`SetVariables`); they win over the flow's.
    #[serde(default)]
    pub variables: Map,
    /// Where it stands.
    pub state: StateHistory,
    /// The execution that started this one as a subflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// The execution this one repeats; its own id when it repeats none.
    pub original_id: String,
    /// What started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerContext>,
    /// Attempt number and first creation.
    pub metadata: Metadata,
    /// Not to be started before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_date: Option<Timestamp>,
    /// Why it ended badly, where no task run can carry the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ExecutionError>,
}

impl Execution {
    /// The current state.
    pub fn current(&self) -> State {
        self.state.current()
    }

    /// Whether an engine has to be running it for it to get anywhere: it has not ended, waits for no person, and is not one
    /// that its trigger begins when it is watched again.
    pub fn is_under_way(&self) -> bool {
        let begins_later = self.current() == State::Created
            && self.trigger.is_some()
            && self.parent_id.is_none()
            && self.original_id == self.id;
        !(begins_later || self.current() == State::Paused || self.current().is_terminal())
    }
}

/// One run of one task, in one iteration of each loop around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRun {
    /// 22 characters of base 62.
    pub id: String,
    /// The execution it belongs to.
    pub execution_id: String,
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow_id: String,
    /// The task's id in the flow.
    pub task_id: String,
    /// The flowable's task run around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_task_run_id: Option<String>,
    /// The loop value it runs for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The loop iteration it runs for, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<u32>,
    /// Tries at it, oldest first.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// What later tasks see as `outputs.<taskId>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map>,
    /// Where it stands.
    pub state: StateHistory,
}

impl TaskRun {
    /// The current state.
    pub fn current(&self) -> State {
        self.state.current()
    }

    /// One output, if the task run has it.
    pub fn output(&self, key: &str) -> Option<&Value> {
        self.outputs.as_ref()?.get(key)
    }
}

/// One try at a task run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Where it stands.
    pub state: StateHistory,
    /// Its log as a file in internal storage (`logToFile`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_file: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<crate::Failure>,
}
