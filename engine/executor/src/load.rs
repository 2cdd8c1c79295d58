//! From task runs back to frames and lanes.
//!
//! A transition is stored as a whole, so a stored execution has no frame between two steps: which tasks run and where
//! each list stands follows from the task runs and a few outputs that flowables keep for this.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value as Json;
use weft_expr::Value;
use weft_flow::Shape;
use weft_model::State;

use crate::Machine;
use crate::frame::{Around, Each, Frame, Iteration, Lane, Order, Phase, Role, RunIndex, RunInfo};
use crate::kill::Ending;
use crate::leaf::UNKNOWN_REASON;
use crate::plan::{Branch, NodeId};
use crate::shapes;
use crate::slab::Id;

/// Task runs by the task run around them.
pub(crate) type Children = HashMap<Option<RunIndex>, Vec<RunIndex>>;

/// Fills a machine that has nothing but its execution.
pub(crate) fn rebuild(machine: &mut Machine) {
    for (index, run) in machine.execution.task_run_list.iter().enumerate() {
        let around = Arc::new(Around::default());
        let node = machine.plan.find(&run.task_id);
        machine.runs.push(RunInfo { node, lane: None, frame: None, around, changed: false });
        machine.by_id.insert(run.id.clone(), index);
        let last = run.state.histories().last().map_or(machine.clock, |change| change.date);
        machine.clock = machine.clock.max(last);
    }
    let children = machine.children();
    machine.find_surroundings(&children);
    for run in 0..machine.runs.len() {
        machine.show_state(run);
        machine.show_outputs(run);
        match machine.state(run) {
            State::Paused => drop(machine.paused.insert(run)),
            State::Retrying => machine.retrying += 1,
            State::Failed if machine.is_leaf(run) => machine.note_repeat(run),
            _ => {}
        }
    }
    machine.ending = Ending::of(&machine.execution);
    if machine.has_begun() {
        Loader { machine, children, open: vec![None] }.build();
    }
}

impl Machine {
    /// Task runs by the task run around them.
    pub(crate) fn children(&self) -> Children {
        let mut children = Children::new();
        for (index, run) in self.execution.task_run_list.iter().enumerate() {
            let parent = run.parent_task_run_id.as_ref().and_then(|parent| self.by_id.get(parent)).copied();
            children.entry(parent).or_default().push(index);
        }
        children
    }

    /// What a task run is to the frame around it.
    pub(crate) fn role(&self, run: RunIndex) -> Role {
        self.runs[run].node.map_or(Role::Main, |node| Role::of(self.plan.branch(node)))
    }

    fn is_leaf(&self, run: RunIndex) -> bool {
        self.runs[run].node.is_some_and(|node| self.plan.is_leaf(node))
    }

    fn find_surroundings(&mut self, children: &Children) {
        let mut known: HashMap<(Option<RunIndex>, Role, Option<u32>), Arc<Around>> = HashMap::new();
        for run in 0..self.runs.len() {
            let record = self.run(run);
            let parent =
                record.parent_task_run_id.as_ref().and_then(|parent| self.by_id.get(parent)).copied();
            let value = record.value.as_deref().map(Arc::from);
            let iteration = record.iteration.map(|number| Iteration { number, value });
            let role = self.role(run);
            let key = (parent, role, record.iteration);
            let around = known.entry(key).or_insert_with(|| {
                let error = (role == Role::Errors).then(|| self.first_error(parent, children)).flatten();
                Arc::new(self.around(parent, role, iteration.as_ref(), error))
            });
            self.runs[run].around = Arc::clone(around);
        }
    }

    /// What went wrong first among the tasks proper of a task run (of the execution).
    fn first_error(&self, run: Option<RunIndex>, children: &Children) -> Option<Value> {
        let children_of = |run| children.get(&run).into_iter().flatten().copied();
        let mut place = run;
        loop {
            let broken = children_of(place)
                .find(|run| self.role(*run).stops_at_failure() && self.state(*run).is_failed());
            let Some(broken) = broken else { break };
            place = Some(broken);
        }
        let broken = place.filter(|_| place != run)?;
        let failure = self.run(broken).attempts.last().and_then(|attempt| attempt.failure.as_ref());
        Some(self.error_of(broken, failure.map_or(UNKNOWN_REASON, |failure| &failure.message)))
    }

    /// Whether anything is or may come under way. An execution that is over has a frame only while its
    /// `afterExecution` runs.
    fn has_begun(&self) -> bool {
        match self.execution.current() {
            State::Created | State::Queued => false,
            state if !state.is_terminal() => true,
            _ => {
                let open = (0..self.runs.len()).filter(|run| !self.state(*run).is_terminal());
                open.into_iter()
                    .any(|run| self.runs[run].around.parent.is_none() && self.role(run) == Role::After)
            }
        }
    }

