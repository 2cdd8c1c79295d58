//! Lists of tasks: which task is next, and what its end means for its list.

use std::sync::Arc;

use weft_expr::{Value, is_true};
use weft_flow::TaskKind;
use weft_model::{Level, State, StateHistory, TaskRun, child_id};

use crate::Machine;
use crate::frame::{Around, DagProgress, Frame, Iteration, Lane, Order, Role, RunIndex, RunInfo};
use crate::plan::{Branch, NodeId};
use crate::rollup::allowed;
use crate::slab::Id;
use crate::turn::Turn;

impl Turn<'_> {
    /// Begins a list of tasks.
    pub fn start_lane(
        &mut self,
        frame: Id<Frame>,
        branch: Branch,
        order: Order,
        iteration: Option<Iteration>,
    ) {
        if let Some(lane) = self.machine.open_lane(frame, branch, order, iteration) {
            self.visit(lane);
        }
    }

    /// Begins all tasks of a lane that can begin, and ends the lane if it has nothing left.
    pub fn advance(&mut self, lane: Id<Lane>) {
        while let Some(node) = self.machine.next_child(lane) {
            self.start_child(lane, node);
        }
        if self.machine.lanes.get(lane).is_some_and(|lane| lane.running == 0) {
            self.end_lane(lane);
        }
    }

    fn end_lane(&mut self, lane: Id<Lane>) {
        let Some(lane) = self.machine.lanes.remove(lane) else { return };
        let Some(frame) = self.machine.frames.get_mut(lane.frame) else { return };
        frame.lanes -= 1;
        self.lane_ended(lane.frame, lane.role);
    }

    fn start_child(&mut self, lane: Id<Lane>, node: NodeId) {
        let Some(run) = self.make_run(lane, node) else { return };
        let plan = Arc::clone(&self.machine.plan);
        let task = plan.task(node);
        if let Some(condition) = task.run_if.as_ref().filter(|_| !plan.is_batch(node)) {
            match self.render(run, "runIf", condition) {
                Ok(text) if is_true(&text) => {}
                Ok(_) => return self.end_run(run, State::Skipped, None),
                Err(error) => return self.fail_run(run, &format!("cannot evaluate `runIf`: {error}")),
            }
        }
        match &task.kind {
            TaskKind::Flowable(flowable) if !plan.is_leaf(node) => self.open(run, node, flowable),
            _ => self.begin_attempt(run),
        }
    }

    /// The task run of a node in a lane: a new one, or the one that is to run again.
    fn make_run(&mut self, lane_id: Id<Lane>, node: NodeId) -> Option<RunIndex> {
        let now = self.now;
        let machine = &mut *self.machine;
        let lane = machine.lanes.get_mut(lane_id)?;
        lane.running += 1;
        let (around, iteration) = (Arc::clone(&lane.around), lane.iteration.clone());
        let task_id = machine.plan.task_id(node);
        let id = child_id(&machine.execution.id, &format!("{}{task_id}", around.prefix));
        let number = iteration.as_ref().map(|iteration| iteration.number);
        if let Some(&run) = machine.by_id.get(&id) {
            machine.runs[run].lane = Some(lane_id);
            machine.runs[run].around = around;
            if machine.state(run) != State::Restarted {
                let record = self.edit(run);
                record.state = StateHistory::new(State::Created, now);
                record.attempts.clear();
                record.outputs = None;
                record.iteration = number;
            }
            return Some(run);
        }
        let value = match iteration {
            Some(iteration) => iteration.value.map(|value| value.to_string()),
            // As in Kestra, work in a working directory has its value. Flowables, which Kestra does not have there, have none:
            // the value would be among `parents` twice.
            None if machine.plan.is_leaf(node) => {
                around.directory.and_then(|directory| machine.run(directory).value.clone())
            }
            None => None,
        };
        let run = machine.runs.len();
        let parent = around.parent.map(|parent| machine.run(parent).id.clone());
        machine.runs.push(RunInfo {
            node: Some(node),
            lane: Some(lane_id),
            frame: None,
            around,
            changed: false,
        });
        machine.by_id.insert(id.clone(), run);
        machine.execution.task_run_list.push(TaskRun {
            id,
            execution_id: machine.execution.id.clone(),
            namespace: machine.execution.namespace.clone(),
            flow_id: machine.execution.flow_id.clone(),
            task_id,
            parent_task_run_id: parent,
            value,
            iteration: number,
            attempts: Vec::new(),
            outputs: None,
            state: StateHistory::new(State::Created, now),
        });
        self.edit(run);
        Some(run)
    }

    /// Ends a task run that could not do what it is for.
    pub fn fail_run(&mut self, run: RunIndex, message: &str) {
        self.log(Level::Error, Some(run), message);
        let error = self.machine.error_of(run, message);
        self.end_run(run, State::Failed, Some(error));
    }

    /// Ends a task run, for good. `error` says what went wrong, if something did.
    pub fn end_run(&mut self, run: RunIndex, state: State, error: Option<Value>) {
        let node = self.machine.runs[run].node;
        let state = node.map_or(state, |node| allowed(self.machine.plan.task(node), state));
        self.enter(run, state);
        self.machine.show_outputs(run);
        let Some(lane_id) = self.machine.runs[run].lane.take() else { return };
        let Some(lane) = self.machine.lanes.get_mut(lane_id) else { return };
        lane.running -= 1;
        if let (Order::Dag(dag), Some(node)) = (&mut lane.order, node) {
            dag.ended(self.machine.plan.position(node));
        }
        if let Some(frame) = self.machine.frames.get_mut(lane.frame) {
            frame.child_ended(lane.role, state, error);
        }
        self.visit(lane_id);
    }
}

