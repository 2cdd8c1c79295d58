//! Functions on what the context says of the execution.

use super::Function;
use crate::arguments::Args;
use crate::engine::wrong_input;
use crate::error::Fault;
use crate::eval::Evaluator;
use crate::values::{self, Entries};
use crate::{Value, text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("currentEachOutput", &["outputs"], 1, current_each_output),
    Function::new("fetchContext", &[], 0, |scope, _| scope.scopes.all(scope.engine)),
    Function::new("loopOutputs", &["outputs", "name"], 2, loop_outputs),
    // The name before Kestra 1.0.
    Function::new("printContext", &[], 0, |scope, _| scope.scopes.all(scope.engine)),
    Function::new("tasksWithState", &["state"], 1, tasks_with_state),
];

fn key(map: &Value, name: &str) -> Option<Value> {
    values::entry(map, &Value::from(name)).filter(|value| !values::is_null(value))
}

/// The output of a sibling in the same iteration: one key per loop around it, the outermost first. What has none is
/// null if a `??` copes with it, as for the tasks of an `If` in a loop.
fn current_each_output(scope: &mut Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
    let mut outputs = args.required(0)?.clone();
    if !values::is_map(&outputs) {
        return Err(wrong_input("currentEachOutput", "a task's outputs", &outputs));
    }
    let parents = scope.scopes.get("parents").map(|parents| scope.engine.items(&parents)).transpose()?;
    let mut nearest = None;
    for parent in parents.unwrap_or_default().iter().rev() {
        let Some(value) = key(parent, "taskrun").and_then(|taskrun| key(&taskrun, "value")) else { continue };
        nearest = Some(value.clone());
        outputs = match values::entry(&outputs, &value) {
            Some(outputs) => outputs,
            None if scope.is_catching() => return Ok(values::null()),
            None => {
                let value = text::scalar(&value).unwrap_or_default();
                let message = format!("the task has no outputs for the iteration `{value}` around this one");
                return Err(Fault::new(message));
            }
        };
    }
    let task_run = scope.scopes.get("taskrun");
    let value = task_run.as_ref().and_then(|taskrun| key(taskrun, "value"));
    // A task in a working directory has the value of that, and is no iteration of its own.
    if value.is_some()
        && value == nearest
        && task_run.is_some_and(|taskrun| key(&taskrun, "iteration").is_none())
    {
        return Ok(outputs);
    }
    match value {
        Some(value) => Ok(values::entry(&outputs, &value).unwrap_or_else(values::null)),
        None if scope.is_catching() => Ok(values::null()),
        None => Err(Fault::new("there is no current iteration")
            .with_hint("`currentEachOutput` works in the tasks of a loop")),
    }
}

/// One output of every iteration of a `Loop`.
fn loop_outputs(scope: &mut Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
    let name = args.text(1)?;
    let iterations = scope.engine.list_items("loopOutputs", args.required(0)?)?;
    let one = |iteration: &Value| {
        let outputs = key(iteration, "outputs")?;
        values::entry(&outputs, &Value::from(&*name))
    };
    scope
        .engine
        .list(iterations.iter().map(|iteration| one(iteration).unwrap_or_else(values::null)).collect())
}

/// The task runs in a state: `taskId`, `state`, and `value` for those in a loop.
fn tasks_with_state(scope: &mut Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
    let wanted = args.text(0)?.to_uppercase();
    let tasks = scope.scopes.get("tasks").unwrap_or_else(values::null);
    let in_state = |state: Option<Value>| {
        state.is_some_and(|state| state.as_str().is_some_and(|state| state.eq_ignore_ascii_case(&wanted)))
    };
    let mut found = Vec::new();
    for (task, details) in values::pairs(&tasks) {
        for (name, detail) in values::pairs(&details) {
            scope.engine.charge(1)?;
            let own = name.as_str() == Some("state") && in_state(Some(detail.clone()));
            let iteration = || values::is_map(&detail) && in_state(key(&detail, "state"));
            if !(own || iteration()) {
                continue;
            }
            let mut entry = Entries::new();
            entry.insert("taskId".to_string(), task.clone());
            if !own {
                entry.insert("value".to_string(), name);
            }
            entry.insert("state".to_string(), Value::from(wanted.as_str()));
            found.push(scope.engine.map(entry)?);
        }
    }
    scope.engine.list(found)
}
