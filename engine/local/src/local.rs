//! The engine in one process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};
use weft_executor::{Event, Machine, Settings, Start};
use weft_files::{ExecutionFiles, Storage};
use weft_flow::{Given, NoPlaces};
use weft_host::{Host, HostOptions};
use weft_model::{AttemptLimits, Execution, ExecutionError, Label, Map};
use weft_runner::{BaseEnvironment, DockerSettings};
use weft_state::{Durability, JournalStore, KvStore, Owner, Running};
use weft_worker::{
    ExecutionEnvironment, ExecutionScope, Masker, NoRelatives, RunnerKind, Secrets, Vault, Worker,
    WorkerOptions,
};

use crate::admission::Admission;
use crate::cleanup::{died, end};
use crate::containers;
use crate::control::Control;
use crate::execution::{Driver, Finished};
use crate::inputs::Uploads;
use crate::records::ExecutionRecords;
use crate::secret_inputs::{OpenedBy, hide_sealed, seal};
use crate::templates::Templates;
use crate::testing::{CaseEngine, TestSetup};
use crate::{Cleanup, FlowCatalogue, FlowSource, Layout, LoadedFlow, LocalError, NoObserver, Observer, Veil};

/// How to set up an engine.
pub struct LocalOptions {
    /// Where everything is kept.
    pub layout: Layout,
    /// Plugins: those in the binary, directories, grants, limits. Its cache directory is the layout's.
    pub host: HostOptions,
    /// Where `secret()` looks.
    pub secrets: Arc<dyn Secrets>,
    /// The key of what is encrypted at rest, base64 of 16 or 32 bytes; without one, a key file in the layout is used.
    pub encryption_key: Option<String>,
    /// Runs scripts this way whatever the flow says.
    pub runner: Option<RunnerKind>,
    /// Worker groups whose tasks may run here.
    pub groups: Vec<String>,
    /// From the polite request to end to the end.
    pub grace: Duration,
    /// What one attempt may hand to the engine. What the host may take in one call follows from it.
    pub limits: AttemptLimits,
    /// What scripts that run as processes begin with.
    pub environment: BaseEnvironment,
    /// What the operator decides about containers. Which engine's they are, this engine knows itself.
    pub docker: DockerSettings,
    /// How deep subflows may call each other; [`SUBFLOW_DEPTH`] where nobody says.
    pub max_subflow_depth: Option<u32>,
}

/// From one try to write the end of an execution whose state could not be kept to the next: doubled each time.
const FIRST_TRY: Duration = Duration::from_millis(50);
const LAST_TRY: Duration = Duration::from_secs(30);

/// How deep subflows may call each other. A flow that calls itself, through whatever others, would never end.
pub const SUBFLOW_DEPTH: u32 = 50;

/// An execution to be.
pub struct RunRequest {
    /// The flow.
    pub flow: LoadedFlow,
    /// Inputs as given.
    pub inputs: BTreeMap<String, Given>,
    /// Labels on top of the flow's.
    pub labels: Vec<Label>,
    /// Where flows are found that this one calls.
    pub flows: FlowSource,
    /// Whoever watches.
    pub observer: Arc<dyn Observer>,
}

/// Gets an execution's id and the means to speak to it, once it has been created.
pub type Started = oneshot::Sender<(String, Control)>;

/// The engine in one process. Cheap to clone.
#[derive(Clone)]
pub struct Local {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub layout: Layout,
    pub host: Host,
    pub storage: Storage,
    pub store: JournalStore,
    pub worker: Worker,
    pub kv: KvStore,
    pub settings: Arc<Settings>,
    /// Set in an engine that runs a case of a test.
    pub testing: Option<TestSetup>,
    pub admission: Admission,
    pub vault: Vault,
    /// How deep subflows may call each other.
    pub max_depth: u32,
    pub running: Running,
    pub owner: Owner,
}

/// What a new execution is made of, before its inputs are resolved.
pub(crate) struct NewExecution {
    pub id: String,
    pub flow: LoadedFlow,
    pub given: BTreeMap<String, Given>,
    pub start: Start,
    pub flows: FlowSource,
    pub observer: Arc<dyn Observer>,
    /// How many executions are above it that started each other as subflows.
    pub depth: u32,
    /// What is not to be shown of what it is made from.
    pub masker: Masker,
}