    /// The children without those of earlier iterations of a `LoopUntil` around and of branches not taken.
    fn current_children(&self, run: Option<RunIndex>, children: &[RunIndex]) -> Vec<RunIndex> {
        let Some(run) = run else { return children.to_vec() };
        let record = self.run(run);
        let shape =
            self.runs[run].node.and_then(|node| self.plan.flowable(node)).map(|flowable| &flowable.shape);
        let branch = shape.and_then(|shape| shapes::chosen_branch(shape, record));
        let iteration = shape.filter(|shape| matches!(shape, Shape::LoopUntil(_))).and_then(|_| {
            let current = Some(shapes::iterations_ended(record));
            let begun = children.iter().any(|child| self.run(*child).iteration == current);
            if begun { current } else { None }
        });
        let is_current = |child: &RunIndex| {
            let main = self.role(*child) == Role::Main;
            let taken = branch.is_none_or(|branch| {
                !main || self.runs[*child].node.is_some_and(|node| self.plan.branch(node) == branch)
            });
            let now = iteration.is_none_or(|number| !main || self.run(*child).iteration == Some(number));
            taken && now && self.run(*child).state.start_date() >= record.state.start_date()
        };
        children.iter().copied().filter(is_current).collect()
    }

    fn phase(&self, run: Option<RunIndex>, children: &[RunIndex]) -> Phase {
        let any = |role| children.iter().any(|child| self.role(*child) == role);
        if run.is_none() && self.execution.current().is_terminal() {
            Phase::After
        } else if any(Role::Finally) {
            Phase::Finally
        } else if any(Role::Errors) {
            Phase::Errors
        } else if run.is_some_and(|run| self.awaits_opening(run)) && children.is_empty() {
            Phase::Opening
        } else {
            Phase::Main
        }
    }

    /// What a pause counts as that has ended by itself, and whose tasks or branches run.
    fn pause_ended(&self, run: RunIndex, children: &[RunIndex]) -> Option<State> {
        let Shape::Pause(pause) = &self.plan.flowable(self.runs[run].node?)?.shape else { return None };
        let resumed = self.run(run).output(shapes::ON_RESUME).is_some();
        // One whose `onPause` failed, and is now to run again, did not end by itself.
        let untold = children.iter().any(|child| {
            let again = matches!(self.state(*child), State::Failed | State::Restarted);
            again && self.role(*child) == Role::OnPause
        });
        let goes_on = self.state(run) == State::Running && !resumed && !untold;
        goes_on.then(|| shapes::pause_outcome(pause, self.run(run))).flatten()
    }

    fn awaits_opening(&self, run: RunIndex) -> bool {
        let Some(node) = self.runs[run].node else { return false };
        let splits = self.plan.has_batches(node) && self.run(run).output(shapes::URIS).is_none();
        splits || self.plan.is_directory(node)
    }
}

/// Builds frames, outer ones first.
struct Loader<'a> {
    machine: &'a mut Machine,
    children: Children,
    /// Task runs (none: the execution) whose frames are to be built.
    open: Vec<Option<RunIndex>>,
}

