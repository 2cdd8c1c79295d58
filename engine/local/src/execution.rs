//! The loop of one execution: take an event, let the executor decide, commit, carry out the commands.

use std::any::Any;
use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use weft_executor::{Command, Event, Machine, Start, Transition};
use weft_expr::Value;
use weft_model::{Execution, Failure, LogEntry, Map, State, TaskRun, TaskRunRequest, TaskRunResult};
use weft_state::RunningMark;
use weft_worker::{ExecutionEnvironment, ExecutionScope, Masker};

use crate::control::Control;
use crate::hidden::HidingJournal;
use crate::local::Inner;
use crate::records::ExecutionRecords;
use crate::sync::DiskSync;
use crate::timers::{Timers, later};
use crate::{FlowSource, LocalError, Observer, subflow};

/// How many events may wait for the loop. Workers that have more to say wait, too.
const QUEUE: usize = 1_024;

/// What a loop ended with.
pub(crate) struct Finished {
    /// The execution as it ended, or as it waits for a person.
    pub execution: Execution,
    /// What expressions see at its end.
    pub context: Option<Value>,
    /// The execution that follows it (retry of a flow).
    pub next: Option<Box<Start>>,
    /// What it must not show.
    pub masker: Masker,
}

impl Finished {
    /// The execution as somebody may see it: what was stored for the tasks that come after is hidden in it.
    pub(crate) fn shown(self) -> Execution {
        let Self { mut execution, masker, .. } = self;
        masker.mask_execution(&mut execution);
        execution
    }
}

/// What shows that this process has an execution: nobody else can write its journal, and the next start ends it if this
/// process dies.
pub(crate) struct Held {
    pub journal: HidingJournal,
    pub mark: RunningMark,
}

impl Held {
    /// Lets go of an execution that has an end, or waits for a person.
    pub(crate) fn clear(self) {
        // Before the journal: whoever takes it up then makes a mark of its own.
        self.mark.clear();
        drop(self.journal);
    }
}

/// One execution and what is under way for it.
pub(crate) struct Driver {
    pub inner: Arc<Inner>,
    pub machine: Machine,
    held: Held,
    /// How many executions are above it that started each other as subflows.
    pub depth: u32,
    pub records: Arc<ExecutionRecords>,
    pub scope: ExecutionScope,
    pub env: ExecutionEnvironment,
    pub flows: FlowSource,
    pub observer: Arc<dyn Observer>,
    events: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    control: Control,
    /// How to cancel the task runs that are with a worker.
    running: HashMap<String, watch::Sender<bool>>,
    /// How to cancel subflows that are waited for, by execution.
    subflows: HashMap<String, Control>,
    /// How to cancel subflows that nobody waits for.
    detached: Vec<Control>,
    work: JoinSet<()>,
    timers: Timers,
    /// Nothing of a test has to survive the machine.
    sync: Option<DiskSync>,
    next: Option<Box<Start>>,
    done: bool,
}

impl Driver {
    pub(crate) fn new(
        inner: Arc<Inner>,
        machine: Machine,
        held: Held,
        records: Arc<ExecutionRecords>,
        scope: ExecutionScope,
        flows: FlowSource,
    ) -> Result<Self, LocalError> {
        let env = inner.worker.environment(&machine.execution().namespace, &scope);
        let sync = match inner.testing {
            None => Some(DiskSync::new(held.journal.sync_handle()?)),
            Some(_) => None,
        };
        let events = mpsc::channel(QUEUE);
        let timers = match inner.time_jumps() {
            true => Timers::jumping(machine.execution().schedule_date),
            false => Timers::real(events.0.clone()),
        };
        Ok(Self {
            inner,
            machine,
            held,
            depth: 0,
            observer: Arc::clone(&records.observer),
            records,
            scope,
            env,
            flows,
            control: Control::new(events.0.clone()),
            events,
            running: HashMap::new(),
            subflows: HashMap::new(),
            detached: Vec::new(),
            work: JoinSet::new(),
            timers,
            sync,
            next: None,
            done: false,
        })
    }

    pub(crate) fn control(&self) -> Control {
        self.control.clone()
    }

    /// Listens to whoever has `control`, which was another execution's before.
    pub(crate) fn take_over(&mut self, control: Control) {
        control.hand_over(self.events.0.clone());
        self.control = control;
    }

