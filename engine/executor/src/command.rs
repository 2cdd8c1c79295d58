//! What a machine asks for, and the transition that carries it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weft_model::{Label, LogEntry, Map, State, TaskRunRequest, TriggerContext};

use crate::{Start, SubflowCall, TimerKey};

/// What one event led to. The caller stores it first, in one batch, and carries out the commands then; what is lost
/// between the two comes again from [`Machine::recover`](crate::Machine::recover).
#[derive(Debug, Default)]
#[must_use = "a transition that is not stored and carried out is lost"]
pub struct Transition {
    /// Whether anything but the task runs changed.
    pub header_changed: bool,
    /// Whether task runs were removed: everything is to be stored again in place of what was stored before.
    pub rewritten: bool,
    /// Indexes in [`Execution::task_run_list`](weft_model::Execution) of task runs that changed or are new.
    pub changed: Vec<usize>,
    /// What to do, in this order.
    pub commands: Vec<Command>,
    /// What the engine itself has to say.
    pub logs: Vec<LogEntry>,
}

impl Transition {
    /// Whether there is nothing to store and nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.header_changed
            && !self.rewritten
            && self.changed.is_empty()
            && self.commands.is_empty()
            && self.logs.is_empty()
    }
}

/// What the caller is asked to do. Each command may come twice (after a restart of the engine), with the same ids.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// Give this to a worker; answered by `TaskEnded`. A request to open a directory that fails leaves none behind.
    Run(Box<TaskRunRequest>),
    /// End what `Run` or `SplitItems` began; its answer still comes.
    Cancel {
        /// The task run.
        task_run_id: String,
    },
    /// Create an execution of another flow; answered by `SubflowStarted` or `SubflowRefused`, and, where the request
    /// says `wait`, later by `SubflowEnded`.
    StartSubflow(Box<SubflowRequest>),
    /// Kill the execution that `StartSubflow` created; `SubflowEnded` still comes.
    CancelSubflow {
        /// The call of `StartSubflow`.
        call: SubflowCall,
        /// The execution.
        execution_id: String,
    },
    /// Cut a file into batches; answered by `ItemsSplit` or `ItemsRefused`.
    SplitItems {
        /// The task run.
        task_run_id: String,
        /// The file in internal storage.
        uri: String,
        /// `{rows, bytes, partitions, separator}`, rendered.
        batch: Map,
    },
    /// Put JSON lines into a file of internal storage. It is there before what comes after it in the list begins.
    StoreLines {
        /// The task run whose output names the file.
        task_run_id: String,
        /// The file.
        uri: String,
        /// One line each.
        lines: Vec<serde_json::Value>,
    },
    /// Deliver `Timer` with this key at this time, or at once where it has passed.
    SetTimer {
        /// What for.
        key: TimerKey,
        /// When.
        at: Timestamp,
    },
    /// Create another execution of the same flow: this one ended as RETRIED. Best created in the batch that stores
    /// the transition; its id is always the same for the same execution.
    NewExecution {
        /// The new execution; its `schedule_date` says when it is due.
        start: Box<Start>,
    },
    /// The execution has its final state and outputs. Tasks of `afterExecution` may still run.
    Ended {
        /// The final state.
        state: State,
    },
    /// Nothing runs any more and nothing will: the machine may be dropped.
    Done,
}

/// A call of another flow, everything rendered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubflowRequest {
    /// Who calls.
    pub call: SubflowCall,
    /// The id the new execution must have: the same after a restart of the engine, so that it is not created twice.
    pub execution_id: String,
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow_id: String,
    /// The flow's revision; the newest where it is absent.
    pub revision: Option<u32>,
    /// Its inputs, not validated yet.
    pub inputs: Map,
    /// Its labels: inherited, given and the correlation id.
    pub labels: Vec<Label>,
    /// The calling execution.
    pub parent_id: String,
    /// What the child's expressions see as `trigger`.
    pub trigger: TriggerContext,
    /// Whether `SubflowEnded` is expected.
    pub wait: bool,
    /// Expressions to render in the child's context at its end (old form); the child's own outputs where absent.
    pub outputs: Option<Map>,
    /// When the child is due.
    pub schedule_date: Option<Timestamp>,
}