impl Loader<'_> {
    fn build(mut self) {
        while let Some(run) = self.open.pop() {
            self.build_frame(run);
        }
    }

    fn build_frame(&mut self, run: Option<RunIndex>) {
        let machine = &mut *self.machine;
        let node = run.and_then(|run| machine.runs[run].node);
        let mut frame = Frame::new(run, node);
        let children = machine.current_children(run, self.children.get(&run).map_or(&[], Vec::as_slice));
        frame.phase = machine.phase(run, &children);
        for &child in &children {
            if machine.state(child).is_terminal() {
                let failure = machine.run(child).attempts.last().and_then(|attempt| attempt.failure.as_ref());
                let message = failure.map_or(UNKNOWN_REASON, |failure| failure.message.as_str());
                frame.child_ended(
                    machine.role(child),
                    machine.state(child),
                    Some(machine.error_of(child, message)),
                );
            }
        }
        if let Some(outcome) = run.and_then(|run| machine.pause_ended(run, &children)) {
            let error = run.map(|run| machine.error_of(run, shapes::NOBODY_RESUMED));
            frame.child_ended(Role::Main, outcome, error);
        }
        let phase = frame.phase;
        let id = machine.frames.insert(frame);
        match run {
            Some(run) => machine.runs[run].frame = Some(id),
            None => machine.root = Some(id),
        }
        let branch = match phase {
            Phase::Opening => return,
            Phase::Main | Phase::Closing => return self.build_main(id, run, node, &children),
            Phase::Errors => Branch::Errors,
            Phase::Finally => Branch::Finally,
            Phase::After => Branch::After,
        };
        self.build_lane(id, branch, Order::Sequential, None, &children);
    }

    fn build_main(
        &mut self,
        id: Id<Frame>,
        run: Option<RunIndex>,
        node: Option<NodeId>,
        children: &[RunIndex],
    ) {
        let plan = Arc::clone(&self.machine.plan);
        let flowable = node.and_then(|node| plan.flowable(node));
        let (Some(run), Some(node), Some(flowable)) = (run, node, flowable) else {
            return self.build_lane(id, Branch::Tasks, Order::Sequential, None, children);
        };
        let shape = &flowable.shape;
        match shape {
            Shape::Parallel { concurrent, .. } => {
                self.build_lane(id, Branch::Tasks, Order::Parallel(*concurrent), None, children);
            }
            Shape::Dag { concurrent, .. } => {
                let order = self.machine.dag(node, *concurrent);
                self.build_lane(id, Branch::Tasks, order, None, children);
            }
            Shape::If { .. } | Shape::Switch { .. } => {
                if let Some(branch) = shapes::chosen_branch(shape, self.machine.run(run)) {
                    self.build_lane(id, branch, Order::Sequential, None, children);
                }
            }
            Shape::ForEach { concurrency, .. } => self.build_loop(id, run, shape, *concurrency, children),
            Shape::ForEachItem(_) => self.build_loop(id, run, shape, 0, children),
            Shape::LoopUntil(_) => {
                let number = shapes::iterations_ended(self.machine.run(run));
                if children.iter().any(|child| self.machine.run(*child).iteration == Some(number)) {
                    let iteration = Some(Iteration { number, value: None });
                    self.build_lane(id, Branch::Tasks, Order::Sequential, iteration, children);
                }
            }
            Shape::Pause(_) => self.build_pause(id, run, children),
            _ => self.build_lane(id, Branch::Tasks, Order::Sequential, None, children),
        }
    }

    fn build_pause(&mut self, id: Id<Frame>, run: RunIndex, children: &[RunIndex]) {
        if children.iter().any(|child| self.machine.role(*child) == Role::OnPause) {
            self.build_lane(id, Branch::OnPause, Order::Sequential, None, children);
        }
        if self.machine.state(run) != State::Paused {
            self.build_lane(id, Branch::Tasks, Order::Sequential, None, children);
        }
    }

    fn build_loop(&mut self, id: Id<Frame>, run: RunIndex, shape: &Shape, limit: u32, children: &[RunIndex]) {
        let machine = &mut *self.machine;
        let values = shapes::hidden_output(shape).and_then(|key| machine.run(run).output(key));
        let values = values.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let values: Vec<Arc<str>> =
            values.iter().map(|value| value.as_str().unwrap_or_default().into()).collect();
        let mut iterations: BTreeMap<u32, Vec<RunIndex>> = BTreeMap::new();
        for &child in children {
            if let Some(number) = machine.run(child).iteration {
                iterations.entry(number).or_default().push(child);
            }
        }
        let next = iterations.last_key_value().map_or(0, |(number, _)| *number as usize + 1);
        for (number, children) in iterations {
            let value = values.get(number as usize).cloned();
            let (branch, order, iteration) = shapes::loop_iteration(shape, number, value);
            let over = children.iter().filter(|child| self.machine.state(**child).is_terminal()).count();
            if over < self.machine.plan.list(self.machine.runs[run].node, branch).len() {
                self.build_lane(id, branch, order, Some(iteration), &children);
            }
        }
        if let Some(frame) = self.machine.frames.get_mut(id) {
            frame.each = Some(Each { values, next, limit });
        }
    }

    fn build_lane(
        &mut self,
        frame: Id<Frame>,
        branch: Branch,
        order: Order,
        iteration: Option<Iteration>,
        children: &[RunIndex],
    ) {
        let machine = &mut *self.machine;
        let Some(id) = machine.open_lane(frame, branch, order, iteration) else { return };
        for &child in children {
            let node = machine.runs[child].node.filter(|node| machine.plan.branch(*node) == branch);
            let (Some(node), state) = (node, machine.state(child)) else { continue };
            // These are to begin (again).
            if matches!(state, State::Created | State::Restarted) {
                continue;
            }
            let position = machine.plan.position(node);
            let Some(lane) = machine.lanes.get_mut(id) else { return };
            lane.settle(position, state.is_terminal());
            if !state.is_terminal() {
                machine.runs[child].lane = Some(id);
                if !machine.plan.is_leaf(node) {
                    self.open.push(Some(child));
                }
            }
        }
    }
}

impl Lane {
    /// Takes over the task run at a position, which has begun and, perhaps, ended.
    fn settle(&mut self, position: usize, ended: bool) {
        if self.settled.len() <= position {
            self.settled.resize(position + 1, false);
        }
        self.settled[position] = true;
        match &mut self.order {
            Order::Dag(dag) if ended => dag.ended(position),
            _ => {}
        }
        self.running += u32::from(!ended);
    }
}
