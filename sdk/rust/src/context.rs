//! What a task or trigger may ask of its host.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::host::Host;
use crate::http::Http;
use crate::values::json_text;
use crate::{Container, Error, Process, Result, Tcp};

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For following a program step by step.
    Trace,
    /// For finding a fault.
    Debug,
    /// What happens.
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
}

impl Level {
    const ALL: [Self; 5] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The name as users see it.
    pub fn as_str(self) -> &'static str {
        ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"][self as usize]
    }

    /// The level with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(name))
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Error)
    }
}

/// The task run's log.
#[derive(Debug)]
pub struct Log<'a>(&'a Host);

impl Log<'_> {
    /// For following a program step by step.
    pub fn trace(&self, message: impl AsRef<str>) {
        self.write(Level::Trace, message.as_ref(), None);
    }

    /// For finding a fault.
    pub fn debug(&self, message: impl AsRef<str>) {
        self.write(Level::Debug, message.as_ref(), None);
    }

    /// What happens.
    pub fn info(&self, message: impl AsRef<str>) {
        self.write(Level::Info, message.as_ref(), None);
    }

    /// What may be wrong. The task run stays a success; `Context::warn` changes that.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.write(Level::Warn, message.as_ref(), None);
    }

    /// What is wrong.
    pub fn error(&self, message: impl AsRef<str>) {
        self.write(Level::Error, message.as_ref(), None);
    }

    /// One line at any level, with facts for a program.
    pub fn write(&self, level: Level, message: &str, fields: Option<&Value>) {
        let fields = fields.map(json_text);
        self.0.log(level as u8, message, fields.as_deref());
    }
}

/// Secrets, by name. Their values are masked wherever text leaves the engine.
#[derive(Debug)]
pub struct Secrets<'a>(&'a Host);

impl Secrets<'_> {
    /// The secret's value.
    pub fn get(&self, name: &str) -> Result<String> {
        self.0.secret(name)
    }
}

/// Values kept between executions, by key and namespace.
#[derive(Debug)]
pub struct Kv<'a> {
    host: &'a Host,
    namespace: Option<&'a str>,
}

impl Kv<'_> {
    /// The value, if the key has one.
    pub fn get(&self, key: &str) -> Result<Option<Value>> {
        match self.host.kv_get(self.namespace, key)? {
            Some(text) => Ok(Some(serde_json::from_str(&text)?)),
            None => Ok(None),
        }
    }

    /// Sets the value, for `ttl` or for ever. An error if there is one and `overwrite` is false.
    pub fn set(&self, key: &str, value: &Value, ttl: Option<Duration>, overwrite: bool) -> Result<()> {
        let ttl_ms = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        self.host.kv_set(self.namespace, key, &json_text(value), ttl_ms, overwrite)
    }

    /// Removes the key; whether there was one.
    pub fn delete(&self, key: &str) -> Result<bool> {
        self.host.kv_delete(self.namespace, key)
    }

    /// The keys that begin with `prefix`.
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        self.host.kv_keys(self.namespace, prefix)
    }
}

/// Internal storage (`kestra:///` URIs). Files move between it and the working directory on the host's side.
#[derive(Debug)]
pub struct Storage<'a>(&'a Host);

impl Storage<'_> {
    /// Stores the file at `path`, relative to the working directory, under `name`; its URI.
    pub fn put(&self, path: &str, name: &str) -> Result<String> {
        self.0.put_file(path, name)
    }

    /// The same, and the file is gone from the working directory afterwards: cheaper than `put`.
    pub fn keep(&self, path: &str, name: &str) -> Result<String> {
        self.0.move_file(path, name)
    }

    /// Writes a stored file to `path`, relative to the working directory; its size in bytes.
    pub fn get(&self, uri: &str, path: &str) -> Result<u64> {
        self.0.get_file(uri, path)
    }

    /// Its size in bytes.
    pub fn size(&self, uri: &str) -> Result<u64> {
        self.0.file_size(uri)
    }

    /// Deletes it; whether there was something to delete.
    pub fn delete(&self, uri: &str) -> Result<bool> {
        self.0.delete_file(uri)
    }
}

/// The engine's environment and its user's files: credentials that an operator gives to the engine and not to flows.
#[derive(Debug)]
pub struct Environment<'a>(&'a Host);

impl Environment<'_> {
    /// A variable, if it is set.
    pub fn variable(&self, name: &str) -> Result<Option<String>> {
        self.0.variable(name)
    }

    /// The text of a file, if it is there: `~/...`, or a path that a variable names.
    pub fn file(&self, path: &str) -> Result<Option<String>> {
        self.0.user_file(path)
    }
}

/// The execution that the task run belongs to.
#[derive(Debug)]
pub struct Execution<'a>(&'a Host);

