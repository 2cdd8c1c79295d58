//! What a machine is told.

use serde::{Deserialize, Serialize};
use weft_model::{ExecutionUpdate, Failure, Map, State, TaskRunResult};

/// Something that happened. An event that no longer fits (a second result of one attempt, a timer of a task run that
/// has gone on) changes nothing: whoever delivers events may deliver them twice.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// The execution may run: it was created, waited in the queue or was restarted.
    Start,
    /// The flow's concurrency limit holds the execution back; `Start` will follow.
    Queue,
    /// The flow's concurrency limit ends the execution before it ran.
    Refuse {
        /// `Cancelled` or `Failed`; anything else counts as `Failed`.
        state: State,
        /// Why, for a person.
        reason: String,
    },
    /// The execution ends as FAILED before it ran: what started it left it nothing to run with.
    Reject {
        /// A documented code.
        code: String,
        /// Why, for a person.
        reason: String,
    },
    /// A worker has finished what [`Command::Run`](crate::Command::Run) asked for.
    TaskEnded(TaskRunResult),
    /// The time of a [`Command::SetTimer`](crate::Command::SetTimer) has come.
    Timer(TimerKey),
    /// Somebody lets a paused task run go on.
    Resume {
        /// Which one; the first that paused where it is not given.
        task_run_id: Option<String>,
        /// Values for the inputs of `onResume`, already validated.
        inputs: Map,
    },
    /// Somebody ends the execution.
    Kill {
        /// Why, for a person.
        reason: String,
    },
    /// Somebody changes labels or variables.
    Update(Vec<ExecutionUpdate>),
    /// What [`Command::StartSubflow`](crate::Command::StartSubflow) asked for exists.
    SubflowStarted {
        /// The call of the command.
        call: SubflowCall,
    },
    /// The subflow has its final state. A child that ended as RETRIED is not reported: its successor is, under the
    /// same call.
    SubflowEnded {
        /// The call of the command.
        call: SubflowCall,
        /// The execution that ended: the one of the command or the last that retried it.
        execution_id: String,
        /// Its final state.
        state: State,
        /// Its outputs, or the request's `outputs` rendered in its context.
        outputs: Map,
    },
    /// The subflow could not be started.
    SubflowRefused {
        /// The call of the command.
        call: SubflowCall,
        /// Why.
        failure: Failure,
    },
    /// What [`Command::SplitItems`](crate::Command::SplitItems) asked for is done.
    ItemsSplit {
        /// The task run of the command.
        task_run_id: String,
        /// One file in internal storage for each batch, in order.
        uris: Vec<String>,
    },
    /// The file could not be split.
    ItemsRefused {
        /// The task run of the command.
        task_run_id: String,
        /// Why.
        failure: Failure,
    },
}

/// What a timer is for. Unique within an execution.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimerKey {
    /// The next attempt of a task run is due.
    Retry {
        /// The task run.
        task_run_id: String,
        /// Attempts finished so far.
        attempt: u32,
    },
    /// A pause ends by itself.
    Pause {
        /// The task run.
        task_run_id: String,
    },
    /// The next iteration of a `LoopUntil` is due.
    Loop {
        /// The task run.
        task_run_id: String,
        /// Iterations finished so far.
        iteration: u32,
    },
    /// An execution takes longer than promised.
    Sla {
        /// The promise's id.
        id: String,
    },
}

/// One call of a subflow by one attempt of one task run: what command and events about it have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubflowCall {
    /// The calling task run.
    pub task_run_id: String,
    /// Its attempts before this one.
    pub attempt: u32,
}
