//! The engine in one process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};
use weft_executor::{Event, Machine, Replay, Settings, Start};
use weft_files::{ExecutionFiles, Storage};
use weft_flow::{Given, NoPlaces};
use weft_host::{Host, HostOptions};
use weft_model::{AttemptLimits, Execution, ExecutionError, Label, Map, State};
use weft_runner::{BaseEnvironment, DockerSettings};
use weft_state::{
    Durability, ExecutionJournal, JournalStore, KeptExecution, KvStore, Owner, Running, RunningMark,
    StateError,
};
use weft_worker::{
    ExecutionEnvironment, ExecutionScope, Masker, NoRelatives, RunnerKind, Secrets, Vault, Worker,
    WorkerOptions,
};

use crate::admission::{self, Admission};
use crate::cleanup::{abandon, died, end};
use crate::containers;
use crate::control::Control;
use crate::execution::{Driver, Finished, Held};
use crate::hidden::{HidingJournal, hide, sealed};
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

/// An execution that is to go on.
pub struct GoOnRequest {
    /// The execution.
    pub id: String,
    /// Its flow, as it was run.
    pub flow: LoadedFlow,
    /// How it goes on.
    pub again: Again,
    /// Where flows are found that it calls.
    pub flows: FlowSource,
    /// Whoever watches.
    pub observer: Arc<dyn Observer>,
}

/// How an execution goes on.
pub enum Again {
    /// After a pause, with values for the inputs that it asked for.
    Resume(BTreeMap<String, Given>),
    /// With the tasks that failed.
    Restart,
    /// From a task run on, which is given another final state.
    ChangeState {
        /// The task run.
        task_run_id: String,
        /// The state that it is to have ended in.
        state: State,
    },
}

/// An execution that is to be repeated as a new one.
pub struct ReplayRequest {
    /// The execution.
    pub id: String,
    /// The flow to run: as it was, or another revision of it.
    pub flow: LoadedFlow,
    /// The task run to start from, with what came before taken over; the start of the flow where there is none.
    pub from: Option<String>,
    /// Where flows are found that it calls.
    pub flows: FlowSource,
    /// Whoever watches.
    pub observer: Arc<dyn Observer>,
}

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
    running: Running,
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

impl Local {
    /// Takes an execution up again that is paused or has failed, and runs it like [`Self::run`].
    pub async fn go_on(&self, request: GoOnRequest, started: Started) -> Result<Execution, LocalError> {
        self.inner.host.catalogue().await;
        let (flow, flows, observer) =
            (request.flow.clone(), request.flows.clone(), Arc::clone(&request.observer));
        let limited = &request.flow.flow;
        let _slot = admission::readmit(
            &self.inner.layout,
            &self.inner.admission,
            (&limited.namespace, &limited.id, &request.id),
            limited.concurrency.as_ref(),
        )
        .await?;
        let (driver, event) = self.inner.take_up(request)?;
        let _ = started.send((driver.machine.execution().id.clone(), driver.control()));
        Ok(self.inner.finish_from(flow, driver, event, flows, observer).await?.shown())
    }
}

impl Local {
    /// Repeats a kept execution as a new one, and runs it like [`Self::run`].
    pub async fn replay(&self, request: ReplayRequest, started: Started) -> Result<Execution, LocalError> {
        self.inner.host.catalogue().await;
        let (flow, flows, observer) =
            (request.flow.clone(), request.flows.clone(), Arc::clone(&request.observer));
        let driver = self.inner.replayed(request)?;
        let execution = driver.machine.execution();
        // One that begins from the start waits for its turn like any other.
        let limit = flow.flow.concurrency.as_ref().filter(|_| execution.current() != State::Created);
        let who = (flow.flow.namespace.as_str(), flow.flow.id.as_str(), execution.id.as_str());
        let _slot = admission::readmit(&self.inner.layout, &self.inner.admission, who, limit).await?;
        let _ = started.send((execution.id.clone(), driver.control()));
        Ok(self.inner.finish(flow, driver, flows, observer).await?.shown())
    }
}

impl Inner {
    fn replayed(self: &Arc<Self>, request: ReplayRequest) -> Result<Driver, LocalError> {
        let kept = self.store.load_kept(&request.id)?.ok_or_else(|| StateError::NotFound {
            id: request.id.clone(),
            directory: self.layout.root().to_owned(),
        })?;
        let KeptExecution { execution: kept, hidden } = kept;
        let id = weft_model::new_id();
        let records = self.records(&id, request.observer)?;
        let scope = scope(&records, &request.flow, Masker::default());
        hide(&hidden, &scope.masker, &self.vault)?;
        hide_sealed(&request.flow.flow.inputs, &kept.inputs, &scope.masker, &self.vault)?;
        let flow_revision = request.flow.flow.revision.unwrap_or(1);
        let replay = Replay { id, flow_revision, from: request.from };
        let flow = Arc::clone(&request.flow.flow);
        let machine = Machine::replay(flow, &kept, self.settings_for(&scope), replay, Timestamp::now())
            .map_err(|error| LocalError::Again(error.to_string()))?;
        self.begin(machine, &request.flow.source, records, scope, request.flows)
    }

