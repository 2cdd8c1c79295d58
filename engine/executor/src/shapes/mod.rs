//! What each kind of flowable task does when it begins and when its tasks proper have ended; one file per shape.

mod directory;
mod each;
mod either;
mod items;
mod pause;
mod subflow;
mod until;

use std::sync::Arc;

use weft_expr::Value;
use weft_flow::{Flowable, Shape};
use weft_model::{Map, State};

use crate::frame::{Frame, Order, Phase, Role, RunIndex};
use crate::plan::{Branch, NodeId};
use crate::slab::Id;
use crate::turn::Turn;

pub(crate) use each::loop_iteration;
pub(crate) use either::chosen as chosen_branch;
pub(crate) use pause::outcome as pause_outcome;
pub(crate) use until::iterations_ended;

/// Where a loop keeps its values, so that they are not rendered again after a restart.
pub(crate) const VALUES: &str = "values";
/// Where a `ForEachItem` keeps the files of its batches.
pub(crate) const URIS: &str = "uris";
/// Where a pause keeps when it ends by itself.
pub(crate) const UNTIL: &str = "until";
/// Where a pause keeps what the person who resumed gave.
pub(crate) const ON_RESUME: &str = "onResume";
/// What is said of a pause that ended by itself.
pub(crate) const NOBODY_RESUMED: &str = "nobody resumed in time";
/// Where a `LoopUntil` keeps how many iterations have ended.
pub(crate) const ITERATION_COUNT: &str = "iterationCount";

/// The output in which the engine keeps something for itself: not for expressions.
pub(crate) fn hidden_output(shape: &Shape) -> Option<&'static str> {
    match shape {
        Shape::ForEach { .. } => Some(VALUES),
        Shape::ForEachItem(_) => Some(URIS),
        Shape::Pause(_) => Some(UNTIL),
        _ => None,
    }
}

impl Turn<'_> {
    /// Begins a flowable task run.
    pub fn open(&mut self, run: RunIndex, node: NodeId, flowable: &Flowable) {
        let frame = self.machine.frames.insert(Frame::new(Some(run), Some(node)));
        self.machine.runs[run].frame = Some(frame);
        self.enter(run, State::Running);
        match &flowable.shape {
            Shape::Sequential { .. } | Shape::AllowFailure { .. } => {
                self.start_lane(frame, Branch::Tasks, Order::Sequential, None);
            }
            Shape::Parallel { concurrent, .. } => {
                self.start_lane(frame, Branch::Tasks, Order::Parallel(*concurrent), None);
            }
            Shape::Dag { concurrent, .. } => {
                let order = self.machine.dag(node, *concurrent);
                self.start_lane(frame, Branch::Tasks, order, None);
            }
            Shape::If { condition, .. } => self.open_if(run, frame, condition),
            Shape::Switch { value, cases, defaults } => {
                self.open_switch(run, frame, value, cases, defaults.is_some());
            }
            Shape::ForEach { values, concurrency, .. } => self.open_each(run, frame, values, *concurrency),
            Shape::WorkingDirectory { files, .. } => self.open_directory(run, frame, files),
            Shape::LoopUntil(_) => self.open_until(frame),
            Shape::Pause(pause) => self.open_pause(run, frame, pause),
            Shape::ForEachItem(items) => self.open_items(run, frame, items),
            // Leaves never get here.
            Shape::Subflow(_) | Shape::Templated { .. } => {}
        }
    }

    /// Ends a flowable task run that could not begin: neither its tasks nor its branches run.
    pub fn fail_open(&mut self, run: RunIndex, message: &str) {
        if let Some(frame) = self.machine.runs[run].frame.take() {
            self.machine.frames.remove(frame);
        }
        self.fail_run(run, message);
    }

    /// A flowable could not evaluate one of its properties.
    pub fn fail_render(&mut self, run: RunIndex, property: &str, error: &str) {
        self.fail_open(run, &format!("cannot evaluate `{property}`: {error}"));
    }

    /// One of a frame's lists has come to its end.
    pub fn lane_ended(&mut self, id: Id<Frame>, role: Role) {
        let plan = Arc::clone(&self.machine.plan);
        let Some(frame) = self.machine.frames.get(id) else { return };
        let shape = frame.node.and_then(|node| plan.flowable(node)).map(|flowable| &flowable.shape);
        match (role, shape) {
            (Role::Errors, _) => self.begin_finally(id),
            (Role::Finally, _) => self.finish(id),
            (Role::After, _) => self.close_machine(),
            (_, Some(Shape::ForEach { .. } | Shape::ForEachItem(_))) => self.next_iterations(id),
            (_, Some(Shape::LoopUntil(until))) => self.iteration_ended(id, until),
            (_, Some(Shape::Pause(_))) => self.pause_lane_ended(id),
            (_, Some(Shape::WorkingDirectory { files, .. })) => self.close_directory(id, files),
            _ => self.main_ended(id),
        }
    }

    /// A frame's tasks proper have ended: its `errors` are next, if something failed.
    pub fn main_ended(&mut self, id: Id<Frame>) {
        let Some(frame) = self.machine.frames.get_mut(id) else { return };
        let node = frame.node;
        let wanted = frame.failed && self.machine.ending.is_none();
        if wanted && !self.machine.plan.list(node, Branch::Errors).is_empty() {
            frame.phase = Phase::Errors;
            self.start_lane(id, Branch::Errors, Order::Sequential, None);
        } else {
            self.begin_finally(id);
        }
    }

    fn begin_finally(&mut self, id: Id<Frame>) {
        let Some(frame) = self.machine.frames.get_mut(id) else { return };
        let node = frame.node;
        if self.machine.ending.is_none() && !self.machine.plan.list(node, Branch::Finally).is_empty() {
            frame.phase = Phase::Finally;
            self.start_lane(id, Branch::Finally, Order::Sequential, None);
        } else {
            self.finish(id);
        }
    }

    fn finish(&mut self, id: Id<Frame>) {
        let Some(Frame { run: Some(run), .. }) = self.machine.frames.get(id) else {
            return self.finish_execution(id);
        };
        let run = *run;
        let Some(frame) = self.machine.frames.remove(id) else { return };
        self.machine.runs[run].frame = None;
        if frame.node.is_some_and(|node| self.machine.plan.has_batches(node)) {
            self.sum_up_batches(run);
        }
        let shape =
            frame.node.and_then(|node| self.machine.plan.flowable(node)).map(|flowable| &flowable.shape);
        let exit = self.machine.ending.filter(|ending| !ending.kills).map(|ending| ending.state);
        let state = match (frame.tally.state(), shape, exit) {
            _ if self.machine.state(run) == State::Killing => State::Killed,
            (.., Some(exit)) => exit,
            (State::Failed, Some(Shape::AllowFailure { .. }), None) => State::Warning,
            (state, ..) => state,
        };
        self.end_run(run, state, frame.error);
    }

    /// Sets one output of a flowable task run.
    pub fn set_output(&mut self, run: RunIndex, key: &str, value: impl Into<serde_json::Value>) {
        self.edit(run).outputs.get_or_insert_with(Map::new).insert(key.to_owned(), value.into());
        self.machine.show_outputs(run);
    }

    /// What the task run's expressions see.
    pub fn context(&self, run: RunIndex) -> Value {
        self.machine.context_of(run)
    }
}
