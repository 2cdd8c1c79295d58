//! The engine in one process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use weft_executor::{Event, Machine, Settings, Start};
use weft_files::{ExecutionFiles, Storage};
use weft_flow::Given;
use weft_host::{Host, HostOptions};
use weft_model::{Execution, Label};
use weft_state::{Durability, JournalStore, KvStore, Owner};
use weft_worker::{ExecutionScope, Masker, RunnerKind, Secrets, Worker, WorkerOptions};

use crate::cleanup::RunningMark;
use crate::execution::{Control, Driver, Finished};
use crate::inputs::Uploads;
use crate::records::ExecutionRecords;
use crate::{Cleanup, FlowCatalogue, FlowSource, Layout, LoadedFlow, LocalError, Observer};

/// How to set up an engine.
pub struct LocalOptions {
    /// Where everything is kept.
    pub layout: Layout,
    /// Plugins: those in the binary, directories, grants, limits. Its cache directory is the layout's.
    pub host: HostOptions,
    /// Where `secret()` looks.
    pub secrets: Arc<dyn Secrets>,
    /// Runs scripts this way whatever the flow says.
    pub runner: Option<RunnerKind>,
    /// Worker groups whose tasks may run here.
    pub groups: Vec<String>,
    /// From the polite request to end to the end.
    pub grace: Duration,
}

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

/// The engine in one process. Cheap to clone.
#[derive(Clone)]
pub struct Local {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub layout: Layout,
    pub host: Host,
    pub storage: Storage,
    pub store: JournalStore,
    pub worker: Worker,
    pub settings: Arc<Settings>,
    owner: Owner,
}

/// What a new execution is made of, before its inputs are resolved.
pub(crate) struct NewExecution {
    pub id: String,
    pub flow: LoadedFlow,
    pub given: BTreeMap<String, Given>,
    pub start: Start,
    pub flows: FlowSource,
    pub observer: Arc<dyn Observer>,
}

impl Local {
    /// Sets an engine up. Touches nothing on disk but the cache of plugins. Needs a multi-threaded tokio runtime.
    pub fn new(options: LocalOptions) -> Self {
        let host = Host::new(options.host);
        let storage = Storage::local_relaxed(options.layout.storage());
        let worker = Worker::new(WorkerOptions {
            host: host.clone(),
            storage: storage.clone(),
            kv: KvStore::new(options.layout.root()),
            secrets: options.secrets,
            temp: options.layout.temp(),
            groups: options.groups,
            runner: options.runner,
            grace: options.grace,
        });
        Self {
            inner: Arc::new(Inner {
                store: JournalStore::new(options.layout.root()).with_durability(Durability::Process),
                layout: options.layout,
                host,
                storage,
                worker,
                settings: Arc::new(settings()),
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

    /// Finds and ends what engines that were killed left behind, in the background.
    pub fn clean_up(&self) -> Cleanup {
        Cleanup::start(self.inner.layout.clone(), self.inner.store.clone())
    }

    /// Runs a flow to its end, or until it waits for a person. `started` gets the execution's id and the means to
    /// speak to it.
    ///
    /// # Errors
    /// When no execution could be created (then nothing is left of it), or its state could not be kept.
    pub async fn run(
        &self,
        request: RunRequest,
        started: oneshot::Sender<(String, Control)>,
    ) -> Result<Execution, LocalError> {
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
        };
        let driver = self.inner.create(new)?;
        // Nobody listening is fine: then nobody wants to speak to it.
        let _ = started.send((driver.machine.execution().id.clone(), driver.control()));
        Ok(self.inner.finish(flow, driver, flows, observer).await?.execution)
    }
}

impl Inner {
    /// What flows are checked against. Only after the host's catalogue was asked for once.
    pub(crate) fn catalogue(&self) -> FlowCatalogue<'_> {
        let host = tokio::task::block_in_place(|| Handle::current().block_on(self.host.catalogue()));
        FlowCatalogue::new(host)
    }

    /// Creates an execution and keeps it. Nothing is left if that fails.
    pub(crate) fn create(self: &Arc<Self>, new: NewExecution) -> Result<Driver, LocalError> {
        let flow = Arc::clone(&new.flow.flow);
        let files = ExecutionFiles::new(&flow.namespace, &flow.id, &new.id)?;
        let records = self.records(&new.id, new.observer)?;
        let scope = ExecutionScope { records: Arc::clone(&records) as _, masker: Masker::default() };
        let env = self.worker.environment(&flow.namespace, &scope);
        let mut uploads =
            Uploads { files: files.clone(), storage: &self.storage, runtime: Handle::current() };
        let inputs = weft_flow::resolve_inputs(&flow, &new.given, &env, &mut uploads).map_err(|problems| {
            // Files of inputs that were fine are not kept for an execution that never was.
            let remove = self.storage.delete_prefix(files.prefix());
            let _ = tokio::task::block_in_place(|| Handle::current().block_on(remove));
            LocalError::Inputs(problems.iter().map(ToString::to_string).collect())
        })?;
        for secret in weft_flow::secret_values(&flow, &inputs) {
            scope.masker.add(secret);
        }
        let start = Start {
            id: new.id,
            inputs,
            flow_revision: flow.revision.unwrap_or(1),
            ..new.start
        };
        self.start(&new.flow, start, records, scope, new.flows)
    }

    /// Creates the execution that follows a failed one (retry of a flow), with the same inputs.
    pub(crate) fn repeat(
        self: &Arc<Self>,
        flow: &LoadedFlow,
        start: Start,
        flows: FlowSource,
        observer: Arc<dyn Observer>,
    ) -> Result<Driver, LocalError> {
        let records = self.records(&start.id, observer)?;
        let scope = ExecutionScope { records: Arc::clone(&records) as _, masker: Masker::default() };
        for secret in weft_flow::secret_values(&flow.flow, &start.inputs) {
            scope.masker.add(secret);
        }
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
            Machine::create(Arc::clone(&flow.flow), start, Arc::clone(&self.settings), Timestamp::now());
        let journal = self.store.create(machine.execution(), &flow.source, &self.owner)?;
        Driver::new(Arc::clone(self), machine, journal, records, scope, flows)
    }

    /// Runs one execution, marked as running meanwhile.
    pub(crate) async fn drive(&self, driver: Driver, first: Option<Event>) -> Result<Finished, LocalError> {
        let mark = RunningMark::set(&self.layout, &driver.machine.execution().id, &self.owner);
        let finished = driver.run(first).await;
        mark.clear();
        finished
    }

    fn records(&self, id: &str, observer: Arc<dyn Observer>) -> Result<Arc<ExecutionRecords>, LocalError> {
        Ok(Arc::new(ExecutionRecords {
            log: self.store.log_writer(id)?,
            reader: self.store.log_reader(id)?,
            metrics: self.store.metrics(id)?,
            observer,
        }))
    }
}

/// What expressions see of the machine: `envs` are the environment variables that begin with `ENV_` or, as before,
/// `KESTRA_`, in lower case and without that (compat.md §0).
fn settings() -> Settings {
    let mut envs = weft_model::Map::new();
    for (name, value) in std::env::vars() {
        if let Some(name) = name.strip_prefix("ENV_").or_else(|| name.strip_prefix("KESTRA_")) {
            envs.insert(name.to_lowercase(), value.into());
        }
    }
    Settings::new(&weft_model::Map::new(), &envs, None, None)
}
