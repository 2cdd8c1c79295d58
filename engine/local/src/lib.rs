//! The engine in one process: drives the executor with a store and a worker.
//!
//! Owns: the loop of an execution (take an event, let the executor decide, commit, carry out the commands), timers,
//! subflows, cases of tests, what triggers need of an engine, the layout of the data directory, and what is left to clean
//! up after an engine that was killed.
//! Never does: decide what runs next (`weft-executor`), perform task runs (`weft-worker`), print.
//! Called by: the binary, for `weft run` and everything that looks at executions.

mod admission;
mod catalogue;
mod cleanup;
mod containers;
mod control;
mod error;
mod execution;
mod flows;
mod folders;
mod hidden;
mod inputs;
mod layout;
mod local;
mod observer;
mod records;
mod relatives;
mod secret_inputs;
mod split;
mod stamps;
mod subflow;
mod sync;
mod templates;
mod testing;
mod timers;
mod watch;

pub use catalogue::FlowCatalogue;
pub use cleanup::Cleanup;
pub use control::Control;
pub use error::LocalError;
pub use flows::{FlowIndex, FlowSource, LoadedFlow, MOST_FLOW_BYTES};
pub use folders::FlowFolders;
pub use hidden::Veil;
pub use layout::Layout;
pub use local::{Again, GoOnRequest, Local, LocalOptions, ReplayRequest, RunRequest, SUBFLOW_DEPTH, Started};
pub use observer::{NoObserver, Observer};
pub use testing::CaseRequest;
pub use watch::{OnEnd, Unwatched, WatchRequest, Watching};
/// What the operator decides about processes and containers.
pub use weft_runner::{BaseEnvironment, DockerSettings, FileHandlingStrategy};
pub use weft_scheduler::Ended;
