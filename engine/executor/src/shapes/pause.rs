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
        let until = match pause.delay.as_deref().map(|delay| self.delay(run, delay)).transpose() {
            Ok(delay) => delay.map(|delay| self.now.checked_add(delay).unwrap_or(Timestamp::MAX)),
            Err(message) => return self.fail_open(run, &format!("cannot evaluate `delay`: {message}")),
        };
        if let Some(until) = until {
            self.set_output(run, UNTIL, until.to_string());
        }
        self.enter(run, State::Paused);
        self.set_pause_timer(run);
        if pause.on_pause.is_some() {
            self.start_lane(frame, Branch::OnPause, Order::Sequential, None);
        }
    }

    fn delay(&self, run: RunIndex, delay: &str) -> Result<SignedDuration, String> {
        let template = Template::parse(delay).map_err(|error| error.to_string())?;
        let text = self.render(run, "delay", &template)?;
        parse_duration(text.trim()).map_err(|error| error.to_string())
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
        let behavior = self.machine.pause(run).map(|pause| pause.behavior);
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

/// When a pause ends by itself, if it does.
fn pause_end(run: &TaskRun) -> Option<Timestamp> {
    run.output(UNTIL)?.as_str()?.parse().ok()
}