impl Frame {
    /// Takes in the final state of a task run.
    pub fn child_ended(&mut self, role: Role, state: State, error: Option<Value>) {
        if role == Role::After {
            return;
        }
        self.tally.add(state);
        if role.stops_at_failure() && state.is_failed() {
            self.failed = true;
            self.error = self.error.take().or(error);
        }
    }
}

impl Machine {
    pub(crate) fn open_lane(
        &mut self,
        frame_id: Id<Frame>,
        branch: Branch,
        order: Order,
        iteration: Option<Iteration>,
    ) -> Option<Id<Lane>> {
        let frame = self.frames.get_mut(frame_id)?;
        frame.lanes += 1;
        let (run, error, role) = (frame.run, frame.error.clone(), Role::of(branch));
        let around = Arc::new(self.around(run, role, iteration.as_ref(), error));
        let lane = Lane {
            frame: frame_id,
            role,
            branch,
            order,
            iteration,
            around,
            next: 0,
            running: 0,
            settled: Vec::new(),
        };
        Some(self.lanes.insert(lane))
    }

    /// What the children of a task run (of the execution) have in common.
    pub(crate) fn around(
        &self,
        run: Option<RunIndex>,
        role: Role,
        iteration: Option<&Iteration>,
        error: Option<Value>,
    ) -> Around {
        let default = Around::default();
        let outer = run.map_or(&default, |run| &self.runs[run].around);
        let node = run.and_then(|run| self.runs[run].node);
        let is_directory = node.is_some_and(|node| self.plan.is_directory(node));
        let mut around = Around {
            prefix: outer.prefix.clone(),
            values: outer.values.clone(),
            parent: run,
            directory: if is_directory && role == Role::Main { run } else { outer.directory },
            error: if role == Role::Errors { error } else { outer.error.clone() },
        };
        match iteration {
            Some(Iteration { value: Some(value), .. }) => {
                around.prefix.push_str(&format!("{}:{value}/", value.len()));
                around.values.push(Arc::clone(value));
            }
            // The batches of one file; iterations of a `LoopUntil` are the same task runs again.
            Some(Iteration { number, .. }) if node.is_some_and(|node| self.plan.has_batches(node)) => {
                around.prefix.push_str(&format!("{number}/"));
            }
            _ => {}
        }
        around
    }

    /// The order in which the tasks proper of a Dag are run.
    pub(crate) fn dag(&self, node: NodeId, concurrent: u32) -> Order {
        Order::Dag(Box::new(DagProgress::new(concurrent, &self.plan.dependencies(node))))
    }

    /// The next task of a lane that can begin now.
    fn next_child(&mut self, lane: Id<Lane>) -> Option<NodeId> {
        let lane = self.lanes.get_mut(lane)?;
        let frame = self.frames.get(lane.frame)?;
        if self.ending.is_some() || (frame.failed && lane.role.stops_at_failure()) {
            return None;
        }
        let most = match &lane.order {
            Order::Sequential => 1,
            Order::Parallel(limit) => *limit,
            Order::Dag(dag) => dag.limit,
        };
        if most > 0 && lane.running >= most {
            return None;
        }
        let list = self.plan.list(frame.node, lane.branch);
        loop {
            let position = match &mut lane.order {
                Order::Dag(dag) => dag.ready.pop_front()?,
                _ => lane.next,
            };
            let node = *list.get(position)?;
            lane.next += 1;
            if !lane.settled.get(position).is_some_and(|settled| *settled) {
                return Some(node);
            }
        }
    }
}
