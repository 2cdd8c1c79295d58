//! The lines of a journal: `{"v":1,"header":{...},"taskRuns":[...]}`; the first one has the source of the flow too, and
//! those after which something more is not to be shown have that, sealed, as `hidden`.

use serde::{Deserialize, Serialize};
use weft_model::{Execution, ExecutionError, Label, Map, Metadata, StateHistory, TaskRun, TriggerContext};

/// The format that this version writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 1;

/// How a line with a header begins. Readers who want the last header look for it.
pub(super) const HEADER_LINE: &[u8] = b"{\"v\":1,\"header\":{";

/// One commit, to be written.
pub(super) struct Record<'a> {
    pub(super) header: Option<&'a Execution>,
    pub(super) task_runs: &'a [&'a TaskRun],
    /// Whether it replaces all that was committed before.
    pub(super) reset: bool,
    /// The source of the flow, in the first line.
    pub(super) flow: Option<&'a str>,
    /// Sealed texts that are not to be shown from now on, beside those of the lines before.
    pub(super) hidden: &'a [String],
}

impl Record<'_> {
    /// Appends the line to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let line = Line {
            v: VERSION,
            header: self.header.map(Header::of),
            task_runs: self.task_runs,
            reset: self.reset,
            flow: self.flow,
            hidden: self.hidden,
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.push(b'\n');
        Ok(())
    }
}

/// The shape of a line. The order of the fields matters: see [`HEADER_LINE`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    v: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    task_runs: &'a [&'a TaskRun],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reset: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    hidden: &'a [String],
}

/// A line that was read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LineRead {
    pub(super) v: u32,
    #[serde(default)]
    pub(super) header: Option<Execution>,
    #[serde(default)]
    pub(super) task_runs: Vec<TaskRun>,
    #[serde(default)]
    pub(super) reset: bool,
    #[serde(default)]
    pub(super) flow: Option<String>,
    #[serde(default)]
    pub(super) hidden: Vec<String>,
}

/// An execution without its task runs, in the shape of an [`Execution`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header<'a> {
    id: &'a str,
    namespace: &'a str,
    flow_id: &'a str,
    flow_revision: u32,
    inputs: &'a Map,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<&'a Map>,
    labels: &'a [Label],
    variables: &'a Map,
    state: &'a StateHistory,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<&'a str>,
    original_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<&'a TriggerContext>,
    metadata: &'a Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule_date: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ExecutionError>,
}

impl<'a> Header<'a> {
    /// Every field but the task runs. Naming them all makes the compiler point here when one is added.
    fn of(execution: &'a Execution) -> Self {
        let Execution {
            id,
            namespace,
            flow_id,
            flow_revision,
            task_run_list: _,
            inputs,
            outputs,
            labels,
            variables,
            state,
            parent_id,
            original_id,
            trigger,
            metadata,
            schedule_date,
            error,
        } = execution;
        Self {
            id,
            namespace,
            flow_id,
            flow_revision: *flow_revision,
            inputs,
            outputs: outputs.as_ref(),
            labels,
            variables,
            state,
            parent_id: parent_id.as_deref(),
            original_id,
            trigger: trigger.as_ref(),
            metadata,
            schedule_date: *schedule_date,
            error: error.as_ref(),
        }
    }
}
