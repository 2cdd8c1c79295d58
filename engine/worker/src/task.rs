//! What a plugin may ask for while it performs one attempt: the worker's side of the plugin contract.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use weft_files::{Storage, StorageUri, TaskRunFiles, workdir};
use weft_host::{Capabilities, Child, Command};
use weft_model::{ExecutionUpdate, Failure, Label, Level, Map, MetricKind, State};
use weft_network::Network;
use weft_runner::{BaseEnvironment, Process};
use weft_state::{KvKind, KvStore, KvValue};

use crate::children::{Children, ProcessChild, runner_failure};
use crate::collected::Collected;
use crate::container::{self, ContainerScope};
use crate::digest::{self, Algorithm};
use crate::output::OutputSink;
use crate::protocol::ScriptMetric;
use crate::records::TaskLog;
use crate::secrets::Secrets;
use crate::staging::storage_failure;

/// One attempt at one task run, as its plugin sees the engine.
pub struct TaskContext {
    /// Unique name of the attempt, for what it starts.
    pub marker: String,
    /// The flow's namespace.
    pub namespace: String,
    /// The host's path of `/work`.
    pub directory: PathBuf,
    /// The attempt's log.
    pub log: Arc<TaskLog>,
    /// Outputs and metrics of scripts.
    pub collected: Arc<Mutex<Collected>>,
    /// Outputs that the plugin set.
    pub outputs: Mutex<Map>,
    /// Why the attempt ends as WARNING, if it does.
    pub warning: Mutex<Option<String>>,
    /// Changes to the execution that were asked for.
    pub updates: Mutex<Vec<ExecutionUpdate>>,
    /// What it started.
    pub children: Children,
    /// Whether it has been asked to stop.
    pub cancelled: AtomicBool,
    /// Where its files go.
    pub files: TaskRunFiles,
    /// Internal storage.
    pub storage: Storage,
    /// Key-value store.
    pub kv: KvStore,
    /// Secrets.
    pub secrets: Arc<dyn Secrets>,
    /// The way out of the machine.
    pub network: Network,
    /// How long a child may take to end after it was asked to.
    pub grace: Duration,
    /// What its processes begin with.
    pub environment: BaseEnvironment,
    /// What its containers have in common.
    pub container: ContainerScope,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TaskContext {
    fn namespace<'a>(&'a self, given: Option<&'a str>) -> &'a str {
        given.unwrap_or(&self.namespace)
    }

    /// A path below the working directory, checked.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, Failure> {
        workdir::resolve(&self.directory, path).map_err(|error| storage_failure(&error))
    }

    /// Where the output of a child goes whose command has these options.
    pub fn sink(&self, options: &Value) -> OutputSink {
        let level = |key: &str, default| options[key].as_str().and_then(Level::from_name).unwrap_or(default);
        let [stdout, stderr] = OutputSink::OPTIONS;
        OutputSink::new(
            Arc::clone(&self.log),
            Arc::clone(&self.collected),
            level(stdout, Level::Info),
            level(stderr, Level::Warn),
        )
    }

    fn uri(&self, uri: &str) -> Result<StorageUri, Failure> {
        StorageUri::parse(uri).map_err(|error| storage_failure(&error))
    }
}

#[async_trait]
impl Capabilities for TaskContext {
    fn log(&self, level: Level, message: &str, fields: Option<Value>) {
        match fields {
            Some(fields) => self.log.write(level, &format!("{message} {fields}")),
            None => self.log.write(level, message),
        }
    }

    fn emit_output(&self, key: &str, value: Value) -> Result<(), Failure> {
        lock(&self.outputs).insert(key.to_owned(), value);
        Ok(())
    }

    fn emit_metric(&self, name: &str, kind: MetricKind, value: f64, tags: Vec<(String, String)>) {
        let value = if kind == MetricKind::Timer { value * 1_000.0 } else { value };
        let metric = ScriptMetric { name: name.to_owned(), kind, value, tags: tags.into_iter().collect() };
        if let Err(problem) = lock(&self.collected).add_metric(metric) {
            self.log.write(Level::Warn, &problem);
        }
    }

    fn mark_warning(&self, reason: &str) {
        lock(&self.warning).get_or_insert_with(|| reason.to_owned());
    }

    fn working_dir(&self) -> &Path {
        &self.directory
    }

