//! Doing (part of) an execution again because a person asks for it (compat.md §6).

use std::sync::Arc;

use jiff::Timestamp;
use weft_flow::{Flow, Shape};
use weft_model::{Execution, State, StateHistory, child_id};

use crate::frame::{Role, RunIndex};
use crate::load::Children;
use crate::plan::NodeId;
use crate::{Machine, Settings, Start};

/// Why an execution cannot be done again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestartError {
    /// It still runs.
    #[error("the execution `{id}` is {state}\nhint: kill it or wait for its end first")]
    NotOver {
        /// The execution.
        id: String,
        /// Its state.
        state: State,
    },
    /// Nothing in it failed.
    #[error("no task found to restart execution `{0}` from: none has failed\nhint: replay it instead")]
    NothingFailed(String),
    /// A task run cannot be put into this state.
    #[error("{0} is not a final state\nhint: expected SUCCESS, WARNING, FAILED, KILLED or SKIPPED")]
    NotFinal(State),
    /// The task run to start from is not there.
    #[error("the execution `{id}` has no task run `{task_run_id}` of a task that the flow still has")]
    UnknownTaskRun {
        /// The execution.
        id: String,
        /// What was asked for.
        task_run_id: String,
    },
}

impl Machine {
    /// The same execution, RESTARTED: task runs that failed run again, those of `errors`, `finally` and
    /// `afterExecution` are gone, and a `WorkingDirectory` begins anew. Store all of it, then send
    /// [`Event::Start`](crate::Event::Start).
    pub fn restart(
        flow: Arc<Flow>,
        execution: Execution,
        settings: Arc<Settings>,
        now: Timestamp,
    ) -> Result<Self, RestartError> {
        let mut again = Again::new(Self::load(flow, execution, settings), now)?;
        if !again.restart_failed(None) {
            return Err(RestartError::NothingFailed(again.machine.execution.id));
        }
        Ok(again.into_machine(State::Restarted))
    }

    /// A new execution that repeats another: from its start, or from one of its task runs on, with what came before
    /// taken over. `flow` may be another revision than the one that ran. Store all of it, then send
    /// [`Event::Start`](crate::Event::Start).
    pub fn replay(
        flow: Arc<Flow>,
        execution: &Execution,
        settings: Arc<Settings>,
        replay: Replay,
        now: Timestamp,
    ) -> Result<Self, RestartError> {
        let Some(from) = replay.from else {
            let start = Start {
                id: replay.id,
                flow_revision: replay.flow_revision,
                inputs: execution.inputs.clone(),
                labels: execution.labels.clone(),
                trigger: execution.trigger.clone(),
                parent_id: execution.parent_id.clone(),
                original_id: Some(execution.original_id.clone()),
                ..Start::default()
            };
            return Ok(Self::create(flow, start, settings, now));
        };
        let mut again = Again::new(Self::load(flow, execution.clone(), settings), now)?;
        let run = again.find(&from)?;
        again.start_from(run);
        again.rename(replay.id);
        again.machine.execution.flow_revision = replay.flow_revision;
        Ok(again.into_machine(State::Restarted))
    }

    /// The same execution, RESTARTED, with a task run's final state replaced: it goes on from there. Store all of it,
    /// then send [`Event::Start`](crate::Event::Start).
    pub fn change_state(
        flow: Arc<Flow>,
        execution: Execution,
        settings: Arc<Settings>,
        task_run_id: &str,
        state: State,
        now: Timestamp,
    ) -> Result<Self, RestartError> {
        if !state.is_terminal() {
            return Err(RestartError::NotFinal(state));
        }
        let mut again = Again::new(Self::load(flow, execution, settings), now)?;
        let run = again.find(task_run_id)?;
        again.start_from(run);
        again.machine.execution.task_run_list[run].state.enter(state, now);
        Ok(again.into_machine(State::Restarted))
    }
}

/// What is to be repeated, as what.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The id of the new execution.
    pub id: String,
    /// The revision of the flow given.
    pub flow_revision: u32,
    /// The task run to start from; the start of the flow where it is absent.
    pub from: Option<String>,
}

