//! The seam between executor and worker. Both sides are serializable: in one process it is a channel, on many machines
//! a queue. Nothing else crosses.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Failure, Label, Level, Map, State};

/// Files that a flowable with a directory (`WorkingDirectory`) puts in before and takes out after its children.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileHandling {
    /// Map of name to content or URI, or a JSON text of one. Not rendered yet.
    pub input_files: Option<Value>,
    /// Globs. Not rendered yet.
    pub output_files: Option<Value>,
    /// `{enabled, include, exclude}`. Not rendered yet.
    pub namespace_files: Option<Value>,
    /// `{patterns, ttl}`.
    pub cache: Option<Value>,
}

/// What a worker is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Work {
    /// Run a task of a plugin.
    Run {
        /// The task's own properties as written in the flow (defaults merged in), not rendered yet.
        properties: Map,
    },
    /// Make the directory that the task runs below this one share, and put files in.
    OpenDirectory {
        /// What to put in and, later, take out.
        files: FileHandling,
    },
    /// Take files out of the directory and remove it. Done after a failure too.
    CloseDirectory {
        /// What was put in and is to be taken out.
        files: FileHandling,
    },
}

/// One attempt at one task run, as the executor asks for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRunRequest {
    /// The execution.
    pub execution_id: String,
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow_id: String,
    /// The task run.
    pub task_run_id: String,
    /// The task's id in the flow.
    pub task_id: String,
    /// The task's type as written in the flow.
    pub task_type: String,
    /// Attempts finished before this one: 0 for the first.
    pub attempt: u32,
    /// What to do.
    pub work: Work,
    /// The task run of the `WorkingDirectory` around it, whose directory it shares.
    pub directory: Option<String>,
    /// ISO-8601 duration or an expression of one; bounds this attempt.
    pub timeout: Option<String>,
    /// The least level that is stored.
    pub log_level: Option<Level>,
    /// Whether the log is also kept as a file.
    pub log_to_file: bool,
    /// The worker group that must run it.
    pub worker_group: Option<String>,
    /// What expressions see: flow, execution, task, taskrun, inputs, outputs, vars, ...
    pub context: weft_expr::Value,
}

/// How one attempt ended, as the worker reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRunResult {
    /// The task run of the request.
    pub task_run_id: String,
    /// The attempt of the request.
    pub attempt: u32,
    /// `Success`, `Warning`, `Failed` or `Killed`.
    pub state: State,
    /// What the task put out; kept after a failure too.
    pub outputs: Map,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Changes to the execution that the task asked for.
    #[serde(default)]
    pub updates: Vec<ExecutionUpdate>,
    /// The attempt's log as a file in internal storage.
    #[serde(default)]
    pub log_file: Option<String>,
    /// When work began.
    pub started: Timestamp,
    /// When work ended.
    pub ended: Timestamp,
}

/// A change to the execution that a task may ask for (plugin contract: `execution.update`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExecutionUpdate {
    /// Add or replace labels.
    Labels(Vec<Label>),
    /// Set variables that expressions see under `vars`.
    SetVariables(Map),
    /// Remove such variables.
    UnsetVariables(Vec<String>),
    /// End the execution in this state: what runs is killed, what waits is not started.
    Exit(State),
}
