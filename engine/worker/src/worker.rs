//! One attempt at one task run, from the request to the result.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::watch;
use weft_files::workdir::Workspace;
use weft_files::{ExecutionFiles, Storage};
use weft_host::{Host, Invocation};
use weft_model::{Failure, FileHandling, Level, Map, State, TaskRunRequest, TaskRunResult, Work};
use weft_state::KvStore;

use crate::children::Children;
use crate::environment::ExecutionEnvironment;
use crate::mask::Masker;
use crate::plan::{Plan, Plans};
use crate::records::{Records, TaskLog};
use crate::secrets::Secrets;
use crate::task::TaskContext;
use crate::{render, staging};

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
    /// Where working directories are made.
    pub temp: PathBuf,
    /// Groups whose tasks may run here; tasks of no group always may.
    pub groups: Vec<String>,
    /// Runs scripts this way whatever the flow says.
    pub runner: Option<RunnerKind>,
    /// From the polite request to end to the end.
    pub grace: Duration,
}

/// Performs task runs. Cheap to share; attempts do not know of each other but for shared directories.
pub struct Worker {
    options: WorkerOptions,
    plans: Plans,
    /// Directories of `WorkingDirectory` task runs that are open, by task run.
    directories: Mutex<HashMap<String, Arc<Workspace>>>,
}

/// What the attempts of one execution share.
#[derive(Clone)]
pub struct ExecutionScope {
    /// Where its records go.
    pub records: Arc<dyn Records>,
    /// Its secrets so far.
    pub masker: Masker,
}

impl Worker {
    /// A worker with nothing open.
    pub fn new(options: WorkerOptions) -> Self {
        Self { options, plans: Plans::default(), directories: Mutex::default() }
    }

    /// What it was made with.
    pub fn options(&self) -> &WorkerOptions {
        &self.options
    }

    /// The directory that a `WorkingDirectory` task run has open.
    pub fn directory(&self, task_run_id: &str) -> Option<PathBuf> {
        let directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        directories.get(task_run_id).map(|workspace| workspace.path().to_owned())
    }

