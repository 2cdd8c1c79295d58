//! Persistence without a server: any number of processes side by side in one data directory, with no lock that all of them
//! share.
//!
//! Owns: executions as append-only journals ([`JournalStore`]), their logs ([`LogWriter`], [`LogReader`]) and metrics
//! ([`MetricsFile`]), the key-value store ([`KvStore`]), what is remembered of triggers ([`TriggerStore`]), slots for flows
//! that limit their executions ([`Slots`]), marks of what engines are running ([`Running`]), and moving executions and values elsewhere ([`export`], [`import`]).
//! Never does: deciding what happens next, reading clocks for records, knowing flows.
//! Called by: `weft-local` for every state change, `weft-worker` for logs, metrics and KV, the binary for showing them.
//!
//! ```text
//! <data>/executions/index.jsonl              summaries of ended executions; only saves time, may be deleted
//! <data>/executions/<id>/journal.jsonl       the flow's source and one line for each commit; its writer holds a lock
//! <data>/executions/<id>/engine.json         the process that runs it
//! <data>/executions/<id>/logs.jsonl          log lines; absent when there are none
//! <data>/executions/<id>/metrics.jsonl       metrics; absent when there are none
//! <data>/kv/<namespace>/<key>.json           one value
//! <data>/triggers/<ns>/<flow>/<id>.json      what is remembered of a trigger, with the executions it started
//! <data>/concurrency/<namespace>/<flow>/     locks of executions that run or wait, of flows that limit how many may
//! ```

mod backward;
mod disk;
mod error;
mod index;
mod journal;
mod json;
mod kv;
mod list;
mod logs;
mod metrics;
mod owner;
mod running;
mod slots;
mod store;
mod transfer;
mod triggers;

pub use error::{Result, StateError};
pub use journal::{Durability, ExecutionJournal, KeptExecution, StateFollower};
pub use kv::{KvKind, KvStore, KvValue};
pub use list::{Listing, Summary};
pub use logs::{
    AttemptLog, LogBatch, LogFilter, LogReader, LogWriter, MAX_ATTEMPT_BYTES, MAX_MESSAGE_BYTES,
    push_json_text,
};
pub use metrics::MetricsFile;
pub use owner::Owner;
pub use running::{Running, RunningMark};
pub use slots::{Ahead, Entry, Slot, Slots, Ticket, Turn};
pub use store::JournalStore;
pub use transfer::{Counts, Mask, export, export_masked, import};
pub use triggers::{TriggerFile, TriggerRecord, TriggerStore, TriggeredExecution};
