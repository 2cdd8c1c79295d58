//! One event being worked off.
//!
//! What has to be done next stands in an agenda and not on the stack: a flow may nest deeply, and ten thousand tasks
//! in a row may all be skipped.

use std::collections::VecDeque;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use weft_expr::{Environment, Template, Value};
use weft_model::{Execution, ExecutionUpdate, Failure, Level, LogEntry, State, TaskRun};

use crate::changes::Changed;
use crate::frame::{Lane, RunIndex};
use crate::slab::Id;
use crate::{Command, Event, Machine, TimerKey, Transition, context, outputs};

/// After so many changes of state an execution no longer records that it waits for a retry or a pause: the history is
/// part of what is stored at each change.
const MAX_WAITS_IN_HISTORY: usize = 200;

/// A machine with one event in hand.
pub(crate) struct Turn<'a> {
    pub machine: &'a mut Machine,
    pub env: &'a dyn Environment,
    pub now: Timestamp,
    out: Transition,
    /// Lanes to look at: something in them has ended, or they are new.
    agenda: VecDeque<Id<Lane>>,
}

impl<'a> Turn<'a> {
    /// Does `work` and all that follows from it.
    pub fn take(
        machine: &'a mut Machine,
        env: &'a dyn Environment,
        now: Timestamp,
        work: impl FnOnce(&mut Turn<'_>),
    ) -> Transition {
        let now = now.max(machine.clock);
        machine.clock = now;
        let mut turn = Turn { machine, env, now, out: Transition::default(), agenda: VecDeque::new() };
        work(&mut turn);
        while let Some(lane) = turn.agenda.pop_front() {
            turn.advance(lane);
        }
        turn.show_waiting();
        for &run in &turn.out.changed {
            turn.machine.runs[run].changed = false;
        }
        turn.out
    }

    /// Takes in an event.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Start => self.start(),
            Event::Queue => self.queue(),
            Event::Refuse { state, reason } => self.refuse(state, "execution.concurrency", &reason),
            Event::Reject { code, reason } => self.refuse(State::Failed, &code, &reason),
            Event::TaskEnded(result) => self.task_ended(result),
            Event::Timer(key) => self.timer(key),
            Event::Resume { task_run_id, inputs } => self.resume(task_run_id.as_deref(), inputs),
            Event::Kill { reason } => self.kill(&reason),
            Event::Update(updates) => self.update(updates),
            Event::SubflowStarted { call } => self.subflow_started(&call),
            Event::SubflowEnded { call, execution_id, state, outputs } => {
                self.subflow_ended(&call, execution_id, state, outputs);
            }
            Event::SubflowRefused { call, failure } => self.subflow_refused(&call, failure),
            Event::ItemsSplit { task_run_id, uris } => self.items_split(&task_run_id, uris),
            Event::ItemsRefused { task_run_id, failure } => self.items_refused(&task_run_id, &failure),
        }
    }

    fn timer(&mut self, key: TimerKey) {
        match key {
            TimerKey::Retry { task_run_id, attempt } => self.retry_due(&task_run_id, attempt),
            TimerKey::Pause { task_run_id } => self.pause_over(&task_run_id),
            TimerKey::Loop { task_run_id, iteration } => self.iteration_due(&task_run_id, iteration),
            TimerKey::Sla { id } => self.promise_due(&id),
        }
    }

    /// Makes this turn later than all before.
    pub fn later(&mut self) {
        self.now = self.now.checked_add(SignedDuration::from_nanos(1)).unwrap_or(self.now);
        self.machine.clock = self.now;
    }

    /// Has `lane` looked at before the turn is over.
    pub fn visit(&mut self, lane: Id<Lane>) {
        self.agenda.push_back(lane);
    }

    /// The execution, to be changed in anything but its task runs.
    pub fn header(&mut self) -> &mut Execution {
        self.out.header_changed = true;
        &mut self.machine.execution
    }

    /// A task run, to be changed.
    pub fn edit(&mut self, run: RunIndex) -> &mut TaskRun {
        let info = &mut self.machine.runs[run];
        if !info.changed {
            info.changed = true;
            self.out.changed.push(run);
        }
        &mut self.machine.execution.task_run_list[run]
    }

    /// Notes that all of the execution is to be stored again; what was changed so far is part of that.
    pub fn rewrite(&mut self) {
        self.out.rewritten = true;
        self.out.header_changed = true;
        self.out.changed.clear();
    }

    pub fn command(&mut self, command: Command) {
        self.out.commands.push(command);
    }

    pub fn log(&mut self, level: Level, run: Option<RunIndex>, message: impl Into<String>) {
        let record = run.map(|run| self.machine.run(run));
        let attempts = record.map_or(0, |record| record.attempts.len());
        self.out.logs.push(LogEntry {
            timestamp: self.now,
            level,
            task_id: record.map(|record| record.task_id.clone()),
            task_run_id: record.map(|record| record.id.clone()),
            attempt_number: attempts.saturating_sub(1) as u32,
            message: message.into(),
        });
    }

    /// Puts the execution into a state.
    pub fn enter_execution(&mut self, state: State) {
        let now = self.now;
        self.header().state.enter(state, now);
        self.machine.basis.set_execution(&self.machine.execution);
    }

    /// Puts a task run into a state.
    pub fn enter(&mut self, run: RunIndex, state: State) {
        let old = self.machine.state(run);
        if old == state {
            return;
        }
        match old {
            State::Paused => drop(self.machine.paused.remove(&run)),
            State::Retrying => self.machine.retrying -= 1,
            _ => {}
        }
        match state {
            State::Paused => drop(self.machine.paused.insert(run)),
            State::Retrying => self.machine.retrying += 1,
            _ => {}
        }
        let now = self.now;
        self.edit(run).state.enter(state, now);
        self.machine.show_state(run);
    }

    /// Renders a property of a task run as it sees the world. The error says where the property stands.
    pub fn render(&self, run: RunIndex, property: &str, template: &Template) -> Result<String, String> {
        template.render(&self.machine.context_of(run), self.env).map_err(|error| {
            format!("{}{error}", self.machine.place(run, property, Some(error.span.clone())))
        })
    }

    /// Applies what a task or a person wants to change, all of it or nothing; the state in which a task wants the execution
    /// to end is handed back.
    pub fn apply(&mut self, updates: Vec<ExecutionUpdate>) -> Result<Option<State>, Failure> {
        let execution = &self.machine.execution;
        let changed = Changed::by(updates, &execution.labels, &execution.variables, &self.machine.settings)?;
        if let Some(labels) = changed.labels {
            self.header().labels = labels;
            self.machine.basis.set_labels(&self.machine.execution);
        }
        if let Some(variables) = changed.variables {
            self.header().variables = variables;
            self.machine.show_variables();
        }
        Ok(changed.exit)
    }

    fn update(&mut self, updates: Vec<ExecutionUpdate>) {
        match self.apply(updates) {
            Ok(Some(state)) => self.exit(state),
            Ok(None) => {}
            Err(failure) => self.log(Level::Error, None, failure.message),
        }
    }

    /// Lets the execution's state say that it waits, if it does.
    fn show_waiting(&mut self) {
        let machine = &self.machine;
        let current = machine.execution.current();
        if !matches!(current, State::Running | State::Paused | State::Retrying) {
            return;
        }
        let wanted = if !machine.paused.is_empty() {
            State::Paused
        } else if machine.retrying > 0 {
            State::Retrying
        } else {
            State::Running
        };
        let recorded = machine.execution.state.histories().len();
        if wanted != current && (wanted == State::Running || recorded < MAX_WAITS_IN_HISTORY) {
            self.enter_execution(wanted);
        }
    }
}