impl Local {
    /// Sets an engine up. Touches nothing on disk but the cache of plugins. Needs a multi-threaded tokio runtime.
    pub fn new(options: LocalOptions) -> Self {
        let network = options.host.network.clone();
        let limits = options.limits;
        let mut host = options.host;
        host.limits.json_bytes = at_least(host.limits.json_bytes, limits.output_bytes);
        host.limits.json_nodes = host.limits.json_nodes.max(limits.output_nodes);
        host.limits.events = usize::try_from(limits.events).unwrap_or(usize::MAX);
        let host = Host::new(host);
        let worker = WorkerOptions {
            host: Arc::new(host.clone()),
            storage: Storage::local_relaxed(options.layout.storage()),
            kv: KvStore::new(options.layout.root()),
            secrets: options.secrets,
            network,
            temp: options.layout.temp(),
            groups: options.groups,
            runner: options.runner,
            grace: options.grace,
            limits,
            environment: options.environment,
            docker: containers::settings(options.docker, options.layout.clone()),
        };
        let vault = Vault::new(options.encryption_key, options.layout.encryption_key());
        let max_depth = options.max_subflow_depth.unwrap_or(SUBFLOW_DEPTH);
        Self::assembled(options.layout, host, worker, vault, &Map::new(), max_depth, None)
    }

    /// An engine with the same plugins that runs a case of a test in a data directory of its own.
    pub(crate) fn for_case(&self, case: CaseEngine) -> Self {
        let worker = WorkerOptions {
            storage: Storage::local_relaxed(case.layout.storage()),
            kv: KvStore::new(case.layout.root()),
            secrets: case.secrets,
            temp: case.layout.temp(),
            // Containers are known as those of the directory that stays: an engine that is killed leaves none behind.
            ..self.inner.worker.options().clone()
        };
        // What it encrypts goes with its directory, and so does the key.
        let vault = Vault::new(None, case.layout.encryption_key());
        let (host, max_depth) = (self.inner.host.clone(), self.inner.max_depth);
        Self::assembled(case.layout, host, worker, vault, &case.envs, max_depth, Some(case.setup))
    }

    fn assembled(
        layout: Layout,
        host: Host,
        worker: WorkerOptions,
        vault: Vault,
        envs: &Map,
        max_depth: u32,
        testing: Option<TestSetup>,
    ) -> Self {
        let running = layout.running();
        let mut settings = settings(envs);
        settings.seals = Some(Arc::new(OpenedBy(vault.clone())));
        let variables = &mut settings.max_variables;
        variables.bytes = variables.bytes.max(worker.limits.output_bytes);
        variables.nodes = variables.nodes.max(worker.limits.output_nodes);
        settings.templates = Some(Arc::new(Templates::new(host.clone())));
        Self {
            inner: Arc::new(Inner {
                store: JournalStore::new(layout.root()).with_durability(Durability::Process),
                layout,
                host,
                storage: worker.storage.clone(),
                kv: worker.kv.clone(),
                worker: Worker::new(worker),
                settings: Arc::new(settings),
                testing,
                admission: Admission::default(),
                vault,
                max_depth,
                running: Running::new(running),
                owner: Owner::current(),
            }),
        }
    }

    /// The plugins.
    pub fn host(&self) -> &Host {
        &self.inner.host
    }

    /// The executions that are kept.
    pub fn store(&self) -> &JournalStore {
        &self.inner.store
    }

    /// Internal storage.
    pub fn storage(&self) -> &Storage {
        &self.inner.storage
    }