    /// Runs until the execution has ended, or until nothing but a person can make it go on.
    pub(crate) async fn run(mut self, first: Event) -> Result<(Finished, Held), LocalError> {
        self.observer.execution(self.machine.execution());
        // Kept until nothing of it runs any more.
        let slot = self.admit().await?;
        // Timers and pauses of an execution that was taken up again; nothing for a new one.
        if !self.done {
            let mut transition = self.machine.recover(&self.env, self.timers.now());
            merge(&mut transition, self.machine.handle(first, &self.env, self.timers.now()));
            self.settle(transition)?;
        }
        while !self.done && !self.waits_for_a_person() {
            let Some(event) = self.next_event().await else { continue };
            let mut transition = self.take(event);
            // What has come meanwhile goes into the same commit.
            while let Ok(event) = self.events.1.try_recv() {
                merge(&mut transition, self.take(event));
            }
            self.settle(transition)?;
        }
        self.timers.clear();
        drop(slot);
        self.end_detached().await;
        self.records.flush();
        if let Some(sync) = self.sync {
            sync.finish().await?;
        }
        let context = self.machine.context(None);
        let masker = self.scope.masker.clone();
        let finished =
            Finished { execution: self.machine.execution().clone(), context, next: self.next, masker };
        Ok((finished, self.held))
    }

    /// Subflows that nobody waits for still belong to this process. Whoever ends this execution now means them.
    async fn end_detached(&mut self) {
        while !self.work.is_empty() {
            tokio::select! {
                _ = self.work.join_next() => {}
                // The sender in `self.events` keeps the channel open. Of what else comes nobody wants to know any more.
                event = self.events.1.recv() => if let Some(Event::Kill { reason }) = event {
                    for control in &self.detached {
                        control.kill(&reason).await;
                    }
                },
            }
        }
    }

    /// What happens next; nothing if only something that was under way has ended, and the loop may be over for it.
    pub(crate) async fn next_event(&mut self) -> Option<Event> {
        while self.work.try_join_next().is_some() {}
        // Whatever is under way sends its event before it ends, so none can be missed here.
        if self.work.is_empty()
            && self.events.1.is_empty()
            && let Some(event) = self.timers.jump()
        {
            return Some(event);
        }
        tokio::select! {
            // The sender in `self.events` keeps the channel open.
            event = self.events.1.recv() => event,
            event = self.timers.due() => event,
            Some(_) = self.work.join_next() => None,
        }
    }

    fn take(&mut self, event: Event) -> Transition {
        match &event {
            Event::TaskEnded(result) => {
                self.running.remove(&result.task_run_id);
            }
            // It may have ended under another id than it began with.
            Event::SubflowEnded { .. } | Event::SubflowRefused { .. } => {
                self.subflows.retain(|_, control| !control.is_over());
            }
            _ => {}
        }
        self.machine.handle(event, &self.env, self.timers.now())
    }

