//! The records that the parts of the engine hand to each other: executions, task runs, log lines, metrics, and the
//! request and result that are all that executor and worker know of each other.
//!
//! Owns: names, states and JSON shapes (those of Kestra's REST API, camelCase). Never does: I/O, clocks, rendering.
//! Called by: every crate of the engine above `weft-expr`.

mod amount;
mod execution;
mod failure;
mod id;
mod limits;
mod observe;
mod roots;
mod state;
mod work;

pub use amount::{Amount, have_more_nodes};
pub use execution::{
    Attempt, CORRELATION_ID_LABEL, Execution, ExecutionError, Label, Metadata, SYSTEM_LABELS, TaskRun,
    TriggerContext,
};
pub use failure::{Failure, abridged};
pub use id::{child_id, new_id, slug};
pub use limits::AttemptLimits;
pub use observe::{Level, LogEntry, Metric, MetricKind};
pub use roots::{EXECUTION_ROOTS, TASK_ROOTS};
pub use state::{State, StateChange, StateHistory};
pub use work::{ExecutionUpdate, FileHandling, TaskRunRequest, TaskRunResult, Work};

/// A JSON object whose keys keep the order in which they were written.
pub type Map = serde_json::Map<String, serde_json::Value>;