    /// Keeps an execution that is new: marked before there is anything of it, so that whatever happens from here on, it
    /// has an end. Nothing is left if this fails.
    fn begin(
        self: &Arc<Self>,
        machine: Machine,
        source: &str,
        records: Arc<ExecutionRecords>,
        scope: ExecutionScope,
        flows: FlowSource,
    ) -> Result<Driver, LocalError> {
        let id = machine.execution().id.clone();
        let mark = self.running.mark(&id, &self.owner)?;
        self.begin_marked(machine, source, records, scope, flows, mark).inspect_err(|error| {
            // What cannot be removed now is removed by the next start, which finds the mark. What another has made under
            // this id is not ours.
            let is_ours = !matches!(error, LocalError::State(StateError::Exists { .. }));
            if is_ours && self.store.delete(&id).is_ok() {
                self.running.clear(&id);
            }
        })
    }

    fn begin_marked(
        self: &Arc<Self>,
        machine: Machine,
        source: &str,
        records: Arc<ExecutionRecords>,
        scope: ExecutionScope,
        flows: FlowSource,
        mut mark: RunningMark,
    ) -> Result<Driver, LocalError> {
        let journal = self.journal(machine.execution(), source, &scope)?;
        mark.confirm(&self.owner)?;
        Driver::new(Arc::clone(self), machine, Held { journal, mark }, records, scope, flows)
    }

    /// Opens a kept execution for more: nobody else has it from here on, and it is marked as running.
    pub(crate) fn hold(&self, id: &str, scope: &ExecutionScope) -> Result<(Execution, Held), LocalError> {
        let kept = self.store.resume(id, &self.owner)?;
        let mark = self.running.mark(id, &self.owner)?;
        let (execution, journal) = self.open_kept(kept, scope)?;
        Ok((execution, Held { journal, mark }))
    }

    /// Opens a kept execution and finds the event that makes it go on.
    fn take_up(self: &Arc<Self>, request: GoOnRequest) -> Result<(Driver, Event), LocalError> {
        let flow = Arc::clone(&request.flow.flow);
        let records = self.records(&request.id, request.observer)?;
        let scope = scope(&records, &request.flow, Masker::default());
        let (mut execution, mut held) = self.hold(&request.id, &scope)?;
        hide_sealed(&flow.inputs, &execution.inputs, &scope.masker, &self.vault)?;
        let settings = self.settings_for(&scope);
        // Nobody runs it, and it says that somebody does: of an engine that died before executions were marked.
        if abandon(&mut execution, died(), Timestamp::now()) {
            held.journal.replace(&execution)?;
        }
        let (machine, event) = match request.again {
            Again::Restart => {
                let machine = Machine::restart(flow, execution, settings, Timestamp::now())
                    .map_err(|error| LocalError::Again(error.to_string()))?;
                held.journal.replace(machine.execution())?;
                (machine, Event::Start)
            }
            Again::ChangeState { task_run_id, state } => {
                let now = Timestamp::now();
                let machine = Machine::change_state(flow, execution, settings, &task_run_id, state, now)
                    .map_err(|error| LocalError::Again(error.to_string()))?;
                held.journal.replace(machine.execution())?;
                (machine, Event::Start)
            }
            Again::Resume(given) => {
                let paused = execution.current() == State::Paused;
                if !paused {
                    return Err(LocalError::Again(format!(
                        "execution `{}` is {} and not PAUSED: there is nothing to resume",
                        execution.id,
                        execution.current()
                    )));
                }
                let env = self.worker.environment(&execution.namespace, &scope);
                let machine = Machine::load(flow, execution, settings);
                let inputs = self.resume_inputs(&machine, &given, &env, &scope.masker)?;
                (machine, Event::Resume { task_run_id: None, inputs })
            }
        };
        let driver = Driver::new(Arc::clone(self), machine, held, records, scope, request.flows)?;
        Ok((driver, event))
    }

    /// Values for what a pause asks for.
    fn resume_inputs(
        &self,
        machine: &Machine,
        given: &BTreeMap<String, Given>,
        env: &ExecutionEnvironment,
        masker: &Masker,
    ) -> Result<Map, LocalError> {
        let execution = machine.execution();
        let paused = execution.task_run_list.iter().find(|run| run.current() == State::Paused);
        let asked = paused.map(|run| machine.pause_inputs(&run.id)).unwrap_or_default();
        let files = ExecutionFiles::new(&execution.namespace, &execution.flow_id, &execution.id)?;
        let mut uploads = Uploads { files, storage: &self.storage, runtime: Handle::current() };
        let mut values = weft_flow::resolve_values(asked, given, Map::new(), env, &mut uploads)
            .map_err(|problems| LocalError::Inputs(problems.iter().map(ToString::to_string).collect()))?;
        seal(asked, &mut values, masker, &self.vault)?;
        Ok(values)
    }

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

    /// Keeps a new execution.
    fn journal(
        &self,
        execution: &Execution,
        flow_source: &str,
        scope: &ExecutionScope,
    ) -> Result<HidingJournal, LocalError> {
        let hidden = sealed(&scope.masker, 0, &self.vault)?;
        let journal = self.store.create_hiding(execution, flow_source, &hidden, &self.owner)?;
        Ok(HidingJournal::new(journal, &scope.masker, &self.vault, hidden.len()))
    }

    /// Hides what is not to be shown of an execution that was kept, and goes on with its journal.
    pub(crate) fn open_kept(
        &self,
        (kept, journal): (KeptExecution, ExecutionJournal),
        scope: &ExecutionScope,
    ) -> Result<(Execution, HidingJournal), LocalError> {
        let known = scope.masker.count();
        hide(&kept.hidden, &scope.masker, &self.vault)?;
        // What was known before may be missing in the journal.
        let sealed = if known == 0 { scope.masker.count() } else { 0 };
        Ok((kept.execution, HidingJournal::new(journal, &scope.masker, &self.vault, sealed)))
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