    /// Commits a transition, shows it, and carries out its commands: in this order.
    fn settle(&mut self, mut transition: Transition) -> Result<(), LocalError> {
        transition.changed.sort_unstable();
        transition.changed.dedup();
        let execution = self.machine.execution();
        if transition.rewritten {
            self.held.journal.replace(execution)?;
            self.sync.iter().for_each(DiskSync::touch);
        } else if transition.header_changed || !transition.changed.is_empty() || self.held.journal.has_news()
        {
            let changed: Vec<&TaskRun> =
                transition.changed.iter().filter_map(|&index| execution.task_run_list.get(index)).collect();
            self.held.journal.commit(transition.header_changed.then_some(execution), &changed)?;
            self.sync.iter().for_each(DiskSync::touch);
        }
        for entry in &transition.logs {
            let masked =
                LogEntry { message: self.scope.masker.mask(&entry.message).into_owned(), ..entry.clone() };
            self.records.engine_line(&masked);
        }
        for &index in &transition.changed {
            if let Some(task_run) = execution.task_run_list.get(index) {
                self.observer.task_run(execution, &watched(task_run, &self.scope.masker));
            }
        }
        if transition.header_changed {
            self.observer.execution(execution);
        }
        for command in transition.commands {
            self.carry_out(command);
        }
        Ok(())
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Run(request) => self.start_task(*request),
            Command::Cancel { task_run_id } => {
                if let Some(cancel) = self.running.get(&task_run_id) {
                    cancel.send_replace(true);
                }
            }
            Command::SetTimer { key, at } => self.timers.set(key, at),
            Command::StartSubflow(request) => {
                let (id, waited_for) = (request.execution_id.clone(), request.wait);
                match subflow::start(self, *request) {
                    Some(control) if waited_for => {
                        self.subflows.insert(id, control);
                    }
                    Some(control) => self.detached.push(control),
                    None => {}
                }
            }
            Command::CancelSubflow { execution_id, .. } => {
                if let Some(control) = self.subflows.get(&execution_id).cloned() {
                    self.work.spawn(async move { control.kill("the calling execution was killed").await });
                }
            }
            Command::SplitItems { task_run_id, uri, batch } => {
                let split = crate::split::Split::new(self, task_run_id, uri, batch);
                let events = self.events.0.clone();
                self.work.spawn(async move {
                    let _ = events.send(split.run().await).await;
                });
            }
            Command::StoreLines { uri, lines, .. } => crate::split::store_lines(self, &uri, &lines),
            Command::NewExecution { start } => self.next = Some(start),
            Command::Ended { .. } => {}
            Command::Done => self.done = true,
        }
    }

    fn start_task(&mut self, request: TaskRunRequest) {
        let (cancel, cancelled) = watch::channel(false);
        self.running.insert(request.task_run_id.clone(), cancel);
        let (inner, scope, events) = (Arc::clone(&self.inner), self.scope.clone(), self.events.0.clone());
        let (task_run_id, attempt, started) =
            (request.task_run_id.clone(), request.attempt, Timestamp::now());
        // The time cannot jump while this is under way.
        let ahead = self.timers.ahead();
        self.work.spawn(async move {
            // A panic in the engine is a fault of ours; the execution must end all the same. What the attempt held is
            // dropped with it, and what it shares is kept behind locks that bear a panic.
            // Boxed, for the runtime moves whole futures about, and this one is large.
            let run = AssertUnwindSafe(Box::pin(inner.attempt(request, &scope, cancelled))).catch_unwind();
            let mut result = run.await.unwrap_or_else(|panic| TaskRunResult {
                task_run_id,
                attempt,
                state: State::Failed,
                outputs: Map::new(),
                failure: Some(Failure::new("engine.panic", format!("the engine failed: {}", words(&*panic)))),
                updates: Vec::new(),
                log_file: None,
                started,
                ended: Timestamp::now(),
            });
            result.started = later(result.started, ahead);
            result.ended = later(result.ended, ahead);
            let _ = events.send(Event::TaskEnded(result)).await;
        });
    }

    /// Takes one event and settles what it leads to.
    pub(crate) fn tell(&mut self, event: Event) -> Result<(), LocalError> {
        let transition = self.take(event);
        self.settle(transition)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    pub(crate) fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.work.spawn(work);
    }

    pub(crate) fn sender(&self) -> mpsc::Sender<Event> {
        self.events.0.clone()
    }

    /// Whether the execution is paused and nothing under way can change that.
    fn waits_for_a_person(&mut self) -> bool {
        self.machine.execution().current() == State::Paused
            && self.running.is_empty()
            && self.subflows.is_empty()
            && self.timers.is_empty()
            && self.events.1.is_empty()
    }
}

impl Inner {
    /// One attempt: by the worker or, in a test, by a stand-in.
    async fn attempt(
        &self,
        request: TaskRunRequest,
        scope: &ExecutionScope,
        cancelled: watch::Receiver<bool>,
    ) -> TaskRunResult {
        if let Some(setup) = &self.testing
            && let Some(stand_in) = setup.stand_in(&request)
        {
            return self.stand_in(setup, stand_in, &request, scope).await;
        }
        self.worker.run(request, scope, cancelled).await
    }
}

/// A task run as those who watch it see it: without what is not to be shown. Outputs are not watched.
fn watched<'r>(task_run: &'r TaskRun, masker: &Masker) -> Cow<'r, TaskRun> {
    if masker.is_empty() {
        return Cow::Borrowed(task_run);
    }
    let TaskRun { id, execution_id, namespace, flow_id, task_id, .. } = task_run;
    let mut shown = TaskRun {
        id: id.clone(),
        execution_id: execution_id.clone(),
        namespace: namespace.clone(),
        flow_id: flow_id.clone(),
        task_id: task_id.clone(),
        parent_task_run_id: task_run.parent_task_run_id.clone(),
        value: task_run.value.clone(),
        iteration: task_run.iteration,
        attempts: task_run.attempts.clone(),
        outputs: None,
        state: task_run.state.clone(),
    };
    masker.mask_task_run(&mut shown);
    Cow::Owned(shown)
}

/// What a panic has said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

/// Both transitions as one, to be committed together.
fn merge(first: &mut Transition, second: Transition) {
    first.header_changed |= second.header_changed;
    first.rewritten |= second.rewritten;
    first.changed.extend(second.changed);
    first.commands.extend(second.commands);
    first.logs.extend(second.logs);
}