/// An execution being prepared.
struct Again {
    machine: Machine,
    children: Children,
    /// Task runs that will not be part of it.
    gone: Vec<bool>,
    now: Timestamp,
}

impl Again {
    fn new(machine: Machine, now: Timestamp) -> Result<Self, RestartError> {
        let state = machine.execution.current();
        if !state.is_terminal() && state != State::Paused {
            return Err(RestartError::NotOver { id: machine.execution.id, state });
        }
        let (children, gone) = (machine.children(), vec![false; machine.runs.len()]);
        let now = now.max(machine.clock);
        Ok(Self { machine, children, gone, now })
    }

    fn find(&self, task_run_id: &str) -> Result<RunIndex, RestartError> {
        let known = self.machine.by_id.get(task_run_id).copied();
        known.filter(|run| self.machine.runs[*run].node.is_some()).ok_or_else(|| {
            RestartError::UnknownTaskRun {
                id: self.machine.execution.id.clone(),
                task_run_id: task_run_id.to_owned(),
            }
        })
    }

    fn children(&self, run: Option<RunIndex>) -> Vec<RunIndex> {
        self.children.get(&run).cloned().unwrap_or_default()
    }

    /// Has the task runs below `parent` that failed run again; says whether there are any.
    fn restart_failed(&mut self, parent: Option<RunIndex>) -> bool {
        let mut found = false;
        for run in self.children(parent) {
            let state = self.machine.state(run);
            let Some(node) = self.machine.runs[run].node else { continue };
            if !self.machine.role(run).stops_at_failure() || (state.is_terminal() && !state.is_failed()) {
                continue;
            }
            let is_unit = self.machine.plan.is_leaf(node) || self.machine.plan.is_directory(node);
            if !is_unit && self.restart_failed(Some(run)) {
                self.reopen(run);
                found = true;
            } else if state.is_failed() {
                self.run_again(run);
                found = true;
            }
        }
        let cleans_up =
            |run: &RunIndex| self.machine.role(*run) == Role::Finally && self.machine.state(*run).is_failed();
        found = found || self.children(parent).iter().any(cleans_up);
        if found {
            self.drop_branches(parent, Role::Main);
        }
        found
    }

    /// Has `run` run again, and all that comes after it.
    fn start_from(&mut self, run: RunIndex) {
        let machine = &self.machine;
        let is_directory =
            |run: &RunIndex| machine.runs[*run].node.is_some_and(|node| machine.plan.is_directory(node));
        let first = machine.ancestors(run).filter(is_directory).last().unwrap_or(run);
        let path: Vec<RunIndex> = machine.ancestors(first).collect();
        self.run_again(first);
        let mut child = first;
        for parent in path.into_iter().map(Some).chain([None]) {
            self.drop_later(parent, child);
            if let Some(parent) = parent {
                self.reopen(parent);
                child = parent;
            }
        }
    }

    /// Removes what comes after `child` among the children of `parent`, and what did not end well beside it.
    fn drop_later(&mut self, parent: Option<RunIndex>, child: RunIndex) {
        let role = self.machine.role(child);
        self.drop_branches(parent, role);
        let later = self.later(parent, child);
        for sibling in self.children(parent) {
            let beside = sibling != child && self.machine.role(sibling) == role;
            let ended_well =
                self.machine.state(sibling).is_terminal() && !self.machine.state(sibling).is_failed();
            if beside && (!ended_well || later(&self.machine, sibling)) {
                self.drop_run(sibling);
            }
        }
    }

