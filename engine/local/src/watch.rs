//! Triggers of a flow: the engine's part of what `weft-scheduler` decides.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::task::JoinSet;
use weft_executor::{Event, Machine, Start, labels_as_value};
use weft_expr::{Environment, Serde};
use weft_files::{ExecutionFiles, Storage};
use weft_flow::{Given, Trigger};
use weft_host::PollResult;
use weft_model::{Execution, Failure, Label, Level, LogEntry, Map, Metric, State, TriggerContext};
use weft_scheduler::{Ended, Engine, Evaluation, Polled, SetupError, Stop, Watcher};
use weft_state::{StateError, StateFollower, TriggerRecord, TriggerStore, TriggeredExecution};
use weft_worker::{
    AttemptRecords, ExecutionEnvironment, ExecutionScope, LogSource, Masker, NoRelatives, Records,
    TriggerRequest,
};

use crate::control::Control;
use crate::execution::Driver;
use crate::hidden::{hide, sealed};
use crate::local::{Inner, NewExecution, scope};
use crate::secret_inputs::hide_sealed;
use crate::{FlowSource, LoadedFlow, Local, LocalError, Observer};

/// Told of each execution that has ended, or waits for a person.
pub type OnEnd = Arc<dyn Fn(&Execution) + Send + Sync>;

/// A flow whose triggers are to be watched.
pub struct WatchRequest {
    /// The flow.
    pub flow: LoadedFlow,
    /// Inputs for the executions, where a trigger gives none of its own.
    pub inputs: BTreeMap<String, Given>,
    /// Labels on top of the flow's and the trigger's.
    pub labels: Vec<Label>,
    /// Where flows are found that this one calls.
    pub flows: FlowSource,
    /// Whoever watches.
    pub observer: Arc<dyn Observer>,
    /// Told of each execution that has ended.
    pub on_end: OnEnd,
}

/// A trigger that is not watched.
#[derive(Debug)]
pub struct Unwatched {
    /// The trigger.
    pub trigger: Trigger,
    /// Why; none where it is disabled.
    pub why: Option<SetupError>,
}

/// The triggers of a flow while they are watched.
pub struct Watching {
    stop: Stop,
    triggers: Arc<FlowTriggers>,
    watchers: JoinSet<(String, Result<Ended, StateError>)>,
    /// The triggers that are watched.
    pub watched: Vec<String>,
    /// Those that are not.
    pub unwatched: Vec<Unwatched>,
}

impl Local {
    /// Begins to watch the triggers of a flow. What an engine that was killed left behind must have been cleaned up.
    ///
    /// # Errors
    /// When the flow is disabled, or a trigger's record cannot be read or is held by another process.
    pub async fn watch(&self, request: WatchRequest) -> Result<Watching, LocalError> {
        // Subflows are looked up by code that cannot wait for the catalogue.
        self.host().catalogue().await;
        let flow = Arc::clone(&request.flow.flow);
        if flow.disabled {
            return Err(LocalError::Disabled(flow.id.clone()));
        }
        let store = TriggerStore::new(self.inner.layout.root());
        let triggers = Arc::new(FlowTriggers::new(Arc::clone(&self.inner), request));
        let (stop, stopped) = weft_scheduler::stop();
        let (mut watchers, mut watched, mut unwatched) = (JoinSet::new(), Vec::new(), Vec::new());
        for trigger in &flow.triggers {
            let shared = Arc::new(trigger.clone());
            let why = match (trigger.disabled, Watcher::check(Arc::clone(&shared))) {
                (true, _) => Some(None),
                (false, Err(error)) => Some(Some(error)),
                (false, Ok(())) => None,
            };
            if let Some(why) = why {
                unwatched.push(Unwatched { trigger: trigger.clone(), why });
                continue;
            }
            let file = store.open(&flow.namespace, &flow.id, &trigger.id)?;
            triggers.hide_kept(file.record())?;
            let engine = Arc::clone(&triggers) as Arc<dyn Engine>;
            let watcher = Watcher::new(shared, file, engine, stopped.clone())?;
            watched.push(trigger.id.clone());
            let id = trigger.id.clone();
            watchers.spawn(async move { (id, watcher.run().await) });
        }
        Ok(Watching { stop, triggers, watchers, watched, unwatched })
    }
}

impl Watching {
    /// Asks for the end: nothing is evaluated any more, and executions under way go on to their end.
    pub fn stop(&self) {
        self.stop.ask();
    }

