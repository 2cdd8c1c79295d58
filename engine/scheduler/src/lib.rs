//! Triggers: when each is evaluated, what is remembered of it, and what an evaluation leads to.
//!
//! Owns: the loop of one trigger ([`Watcher`]): dates of cron expressions, intervals, conditions, no evaluation while its
//! own execution runs, and the one commit that makes state and executions come together. What stands in the record is the
//! truth: after a crash the loop begins again from there, and starts the executions in it that do not exist yet.
//! Never does: call plugins, run executions, know a trigger type that a plugin provides; it asks an [`Engine`] for that.
//! Called by: `weft-local` for `weft run --watch`.

mod complaints;
mod condition;
mod engine;
mod schedule;
mod setup;
mod watcher;

pub use engine::{Engine, Evaluation, Polled};
pub use setup::SetupError;
pub use watcher::{Ended, Stop, Watcher, stop};
