//! Task runs with work of their own: plugin tasks, templated tasks and calls of subflows. They have attempts.

use std::sync::Arc;

use jiff::Timestamp;
use weft_expr::{Template, Value};
use weft_flow::{RetryBehavior, Shape, Task, TaskKind};
use weft_model::{
    Attempt, Failure, Level, Map, State, StateHistory, TaskRun, TaskRunRequest, TaskRunResult, Work,
};

use crate::frame::RunIndex;
use crate::retry::{Attempts, next_attempt};
use crate::turn::Turn;
use crate::{Command, Machine, TimerKey};

/// Why a task failed that did not say why.
pub(crate) const UNKNOWN_REASON: &str = "the task gave no reason";

/// How one attempt ended.
pub(crate) struct Outcome {
    pub state: State,
    pub outputs: Map,
    pub failure: Option<Failure>,
    pub log_file: Option<String>,
    pub started: Option<Timestamp>,
    pub ended: Timestamp,
}

impl Outcome {
    /// An attempt that the engine itself ends.
    pub fn new(state: State, outputs: Map, failure: Option<Failure>, ended: Timestamp) -> Self {
        Self { state, outputs, failure, log_file: None, started: None, ended }
    }
}

impl Turn<'_> {
    /// Begins an attempt at a task run, or asks again for the one that is under way.
    pub fn begin_attempt(&mut self, run: RunIndex) {
        let Some(node) = self.machine.runs[run].node else { return };
        let plan = Arc::clone(&self.machine.plan);
        let task = plan.task(node);
        let context = self.machine.context_of(run);
        self.enter(run, State::Running);
        if !under_way(self.machine.run(run)) {
            let state = StateHistory::new(State::Running, self.now);
            self.edit(run).attempts.push(Attempt { state, log_file: None, failure: None });
        }
        match &task.kind {
            TaskKind::Run { properties } => self.request(run, task, &task.type_name, properties, context),
            TaskKind::Flowable(flowable) => match &flowable.shape {
                Shape::Subflow(subflow) => self.call_subflow(run, task, subflow, &context),
                Shape::ForEachItem(items) => self.call_subflow(run, task, &items.subflow, &context),
                Shape::Templated { spec } => self.begin_templated(run, task, spec, context),
                _ => {}
            },
        }
    }

    fn begin_templated(&mut self, run: RunIndex, task: &Task, spec: &Template, context: Value) {
        let parsed =
            spec.render(&context, self.env).map_err(|error| format!("cannot render `spec`: {error}"));
        let parsed = parsed.and_then(|yaml| match &self.machine.settings.templates {
            Some(parser) => {
                parser.parse_task(&yaml).map_err(|error| format!("`spec` is not a task: {error}"))
            }
            None => Err("templated tasks are not available here".to_owned()),
        });
        match parsed {
            Ok(Task { kind: TaskKind::Run { properties }, type_name, .. }) => {
                self.request(run, task, &type_name, &properties, context);
            }
            Ok(other) => {
                let message = format!(
                    "`spec` is a `{}`: only tasks that run no other tasks can be templated",
                    other.type_name
                );
                self.fail_attempt(run, Failure::new("task.template", message));
            }
            Err(message) => self.fail_attempt(run, Failure::new("task.template", message)),
        }
    }

    fn request(&mut self, run: RunIndex, task: &Task, task_type: &str, properties: &Map, context: Value) {
        let work = Work::Run { properties: properties.clone() };
        let directory = self.machine.runs[run].around.directory;
        let attempt = self.machine.run(run).attempts.len().saturating_sub(1) as u32;
        let request = TaskRunRequest {
            timeout: task.timeout.clone(),
            directory: directory.map(|directory| self.machine.run(directory).id.clone()),
            ..self.machine.request(run, task, task_type, attempt, work, context)
        };
        self.command(Command::Run(Box::new(request)));
    }

    /// Takes in what a worker reports.
    pub fn task_ended(&mut self, result: TaskRunResult) {
        let Some(run) = self.machine.open_run(&result.task_run_id) else { return };
        if !matches!(self.machine.state(run), State::Running | State::Killing) {
            return;
        }
        if self.machine.runs[run].frame.is_some() {
            return self.directory_answered(run, result);
        }
        if !self.machine.is_current(run, result.attempt) {
            return;
        }
        let mut outcome = Outcome {
            state: result.state,
            outputs: result.outputs,
            failure: result.failure,
            log_file: result.log_file,
            started: Some(result.started),
            ended: result.ended,
        };
        let exit = self.apply(result.updates).unwrap_or_else(|failure| {
            self.log(Level::Error, Some(run), failure.message.clone());
            if outcome.state != State::Killed {
                outcome.state = State::Failed;
            }
            outcome.failure.get_or_insert(failure);
            None
        });
        self.settle(run, outcome, exit.is_none());
        if let Some(state) = exit {
            self.exit(state);
        }
    }

    /// Ends the attempt that is under way because the engine could not do what it is for.
    pub fn fail_attempt(&mut self, run: RunIndex, failure: Failure) {
        self.log(Level::Error, Some(run), failure.message.clone());
        let outcome = Outcome::new(State::Failed, Map::new(), Some(failure), self.now);
        self.settle(run, outcome, true);
    }

    /// Ends the attempt that is under way: either another follows or the task run ends.
    pub fn settle(&mut self, run: RunIndex, outcome: Outcome, may_retry: bool) {
        // A worker that reports anything else has not understood what it was asked.
        let state = match outcome.state {
            state @ (State::Success | State::Warning | State::Killed) => state,
            _ => State::Failed,
        };
        let message = outcome.failure.as_ref().map(|failure| failure.message.clone());
        let record = self.edit(run);
        record.outputs = Some(outcome.outputs);
        if let Some(attempt) = record.attempts.last_mut() {
            if let Some(started) = outcome.started {
                attempt.state = StateHistory::new(State::Running, started);
            }
            attempt.state.enter(state, outcome.ended);
            attempt.failure = outcome.failure;
            attempt.log_file = outcome.log_file;
        }
        if state == State::Failed && may_retry && self.machine.ending.is_none() && self.retry(run) {
            return;
        }
        let state = self.machine.after_retries(run, state);
        let reason = message.as_deref().unwrap_or(UNKNOWN_REASON);
        let error = state.is_failed().then(|| self.machine.error_of(run, reason));
        self.end_run(run, state, error);
        if self.machine.state(run) == State::Failed {
            self.machine.note_repeat(run);
        }
    }

    /// Arranges for another attempt, if there is to be one.
    fn retry(&mut self, run: RunIndex) -> bool {
        let Some(at) = self.machine.retry_at(run) else { return false };
        self.enter(run, State::Failed);
        self.enter(run, State::Retrying);
        let key = self.machine.retry_key(run);
        self.command(Command::SetTimer { key, at });
        true
    }

    /// Begins the next attempt.
    pub fn retry_due(&mut self, task_run_id: &str, attempt: u32) {
        let Some(run) = self.machine.open_run(task_run_id) else { return };
        let record = self.machine.run(run);
        if record.current() == State::Retrying && record.attempts.len() == attempt as usize {
            self.begin_attempt(run);
        }
    }
}