    /// Kills the executions under way, which end in order.
    pub async fn kill(&self, reason: &str) {
        let controls: Vec<Control> = lock(&self.triggers.controls).values().cloned().collect();
        for control in controls {
            control.kill(reason).await;
        }
    }

    /// How many executions are under way.
    pub fn under_way(&self) -> usize {
        lock(&self.triggers.controls).len()
    }

    /// The next trigger that is watched no longer, and why; none when all have ended.
    pub async fn next(&mut self) -> Option<(String, Result<Ended, StateError>)> {
        loop {
            match self.watchers.join_next().await? {
                Ok(ended) => return Some(ended),
                // A panic in the engine is a fault of ours. The record is as it was last committed.
                Err(error) => {
                    let message = format!("the engine failed: {error}");
                    self.triggers.observer.log(None, Timestamp::now(), Level::Error, message.as_bytes());
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine as the triggers of one flow see it.
struct FlowTriggers {
    inner: Arc<Inner>,
    flow: LoadedFlow,
    inputs: BTreeMap<String, Given>,
    labels: Vec<Label>,
    flows: FlowSource,
    observer: Arc<dyn Observer>,
    on_end: OnEnd,
    scope: ExecutionScope,
    env: ExecutionEnvironment,
    /// What is not to be shown of what was found so far, encrypted, and how many of the masker's secrets are among it.
    hidden: Mutex<(Vec<String>, usize)>,
    /// What triggers store must be on the disk before its source is deleted.
    storage: Storage,
    /// How to speak to the executions under way.
    controls: Mutex<HashMap<String, Control>>,
    /// Executions that somebody else runs, as far as their journals were read.
    followed: Mutex<HashMap<String, StateFollower>>,
}

impl FlowTriggers {
    fn new(inner: Arc<Inner>, request: WatchRequest) -> Self {
        let WatchRequest { flow, inputs, labels, flows, observer, on_end } = request;
        let records = Arc::new(TriggerRecords { observer: Arc::clone(&observer) });
        let scope = ExecutionScope {
            records,
            masker: Masker::default(),
            places: Arc::new(LoadedFlow::clone(&flow)),
            relatives: Arc::new(NoRelatives),
        };
        let env = inner.worker.environment(&flow.flow.namespace, &scope);
        let storage = Storage::local(inner.layout.storage());
        let (hidden, controls, followed) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self {
            inner,
            flow,
            inputs,
            labels,
            flows,
            observer,
            on_end,
            scope,
            env,
            hidden,
            storage,
            controls,
            followed,
        }
    }

    /// Goes on hiding what is kept of a trigger.
    fn hide_kept(&self, record: &TriggerRecord) -> Result<(), LocalError> {
        hide(&record.hidden, &self.scope.masker, &self.inner.vault)?;
        let (hidden, count) = &mut *lock(&self.hidden);
        hidden.extend(record.hidden.iter().cloned());
        *count = self.scope.masker.count();
        Ok(())
    }

    fn request<'a>(&'a self, trigger: &'a Trigger, evaluation: &'a Evaluation) -> TriggerRequest<'a> {
        TriggerRequest {
            namespace: &self.flow.flow.namespace,
            flow_id: &self.flow.flow.id,
            trigger,
            context: self.context(None),
            execution_id: &evaluation.execution_id,
            state: &evaluation.state,
            storage: &self.storage,
        }
    }

    /// Makes the execution, unless it is there and has begun, and gives it to be driven; else its state.
    fn prepare(
        &self,
        trigger: &Trigger,
        execution: &TriggeredExecution,
    ) -> Result<Result<(Driver, Event), State>, LocalError> {
        let store = &self.inner.store;
        match store.load(&execution.id)? {
            Some(kept) if kept.current() != State::Created => return Ok(Err(kept.current())),
            Some(_) => {
                let masker = self.scope.masker.branch();
                let (flow, flows) = (&self.flow, &self.flows);
                let driver = self.inner.begin_kept(&execution.id, flow, flows, &self.observer, masker)?;
                return Ok(Ok((driver, Event::Start)));
            }
            None => {
                // What a crash left of its creation.
                store.delete(&execution.id)?;
            }
        }
        let mut start = Start {
            labels: self.labels_of(trigger, execution),
            trigger: Some(TriggerContext {
                id: trigger.id.clone(),
                type_name: trigger.type_name.clone(),
                variables: execution.variables.clone(),
            }),
            schedule_date: execution.date,
            ..Start::default()
        };
        let given = match &execution.failure {
            Some(failure) => Err(("trigger.failed", failure.clone())),
            None => self.inputs_of(trigger, execution).map_err(|problem| ("trigger.inputs", problem)),
        };
        let rejected = match given {
            Ok(given) => {
                let new = NewExecution {
                    id: execution.id.clone(),
                    flow: self.flow.clone(),
                    given,
                    start: start.clone(),
                    flows: self.flows.clone(),
                    observer: Arc::clone(&self.observer),
                    depth: 0,
                    masker: self.scope.masker.branch(),
                };
                match self.inner.create_keeping_files(new) {
                    Ok(driver) => return Ok(Ok((driver, Event::Start))),
                    Err(LocalError::Inputs(problems)) => ("trigger.inputs", problems.join("\n")),
                    Err(error) => return Err(error),
                }
            }
            Err(rejected) => rejected,
        };
        // The event has happened and is not lost: there is an execution that says why it could not run.
        start.id.clone_from(&execution.id);
        start.flow_revision = self.flow.flow.revision.unwrap_or(1);
        let (observer, masker) = (Arc::clone(&self.observer), self.scope.masker.branch());
        let driver = self.inner.repeat(&self.flow, start, self.flows.clone(), observer, masker)?;
        Ok(Ok((driver, Event::Reject { code: rejected.0.to_owned(), reason: rejected.1 })))
    }

    fn labels_of(&self, trigger: &Trigger, execution: &TriggeredExecution) -> Vec<Label> {
        let context = self.context(Some(&execution.variables));
        let rendered = trigger.labels.iter().map(|label| {
            let template = weft_expr::Template::parse(&label.value).ok();
            let value = template.and_then(|template| template.render(&context, &self.env).ok());
            // A label that cannot be rendered stays as it was written; it is no reason to lose the execution.
            Label { key: label.key.clone(), value: value.unwrap_or_else(|| label.value.clone()) }
        });
        rendered.chain(self.labels.iter().cloned()).collect()
    }

    fn inputs_of(
        &self,
        trigger: &Trigger,
        execution: &TriggeredExecution,
    ) -> Result<BTreeMap<String, Given>, String> {
        let mut given = self.inputs.clone();
        if !trigger.inputs.is_empty() {
            let context = self.context(Some(&execution.variables));
            let inputs = Value::Object(trigger.inputs.clone());
            let rendered = weft_expr::render_json(&inputs, &context, &self.env)
                .map_err(|error| format!("the trigger's inputs: {error}"))?;
            let rendered = rendered.as_object().cloned().unwrap_or_default();
            given.extend(rendered.into_iter().map(|(name, value)| (name, Given::Json(value))));
        }
        Ok(given)
    }
}

#[async_trait]
impl Engine for FlowTriggers {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn log(&self, trigger: &Trigger, level: Level, message: &str) {
        let source = LogSource { task_id: trigger.id.clone(), task_run_id: String::new(), attempt: 0 };
        let message = self.scope.masker.mask(message);
        for line in message.lines() {
            self.observer.log(Some(&source), Timestamp::now(), level, line.as_bytes());
        }
    }

    fn context(&self, trigger: Option<&Map>) -> weft_expr::Value {
        use weft_expr::Value;
        let (flow, settings) = (&self.flow.flow, &self.inner.settings);
        let mut pairs = vec![
            (
                "flow",
                Value::from_pairs([
                    ("id", Value::from(flow.id.as_str())),
                    ("namespace", Value::from(flow.namespace.as_str())),
                    ("revision", Value::from(flow.revision.unwrap_or(1))),
                ]),
            ),
            ("vars", Value::from(Serde(&flow.variables))),
            ("labels", labels_as_value(&flow.labels)),
            ("envs", settings.envs.clone()),
            ("globals", settings.globals.clone()),
            ("kestra", settings.instance.clone()),
        ];
        pairs.extend(trigger.map(|trigger| ("trigger", Value::from(Serde(trigger)))));
        Value::from_pairs(pairs)
    }

    fn environment(&self) -> &dyn Environment {
        &self.env
    }

    fn hidden(&self) -> Result<Vec<String>, String> {
        let (hidden, count) = &mut *lock(&self.hidden);
        if self.scope.masker.count() > *count {
            let new =
                sealed(&self.scope.masker, *count, &self.inner.vault).map_err(|error| error.to_string())?;
            *count += new.len();
            hidden.extend(new);
        }
        Ok(hidden.clone())
    }

    async fn interval(&self, trigger: &Trigger) -> Result<Duration, Failure> {
        self.inner.worker.trigger_interval(trigger, &self.context(None), &self.env).await
    }

    async fn poll(&self, trigger: &Trigger, evaluation: &Evaluation) -> Result<Polled, Failure> {
        let request = self.request(trigger, evaluation);
        let PollResult { events, state, next } =
            self.inner.worker.poll_trigger(&request, &self.scope).await?;
        let events = events.into_iter().map(|event| match event {
            Value::Object(event) => Ok(event),
            other => Err(Failure::new(
                "plugin.bad-output",
                format!("an event of `{}`: expected a JSON object, found {other}", trigger.type_name),
            )),
        });
        Ok(Polled { events: events.collect::<Result<_, _>>()?, state, next })
    }

    async fn acknowledge(&self, trigger: &Trigger, evaluation: &Evaluation) -> Result<Value, Failure> {
        let request = self.request(trigger, evaluation);
        self.inner.worker.acknowledge_trigger(&request, &self.scope).await
    }

    async fn discard(&self, execution_id: &str) {
        let flow = &self.flow.flow;
        if let Ok(files) = ExecutionFiles::new(&flow.namespace, &flow.id, execution_id) {
            // What cannot be removed now is in the way of nothing; the next poll tries again.
            let _ = self.storage.delete_prefix(files.prefix()).await;
        }
    }

    async fn run(&self, trigger: &Trigger, execution: &TriggeredExecution) -> Result<State, String> {
        let prepared = tokio::task::block_in_place(|| self.prepare(trigger, execution));
        let (driver, event) = match prepared.map_err(|error| error.to_string())? {
            Ok(prepared) => prepared,
            Err(state) => return Ok(state),
        };
        lock(&self.controls).insert(execution.id.clone(), driver.control());
        let (flows, observer) = (self.flows.clone(), Arc::clone(&self.observer));
        let ended = self.inner.finish_from(self.flow.clone(), driver, event, flows, observer).await;
        lock(&self.controls).remove(&execution.id);
        match ended {
            Ok(finished) => {
                let execution = finished.shown();
                (self.on_end)(&execution);
                Ok(execution.current())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn state(&self, execution_id: &str) -> Result<Option<State>, String> {
        let mut followed = lock(&self.followed);
        let mut look = || -> Result<_, StateError> {
            let follower = match followed.entry(execution_id.to_owned()) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(self.inner.store.follow(execution_id)?),
            };
            follower.look()
        };
        let state = look().map_err(|error| error.to_string())?;
        // It is asked for until it has ended.
        if state.is_none_or(State::is_terminal) {
            followed.remove(execution_id);
        }
        Ok(state)
    }
}

impl Inner {
    /// Opens an execution that was created and has not begun.
    fn begin_kept(
        self: &Arc<Self>,
        id: &str,
        flow: &LoadedFlow,
        flows: &FlowSource,
        observer: &Arc<dyn Observer>,
        masker: Masker,
    ) -> Result<Driver, LocalError> {
        let records = self.records(id, Arc::clone(observer))?;
        let scope = scope(&records, flow, masker);
        let (execution, held) = self.hold(id, &scope)?;
        hide_sealed(&flow.flow.inputs, &execution.inputs, &scope.masker, &self.vault)?;
        let machine = Machine::load(Arc::clone(&flow.flow), execution, self.settings_for(&scope));
        Driver::new(Arc::clone(self), machine, held, records, scope, flows.clone())
    }
}

/// What triggers say: shown to whoever watches. It belongs to no execution and is not kept.
struct TriggerRecords {
    observer: Arc<dyn Observer>,
}

impl Records for TriggerRecords {
    fn attempt(&self, source: &LogSource) -> Box<dyn AttemptRecords> {
        Box::new(TriggerLines { source: source.clone(), observer: Arc::clone(&self.observer) })
    }

    fn metrics(&self, _: &[Metric]) {}

    fn errors(&self) -> Vec<LogEntry> {
        Vec::new()
    }
}

struct TriggerLines {
    source: LogSource,
    observer: Arc<dyn Observer>,
}

impl AttemptRecords for TriggerLines {
    fn lines(&self, timestamp: Timestamp, lines: &mut dyn Iterator<Item = (Level, &[u8])>) {
        for (level, line) in lines {
            self.observer.log(Some(&self.source), timestamp, level, line);
        }
    }

    fn flush(&self) {}
}
