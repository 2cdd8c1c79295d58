//! One attempt at one task run, from the request to the result.

mod directory;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use weft_files::workdir::{Directory, ENGINE_FOLDER, WorkspacePool};
use weft_files::{ExecutionFiles, OpenFile, Storage};
use weft_flow::Places;
use weft_host::{Host, Invocation};
use weft_model::{AttemptLimits, Failure, Level, Map, State, TaskRunRequest, TaskRunResult, Work};
use weft_network::Network;
use weft_runner::{BaseEnvironment, DockerSettings};
use weft_state::KvStore;

use crate::budget::Budget;
use crate::children::Children;
use crate::collected::Collected;
use crate::container::{ContainerScope, Containers};
use crate::environment::ExecutionEnvironment;
use crate::mask::Masker;
use crate::plan::{Plan, Plans};
use crate::reach::{FlowReach, Relatives};
use crate::records::{Records, TaskLog};
use crate::secrets::Secrets;
use crate::task::TaskContext;
use crate::{namespace_files, render, staging};

use directory::{OpenDirectory, Place};

/// How a task that leaves it open, or that is overruled, runs its scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnerKind {
    /// As local processes.
    Process,
    /// In containers.
    Docker,
}

/// What a worker needs.
#[derive(Clone)]
pub struct WorkerOptions {
    /// Runs plugins.
    pub host: Arc<Host>,
    /// Internal storage.
    pub storage: Storage,
    /// Key-value store.
    pub kv: KvStore,
    /// Secrets.
    pub secrets: Arc<dyn Secrets>,
    /// The way out of the machine, for what the engine fetches itself.
    pub network: Network,
    /// Where working directories are made.
    pub temp: PathBuf,
    /// Groups whose tasks may run here; tasks of no group always may.
    pub groups: Vec<String>,
    /// Runs scripts this way whatever the flow says.
    pub runner: Option<RunnerKind>,
    /// From the polite request to end to the end.
    pub grace: Duration,
    /// What one attempt may hand to the engine.
    pub limits: AttemptLimits,
    /// What scripts that run as processes begin with.
    pub environment: BaseEnvironment,
    /// How containers are run. Asked for when the first one is wanted.
    pub docker: Arc<dyn Fn() -> DockerSettings + Send + Sync>,
}

/// Performs task runs. Cheap to share; attempts do not know of each other but for shared directories.
pub struct Worker {
    options: WorkerOptions,
    plans: Plans,
    containers: Containers,
    /// Directories of `WorkingDirectory` task runs that are open, by task run.
    directories: Mutex<HashMap<String, OpenDirectory>>,
    /// Directories of all other task runs.
    pool: WorkspacePool,
}

/// What the attempts of one execution share.
#[derive(Clone)]
pub struct ExecutionScope {
    /// Where its records go.
    pub records: Arc<dyn Records>,
    /// Its secrets so far.
    pub masker: Masker,
    /// Finds what failed in the source of its flow.
    pub places: Arc<dyn Places>,
    /// What is known of the executions that it has to do with.
    pub relatives: Arc<dyn Relatives>,
}

impl ExecutionScope {
    /// Adds to the failure of an expression where in the flow's source it stands.
    fn locate(&self, task_id: &str, failure: &mut Failure) {
        let Some(detail) = failure.detail.as_ref().filter(|_| failure.code == "expression.failed") else {
            return;
        };
        let Some(property) = detail["property"].as_str() else { return };
        let byte = |key: &str| detail[key].as_u64().and_then(|byte| usize::try_from(byte).ok());
        let bytes = byte("start").zip(byte("end")).map(|(start, end)| start..end);
        if let Some(place) = self.places.place(task_id, property, bytes) {
            failure.message = format!("{place}: {}", failure.message);
        }
    }
}

impl Worker {
    /// A worker with nothing open.
    pub fn new(options: WorkerOptions) -> Self {
        let containers = Containers::new(Arc::clone(&options.docker), &options.network);
        let pool = WorkspacePool::new(&options.temp);
        Self { options, plans: Plans::default(), containers, directories: Mutex::default(), pool }
    }

    /// An execution is over: what it has left open goes, and containers that are being removed are waited for.
    pub async fn end_execution(&self, execution_id: &str) {
        self.open_directories().retain(|_, directory| directory.execution_id != execution_id);
        self.containers.settle().await;
    }

