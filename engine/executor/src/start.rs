//! How an execution begins.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weft_flow::Flow;
use weft_model::{
    CORRELATION_ID_LABEL, Execution, Label, Map, Metadata, State, StateHistory, TriggerContext,
};

use crate::changes::set_labels;

/// What an execution is created from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Start {
    /// The id of the new execution.
    pub id: String,
    /// The revision of the flow.
    pub flow_revision: u32,
    /// Values of all inputs, parsed, defaults filled in.
    pub inputs: Map,
    /// Labels on top of the flow's; they win.
    pub labels: Vec<Label>,
    /// What started it, when it was not a person.
    pub trigger: Option<TriggerContext>,
    /// The execution whose task started it as a subflow.
    pub parent_id: Option<String>,
    /// The execution it repeats.
    pub original_id: Option<String>,
    /// Which attempt at the flow it is; 0 counts as 1.
    pub attempt_number: u32,
    /// When the first attempt was created.
    pub original_created_date: Option<Timestamp>,
    /// The id of the execution that began the chain; its own where neither this nor the label is given.
    pub correlation_id: Option<String>,
    /// Not to be started before.
    pub schedule_date: Option<Timestamp>,
}

impl Start {
    /// The execution as it is before it runs.
    pub(crate) fn into_execution(self, flow: &Flow, now: Timestamp) -> Execution {
        let mut labels = flow.labels.clone();
        set_labels(&mut labels, self.labels);
        if !labels.iter().any(|label| label.key == CORRELATION_ID_LABEL) {
            let value = self.correlation_id.unwrap_or_else(|| self.id.clone());
            labels.push(Label { key: CORRELATION_ID_LABEL.to_owned(), value });
        }
        Execution {
            namespace: flow.namespace.clone(),
            flow_id: flow.id.clone(),
            flow_revision: self.flow_revision,
            task_run_list: Vec::new(),
            inputs: self.inputs,
            outputs: None,
            labels,
            variables: Map::new(),
            state: StateHistory::new(State::Created, now),
            parent_id: self.parent_id,
            original_id: self.original_id.unwrap_or_else(|| self.id.clone()),
            trigger: self.trigger,
            metadata: Metadata {
                attempt_number: self.attempt_number.max(1),
                original_created_date: self.original_created_date.unwrap_or(now),
            },
            schedule_date: self.schedule_date,
            error: None,
            id: self.id,
        }
    }
}
