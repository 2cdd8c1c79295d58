//! What a plugin may ask for while it performs one attempt: the worker's side of the plugin contract.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;
use weft_files::workdir::Directory;
use weft_files::{Storage, StorageUri, TaskRunFiles};
use weft_host::{Capabilities, Child, Command, FilePlace, Located};
use weft_model::{ExecutionUpdate, Failure, Label, Level, Map, MetricKind, SYSTEM_LABELS, State, abridged};
use weft_network::Network;
use weft_runner::{BaseEnvironment, Process};
use weft_state::{KvKind, KvStore, KvValue};

use crate::budget::{Budget, Origin};
use crate::children::{Children, ProcessChild, runner_failure};
use crate::collected::Collected;
use crate::container::{self, ContainerScope};
use crate::digest::{self, Algorithm};
use crate::output::OutputSink;
use crate::protocol::ScriptMetric;
use crate::reach::{Access, FlowReach};
use crate::records::TaskLog;
use crate::secrets::Secrets;
use crate::staging::storage_failure;

/// How much of a warning's reason is kept, in bytes.
const MAX_REASON: usize = 64 << 10;

/// One attempt at one task run, as its plugin sees the engine.
pub struct TaskContext {
    /// Unique name of the attempt, for what it starts.
    pub marker: String,
    /// What of internal storage the flow may reach, and its namespace.
    pub reach: FlowReach,
    /// What the plugin sees as `/work`.
    pub directory: Directory,
    /// The attempt's log.
    pub log: Arc<TaskLog>,
    /// What it may still hand to the engine.
    pub budget: Arc<Budget>,
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
    /// Told when its turn has come.
    pub begun: Notify,
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
    fn namespace_or_own<'a>(&'a self, given: Option<&'a str>) -> &'a str {
        given.unwrap_or(&self.reach.namespace)
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
        let mut outputs = lock(&self.outputs);
        self.budget.output(Origin::Plugin, key, outputs.get(key), &value)?;
        outputs.insert(key.to_owned(), value);
        Ok(())
    }

    fn emit_metric(&self, name: &str, kind: MetricKind, value: f64, tags: Vec<(String, String)>) {
        let value = if kind == MetricKind::Timer { value * 1_000.0 } else { value };
        let metric = ScriptMetric { name: name.to_owned(), kind, value, tags: tags.into_iter().collect() };
        // There is nobody to report to: the budget remembers what was too much.
        let _ = lock(&self.collected).add_metric(metric);
    }

    fn mark_warning(&self, reason: &str) {
        let end = reason.floor_char_boundary(MAX_REASON);
        lock(&self.warning).get_or_insert_with(|| reason[..end].to_owned());
    }

    fn working_dir(&self) -> &Path {
        self.directory.path()
    }

    fn namespace(&self) -> &str {
        &self.reach.namespace
    }

    fn begins(&self) {
        self.begun.notify_one();
    }

