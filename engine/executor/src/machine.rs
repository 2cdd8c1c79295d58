//! One execution in memory, and the ways in.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use minijinja::value::Serde;
use weft_expr::{Environment, Value};
use weft_flow::{Flow, Shape};
use weft_model::{Execution, State, TaskRun};

use crate::context::{self, Basis, Focus};
use crate::frame::{Frame, Lane, RunIndex, RunInfo};
use crate::kill::Ending;
use crate::load;
use crate::plan::{NodeId, Plan};
use crate::shapes;
use crate::slab::{Id, Slab};
use crate::turn::Turn;
use crate::{Event, Settings, Start, Transition};

/// One execution in memory: takes events, answers with transitions.
///
/// The truth is the [`Execution`]; all else here follows from it and the flow.
#[derive(Debug)]
pub struct Machine {
    pub(crate) plan: Arc<Plan>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) execution: Execution,
    /// One for each of the execution's task runs.
    pub(crate) runs: Vec<RunInfo>,
    pub(crate) by_id: HashMap<String, RunIndex>,
    pub(crate) frames: Slab<Frame>,
    pub(crate) lanes: Slab<Lane>,
    /// The execution's own frame, while anything is left to do.
    pub(crate) root: Option<Id<Frame>>,
    pub(crate) basis: Basis,
    /// Set while the execution is made to end before its time.
    pub(crate) ending: Option<Ending>,
    /// Task runs in PAUSED, by age.
    pub(crate) paused: BTreeSet<RunIndex>,
    /// How many task runs are in RETRYING.
    pub(crate) retrying: usize,
    /// The latest time seen: dates in the execution never go back.
    pub(crate) clock: Timestamp,
    /// A task that failed for good and whose retry asks for a new execution.
    pub(crate) repeat: Option<NodeId>,
}

impl Machine {
    /// A new execution, CREATED. Store all of it, then send [`Event::Start`].
    pub fn create(flow: Arc<Flow>, start: Start, settings: Arc<Settings>, now: Timestamp) -> Self {
        let execution = start.into_execution(&flow, now);
        Self::load(flow, execution, settings)
    }

    /// An execution from the store. Call [`Self::recover`] before any event if nothing else runs it any more.
    ///
    /// Task runs of tasks that the flow does not have are kept and have no effect.
    pub fn load(flow: Arc<Flow>, execution: Execution, settings: Arc<Settings>) -> Self {
        Self::rebuilt(Arc::new(Plan::new(flow)), execution, settings)
    }

    fn rebuilt(plan: Arc<Plan>, execution: Execution, settings: Arc<Settings>) -> Self {
        let last = execution.state.histories().last();
        let mut machine = Self {
            basis: Basis::new(&plan.flow().variables, &execution, &settings),
            clock: last.map_or(Timestamp::UNIX_EPOCH, |change| change.date),
            plan,
            settings,
            execution,
            runs: Vec::new(),
            by_id: HashMap::new(),
            frames: Slab::default(),
            lanes: Slab::default(),
            root: None,
            ending: None,
            paused: BTreeSet::new(),
            retrying: 0,
            repeat: None,
        };
        load::rebuild(&mut machine);
        machine
    }

    /// Makes everything but the execution again.
    pub(crate) fn reload(&mut self) {
        let (plan, settings) = (Arc::clone(&self.plan), Arc::clone(&self.settings));
        let execution = self.execution.clone();
        *self = Self::rebuilt(plan, execution, settings);
    }

    /// Takes in one event. A time before that of an event taken in earlier counts as that time.
    pub fn handle(&mut self, event: Event, env: &dyn Environment, now: Timestamp) -> Transition {
        Turn::take(self, env, now, |turn| turn.event(event))
    }

    /// Asks again for everything that is not finished: after a restart of the engine. An execution that has not begun
    /// or is over needs nothing but, perhaps, the commands that follow its end.
    pub fn recover(&mut self, env: &dyn Environment, now: Timestamp) -> Transition {
        Turn::take(self, env, now, |turn| turn.recover())
    }

    /// The execution as it stands.
    pub fn execution(&self) -> &Execution {
        &self.execution
    }

    /// The flow it runs.
    pub fn flow(&self) -> &Flow {
        self.plan.flow()
    }

    /// Whether nothing runs and nothing will.
    pub fn is_done(&self) -> bool {
        self.root.is_none() && self.execution.current().is_terminal()
    }

    /// What the expressions of a task run see, or those of the flow's outputs. None for an unknown task run.
    pub fn context(&self, task_run_id: Option<&str>) -> Option<Value> {
        match task_run_id {
            None => Some(self.basis.context(None)),
            Some(id) => Some(self.context_of(*self.by_id.get(id)?)),
        }
    }

    pub(crate) fn run(&self, run: RunIndex) -> &TaskRun {
        &self.execution.task_run_list[run]
    }

    pub(crate) fn state(&self, run: RunIndex) -> State {
        self.run(run).current()
    }

    pub(crate) fn context_of(&self, run: RunIndex) -> Value {
        let info = &self.runs[run];
        let task = match info.node {
            Some(node) => {
                let task = self.plan.task(node);
                Value::from_pairs([("id", task.id.as_str()), ("type", task.type_name.as_str())])
            }
            None => Value::UNDEFINED,
        };
        self.basis.context(Some(Focus {
            task,
            taskrun: context::taskrun(self.run(run), self.items(run)),
            parents: self.parents(run),
            worker: info.around.directory.map(|directory| context::taskrun(self.run(directory), None)),
            error: info.around.error.clone(),
        }))
    }

    fn parents(&self, run: RunIndex) -> Vec<Value> {
        self.ancestors(run).map(|run| context::parent(self.run(run), self.visible_outputs(run))).collect()
    }

    /// The task runs around a task run, nearest first.
    pub(crate) fn ancestors(&self, run: RunIndex) -> impl Iterator<Item = RunIndex> {
        std::iter::successors(self.runs[run].around.parent, |&run| self.runs[run].around.parent)
    }

    /// A task run's outputs as expressions see them: without what the engine keeps there for itself.
    pub(crate) fn visible_outputs(&self, run: RunIndex) -> Option<Value> {
        let outputs = self.run(run).outputs.as_ref()?;
        let shape =
            self.runs[run].node.and_then(|node| self.plan.flowable(node)).map(|flowable| &flowable.shape);
        let hidden = shape.and_then(shapes::hidden_output);
        let outputs = match shape {
            Some(Shape::Pause(_)) => self.settings.opened(outputs),
            _ => Cow::Borrowed(outputs),
        };
        match hidden.filter(|hidden| outputs.contains_key(*hidden)) {
            None => Some(Value::from(Serde(outputs.as_ref()))),
            Some(_) if outputs.len() == 1 => None,
            Some(hidden) => {
                let shown = outputs.iter().filter(|(key, _)| *key != hidden);
                Some(Value::from_pairs(shown.map(|(key, value)| (key.as_str(), Value::from(Serde(value))))))
            }
        }
    }

    /// The file of a batch of a `ForEachItem`.
    pub(crate) fn items(&self, run: RunIndex) -> Option<&str> {
        self.runs[run].node.filter(|node| self.plan.is_batch(*node))?;
        let uris = self.run(self.runs[run].around.parent?).output(shapes::URIS)?;
        uris.get(self.run(run).iteration? as usize)?.as_str()
    }
}