impl Execution<'_> {
    /// Adds or replaces labels.
    pub fn labels<K: AsRef<str>, V: AsRef<str>>(&self, labels: &[(K, V)]) -> Result<()> {
        let labels: Vec<Value> =
            labels.iter().map(|(key, value)| json!({"key": key.as_ref(), "value": value.as_ref()})).collect();
        self.update("labels", Value::Array(labels))
    }

    /// Sets variables, which expressions see under `vars`.
    pub fn set_variables(&self, variables: Map<String, Value>) -> Result<()> {
        self.update("setVariables", Value::Object(variables))
    }

    /// Removes variables.
    pub fn unset_variables(&self, names: &[String]) -> Result<()> {
        self.update("unsetVariables", names.into())
    }

    /// Ends the execution in this state (`SUCCESS`, `WARNING`, `FAILED`, `KILLED`, `CANCELLED`).
    pub fn exit(&self, state: &str) -> Result<()> {
        self.update("exit", state.into())
    }

    fn update(&self, change: &str, value: Value) -> Result<()> {
        let change = Value::Object(Map::from_iter([(change.to_owned(), value)]));
        self.0.update_execution(&json_text(&change))
    }
}

/// The context of a call as JSON text, read when it is first asked for.
#[derive(Debug)]
pub(crate) struct Facts {
    text: String,
    read: OnceCell<Value>,
}

impl Facts {
    pub(crate) fn new(text: String) -> Self {
        Self { text, read: OnceCell::new() }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        // The engine writes valid JSON; were it not so, every fact is simply absent.
        self.read.get_or_init(|| serde_json::from_str(&self.text).unwrap_or_default()).get(name)
    }
}

/// Who calls, and what may be asked of the host, while a task runs.
#[derive(Debug)]
pub struct Context {
    pub(crate) host: Host,
    pub(crate) execution_id: String,
    pub(crate) task_run_id: String,
    pub(crate) task_id: String,
    pub(crate) type_name: String,
    pub(crate) attempt: u32,
    pub(crate) facts: Facts,
}

impl Context {
    /// The execution's id.
    pub fn execution_id(&self) -> &str {
        &self.execution_id
    }

    /// The task run's id: unique, the same for every attempt.
    pub fn task_run_id(&self) -> &str {
        &self.task_run_id
    }

    /// The task's id in the flow.
    pub fn task_id(&self) -> &str {
        &self.task_id
    }

    /// The task's type as the flow names it; an alias stays as it is.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Attempts finished before this one: 0 for the first.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// One fact of the invocation's context, which is open: an engine may know more than this SDK.
    pub fn fact(&self, name: &str) -> Option<&Value> {
        self.facts.get(name)
    }

    /// The flow's namespace.
    pub fn namespace(&self) -> Option<&str> {
        self.fact("namespace")?.as_str()
    }

    /// The flow's id.
    pub fn flow_id(&self) -> Option<&str> {
        self.fact("flowId")?.as_str()
    }

    /// The runner that whoever started the execution insists on: `process` or `docker`.
    pub fn runner(&self) -> Option<&str> {
        self.fact("runner")?.as_str()
    }

    /// The host's path of the directory whose files become outputs, where the task has one.
    pub fn output_dir(&self) -> Option<&str> {
        self.fact("outputDir")?.as_str()
    }

    /// The host's path of the working directory: what a child process calls it.
    pub fn working_dir(&self) -> String {
        self.host.working_dir()
    }