    fn cancel_requested(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn update_execution(&self, change: Value) -> Result<(), Failure> {
        let update = execution_update(change)?;
        let mut updates = lock(&self.updates);
        self.budget.update(&update)?;
        updates.push(update);
        Ok(())
    }

    fn exceed(&self, failure: &Failure) {
        self.budget.exceed(failure.clone());
    }

    async fn secret(&self, name: &str) -> Result<String, Failure> {
        // A file or a program may be waited for.
        match tokio::task::block_in_place(|| self.secrets.get(name)) {
            Ok(Some(secret)) => {
                self.hide(&secret)?;
                Ok(secret)
            }
            Ok(None) => Err(Failure::new("secret.not-found", format!("cannot find secret for key `{name}`"))),
            Err(error) => Err(Failure::new(error.code(), error.to_string())),
        }
    }

    async fn kv_get(&self, namespace: Option<&str>, key: &str) -> Result<Option<Value>, Failure> {
        let found = self.kv.get(self.namespace_or_own(namespace), key, Timestamp::now());
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
        self.budget.stored(key, &value)?;
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
        self.kv
            .set(self.namespace_or_own(namespace), key, &value, overwrite)
            .map_err(|error| state_failure(&error))
    }

    async fn kv_delete(&self, namespace: Option<&str>, key: &str) -> Result<bool, Failure> {
        self.kv
            .delete(self.namespace_or_own(namespace), key, Timestamp::now())
            .map_err(|error| state_failure(&error))
    }

    async fn kv_keys(&self, namespace: Option<&str>, prefix: &str) -> Result<Vec<String>, Failure> {
        self.kv
            .keys(self.namespace_or_own(namespace), prefix, Timestamp::now())
            .map_err(|error| state_failure(&error))
    }

    fn locate(&self, uri: &str) -> Result<Located, Failure> {
        let uri = self.uri(uri)?;
        let (owner, own) = (uri.owner(), self.files.prefix().owner());
        let place = match &owner {
            _ if uri.relative_to(self.files.prefix()).is_some() => FilePlace::TaskRun,
            Some(owner) if owner.namespace != self.reach.namespace => FilePlace::Elsewhere,
            Some(owner) if owner.is_shared => FilePlace::Flow,
            Some(owner) if owner.execution_id.is_some() && Some(owner) == own.as_ref() => FilePlace::Flow,
            _ => FilePlace::Elsewhere,
        };
        let namespace = owner.map(|owner| owner.namespace);
        Ok(Located { uri: uri.to_string(), place, namespace })
    }

    fn names(&self, text: &str, uri: &str) -> bool {
        let Ok(uri) = self.uri(uri) else { return false };
        let named = |(_, text)| weft_files::address(text, &self.reach.namespace);
        weft_files::addresses(text).filter_map(named).flatten().any(|found| found == uri)
    }

    fn flow_may_read(&self, uri: &str) -> Result<(), Failure> {
        let uri = self.uri(uri)?;
        Ok(self.reach.check(&uri, Access::Read)?)
    }

    fn flow_may_remove(&self, uri: &str) -> Result<(), Failure> {
        let uri = self.uri(uri)?;
        Ok(self.reach.check(&uri, Access::Remove)?)
    }

    async fn put_file(&self, path: &str, name: &str) -> Result<String, Failure> {
        let from = self.directory.open_file(path).map_err(|error| storage_failure(&error))?;
        let uri = self.files.file(name).map_err(|error| storage_failure(&error))?;
        self.storage.put_file(&uri, from).await.map_err(|error| storage_failure(&error))?;
        Ok(uri.to_string())
    }

    async fn move_file(&self, path: &str, name: &str) -> Result<String, Failure> {
        let uri = self.files.file(name).map_err(|error| storage_failure(&error))?;
        let moved = self.storage.move_file(&uri, &self.directory, path).await;
        moved.map_err(|error| storage_failure(&error))?;
        Ok(uri.to_string())
    }

    async fn get_file(&self, uri: &str, path: &str) -> Result<u64, Failure> {
        let written = self.storage.get_into(&self.uri(uri)?, &self.directory, path).await;
        written.map_err(|error| storage_failure(&error))
    }

    async fn file_size(&self, uri: &str) -> Result<u64, Failure> {
        self.storage.size(&self.uri(uri)?).await.map_err(|error| storage_failure(&error))
    }

    async fn delete_file(&self, uri: &str) -> Result<bool, Failure> {
        self.storage.delete(&self.uri(uri)?).await.map_err(|error| storage_failure(&error))
    }

    async fn digest(&self, path: &str, algorithm: &str, part: Option<(u64, u64)>) -> Result<String, Failure> {
        let file = self.directory.open_file(path).map_err(|error| storage_failure(&error))?;
        let Some(algorithm) = Algorithm::from_name(algorithm) else {
            return Err(Failure::new("plugin.bad-output", format!("there is no digest `{algorithm}`")));
        };
        // The thread goes on until it is told that nobody waits for it any more.
        let ended = Ended::default();
        let stop = Arc::clone(&ended.0);
        let computed = tokio::task::spawn_blocking(move || {
            let path = file.path().to_owned();
            digest::of_file(file, algorithm, part, &stop).map_err(|error| {
                Failure::new("storage.io", format!("cannot read `{}`: {error}", path.display()))
            })
        });
        computed.await.unwrap_or_else(|error| Err(Failure::new("engine.panic", error.to_string())))
    }

    fn hide(&self, secret: &str) -> Result<(), Failure> {
        self.budget.secret(secret)?;
        self.log.hide(secret);
        Ok(())
    }

    async fn git_clone(&self, request: Value, network: &Network) -> Result<Value, Failure> {
        crate::git::clone(self, request, network).await
    }

    async fn spawn(&self, command: Command) -> Result<Box<dyn Child>, Failure> {
        let cwd = match &command.cwd {
            Some(cwd) => self.directory.open_directory(cwd).map_err(|error| storage_failure(&error))?,
            None => self.directory.clone(),
        };
        let sink = self.sink(&command.options);
        let mut start = weft_runner::Command::new(command.argv, cwd.path(), &self.marker);
        if command.cwd.is_some() {
            start.cwd_handle = Some(cwd);
        }
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

/// Says so to a thread when it is dropped.
#[derive(Default)]
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads a change to the execution, as the contract says.
fn execution_update(change: Value) -> Result<ExecutionUpdate, Failure> {
    let invalid =
        |what: &str| Failure::new("plugin.bad-output", format!("cannot change the execution by {what}"));
    let Value::Object(change) = change else { return Err(invalid(&abridged(&change.to_string()))) };
    let Some((key, value)) = change.into_iter().next() else { return Err(invalid("{}")) };
    let update = match (key.as_str(), value) {
        ("labels", value) => serde_json::from_value::<Vec<Label>>(value).ok().map(ExecutionUpdate::Labels),
        ("setVariables", Value::Object(variables)) => Some(ExecutionUpdate::SetVariables(variables)),
        ("unsetVariables", names) => serde_json::from_value(names).ok().map(ExecutionUpdate::UnsetVariables),
        ("exit", state) => serde_json::from_value::<State>(state).ok().map(ExecutionUpdate::Exit),
        _ => None,
    };
    let update = update.ok_or_else(|| {
        invalid(&format!(
            "this value of `{}`: expected one of `labels`, `setVariables`, `unsetVariables`, `exit` with a value as \
             documented",
            abridged(&key)
        ))
    })?;
    if let ExecutionUpdate::Labels(labels) = &update
        && let Some(label) = labels.iter().find(|label| label.key.starts_with(SYSTEM_LABELS))
    {
        return Err(invalid(&format!(
            "a label `{}`: only the engine sets labels of `{SYSTEM_LABELS}`",
            abridged(&label.key)
        )));
    }
    Ok(update)
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
                Ok(ExecutionUpdate::Labels(vec![Label { key: "a".into(), value: "b".into() }])),
            ),
            (json!({"unsetVariables": ["x"]}), Ok(ExecutionUpdate::UnsetVariables(vec!["x".into()]))),
            (json!({"exit": "KILLED"}), Ok(ExecutionUpdate::Exit(State::Killed))),
            (json!({"exit": "GONE"}), Err("this value of `exit`")),
            (json!({"labels": "x"}), Err("this value of `labels`")),
            (json!({"setVariables": []}), Err("this value of `setVariables`")),
            (json!({"other": 1}), Err("this value of `other`")),
            (json!({}), Err("by {}")),
            (json!("x"), Err("by \"x\"")),
            (
                json!({"labels": [{"key": "a", "value": "b"}, {"key": "system.username", "value": "b"}]}),
                Err("a label `system.username`: only the engine"),
            ),
            (
                json!({"labels": [{"key": "systematic", "value": "b"}]}),
                Ok(ExecutionUpdate::Labels(vec![Label { key: "systematic".into(), value: "b".into() }])),
            ),
        ] {
            match (execution_update(change.clone()), expected) {
                (Ok(update), Ok(expected)) => assert_eq!(update, expected, "{change}"),
                (Err(failure), Err(part)) => {
                    assert_eq!(failure.code, "plugin.bad-output");
                    assert!(failure.message.contains(part), "{change}: {}", failure.message);
                }
                (update, expected) => panic!("{change}: {update:?}, expected {expected:?}"),
            }
        }
    }
}
