//! Lists of executions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weft_model::{Execution, State};

use crate::StateError;

/// The executions of a data directory.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Those that can be read, newest first.
    pub executions: Vec<Summary>,
    /// The ids of those that cannot, and why.
    pub unreadable: Vec<(String, StateError)>,
}

/// An execution as one line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The execution's id.
    pub id: String,
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow_id: String,
    /// The flow's revision.
    pub flow_revision: u32,
    /// Where it stands.
    pub state: State,
    /// When it was created.
    pub start_date: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_date: Option<Timestamp>,
    /// The execution that started it as a subflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// What started it, when it was not a person: the trigger's id in the flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_id: Option<String>,
    /// Whether it is under way, and the process that ran it is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
}

impl Summary {
    /// The summary of an execution that is not interrupted.
    pub fn of(execution: &Execution) -> Self {
        Self {
            id: execution.id.clone(),
            namespace: execution.namespace.clone(),
            flow_id: execution.flow_id.clone(),
            flow_revision: execution.flow_revision,
            state: execution.current(),
            start_date: execution.state.start_date(),
            end_date: execution.state.end_date(),
            parent_id: execution.parent_id.clone(),
            trigger_id: execution.trigger.as_ref().map(|trigger| trigger.id.clone()),
            interrupted: false,
        }
    }
}