    /// A path below the working directory, for use with `std::fs`.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.host.guest_dir().join(relative)
    }

    /// Whether the task run was cancelled; one that goes on regardless is ended by the host.
    pub fn cancelled(&self) -> bool {
        self.host.cancel_requested()
    }

    /// The log.
    pub fn log(&self) -> Log<'_> {
        Log(&self.host)
    }

    /// Sets one output at once. It is kept even when the task fails afterwards.
    pub fn output(&self, key: &str, value: impl Serialize) -> Result<()> {
        self.host.emit_output(key, &serde_json::to_string(&value)?)
    }

    /// Adds `value` to a counter.
    pub fn counter(&self, name: &str, value: f64, tags: &[(&str, &str)]) {
        self.metric(name, "counter", value, tags);
    }

    /// Adds `time` to a timer.
    pub fn timer(&self, name: &str, time: Duration, tags: &[(&str, &str)]) {
        self.metric(name, "timer", time.as_secs_f64(), tags);
    }

    /// Sets a gauge.
    pub fn gauge(&self, name: &str, value: f64, tags: &[(&str, &str)]) {
        self.metric(name, "gauge", value, tags);
    }

    fn metric(&self, name: &str, kind: &str, value: f64, tags: &[(&str, &str)]) {
        let tags = tags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        self.host.emit_metric(name, kind, value, tags);
    }

    /// The task run is to end as WARNING instead of SUCCESS.
    pub fn warn(&self, reason: impl AsRef<str>) {
        self.host.mark_warning(reason.as_ref());
    }

    /// The execution.
    pub fn execution(&self) -> Execution<'_> {
        Execution(&self.host)
    }

    /// Secrets.
    pub fn secrets(&self) -> Secrets<'_> {
        Secrets(&self.host)
    }

    /// Key-value store of the flow's namespace.
    pub fn kv(&self) -> Kv<'_> {
        Kv { host: &self.host, namespace: None }
    }

    /// Key-value store of this namespace.
    pub fn kv_in<'a>(&'a self, namespace: Option<&'a str>) -> Kv<'a> {
        Kv { host: &self.host, namespace }
    }

    /// Internal storage.
    pub fn storage(&self) -> Storage<'_> {
        Storage(&self.host)
    }

    /// The digest of a file of the working directory, or of `(offset, length)` of it, in base64. The host computes it:
    /// `crc32`, `crc32c`, `md5`, `sha1` or `sha256`.
    pub fn digest(&self, path: &str, algorithm: &str, part: Option<(u64, u64)>) -> Result<String> {
        self.host.digest(path, algorithm, part)
    }

    /// What the engine's own surroundings say, as far as the type's `NEEDS` name it.
    pub fn environment(&self) -> Environment<'_> {
        Environment(&self.host)
    }

    /// Connections of bytes.
    pub fn tcp(&self) -> Tcp<'_> {
        Tcp(&self.host)
    }

    /// HTTP.
    pub fn http(&self) -> Http<'_> {
        Http(&self.host)
    }

    /// Clones a Git repository, described by JSON as in `docs/plugins.md`; what came of it, likewise.
    pub fn git_clone(&self, request: &Value) -> Result<Value> {
        Ok(serde_json::from_str(&self.host.git_clone(&json_text(request))?)?)
    }

    /// Why a connection of `std::net` failed, in the host's words: they name the rule that denied it and what to do.
    pub fn network_error(&self, error: std::io::Error) -> Error {
        self.host
            .last_failure()
            .unwrap_or_else(|| Error::new("network.connect", error.to_string()).retryable())
    }

    /// Processes.
    pub fn process(&self) -> Process<'_> {
        Process(&self.host)
    }

    /// Containers.
    pub fn container(&self) -> Container<'_> {
        Container(&self.host)
    }
}

/// Who calls, and what may be asked of the host, while a trigger polls: no task run exists yet.
#[derive(Debug)]
pub struct PollContext {
    pub(crate) host: Host,
    pub(crate) trigger_id: String,
    pub(crate) type_name: String,
    pub(crate) facts: Facts,
}

impl PollContext {
    /// The trigger's id in the flow.
    pub fn trigger_id(&self) -> &str {
        &self.trigger_id
    }

    /// The trigger's type as the flow names it; an alias stays as it is.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// One fact of the call's context, which is open: an engine may know more than this SDK.
    pub fn fact(&self, name: &str) -> Option<&Value> {
        self.facts.get(name)
    }

    /// The flow's namespace.
    pub fn namespace(&self) -> Option<&str> {
        self.fact("namespace")?.as_str()
    }

    /// The flow's id.
    pub fn flow_id(&self) -> Option<&str> {
        self.fact("flowId")?.as_str()
    }

    /// The execution that the first event will start.
    pub fn execution_id(&self) -> Option<&str> {
        self.fact("executionId")?.as_str()
    }

    /// A path below the directory that exists as long as this call, for use with `std::fs`.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.host.guest_dir().join(relative)
    }

    /// The trigger's log.
    pub fn log(&self) -> Log<'_> {
        Log(&self.host)
    }

    /// Secrets.
    pub fn secrets(&self) -> Secrets<'_> {
        Secrets(&self.host)
    }

    /// Key-value store of the flow's namespace.
    pub fn kv(&self) -> Kv<'_> {
        Kv { host: &self.host, namespace: None }
    }

    /// HTTP.
    pub fn http(&self) -> Http<'_> {
        Http(&self.host)
    }

    /// Internal storage. What is put there belongs to the execution that the first event starts; without an event, or
    /// when the poll fails, it is removed.
    pub fn storage(&self) -> Storage<'_> {
        Storage(&self.host)
    }

    /// The digest of a file of the working directory, or of `(offset, length)` of it, in base64. The host computes it:
    /// `crc32`, `crc32c`, `md5`, `sha1` or `sha256`.
    pub fn digest(&self, path: &str, algorithm: &str, part: Option<(u64, u64)>) -> Result<String> {
        self.host.digest(path, algorithm, part)
    }

    /// What the engine's own surroundings say, as far as the type's `NEEDS` name it.
    pub fn environment(&self) -> Environment<'_> {
        Environment(&self.host)
    }

    /// Connections of bytes.
    pub fn tcp(&self) -> Tcp<'_> {
        Tcp(&self.host)
    }
}
