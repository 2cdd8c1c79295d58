//! Performs one attempt at one task run: makes the working directory, puts files in, renders and checks the properties,
//! calls the plugin, offers it what it may ask for, takes files, outputs and metrics out, and reports.
//!
//! Owns: working directories while a task runs, the way of a child's output into the log, the `::{...}::` protocol,
//! masking of secrets, what expressions may ask of the world, and how much one attempt may hand to the engine ([`weft_model::AttemptLimits`]).
//! Never does: decide what runs when, retry, write executions. It knows no task type: what it does around a plugin is
//! asked for by keywords in the plugin's schema.
//! Called by: `weft-local`, one call for each `TaskRunRequest` and for each evaluation of a trigger.

mod budget;
mod children;
mod collected;
mod container;
mod digest;
mod directory_cache;
mod encryption;
mod environment;
mod git;
mod mask;
mod namespace_files;
mod output;
mod plan;
mod protocol;
mod reach;
mod records;
mod render;
mod schema;
mod secrets;
mod staging;
mod task;
mod trigger;
mod worker;

pub use encryption::{EncryptionError, Vault};
pub use environment::ExecutionEnvironment;
pub use mask::{LineMasker, MASK, Masker};
pub use reach::{Access, FlowReach, NoRelatives, OutOfReach, Relatives};
pub use records::{AttemptRecords, LogSource, Records};
pub use secrets::{EnvironmentSecrets, FileSecrets, SecretCommand, SecretError, SecretSources, Secrets};
pub use trigger::TriggerRequest;
pub use worker::{ExecutionScope, RunnerKind, Worker, WorkerOptions};