    /// What flows are checked against.
    pub async fn catalogue(&self) -> FlowCatalogue<'_> {
        FlowCatalogue::new(self.inner.host.catalogue().await)
    }

    /// What hides what is not to be shown of an execution that is kept.
    ///
    /// # Errors
    /// When it cannot be read, or was encrypted with another key: then nobody can say what is to be hidden.
    pub fn masker(&self, id: &str) -> Result<Masker, LocalError> {
        let kept = self.inner.store.load_kept(id)?;
        let hidden = kept.map(|kept| kept.hidden).unwrap_or_default();
        Veil::new(self.inner.vault.clone()).masker(&hidden)
    }

    /// What expressions outside of any execution may ask of the world. Its masker hides what they find.
    pub fn environment(&self, namespace: &str) -> Result<ExecutionEnvironment, LocalError> {
        let records = self.inner.records("expression", Arc::new(NoObserver))?;
        let scope = ExecutionScope {
            records: records as _,
            masker: Masker::default(),
            places: Arc::new(NoPlaces),
            relatives: Arc::new(NoRelatives),
        };
        Ok(self.inner.worker.environment(namespace, &scope))
    }

    /// Leaves an engine that has nothing under way, at the end of a process: tidies up on the disk, and leaves the memory
    /// to the system, which takes it back faster than the engine can give it.
    pub fn leave(self) {
        self.inner.worker.tidy_up();
        std::mem::forget(self);
    }

    /// Ends an execution that is under way and whose engine is gone, as the clean-up does with those that are marked as
    /// running. One with which something else is the matter stays as it is.
    ///
    /// # Errors
    /// When its end cannot be written.
    pub fn end_interrupted(&self, id: &str) -> Result<(), LocalError> {
        Ok(end(&self.inner.store, &self.inner.running, id, died())?)
    }

    /// Finds and ends what engines that were killed left behind, in the background.
    pub fn clean_up(&self) -> Cleanup {
        Cleanup::start(self.inner.layout.clone(), self.inner.store.clone())
    }

    /// Runs a flow to its end, or until it waits for a person. `started` gets the execution's id and the means to
    /// speak to it.
    ///
    /// # Errors
    /// When no execution could be created (then nothing is left of it), or its state could not be kept.
    pub async fn run(&self, request: RunRequest, started: Started) -> Result<Execution, LocalError> {
        // Subflows are looked up by code that cannot wait for the catalogue.
        self.inner.host.catalogue().await;
        if request.flow.flow.disabled {
            return Err(LocalError::Disabled(request.flow.flow.id.clone()));
        }
        let (flow, flows, observer) =
            (request.flow.clone(), request.flows.clone(), Arc::clone(&request.observer));
        let new = NewExecution {
            id: weft_model::new_id(),
            flow: request.flow,
            given: request.inputs,
            start: Start { labels: request.labels, ..Start::default() },
            flows: request.flows,
            observer: request.observer,
            depth: 0,
            masker: Masker::default(),
        };
        let driver = self.inner.create(new)?;
        // Nobody listening is fine: then nobody wants to speak to it.
        let _ = started.send((driver.machine.execution().id.clone(), driver.control()));
        Ok(self.inner.finish(flow, driver, flows, observer).await?.shown())
    }
}

impl Inner {
    /// Whether nobody waits for timers.
    pub(crate) fn time_jumps(&self) -> bool {
        self.testing.as_ref().is_some_and(|testing| testing.time_jumps)
    }

    /// Whether this is the run of a flow test.
    pub(crate) fn is_test(&self) -> bool {
        self.testing.is_some()
    }

