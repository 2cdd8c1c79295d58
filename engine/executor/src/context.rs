//! What expressions see (compat.md §5.4).
//!
//! The parts are shared: a context for one more task costs the same however much the execution has put out.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Serde};
use weft_expr::Value;
use weft_model::{EXECUTION_ROOTS, Execution, Map, State, TaskRun};

use crate::Settings;
use crate::labels::labels_as_value;
use crate::outputs::{SharedMap, Tree, as_value};

/// The key of a task run, also in the entries of `parents`.
const TASK_RUN: &str = "taskrun";

/// The part that is the same for all tasks of an execution at one time.
#[derive(Debug, Clone)]
pub(crate) struct Basis {
    fixed: Arc<Fixed>,
    execution: Value,
    vars: Value,
    labels: Value,
    /// Outputs by task id and loop values.
    pub outputs: SharedMap<Tree>,
    /// `{state}` by task id and loop values.
    pub tasks: SharedMap<Tree>,
}

/// The part that never changes.
#[derive(Debug)]
struct Fixed {
    flow: Value,
    inputs: Value,
    trigger: Option<Value>,
    envs: Value,
    globals: Value,
    kestra: Value,
}

impl Basis {
    pub fn new(variables: &Map, execution: &Execution, settings: &Settings) -> Self {
        let fixed = Fixed {
            flow: Value::from_pairs([
                ("id", Value::from(execution.flow_id.as_str())),
                ("namespace", Value::from(execution.namespace.as_str())),
                ("revision", Value::from(execution.flow_revision)),
            ]),
            inputs: Value::from(Serde(settings.opened(&execution.inputs).as_ref())),
            trigger: execution.trigger.as_ref().map(|trigger| Value::from(Serde(&trigger.variables))),
            envs: settings.envs.clone(),
            globals: settings.globals.clone(),
            kestra: settings.instance.clone(),
        };
        let mut basis = Self {
            fixed: Arc::new(fixed),
            execution: Value::UNDEFINED,
            vars: Value::UNDEFINED,
            labels: Value::UNDEFINED,
            outputs: SharedMap::default(),
            tasks: SharedMap::default(),
        };
        basis.set_execution(execution);
        basis.set_variables(variables, execution);
        basis.set_labels(execution);
        basis
    }

    /// Takes over the execution's state.
    pub fn set_execution(&mut self, execution: &Execution) {
        self.execution = Value::from_pairs([
            ("id", Value::from(execution.id.as_str())),
            ("startDate", Value::from(execution.state.start_date().to_string())),
            ("originalId", Value::from(execution.original_id.as_str())),
            ("state", Value::from(execution.current().as_str())),
        ]);
    }

    /// Takes over variables: those of the execution win over those of the flow.
    pub fn set_variables(&mut self, of_flow: &Map, execution: &Execution) {
        let mut variables = of_flow.clone();
        variables.extend(execution.variables.clone());
        self.vars = Value::from(Serde(&variables));
    }

    /// Takes over labels.
    pub fn set_labels(&mut self, execution: &Execution) {
        self.labels = labels_as_value(&execution.labels);
    }

    /// What a task sees, or the execution itself where there is none.
    pub fn context(&self, focus: Option<Focus>) -> Value {
        Value::from_object(Context {
            fixed: Arc::clone(&self.fixed),
            execution: self.execution.clone(),
            vars: self.vars.clone(),
            labels: self.labels.clone(),
            outputs: as_value(&self.outputs),
            tasks: as_value(&self.tasks),
            focus,
        })
    }
}

/// The part that differs from task to task.
#[derive(Debug)]
pub(crate) struct Focus {
    /// `task`.
    pub task: Value,
    /// `taskrun`.
    pub taskrun: Value,
    /// `parents`, nearest first.
    pub parents: Vec<Value>,
    /// `workerTaskrun`, in a `WorkingDirectory`.
    pub worker: Option<Value>,
    /// `error`, in an errors branch.
    pub error: Option<Value>,
}