    /// What expressions of an execution in `namespace` may ask of the world.
    pub fn environment(&self, namespace: &str, scope: &ExecutionScope) -> ExecutionEnvironment {
        ExecutionEnvironment {
            namespace: namespace.to_owned(),
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
        let log = Arc::new(TaskLog::new(&request, Arc::clone(&scope.records), scope.masker.clone()));
        let mut outcome = match &request.work {
            Work::Run { properties } => {
                self.run_task(&request, properties, scope, &log, cancel.clone()).await
            }
            Work::OpenDirectory { files } => self.open_directory(&request, files, scope).await.into(),
            Work::CloseDirectory { files } => self.close_directory(&request, files, scope).await.into(),
        };
        if let Some(failure) = &mut outcome.failure {
            failure.message = log.masked(&failure.message);
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
        let (directory, workspace) = self.directory_of(request)?;
        let env = self.environment(&request.namespace, scope);
        let scratch = directory.join(staging::ENGINE_FOLDER).join(&request.task_run_id);
        let context = render::overlay(
            &request.context,
            [("workingDir", weft_expr::Value::from(directory.to_string_lossy().into_owned()))],
        );

        for name in &plan.roles.input_files {
            if let Some(files) = properties.get(name) {
                staging::put_input_files(files, name, &directory, &self.options.storage, &context, &env)
                    .await?;
            }
        }
        let output_directory = plan.output_directory(properties).then(|| scratch.join("output"));
        let context = match &output_directory {
            Some(output) => {
                std::fs::create_dir_all(output).map_err(|error| {
                    Failure::new("storage.io", format!("cannot create `{}`: {error}", output.display()))
                })?;
                render::overlay(
                    &context,
                    [("outputDir", weft_expr::Value::from(output.to_string_lossy().into_owned()))],
                )
            }
            None => context,
        };
        let mut rendered = plan.render(properties, &context, &env)?;
        for name in &plan.roles.localize {
            if let Some(value) = rendered.get_mut(name) {
                staging::localize(value, &scratch, &self.options.storage).await?;
            }
        }
        plan.validate(&rendered)?;

        let timeout = match &request.timeout {
            Some(text) => Some(duration(&render::text(text, "timeout", &context, &env)?)?),
            None => None,
        };
        let files = ExecutionFiles::new(&request.namespace, &request.flow_id, &request.execution_id)
            .and_then(|files| files.task_run(&request.task_id, &request.task_run_id))
            .map_err(|error| staging::storage_failure(&error))?;
        let task = Arc::new(TaskContext {
            marker: format!("{}/{}/{}", request.execution_id, request.task_run_id, request.attempt),
            namespace: request.namespace.clone(),
            directory,
            log: Arc::clone(log),
            collected: Arc::default(),
            outputs: Mutex::default(),
            warning: Mutex::default(),
            updates: Mutex::default(),
            children: Children::default(),
            cancelled: AtomicBool::new(false),
            files,
            storage: self.options.storage.clone(),
            kv: self.options.kv.clone(),
            secrets: Arc::clone(&self.options.secrets),
            grace: self.options.grace,
        });
        Ok(Prepared { plan, rendered, task, timeout, output_directory, scratch, _workspace: workspace })
    }

    /// The plugin's run and what comes out of it.
    async fn perform(
        &self,
        request: &TaskRunRequest,
        prepared: Prepared,
        mut cancel: watch::Receiver<bool>,
    ) -> Outcome {
        let Prepared { plan, rendered, task, timeout, output_directory, scratch, _workspace } = prepared;
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
                failure = time_limit(timeout) => failure,
            };
            task.cancelled.store(true, Ordering::Relaxed);
            task.children.stop();
            failure
        };
        let (stopped_sender, mut stopped) = watch::channel(None::<Failure>);
        let grace = self.options.grace + Duration::from_secs(1);
        let capabilities: Arc<dyn weft_host::Capabilities> = Arc::clone(&task) as _;
        let ended = self.options.host.run(&request.task_type, invocation, capabilities, async move {
            let failure = stop.await;
            // Nobody may be listening any more: then the run has ended.
            let _ = stopped_sender.send(Some(failure.clone()));
            tokio::time::sleep(grace).await;
            failure
        });
        let result = ended.await;
        let result = match stopped.borrow_and_update().clone() {
            Some(failure) => Err(failure),
            None => result,
        };

        let mut outcome = Outcome::from(result);
        let set = std::mem::take(&mut *task.outputs.lock().unwrap_or_else(PoisonError::into_inner));
        let returned = std::mem::replace(&mut outcome.outputs, set);
        outcome.outputs.extend(returned);
        outcome.warning = task.warning.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        outcome.updates = std::mem::take(&mut *task.updates.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(failure) =
            self.take_files(&plan, &rendered, &task, output_directory.as_deref(), &mut outcome.outputs).await
        {
            outcome.failure.get_or_insert(failure);
        }
        // What is left of scripts and copies; the whole directory goes with the workspace.
        let _ = std::fs::remove_dir_all(&scratch);
        self.finish(&task, outcome)
    }

    /// Files out of the directory, after a failure too.
    async fn take_files(
        &self,
        plan: &Plan,
        rendered: &Map,
        task: &TaskContext,
        output_directory: Option<&Path>,
        outputs: &mut Map,
    ) -> Result<(), Failure> {
        let storage = &self.options.storage;
        if let Some(output) = output_directory {
            let uris = staging::take_output_directory(&task.directory, output, &task.files, storage).await?;
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
            task.log.records().metrics(&metrics);
        }
        if let (None, Some(reason)) =
            (&outcome.failure, &*task.warning.lock().unwrap_or_else(PoisonError::into_inner))
        {
            task.log.write(Level::Debug, &format!("ends as WARNING: {reason}"));
        }
        outcome
    }

    async fn open_directory(
        &self,
        request: &TaskRunRequest,
        files: &FileHandling,
        scope: &ExecutionScope,
    ) -> Result<Map, Failure> {
        let workspace = Arc::new(
            Workspace::create(&self.options.temp).map_err(|error| staging::storage_failure(&error))?,
        );
        if let Some(value) = &files.input_files {
            let env = self.environment(&request.namespace, scope);
            let path = weft_expr::Value::from(workspace.path().to_string_lossy().into_owned());
            let context = render::overlay(&request.context, [("workingDir", path)]);
            let storage = &self.options.storage;
            staging::put_input_files(value, "inputFiles", workspace.path(), storage, &context, &env).await?;
        }
        self.directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(request.task_run_id.clone(), workspace);
        Ok(Map::new())
    }

    async fn close_directory(
        &self,
        request: &TaskRunRequest,
        files: &FileHandling,
        scope: &ExecutionScope,
    ) -> Result<Map, Failure> {
        let workspace =
            self.directories.lock().unwrap_or_else(PoisonError::into_inner).remove(&request.task_run_id);
        // None: the engine was restarted meanwhile, and the directory went with it.
        let (Some(workspace), Some(globs)) = (workspace, &files.output_files) else { return Ok(Map::new()) };
        let env = self.environment(&request.namespace, scope);
        let schema = crate::schema::Schema::root(&Value::Null);
        let globs = texts(&render::property(globs, schema, "outputFiles", &request.context, &env)?);
        let files = ExecutionFiles::new(&request.namespace, &request.flow_id, &request.execution_id)
            .and_then(|files| files.task_run(&request.task_id, &request.task_run_id))
            .map_err(|error| staging::storage_failure(&error))?;
        let storage = &self.options.storage;
        let uris =
            staging::take_output_files(&globs, "outputFiles", workspace.path(), &files, storage).await?;
        Ok(Map::from_iter([("outputFiles".to_owned(), Value::Object(uris))]))
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

    /// The directory of an attempt: that of the `WorkingDirectory` around it, or one of its own.
    fn directory_of(&self, request: &TaskRunRequest) -> Result<(PathBuf, Arc<Workspace>), Failure> {
        let workspace = match &request.directory {
            Some(owner) => self
                .directories
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(owner)
                .cloned()
                .ok_or_else(|| Failure::new("worker.directory", "the working directory is gone"))?,
            None => Arc::new(
                Workspace::create(&self.options.temp).map_err(|error| staging::storage_failure(&error))?,
            ),
        };
        Ok((workspace.path().to_owned(), workspace))
    }

    async fn store_log(&self, request: &TaskRunRequest, log: Arc<TaskLog>) -> Option<String> {
        // Nobody else holds the log any more: the plugin's run is over.
        let copy = Arc::into_inner(log)?.finish()?;
        let files = ExecutionFiles::new(&request.namespace, &request.flow_id, &request.execution_id)
            .and_then(|files| files.task_run(&request.task_id, &request.task_run_id))
            .ok()?;
        let uri = files.file(&format!("attempt-{}.log", request.attempt)).ok()?;
        self.options.storage.put_file(&uri, copy.path()).await.ok()?;
        Some(uri.to_string())
    }
}

/// What is ready before the plugin is called.
struct Prepared {
    plan: Arc<Plan>,
    rendered: Map,
    task: Arc<TaskContext>,
    timeout: Option<SignedDuration>,
    output_directory: Option<PathBuf>,
    scratch: PathBuf,
    /// Keeps the directory until the attempt has ended.
    _workspace: Arc<Workspace>,
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

async fn time_limit(timeout: Option<SignedDuration>) -> Failure {
    let Some(timeout) = timeout else { return std::future::pending().await };
    tokio::time::sleep(timeout.unsigned_abs()).await;
    Failure::new("task.timeout", format!("the task did not end within its timeout of {timeout}"))
}

fn duration(text: &str) -> Result<SignedDuration, Failure> {
    match text.trim().parse::<SignedDuration>() {
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