    fn open_directories(&self) -> MutexGuard<'_, HashMap<String, OpenDirectory>> {
        self.directories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the directories and control groups that are kept for later attempts.
    pub fn tidy_up(&self) {
        self.pool.clear();
        weft_runner::Engine::tidy_up_shared();
    }

    pub(crate) fn host(&self) -> &Host {
        &self.options.host
    }

    pub(crate) fn containers(&self) -> &Containers {
        &self.containers
    }

    pub(crate) fn plans(&self) -> &Plans {
        &self.plans
    }

    /// What it was made with.
    pub fn options(&self) -> &WorkerOptions {
        &self.options
    }

    /// The directory that a `WorkingDirectory` task run has open.
    pub fn directory(&self, task_run_id: &str) -> Option<Directory> {
        self.open_directories().get(task_run_id)?.workspace.directory().renewed()
    }

    /// What expressions of an execution in `namespace` may ask of the world.
    pub fn environment(&self, namespace: &str, scope: &ExecutionScope) -> ExecutionEnvironment {
        ExecutionEnvironment {
            reach: FlowReach { namespace: namespace.to_owned(), relatives: Arc::clone(&scope.relatives) },
            storage: self.options.storage.clone(),
            kv: self.options.kv.clone(),
            secrets: Arc::clone(&self.options.secrets),
            masker: scope.masker.clone(),
            records: Arc::clone(&scope.records),
            runtime: Handle::current(),
        }
    }

    /// Performs one attempt. It always ends with a result; `cancel` turning true ends it as KILLED, after everything
    /// it started has ended. Dropping the future ends everything at once.
    pub async fn run(
        &self,
        request: TaskRunRequest,
        scope: &ExecutionScope,
        cancel: watch::Receiver<bool>,
    ) -> TaskRunResult {
        let started = Timestamp::now();
        let (records, masker) = (Arc::clone(&scope.records), scope.masker.clone());
        let log = Arc::new(TaskLog::new(&request, records, masker, self.options.limits.log_bytes));
        let mut outcome = match &request.work {
            Work::Run { properties } => {
                self.run_task(&request, properties, scope, &log, cancel.clone()).await
            }
            Work::OpenDirectory { files } => self.open_directory(&request, files, scope, &log).await.into(),
            Work::CloseDirectory { files } => self.close_directory(&request, files, scope, &log).await.into(),
        };
        if let Some(failure) = &mut outcome.failure {
            scope.locate(&request.task_id, failure);
            log.mask_failure(failure);
            // After that, so that no secret is cut into pieces that nobody knows.
            failure.cut();
            log.write(Level::Error, &failure.message);
        }
        let state = match (&outcome.failure, outcome.warning) {
            (Some(_), _) if *cancel.borrow() => State::Killed,
            (Some(_), _) => State::Failed,
            (None, true) => State::Warning,
            (None, false) => State::Success,
        };
        TaskRunResult {
            task_run_id: request.task_run_id.clone(),
            attempt: request.attempt,
            state,
            outputs: outcome.outputs,
            failure: outcome.failure,
            updates: outcome.updates,
            log_file: self.store_log(&request, log).await,
            started,
            ended: Timestamp::now(),
        }
    }

    async fn run_task(
        &self,
        request: &TaskRunRequest,
        properties: &Map,
        scope: &ExecutionScope,
        log: &Arc<TaskLog>,
        cancel: watch::Receiver<bool>,
    ) -> Outcome {
        match self.prepare(request, properties, scope, log).await {
            Ok(prepared) => self.perform(request, prepared, cancel).await,
            Err(failure) => failure.into(),
        }
    }

