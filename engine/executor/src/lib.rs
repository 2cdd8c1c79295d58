//! The state machine of one execution: an event goes in, a changed execution and commands come out.
//!
//! Owns: which task runs when, what flowable tasks mean, retries, error branches, roll-up of states, kill, restart and
//! replay, and what expressions see. Never does: I/O, clocks (time is handed in), randomness (ids and random retry
//! delays follow from the execution's id), threads. Called by: the engine loops (`weft-local`), which store what a
//! [`Transition`] says and then carry out its commands.
//!
//! ```text
//!   Event ──> Machine::handle ──> Transition { changed task runs, header, logs } ──> store, one batch
//!                                            { commands }                        ──> worker, timers, other executions
//! ```

mod changes;
mod command;
mod context;
mod ends;
mod event;
mod frame;
mod kill;
mod labels;
mod lanes;
mod leaf;
mod load;
mod machine;
mod outputs;
mod plan;
mod recover;
mod restart;
mod retry;
mod rollup;
mod settings;
mod shapes;
mod sla;
mod slab;
mod start;
mod turn;

pub use command::{Command, SubflowRequest, Transition};
pub use event::{Event, SubflowCall, TimerKey};
pub use labels::labels_as_value;
pub use machine::Machine;
pub use restart::{Replay, RestartError};
pub use settings::{LostTasks, Seals, Settings, TemplateParser};
pub use start::Start;