    /// Tells which siblings come after `child`.
    fn later(
        &self,
        parent: Option<RunIndex>,
        child: RunIndex,
    ) -> impl Fn(&Machine, RunIndex) -> bool + use<> {
        let machine = &self.machine;
        let node = parent.and_then(|parent| machine.runs[parent].node);
        let shape = node.and_then(|node| machine.plan.flowable(node)).map(|flowable| &flowable.shape);
        let is_main = machine.role(child) == Role::Main;
        let iteration = machine.run(child).iteration;
        let position = machine.runs[child].node.map(|node| machine.plan.position(node));
        let dependents = match (shape, node, machine.runs[child].node) {
            (Some(Shape::Dag { .. }), Some(owner), Some(child)) if is_main => {
                Some(dependents(&machine.plan.dependencies(owner), machine.plan.position(child)))
            }
            _ => None,
        };
        let all_at_once = is_main && matches!(shape, Some(Shape::Parallel { .. }));
        let tasks_at_once = is_main && matches!(shape, Some(Shape::ForEach { parallel_tasks: true, .. }));
        let one_by_one = matches!(shape, Some(Shape::ForEach { concurrency: 1, .. }));
        move |machine, sibling| {
            let other = machine.runs[sibling].node.map(|node: NodeId| machine.plan.position(node));
            if let Some(dependents) = &dependents {
                return other.is_some_and(|position| dependents.contains(&position));
            }
            if machine.run(sibling).iteration != iteration {
                return one_by_one && machine.run(sibling).iteration > iteration;
            }
            !all_at_once && !tasks_at_once && other > position
        }
    }

    /// Removes the children of `parent` in the branches that come after `role`.
    fn drop_branches(&mut self, parent: Option<RunIndex>, role: Role) {
        let order = |role| match role {
            Role::Main | Role::OnPause => 0,
            Role::Errors => 1,
            Role::Finally => 2,
            Role::After => 3,
        };
        for child in self.children(parent) {
            if order(self.machine.role(child)) > order(role) {
                self.drop_run(child);
            }
        }
    }

    fn drop_run(&mut self, run: RunIndex) {
        self.gone[run] = true;
        self.drop_children(run);
    }

    fn drop_children(&mut self, run: RunIndex) {
        for child in self.children(Some(run)) {
            self.drop_run(child);
        }
    }

    /// Has a task run begin anew.
    fn run_again(&mut self, run: RunIndex) {
        self.drop_children(run);
        let record = &mut self.machine.execution.task_run_list[run];
        record.outputs = None;
        record.state.enter(State::Restarted, self.now);
    }

    /// Has a flowable go on with what it began.
    fn reopen(&mut self, run: RunIndex) {
        let record = &mut self.machine.execution.task_run_list[run];
        if record.current().is_terminal() {
            record.state.enter(State::Running, self.now);
        }
    }

    /// Makes it another execution.
    fn rename(&mut self, id: String) {
        let machine = &mut self.machine;
        let ids: Vec<String> = machine
            .runs
            .iter()
            .zip(&machine.execution.task_run_list)
            .map(|(info, run)| child_id(&id, &format!("{}{}", info.around.prefix, run.task_id)))
            .collect();
        for (run, info) in machine.runs.iter().enumerate() {
            let record = &mut machine.execution.task_run_list[run];
            record.id.clone_from(&ids[run]);
            record.execution_id.clone_from(&id);
            record.parent_task_run_id = info.around.parent.map(|parent| ids[parent].clone());
        }
        let execution = &mut machine.execution;
        execution.id = id;
        execution.state = StateHistory::new(State::Created, self.now);
        execution.metadata.attempt_number = 1;
        execution.metadata.original_created_date = self.now;
    }

    fn into_machine(mut self, state: State) -> Machine {
        let execution = &mut self.machine.execution;
        let mut keep = self.gone.iter().map(|gone| !gone);
        execution.task_run_list.retain(|_| keep.next().unwrap_or(true));
        execution.state.enter(state, self.now);
        execution.error = None;
        execution.outputs = None;
        self.machine.reload();
        self.machine
    }
}

/// All positions that wait for `position`, directly or not.
fn dependents(dependencies: &[Vec<usize>], position: usize) -> Vec<usize> {
    let mut found = vec![position];
    let mut next = 0;
    while let Some(&position) = found.get(next) {
        next += 1;
        let waiting = dependencies.iter().enumerate().filter(|(_, others)| others.contains(&position));
        let new: Vec<usize> =
            waiting.map(|(waiting, _)| waiting).filter(|waiting| !found.contains(waiting)).collect();
        found.extend(new);
    }
    found.retain(|found| *found != position);
    found
}