    /// Everything before the plugin: directory, files, properties.
    async fn prepare(
        &self,
        request: &TaskRunRequest,
        properties: &Map,
        scope: &ExecutionScope,
        log: &Arc<TaskLog>,
    ) -> Result<Prepared, Failure> {
        self.check_group(request)?;
        let plan = self.plans.of(&self.options.host, &request.task_type).await?;
        let has_output = plan.output_directory(properties);
        let workspace = self.place_of(request, has_output)?;
        let directory = workspace.directory()?;
        let env = self.environment(&request.namespace, scope);
        let scratch = match &workspace {
            Place::Own(_) => ENGINE_FOLDER.to_owned(),
            // Attempts that share a directory must not meet.
            Place::Shared(..) => format!("{ENGINE_FOLDER}/{}", request.task_run_id),
        };
        let context = render::overlay(
            &request.context,
            [("workingDir", weft_expr::Value::from(directory.path().to_string_lossy().into_owned()))],
        );

        if let Some((name, files)) =
            plan.roles.namespace_files.as_ref().and_then(|name| Some((name, properties.get(name)?)))
        {
            let (place, with) = ((name.as_str(), request.namespace.as_str()), (&context, &env as _));
            namespace_files::put(files, place, &directory, &self.options.storage, with, log).await?;
        }
        for name in &plan.roles.input_files {
            if let Some(files) = properties.get(name) {
                let (place, with) = ((name.as_str(), &env.reach), (&context, &env as _));
                staging::put_input_files(files, place, &directory, &self.options.storage, with).await?;
            }
        }
        let output = format!("{scratch}/output");
        let output_directory = match &workspace {
            Place::Own(loan) => loan.output().map(Path::to_owned),
            Place::Shared(..) if has_output => {
                directory.make_directory(&output).map_err(|error| staging::storage_failure(&error))?;
                Some(directory.path().join(&output))
            }
            Place::Shared(..) => None,
        };
        let output = output_directory.is_some().then_some(output);
        let context = match &output_directory {
            Some(output) => render::overlay(
                &context,
                [("outputDir", weft_expr::Value::from(output.to_string_lossy().into_owned()))],
            ),
            None => context,
        };
        let mut rendered = plan.render(properties, &context, &env)?;
        for name in &plan.roles.localize {
            if let Some(value) = rendered.get_mut(name) {
                let place = (&directory, scratch.as_str());
                staging::localize(value, &env.reach, place, &self.options.storage).await?;
            }
        }
        // What came out as it stands in the flow was checked with the flow.
        if rendered.iter().any(|(name, value)| properties.get(name) != Some(value)) {
            plan.validate(&rendered)?;
        }

        let timeout = match &request.timeout {
            Some(text) => Some(duration(&render::text(text, "timeout", &context, &env)?)?),
            None => None,
        };
        let files = ExecutionFiles::new(&request.namespace, &request.flow_id, &request.execution_id)
            .and_then(|files| files.task_run(&request.task_id, &request.task_run_id))
            .map_err(|error| staging::storage_failure(&error))?;
        let budget = Arc::new(Budget::new(self.options.limits));
        let task = Arc::new(TaskContext {
            marker: format!("{}/{}/{}", request.execution_id, request.task_run_id, request.attempt),
            reach: env.reach.clone(),
            directory,
            log: Arc::clone(log),
            collected: Arc::new(Mutex::new(Collected::new(Arc::clone(&budget)))),
            budget,
            outputs: Mutex::default(),
            warning: Mutex::default(),
            updates: Mutex::default(),
            children: Children::default(),
            begun: Notify::new(),
            cancelled: AtomicBool::new(false),
            files,
            storage: self.options.storage.clone(),
            kv: self.options.kv.clone(),
            secrets: Arc::clone(&self.options.secrets),
            grace: self.options.grace,
            environment: self.options.environment.clone(),
            container: ContainerScope::new(&self.containers, request, workspace.shelf(), output.clone()),
        });
        Ok(Prepared { plan, rendered, task, timeout, output_directory, output, scratch, workspace })
    }

