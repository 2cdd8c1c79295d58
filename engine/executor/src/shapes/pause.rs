//! `Pause`: waits for a time or for a person, then runs its (old form) tasks.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;
use weft_expr::Template;
use weft_flow::{Input, Pause, PauseBehavior, Shape, parse_duration};
use weft_model::{Level, Map, State, TaskRun};

use super::{NOBODY_RESUMED, ON_RESUME, UNTIL};
use crate::frame::{Frame, Order, Role, RunIndex};
use crate::plan::Branch;
use crate::slab::Id;
use crate::turn::Turn;
use crate::{Command, Machine, TimerKey};

impl Turn<'_> {
    pub(super) fn open_pause(&mut self, run: RunIndex, frame: Id<Frame>, pause: &Pause) {
        match self.longest(run, pause) {
            Ok(Some(longest)) => {
                let until = self.now.checked_add(longest).unwrap_or(Timestamp::MAX);
                self.set_output(run, UNTIL, until.to_string());
            }
            Ok(None) => {}
            Err(message) => return self.fail_open(run, &message),
        }
        self.enter(run, State::Paused);
        self.set_pause_timer(run);
        if pause.on_pause.is_some() {
            self.start_lane(frame, Branch::OnPause, Order::Sequential, None);
        }
    }

    /// How long it pauses if nobody resumes; none where it waits for that. A timeout counts only where there is no
    /// duration, as in Kestra.
    fn longest(&self, run: RunIndex, pause: &Pause) -> Result<Option<SignedDuration>, String> {
        let node = self.machine.runs[run].node;
        let timeout = node.and_then(|node| self.machine.plan.task(node).timeout.as_deref());
        let (property, text) = match (pause.delay.as_deref(), timeout) {
            (Some(delay), _) => ("delay", delay),
            (None, Some(timeout)) => ("timeout", timeout),
            (None, None) => return Ok(None),
        };
        let rendered = Template::parse(text)
            .map_err(|error| error.to_string())
            .and_then(|template| self.render(run, property, &template));
        let longest =
            rendered.and_then(|text| parse_duration(text.trim()).map_err(|error| error.to_string()));
        longest.map(Some).map_err(|message| format!("cannot evaluate `{property}`: {message}"))
    }

    /// Arranges for the end of a pause that ends by itself.
    pub fn set_pause_timer(&mut self, run: RunIndex) {
        let record = self.machine.run(run);
        let Some(at) = pause_end(record) else { return };
        let key = TimerKey::Pause { task_run_id: record.id.clone() };
        self.command(Command::SetTimer { key, at });
    }

    /// Somebody lets a pause end.
    pub fn resume(&mut self, task_run_id: Option<&str>, inputs: Map) {
        let run = match task_run_id {
            Some(id) => self.machine.open_run(id).filter(|run| self.machine.state(*run) == State::Paused),
            None => self.machine.paused.first().copied(),
        };
        let Some(run) = run else { return };
        self.set_output(run, ON_RESUME, Json::Object(inputs));
        self.go_on(run, State::Success);
    }

    /// A pause ends by itself.
    pub fn pause_over(&mut self, task_run_id: &str) {
        let Some(run) = self.machine.open_run(task_run_id) else { return };
        let behavior = self.machine.pause(run).map(behavior);
        let Some(behavior) = behavior.filter(|_| self.machine.state(run) == State::Paused) else { return };
        match behavior {
            PauseBehavior::Cancel => {
                let task_id = &self.machine.run(run).task_id;
                self.cancel_after_pause(&format!("nobody resumed `{task_id}` in time"));
            }
            PauseBehavior::Resume => self.go_on(run, State::Success),
            PauseBehavior::Warn => {
                self.log(Level::Warn, Some(run), NOBODY_RESUMED);
                self.go_on(run, State::Warning);
            }
            PauseBehavior::Fail => {
                self.log(Level::Error, Some(run), NOBODY_RESUMED);
                self.go_on(run, State::Failed);
            }
        }
    }

    /// The wait is over and counts as `outcome`.
    fn go_on(&mut self, run: RunIndex, outcome: State) {
        self.enter(run, State::Running);
        let Some(id) = self.machine.runs[run].frame else { return };
        let error = self.machine.error_of(run, NOBODY_RESUMED);
        if let Some(frame) = self.machine.frames.get_mut(id) {
            frame.child_ended(Role::Main, outcome, (outcome == State::Failed).then_some(error));
        }
        self.start_lane(id, Branch::Tasks, Order::Sequential, None);
    }

    pub(super) fn pause_lane_ended(&mut self, id: Id<Frame>) {
        let Some(Frame { run: Some(run), lanes, failed, .. }) = self.machine.frames.get(id) else { return };
        let (run, lanes, failed) = (*run, *lanes, *failed);
        // Whoever was to be told has not been: nobody will resume.
        if failed && self.machine.state(run) == State::Paused {
            self.enter(run, State::Running);
        }
        if lanes == 0 && self.machine.state(run) != State::Paused {
            self.main_ended(id);
        }
    }
}

impl Machine {
    /// The inputs that whoever resumes this task run is asked for; none where it is not a pause.
    pub fn pause_inputs(&self, task_run_id: &str) -> &[Input] {
        let run = self.by_id.get(task_run_id);
        run.and_then(|run| self.pause(*run)).map_or(&[], |pause| &pause.on_resume)
    }

    fn pause(&self, run: RunIndex) -> Option<&Pause> {
        match &self.plan.flowable(self.runs[run].node?)?.shape {
            Shape::Pause(pause) => Some(pause),
            _ => None,
        }
    }
}

/// What happens when a pause ends by itself: what its `behavior` says after its duration, a failure after its timeout.
fn behavior(pause: &Pause) -> PauseBehavior {
    if pause.delay.is_some() { pause.behavior } else { PauseBehavior::Fail }
}

/// What a pause counts as that goes on and that nobody resumed; none where its time was not over.
pub(crate) fn outcome(pause: &Pause, run: &TaskRun) -> Option<State> {
    pause_end(run)?;
    Some(match behavior(pause) {
        PauseBehavior::Resume => State::Success,
        PauseBehavior::Warn => State::Warning,
        PauseBehavior::Fail => State::Failed,
        PauseBehavior::Cancel => State::Cancelled,
    })
}

/// When a pause ends by itself, if it does.
fn pause_end(run: &TaskRun) -> Option<Timestamp> {
    run.output(UNTIL)?.as_str()?.parse().ok()
}