    fn cancel_requested(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn update_execution(&self, change: Value) -> Result<(), Failure> {
        let update = execution_update(&change).ok_or_else(|| {
            let message = format!(
                "cannot change the execution by {change}: expected one of `labels`, `setVariables`, \
                 `unsetVariables`, `exit`"
            );
            Failure::new("plugin.bad-output", message)
        })?;
        lock(&self.updates).push(update);
        Ok(())
    }

    async fn secret(&self, name: &str) -> Result<String, Failure> {
        // A file or a program may be waited for.
        match tokio::task::block_in_place(|| self.secrets.get(name)) {
            Ok(Some(secret)) => {
                self.log.hide(&secret);
                Ok(secret)
            }
            Ok(None) => Err(Failure::new("secret.not-found", format!("cannot find secret for key `{name}`"))),
            Err(error) => Err(Failure::new(error.code(), error.to_string())),
        }
    }

    async fn kv_get(&self, namespace: Option<&str>, key: &str) -> Result<Option<Value>, Failure> {
        let found = self.kv.get(self.namespace(namespace), key, Timestamp::now());
        Ok(found.map_err(|error| state_failure(&error))?.map(|found| found.value))
    }

    async fn kv_set(
        &self,
        namespace: Option<&str>,
        key: &str,
        value: Value,
        ttl: Option<Duration>,
        overwrite: bool,
    ) -> Result<(), Failure> {
        let updated = Timestamp::now();
        let kind = match &value {
            Value::String(_) => KvKind::String,
            Value::Number(_) => KvKind::Number,
            Value::Bool(_) => KvKind::Boolean,
            _ => KvKind::Json,
        };
        // A time to live beyond the end of time is for ever.
        let expires = ttl.and_then(|ttl| updated.checked_add(ttl).ok());
        let value = KvValue { value, kind, expires, updated };
        self.kv.set(self.namespace(namespace), key, &value, overwrite).map_err(|error| state_failure(&error))
    }

    async fn kv_delete(&self, namespace: Option<&str>, key: &str) -> Result<bool, Failure> {
        self.kv
            .delete(self.namespace(namespace), key, Timestamp::now())
            .map_err(|error| state_failure(&error))
    }

    async fn kv_keys(&self, namespace: Option<&str>, prefix: &str) -> Result<Vec<String>, Failure> {
        self.kv
            .keys(self.namespace(namespace), prefix, Timestamp::now())
            .map_err(|error| state_failure(&error))
    }

    async fn put_file(&self, path: &str, name: &str) -> Result<String, Failure> {
        let from = self.resolve(path)?;
        let uri = self.files.file(name).map_err(|error| storage_failure(&error))?;
        self.storage.put_file(&uri, &from).await.map_err(|error| storage_failure(&error))?;
        Ok(uri.to_string())
    }

    async fn move_file(&self, path: &str, name: &str) -> Result<String, Failure> {
        let from = workdir::resolve(&self.directory, path).map_err(|error| storage_failure(&error))?;
        let uri = self.files.file(name).map_err(|error| storage_failure(&error))?;
        self.storage.move_file(&uri, &from).await.map_err(|error| storage_failure(&error))?;
        Ok(uri.to_string())
    }

    async fn get_file(&self, uri: &str, path: &str) -> Result<u64, Failure> {
        let to = workdir::prepare(&self.directory, path).map_err(|error| storage_failure(&error))?;
        self.storage.get_file(&self.uri(uri)?, &to).await.map_err(|error| storage_failure(&error))
    }

    async fn file_size(&self, uri: &str) -> Result<u64, Failure> {
        self.storage.size(&self.uri(uri)?).await.map_err(|error| storage_failure(&error))
    }

    async fn delete_file(&self, uri: &str) -> Result<bool, Failure> {
        self.storage.delete(&self.uri(uri)?).await.map_err(|error| storage_failure(&error))
    }

    async fn digest(&self, path: &str, algorithm: &str, part: Option<(u64, u64)>) -> Result<String, Failure> {
        let path = workdir::resolve(&self.directory, path).map_err(|error| storage_failure(&error))?;
        let Some(algorithm) = Algorithm::from_name(algorithm) else {
            return Err(Failure::new("plugin.bad-output", format!("there is no digest `{algorithm}`")));
        };
        let computed = tokio::task::spawn_blocking(move || {
            digest::of_file(&path, algorithm, part).map_err(|error| {
                Failure::new("storage.io", format!("cannot read `{}`: {error}", path.display()))
            })
        });
        computed.await.unwrap_or_else(|error| Err(Failure::new("engine.panic", error.to_string())))
    }

    fn hide(&self, secret: &str) {
        self.log.hide(secret);
    }

    async fn git_clone(&self, request: Value) -> Result<Value, Failure> {
        crate::git::clone(self, request).await
    }

    async fn spawn(&self, command: Command) -> Result<Box<dyn Child>, Failure> {
        let cwd = match &command.cwd {
            Some(cwd) => self.resolve(cwd)?,
            None => self.directory.clone(),
        };
        let sink = self.sink(&command.options);
        let mut start = weft_runner::Command::new(command.argv, cwd, &self.marker);
        start.base = self.environment.clone();
        start.env = command.env;
        start.grace = self.grace;
        let process = Process::spawn(start, sink).await.map_err(|error| runner_failure(&error))?;
        let process = Arc::new(process);
        self.children.add(&process);
        if self.cancel_requested() {
            self.children.stop();
        }
        Ok(Box::new(ProcessChild::new(process, Arc::clone(&self.collected))))
    }

    async fn run_container(&self, image: &str, command: Command) -> Result<Box<dyn Child>, Failure> {
        container::run(self, image, command).await
    }
}

fn execution_update(change: &Value) -> Option<ExecutionUpdate> {
    let (key, value) = change.as_object()?.iter().next()?;
    match key.as_str() {
        "labels" => serde_json::from_value::<Vec<Label>>(value.clone()).ok().map(ExecutionUpdate::Labels),
        "setVariables" => value.as_object().cloned().map(ExecutionUpdate::SetVariables),
        "unsetVariables" => serde_json::from_value(value.clone()).ok().map(ExecutionUpdate::UnsetVariables),
        "exit" => serde_json::from_value::<State>(value.clone()).ok().map(ExecutionUpdate::Exit),
        _ => None,
    }
}

fn state_failure(error: &weft_state::StateError) -> Failure {
    Failure::new(error.code(), error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changes_to_the_execution() {
        for (change, expected) in [
            (
                json!({"labels": [{"key": "a", "value": "b"}]}),
                Some(ExecutionUpdate::Labels(vec![Label { key: "a".into(), value: "b".into() }])),
            ),
            (json!({"unsetVariables": ["x"]}), Some(ExecutionUpdate::UnsetVariables(vec!["x".into()]))),
            (json!({"exit": "KILLED"}), Some(ExecutionUpdate::Exit(State::Killed))),
            (json!({"exit": "GONE"}), None),
            (json!({"labels": "x"}), None),
            (json!({"other": 1}), None),
            (json!({}), None),
            (json!("x"), None),
        ] {
            assert_eq!(execution_update(&change), expected, "{change}");
        }
    }
}
