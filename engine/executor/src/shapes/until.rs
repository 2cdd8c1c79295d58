//! `LoopUntil`: a list of tasks again and again until a condition holds.
//!
//! An iteration uses the task runs of the one before again, so that a loop that polls for days does not grow.

use jiff::{SignedDuration, Timestamp};
use weft_expr::is_true;
use weft_flow::LoopUntil;
use weft_model::{Level, State, TaskRun};

use crate::frame::{Frame, Iteration, Order, Phase, Role, RunIndex};
use crate::plan::Branch;
use crate::rollup::Tally;
use crate::slab::Id;
use crate::turn::Turn;
use crate::{Command, Machine, TimerKey};

impl Turn<'_> {
    pub(super) fn open_until(&mut self, frame: Id<Frame>) {
        self.begin_iteration(frame, 0);
    }

    fn begin_iteration(&mut self, id: Id<Frame>, number: u32) {
        if let Some(frame) = self.machine.frames.get_mut(id) {
            frame.tally = Tally::default();
        }
        self.start_lane(id, Branch::Tasks, Order::Sequential, Some(Iteration { number, value: None }));
    }

    /// The tasks of one iteration have ended: the condition decides.
    pub(super) fn iteration_ended(&mut self, id: Id<Frame>, until: &LoopUntil) {
        let Some(Frame { run: Some(run), failed, .. }) = self.machine.frames.get(id) else { return };
        let (run, failed) = (*run, *failed);
        // An iteration that did not get to its end does not count: a restart goes on in it.
        if failed || self.machine.ending.is_some() {
            return self.main_ended(id);
        }
        let ended = iterations_ended(self.machine.run(run)) + 1;
        self.set_output(run, super::ITERATION_COUNT, ended);
        match self.render(run, "condition", &until.condition) {
            Ok(text) if is_true(&text) => self.main_ended(id),
            Ok(_) => match self.reached_maximum(run, ended, until) {
                None => self.wait_for_iteration(run, self.now, until.interval),
                Some(maximum) => self.give_up(run, id, until, &maximum),
            },
            Err(error) => self.fail_render(run, "condition", &error),
        }
    }

    fn reached_maximum(&self, run: RunIndex, ended: u32, until: &LoopUntil) -> Option<String> {
        if until.max_iterations.is_some_and(|most| ended >= most) {
            return Some(format!("after {ended} iterations"));
        }
        let taken = self.now.duration_since(self.machine.run(run).state.start_date());
        let over = until.max_duration.is_some_and(|most| taken.saturating_add(until.interval) > most);
        over.then(|| format!("after {taken:#}"))
    }

    fn give_up(&mut self, run: RunIndex, id: Id<Frame>, until: &LoopUntil, maximum: &str) {
        let message = format!("the condition does not hold {maximum}: giving up");
        let level = if until.fail_on_max_reached { Level::Error } else { Level::Warn };
        self.log(level, Some(run), message.clone());
        if until.fail_on_max_reached {
            let error = self.machine.error_of(run, &message);
            if let Some(frame) = self.machine.frames.get_mut(id) {
                frame.child_ended(Role::Main, State::Failed, Some(error));
            }
        }
        self.main_ended(id);
    }

    /// Arranges for the next iteration after the one that ended at `ended`, also where the interval is zero: a turn must come to an end.
    pub fn wait_for_iteration(&mut self, run: RunIndex, ended: Timestamp, interval: SignedDuration) {
        let record = self.machine.run(run);
        let key = TimerKey::Loop { task_run_id: record.id.clone(), iteration: iterations_ended(record) };
        let at = ended.checked_add(interval).unwrap_or(Timestamp::MAX);
        self.command(Command::SetTimer { key, at });
    }

    /// Begins the next iteration.
    pub fn iteration_due(&mut self, task_run_id: &str, iteration: u32) {
        let Some(run) = self.machine.open_run(task_run_id) else { return };
        let Some(id) = self.machine.runs[run].frame else { return };
        if self.machine.is_between_iterations(id) && iterations_ended(self.machine.run(run)) == iteration {
            // Task runs of the last iteration that are still to run again are known by their dates.
            self.later();
            self.begin_iteration(id, iteration);
        }
    }
}

impl Machine {
    /// Whether a frame is a `LoopUntil` that waits for its next iteration.
    pub(crate) fn is_between_iterations(&self, id: Id<Frame>) -> bool {
        self.frames.get(id).is_some_and(|frame| {
            let idle = frame.phase == Phase::Main && frame.lanes == 0 && !frame.failed;
            idle && frame.node.is_some_and(|node| self.plan.is_until(node))
        })
    }
}

/// How many iterations of a `LoopUntil` have ended.
pub(crate) fn iterations_ended(run: &TaskRun) -> u32 {
    let count = run.output(super::ITERATION_COUNT).and_then(serde_json::Value::as_u64);
    count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
}