    /// The plugin's run and what comes out of it.
    async fn perform(
        &self,
        request: &TaskRunRequest,
        prepared: Prepared,
        mut cancel: watch::Receiver<bool>,
    ) -> Outcome {
        let Prepared { plan, rendered, task, timeout, output_directory, output, scratch, mut workspace } =
            prepared;
        let runner = self.options.runner.map(|runner| match runner {
            RunnerKind::Process => "process",
            RunnerKind::Docker => "docker",
        });
        let invocation = Invocation {
            execution_id: request.execution_id.clone(),
            task_run_id: request.task_run_id.clone(),
            task_id: request.task_id.clone(),
            attempt: request.attempt,
            context: json!({
                "namespace": request.namespace,
                "flowId": request.flow_id,
                "runner": runner,
                "outputDir": output_directory,
                "timeout": timeout.map(|timeout| timeout.to_string()),
            }),
            properties: Value::Object(rendered.clone()),
        };

        // The first to come of: the end, the time limit, the request to stop. The last two ask the children to end and
        // give the plugin the grace period to say its last words.
        let stop = async {
            let asked = async {
                // A closed channel means that nobody can ask any more.
                if cancel.wait_for(|asked| *asked).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let failure = tokio::select! {
                () = asked => Failure::new("task.killed", "the task was killed"),
                failure = time_limit(timeout, &task.begun) => failure,
            };
            task.cancelled.store(true, Ordering::Relaxed);
            task.children.stop();
            failure
        };
        let (stopped_sender, mut stopped) = watch::channel(None::<Failure>);
        let (children, least) = (&task.children, self.options.grace);
        let capabilities: Arc<dyn weft_host::Capabilities> = Arc::clone(&task) as _;
        let ended = self.options.host.run(&request.task_type, invocation, capabilities, async move {
            let failure = stop.await;
            // Nobody may be listening any more: then the run has ended.
            let _ = stopped_sender.send(Some(failure.clone()));
            tokio::time::sleep(children.grace(least) + Duration::from_secs(1)).await;
            failure
        });
        let result = ended.await;
        task.children.ended().await;
        let stopped = stopped.borrow_and_update().clone();
        let is_stopped = stopped.is_some();
        let mut outcome = Outcome::from(stopped.map_or(result, Err));
        for (key, value) in std::mem::take(&mut outcome.outputs) {
            if weft_host::Capabilities::emit_output(&*task, &key, value).is_err() {
                // The rest would be half of a result.
                break;
            }
        }
        outcome.outputs = std::mem::take(&mut *task.outputs.lock().unwrap_or_else(PoisonError::into_inner));
        if !is_stopped && let Some(exceeded) = task.budget.exceeded() {
            // Whatever else went wrong may come from that, or not.
            let other = outcome.failure.replace(exceeded).filter(|other| other.code != "task.budget");
            if let Some(mut other) = other {
                task.log.mask_failure(&mut other);
                other.cut();
                task.log.write(Level::Error, &other.message);
            }
        }
        outcome.warning = task.warning.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        outcome.updates = std::mem::take(&mut *task.updates.lock().unwrap_or_else(PoisonError::into_inner));
        let places = (output.as_deref(), workspace.is_untouched());
        if let Err(failure) = self.take_files(&plan, &rendered, &task, places, &mut outcome.outputs).await {
            outcome.failure.get_or_insert(failure);
        }
        if let Place::Shared(..) = workspace {
            // What is left of scripts and copies; the rest goes with the last who shares it.
            let _ = task.directory.remove(&scratch);
        }
        self.finish(&task, outcome)
    }

    /// Files out of the directory, after a failure too.
    async fn take_files(
        &self,
        plan: &Plan,
        rendered: &Map,
        task: &TaskContext,
        (output, untouched): (Option<&str>, bool),
        outputs: &mut Map,
    ) -> Result<(), Failure> {
        let storage = &self.options.storage;
        if let Some(output) = output {
            // Most tasks leave nothing; then nothing has to be looked for.
            let uris = match untouched {
                true => Map::new(),
                false => {
                    staging::take_output_directory(&task.directory, output, &task.files, storage).await?
                }
            };
            merge(outputs, "outputFiles", uris);
        }
        for (name, output) in &plan.roles.output_files {
            let globs = match rendered.get(name) {
                None | Some(Value::Null) => continue,
                Some(globs) => texts(globs),
            };
            let uris =
                staging::take_output_files(&globs, name, &task.directory, &task.files, storage).await?;
            merge(outputs, output, uris);
        }
        Ok(())
    }

    /// Metrics and the word about a warning.
    fn finish(&self, task: &TaskContext, outcome: Outcome) -> Outcome {
        let metrics =
            task.collected.lock().unwrap_or_else(PoisonError::into_inner).metrics(task.log.source());
        if !metrics.is_empty() {
            task.log.metrics(metrics);
        }
        if let (None, Some(reason)) =
            (&outcome.failure, &*task.warning.lock().unwrap_or_else(PoisonError::into_inner))
        {
            task.log.write(Level::Debug, &format!("ends as WARNING: {reason}"));
        }
        outcome
    }

    fn check_group(&self, request: &TaskRunRequest) -> Result<(), Failure> {
        match &request.worker_group {
            Some(group) if !self.options.groups.contains(group) => Err(Failure::new(
                "worker.group",
                format!(
                    "task `{}` wants a worker of the group `{group}`, and none is here\n\
                     hint: start the engine with `--worker-group {group}`, or remove `workerGroup` from the task",
                    request.task_id
                ),
            )),
            _ => Ok(()),
        }
    }

    async fn store_log(&self, request: &TaskRunRequest, log: Arc<TaskLog>) -> Option<String> {
        // Nobody else holds the log any more: the plugin's run is over.
        let copy = Arc::into_inner(log)?.finish()?;
        let files = ExecutionFiles::new(&request.namespace, &request.flow_id, &request.execution_id)
            .and_then(|files| files.task_run(&request.task_id, &request.task_run_id))
            .ok()?;
        let uri = files.file(&format!("attempt-{}.log", request.attempt)).ok()?;
        self.options.storage.put_file(&uri, OpenFile::open(copy.path()).ok()?).await.ok()?;
        Some(uri.to_string())
    }
}

impl Drop for Worker {
    /// Directories go with their pool; control groups are those of the whole process, which drops nothing at its end.
    fn drop(&mut self) {
        weft_runner::Engine::tidy_up_shared();
    }
}

/// What is ready before the plugin is called.
struct Prepared {
    plan: Arc<Plan>,
    rendered: Map,
    task: Arc<TaskContext>,
    timeout: Option<SignedDuration>,
    output_directory: Option<PathBuf>,
    /// The same as a name in the directory.
    output: Option<String>,
    /// The engine's own folder in the directory.
    scratch: String,
    /// Keeps the directory until the attempt has ended.
    workspace: Place,
}

/// What an attempt came to.
#[derive(Default)]
struct Outcome {
    outputs: Map,
    failure: Option<Failure>,
    warning: bool,
    updates: Vec<weft_model::ExecutionUpdate>,
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}

impl From<Result<Map, Failure>> for Outcome {
    fn from(result: Result<Map, Failure>) -> Self {
        match result {
            Ok(outputs) => Self { outputs, ..Self::default() },
            Err(failure) => failure.into(),
        }
    }
}

/// The failure of a task that takes longer than it may. Waiting for its turn is not the task's time.
async fn time_limit(timeout: Option<SignedDuration>, begun: &Notify) -> Failure {
    let Some(timeout) = timeout else { return std::future::pending().await };
    begun.notified().await;
    tokio::time::sleep(timeout.unsigned_abs()).await;
    Failure::new("task.timeout", format!("the task did not end within its timeout of {timeout}"))
}

fn duration(text: &str) -> Result<SignedDuration, Failure> {
    match weft_flow::parse_duration(text.trim()) {
        Ok(duration) if duration.is_positive() => Ok(duration),
        _ => Err(Failure::new(
            "property.invalid",
            format!("property `timeout`: expected an ISO-8601 duration like `PT30S`, found `{text}`"),
        )),
    }
}

/// The texts of a list, or one text.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        Value::String(one) => vec![one.clone()],
        _ => Vec::new(),
    }
}

/// Adds files to the map under `key`.
fn merge(outputs: &mut Map, key: &str, files: Map) {
    match outputs.entry(key).or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(known) => known.extend(files),
        other => *other = Value::Object(files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_of_a_task_begins_with_its_turn() {
        let (begun, short) = (Notify::new(), SignedDuration::from_millis(1));
        let limit = time_limit(Some(short), &begun);
        tokio::pin!(limit);
        tokio::select! {
            failure = &mut limit => panic!("it has not begun: {failure:?}"),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        begun.notify_one();
        assert_eq!(limit.await.code, "task.timeout");
    }

    #[test]
    fn timeouts_are_what_the_check_of_a_flow_takes() {
        for (text, seconds) in [("PT0.5S", Some(0.5)), ("P1D", Some(86_400.0)), (" PT1M ", Some(60.0))] {
            assert_eq!(duration(text).ok().map(|duration| duration.as_secs_f64()), seconds, "{text}");
        }
        for text in ["", "30s", "PT0S", "-PT1S"] {
            assert_eq!(duration(text).unwrap_err().code, "property.invalid", "{text}");
        }
    }
}
