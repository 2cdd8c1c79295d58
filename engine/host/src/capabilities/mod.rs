//! What a plugin may ask of the engine: the seam to the worker, and one module per capability of the contract.

mod container;
mod environment;
mod execution;
mod files;
mod git;
mod kv;
mod log;
pub(crate) mod network;
pub(crate) mod process;
mod run;
mod secrets;
mod storage;
pub(crate) mod tcp;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use weft_model::{Failure, Level, MetricKind};
use weft_network::Network;

use crate::bindings::weft::plugin::types;
use crate::store::RunState;

/// Only shapes, no functions.
impl types::Host for RunState {}

/// Where a file of internal storage lies, as one run sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its URI in the form in which URIs are printed: two files are the same if these are.
    pub uri: String,
    /// How near it is to the run.
    pub place: FilePlace,
    /// The namespace that it belongs to; none where its path is that of nothing that a flow stores.
    pub namespace: Option<String>,
}

/// How near a file of internal storage is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePlace {
    /// In the place of the task run itself.
    TaskRun,
    /// One of the same execution, or one of the files of the flow's namespace.
    Flow,
    /// Anywhere else.
    Elsewhere,
}

/// What stands behind the host interfaces during one run of a plugin. Grants, sizes and JSON have been checked when one
/// of these methods is called.
#[async_trait]
pub trait Capabilities: Send + Sync {
    /// Adds a line to the log. `fields` are further facts, usually an object.
    fn log(&self, level: Level, message: &str, fields: Option<Value>);
    /// Sets one output at once; it is kept even when the task fails afterwards.
    fn emit_output(&self, key: &str, value: Value) -> Result<(), Failure>;
    /// Records a metric. The value of a timer is in seconds.
    fn emit_metric(&self, name: &str, kind: MetricKind, value: f64, tags: Vec<(String, String)>);
    /// Makes the task run end as WARNING instead of SUCCESS.
    fn mark_warning(&self, reason: &str);
    /// The directory that the guest sees as `/work`. It exists as long as the run. Empty where the run has none; then the
    /// guest has no files at all.
    fn working_dir(&self) -> &Path;
    /// The flow's namespace.
    fn namespace(&self) -> &str;
    /// The run's turn has come: it waits for nothing any more, and its time begins.
    fn begins(&self) {}
    /// Whether the task run has been asked to stop. A guest that never asks is ended by the caller's cancellation.
    fn cancel_requested(&self) -> bool;
    /// Asks for a change to the execution: `{"labels": [..]}`, `{"setVariables": {}}`, `{"unsetVariables": []}` or
    /// `{"exit": "SUCCESS"}`.
    fn update_execution(&self, change: Value) -> Result<(), Failure>;
    /// Told when the guest handed over more than a bound allows: however the run goes on, it is to end with this failure.
    fn exceed(&self, failure: &Failure);
    /// The secret with this name.
    async fn secret(&self, name: &str) -> Result<String, Failure>;
    /// The value of `key`; none where it is not set. Without a namespace, the flow's is meant, here and below.
    async fn kv_get(&self, namespace: Option<&str>, key: &str) -> Result<Option<Value>, Failure>;
    /// Sets `key`, for `ttl` or for ever. Without `overwrite`, a key that is set is a failure.
    async fn kv_set(
        &self,
        namespace: Option<&str>,
        key: &str,
        value: Value,
        ttl: Option<Duration>,
        overwrite: bool,
    ) -> Result<(), Failure>;
    /// Removes `key`; whether it was set.
    async fn kv_delete(&self, namespace: Option<&str>, key: &str) -> Result<bool, Failure>;
    /// The keys that begin with `prefix`.
    async fn kv_keys(&self, namespace: Option<&str>, prefix: &str) -> Result<Vec<String>, Failure>;
    /// Where a file of storage lies. It need not be there.
    fn locate(&self, uri: &str) -> Result<Located, Failure>;
    /// Whether `text` names the file with this URI, as an address of any form and anywhere in it.
    fn names(&self, text: &str, uri: &str) -> bool;
    /// Whether the flow itself may read a file, wherever its URI comes from.
    fn flow_may_read(&self, uri: &str) -> Result<(), Failure>;
    /// The same for removing it.
    fn flow_may_remove(&self, uri: &str) -> Result<(), Failure>;
    /// Puts the file `path` (relative to the working directory, unchecked) into storage as `name`; its URI.
    async fn put_file(&self, path: &str, name: &str) -> Result<String, Failure>;
    /// The same as [`Self::put_file`], and the file is gone from the working directory afterwards.
    async fn move_file(&self, path: &str, name: &str) -> Result<String, Failure>;
    /// Puts a file of storage into the working directory at `path` (relative, unchecked); its size in bytes.
    async fn get_file(&self, uri: &str, path: &str) -> Result<u64, Failure>;
    /// The size of a file of storage, in bytes.
    async fn file_size(&self, uri: &str) -> Result<u64, Failure>;
    /// Removes a file from storage; whether there was one.
    async fn delete_file(&self, uri: &str) -> Result<bool, Failure>;
    /// The digest of the file `path` (relative to the working directory, unchecked), or of `(offset, length)` of it, in
    /// base64: `crc32`, `crc32c`, `md5`, `sha1` or `sha256`.
    async fn digest(&self, path: &str, algorithm: &str, part: Option<(u64, u64)>) -> Result<String, Failure>;
    /// Hides this text in logs and messages from now on. Where it cannot be, the guest is not to get it.
    fn hide(&self, secret: &str) -> Result<(), Failure>;
    /// Clones a Git repository, as the contract says, over this network.
    async fn git_clone(&self, request: Value, network: &Network) -> Result<Value, Failure>;
    /// Starts a process.
    async fn spawn(&self, command: Command) -> Result<Box<dyn Child>, Failure>;
    /// Starts a container.
    async fn run_container(&self, image: &str, command: Command) -> Result<Box<dyn Child>, Failure>;
}

/// A process or container that a plugin started. Dropping it ends it.
#[async_trait]
pub trait Child: Send + Sync {
    /// Waits for the end. A second call gives the same answer.
    async fn wait(&mut self) -> Result<Exit, Failure>;
    /// What the child put out through `::{"outputs": ...}::` so far: an object, or null for nothing.
    fn outputs(&self) -> Value;
    /// Sends a signal.
    fn kill(&self, signal: i32) -> Result<(), Failure>;
}

/// What to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Program and arguments; a container may have none.
    pub argv: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Relative to the working directory (unchecked); the working directory itself where none is given.
    pub cwd: Option<String>,
    /// Further wishes, as the contract lists them; an object.
    pub options: Value,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code; -1 where a signal ended it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether its own time limit ended it.
    pub timed_out: bool,
    /// Lines it wrote to stdout.
    pub stdout_lines: u64,
    /// Lines it wrote to stderr.
    pub stderr_lines: u64,
}