#[derive(Debug)]
struct Context {
    fixed: Arc<Fixed>,
    execution: Value,
    vars: Value,
    labels: Value,
    outputs: Value,
    tasks: Value,
    focus: Option<Focus>,
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let focus = self.focus.as_ref();
        match key {
            "flow" => Some(self.fixed.flow.clone()),
            "execution" => Some(self.execution.clone()),
            "task" => Some(focus?.task.clone()),
            TASK_RUN => Some(focus?.taskrun.clone()),
            "parent" => nearest(&focus?.parents),
            "parents" => Some(Value::from(focus?.parents.clone())),
            "inputs" => Some(self.fixed.inputs.clone()),
            "outputs" => Some(self.outputs.clone()),
            "vars" => Some(self.vars.clone()),
            "trigger" => self.fixed.trigger.clone(),
            "labels" => Some(self.labels.clone()),
            "tasks" => Some(self.tasks.clone()),
            "envs" => Some(self.fixed.envs.clone()),
            "globals" => Some(self.fixed.globals.clone()),
            "kestra" => Some(self.fixed.kestra.clone()),
            "workerTaskrun" => focus?.worker.clone(),
            "error" => focus?.error.clone(),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let known = EXECUTION_ROOTS.into_iter().filter(|name| self.get_value_by_str(name).is_some());
        Enumerator::Values(known.map(Value::from).collect())
    }
}

/// `taskrun` for a task run; `items` is the file of a batch.
pub(crate) fn taskrun(run: &TaskRun, items: Option<&str>) -> Value {
    let ended = run.attempts.iter().filter(|attempt| attempt.state.current().is_terminal()).count();
    let mut pairs = vec![
        ("id", Value::from(run.id.as_str())),
        ("startDate", Value::from(run.state.start_date().to_string())),
        ("attemptsCount", Value::from(ended)),
    ];
    pairs.extend(run.parent_task_run_id.as_deref().map(|parent| ("parentId", Value::from(parent))));
    pairs.extend(run.value.as_deref().map(|value| ("value", Value::from(value))));
    pairs.extend(run.iteration.map(|iteration| ("iteration", Value::from(iteration))));
    pairs.extend(items.map(|items| ("items", Value::from(items))));
    Value::from_pairs(pairs)
}

/// One entry of `parents`.
pub(crate) fn parent(run: &TaskRun, outputs: Option<Value>) -> Value {
    let mut pairs = vec![("task", Value::from_pairs([("id", run.task_id.as_str())]))];
    pairs.extend(run.value.as_deref().map(|value| (TASK_RUN, Value::from_pairs([("value", value)]))));
    pairs.extend(outputs.map(|outputs| ("outputs", outputs)));
    Value::from_pairs(pairs)
}

/// `parent`: the first of `parents`. Kestra had only those with a value or outputs in the list before it told their tasks,
/// so for flows of that time one without a value shows that of the next which has one.
fn nearest(parents: &[Value]) -> Option<Value> {
    let first = parents.first()?;
    let task_run = |parent: &Value| parent.get_attr(TASK_RUN).ok().filter(|value| !value.is_undefined());
    match parents.iter().find_map(task_run) {
        Some(found) if task_run(first).is_none() => {
            let own = ["task", "outputs"].map(|key| (key, first.get_attr(key).unwrap_or_default()));
            let own = own.into_iter().filter(|(_, value)| !value.is_undefined());
            Some(Value::from_pairs(own.chain([(TASK_RUN, found)])))
        }
        _ => Some(first.clone()),
    }
}

/// `tasks.<id>` for a state.
pub(crate) fn task_state(state: State) -> Value {
    Value::from_pairs([("state", state.as_str())])
}

/// `error` for a task that failed.
pub(crate) fn error(task_id: &str, message: &str) -> Value {
    Value::from_pairs([("taskId", task_id), ("message", message)])
}