impl Machine {
    /// A request with what all requests have in common.
    pub(crate) fn request(
        &self,
        run: RunIndex,
        task: &Task,
        task_type: &str,
        attempt: u32,
        work: Work,
        context: Value,
    ) -> TaskRunRequest {
        let record = self.run(run);
        TaskRunRequest {
            execution_id: record.execution_id.clone(),
            namespace: record.namespace.clone(),
            flow_id: record.flow_id.clone(),
            task_run_id: record.id.clone(),
            task_id: record.task_id.clone(),
            task_type: task_type.to_owned(),
            attempt,
            work,
            directory: None,
            timeout: None,
            log_level: task.log_level,
            log_to_file: task.log_to_file,
            worker_group: task.worker_group.clone(),
            context,
        }
    }

    /// Whether `attempt` is the one under way.
    pub(crate) fn is_current(&self, run: RunIndex, attempt: u32) -> bool {
        let record = self.run(run);
        under_way(record) && record.attempts.len() == attempt as usize + 1
    }

    /// When the next attempt of a task run that failed is due, if there is to be one.
    pub(crate) fn retry_at(&self, run: RunIndex) -> Option<Timestamp> {
        let retry = self.plan.retry(self.runs[run].node?)?;
        if retry.behavior == RetryBehavior::CreateNewExecution {
            return None;
        }
        let record = self.run(run);
        let attempts = since_restart(record);
        next_attempt(
            retry,
            Attempts {
                ended: attempts.len() as u32,
                first_start: attempts.first()?.state.start_date(),
                last_end: attempts.last()?.state.end_date()?,
                seed: &record.id,
            },
        )
    }

    /// The timer for the next attempt.
    pub(crate) fn retry_key(&self, run: RunIndex) -> TimerKey {
        let record = self.run(run);
        TimerKey::Retry { task_run_id: record.id.clone(), attempt: record.attempts.len() as u32 }
    }

    /// The state of a task run whose attempts are over, `warningOnRetry` considered.
    fn after_retries(&self, run: RunIndex, state: State) -> State {
        let warns = || {
            let retry = self.runs[run].node.and_then(|node| self.plan.retry(node));
            retry.is_some_and(|retry| retry.warning_on_retry) && since_restart(self.run(run)).len() > 1
        };
        if state == State::Success && warns() { State::Warning } else { state }
    }

    /// Remembers a task that failed for good and whose retry asks for a new execution.
    pub(crate) fn note_repeat(&mut self, run: RunIndex) {
        let Some(node) = self.runs[run].node else { return };
        let retry = self.plan.retry(node);
        if self.repeat.is_none()
            && retry.is_some_and(|retry| retry.behavior == RetryBehavior::CreateNewExecution)
        {
            self.repeat = Some(node);
        }
    }
}

/// Whether an attempt has begun and not ended.
pub(crate) fn under_way(run: &TaskRun) -> bool {
    run.attempts.last().is_some_and(|attempt| !attempt.state.current().is_terminal())
}

/// The attempts that count for a retry: those after the last restart by a person, who may expect the same patience as
/// the first time.
fn since_restart(run: &TaskRun) -> &[Attempt] {
    let restarts = run.state.histories().iter().rev();
    let restart = restarts.filter(|change| change.state == State::Restarted).map(|change| change.date).next();
    let first = restart.map_or(0, |date| {
        run.attempts.partition_point(|attempt| attempt.state.end_date().is_some_and(|end| end <= date))
    });
    &run.attempts[first..]
}