impl Machine {
    /// Lets expressions see a task run's state under `tasks`.
    pub(crate) fn show_state(&mut self, run: RunIndex) {
        let (record, around) = (&self.execution.task_run_list[run], &self.runs[run].around);
        let values = around.values.iter().map(|value| &**value);
        let state = context::task_state(record.current());
        outputs::put(&mut self.basis.tasks, &record.task_id, values, run, state);
    }

    /// Lets expressions see a task run's outputs under `outputs`.
    pub(crate) fn show_outputs(&mut self, run: RunIndex) {
        let Some(value) = self.visible_outputs(run) else { return };
        let (record, around) = (&self.execution.task_run_list[run], &self.runs[run].around);
        let values = around.values.iter().map(|value| &**value);
        outputs::put(&mut self.basis.outputs, &record.task_id, values, run, value);
    }

    fn show_variables(&mut self) {
        self.basis.set_variables(&self.plan.flow().variables, &self.execution);
    }

    /// `flow.yaml:12:14: ` for a property of a task run, or nothing.
    pub(crate) fn place(&self, run: RunIndex, property: &str, bytes: Option<Range<usize>>) -> String {
        let place = self.settings.places.place(&self.run(run).task_id, property, bytes);
        place.map_or_else(String::new, |place| format!("{place}: "))
    }

    /// The task run with this id, if it can still change.
    pub(crate) fn open_run(&self, task_run_id: &str) -> Option<RunIndex> {
        let run = *self.by_id.get(task_run_id)?;
        (self.runs[run].lane.is_some() && !self.state(run).is_terminal()).then_some(run)
    }

    /// What a failure of this task run looks like in `error`.
    pub(crate) fn error_of(&self, run: RunIndex, message: &str) -> Value {
        context::error(&self.run(run).task_id, message)
    }
}