    /// What flows are checked against. Only after the host's catalogue was asked for once.
    pub(crate) fn catalogue(&self) -> FlowCatalogue<'_> {
        let host = tokio::task::block_in_place(|| Handle::current().block_on(self.host.catalogue()));
        FlowCatalogue::new(host)
    }

    /// Creates an execution and keeps it. Nothing is left if that fails.
    pub(crate) fn create(self: &Arc<Self>, new: NewExecution) -> Result<Driver, LocalError> {
        let flow = Arc::clone(&new.flow.flow);
        let files = ExecutionFiles::new(&flow.namespace, &flow.id, &new.id)?;
        self.create_keeping_files(new).inspect_err(|_| {
            // Files of inputs that were fine are not kept for an execution that never was.
            let remove = self.storage.delete_prefix(files.prefix());
            let _ = tokio::task::block_in_place(|| Handle::current().block_on(remove));
        })
    }

    /// The same for an execution for which something is stored already: that stays.
    pub(crate) fn create_keeping_files(self: &Arc<Self>, new: NewExecution) -> Result<Driver, LocalError> {
        let flow = Arc::clone(&new.flow.flow);
        let files = ExecutionFiles::new(&flow.namespace, &flow.id, &new.id)?;
        let records = self.records(&new.id, new.observer)?;
        let scope = scope(&records, &new.flow, new.masker);
        let env = self.worker.environment(&flow.namespace, &scope);
        let mut uploads =
            Uploads { files: files.clone(), storage: &self.storage, runtime: Handle::current() };
        let inputs = weft_flow::resolve_inputs(&flow, &new.given, &env, &mut uploads)
            .map_err(|problems| LocalError::Inputs(problems.iter().map(ToString::to_string).collect()))
            .and_then(|mut inputs| {
                seal(&flow.inputs, &mut inputs, &scope.masker, &self.vault)?;
                Ok(inputs)
            })
            .inspect_err(|_| {
                // Files of inputs that were fine are not kept for an execution that never was.
                let remove = self.storage.delete_prefix(files.prefix());
                let _ = tokio::task::block_in_place(|| Handle::current().block_on(remove));
            })?;
        let start = Start { id: new.id, inputs, flow_revision: flow.revision.unwrap_or(1), ..new.start };
        let mut driver = self.start(&new.flow, start, records, scope, new.flows)?;
        driver.depth = new.depth;
        Ok(driver)
    }

    /// Creates the execution that follows a failed one (retry of a flow), with the same inputs. What is not to be shown of
    /// that is not to be shown of this.
    pub(crate) fn repeat(
        self: &Arc<Self>,
        flow: &LoadedFlow,
        start: Start,
        flows: FlowSource,
        observer: Arc<dyn Observer>,
        masker: Masker,
    ) -> Result<Driver, LocalError> {
        let records = self.records(&start.id, observer)?;
        let scope = scope(&records, flow, masker);
        hide_sealed(&flow.flow.inputs, &start.inputs, &scope.masker, &self.vault)?;
        self.start(flow, start, records, scope, flows)
    }

    fn start(
        self: &Arc<Self>,
        flow: &LoadedFlow,
        start: Start,
        records: Arc<ExecutionRecords>,
        scope: ExecutionScope,
        flows: FlowSource,
    ) -> Result<Driver, LocalError> {
        let machine =
            Machine::create(Arc::clone(&flow.flow), start, self.settings_for(&scope), Timestamp::now());
        self.begin(machine, &flow.source, records, scope, flows)
    }

    /// Runs one execution to its end, or until it waits for a person. It is marked as running until that is written.
    pub(crate) async fn drive(&self, driver: Driver, first: Event) -> Result<Finished, LocalError> {
        let id = driver.machine.execution().id.clone();
        let inner = Arc::clone(&driver.inner);
        // With the attempts in the runtime: whoever waits here may be a thread outside of it, and each event and each
        // command would have to cross to it and back. The set ends the loop when this future is dropped.
        let mut running = JoinSet::new();
        running.spawn(driver.run(first));
        let ended = match running.join_next().await {
            Some(Ok(ended)) => ended,
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => Err(LocalError::Stopped),
        };
        self.worker.end_execution(&id).await;
        match ended {
            Ok((finished, held)) => {
                held.clear();
                Ok(finished)
            }
            Err(error) => {
                inner.end_lost(id, &error);
                Err(error)
            }
        }
    }

    /// Ends an execution whose state could not be kept, as soon as that can be written: at once, or while this engine
    /// lives. Else the next start does, which finds its mark.
    fn end_lost(self: &Arc<Self>, id: String, error: &LocalError) {
        if matches!(error, LocalError::Stopped) {
            return;
        }
        let message = format!("the engine could not keep the state of this execution: {error}");
        let why = ExecutionError { code: "engine.state-lost".to_owned(), message };
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let mut wait = FIRST_TRY;
            loop {
                let (engine, id, why) = (Arc::clone(&inner), id.clone(), why.clone());
                let ended = spawn_blocking(move || end(&engine.store, &engine.running, &id, why)).await;
                match ended {
                    Ok(Err(_)) => {}
                    // It has an end, or the runtime has.
                    Ok(Ok(())) | Err(_) => return,
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LAST_TRY);
            }
        });
    }

    pub(crate) fn settings_for(&self, scope: &ExecutionScope) -> Arc<Settings> {
        Arc::new(Settings { places: Arc::clone(&scope.places), ..Settings::clone(&self.settings) })
    }

    pub(crate) fn records(
        &self,
        id: &str,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<ExecutionRecords>, LocalError> {
        Ok(Arc::new(ExecutionRecords::new(
            &self.store,
            id,
            self.worker.options().limits.log_bytes,
            observer,
        )?))
    }
}

/// What the attempts of an execution share.
pub(crate) fn scope(records: &Arc<ExecutionRecords>, flow: &LoadedFlow, masker: Masker) -> ExecutionScope {
    ExecutionScope {
        records: Arc::clone(records) as _,
        masker,
        places: Arc::new(flow.clone()),
        relatives: Arc::new(records.family()),
    }
}

/// The larger of a size and one that the operator gives.
fn at_least(size: usize, given: u64) -> usize {
    size.max(usize::try_from(given).unwrap_or(usize::MAX))
}

/// What expressions see of the machine: `envs` are the environment variables that begin with `ENV_` or, as before,
/// `KESTRA_`, in lower case and without that (compat.md §0). Those in `more` win.
fn settings(more: &Map) -> Settings {
    let mut envs = Map::new();
    for (name, value) in std::env::vars() {
        if let Some(name) = name.strip_prefix("ENV_").or_else(|| name.strip_prefix("KESTRA_")) {
            envs.insert(name.to_lowercase(), value.into());
        }
    }
    envs.extend(more.clone());
    Settings::new(&Map::new(), &envs, None, None)
}
