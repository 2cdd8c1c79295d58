//! What an execution left, and how the expressions of assertions see it.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object};
use serde_json::{Value as Json, json};
use weft_expr::{Serde, Value};
use weft_model::{Execution, LogEntry, Metric, TaskRun};

/// What an execution left.
#[derive(Debug)]
pub struct Evidence {
    /// The execution at its end.
    pub execution: Execution,
    /// What the flow's own `outputs` see.
    pub context: Value,
    /// Its log.
    pub logs: Vec<LogEntry>,
    /// Its metrics.
    pub metrics: Vec<Metric>,
}

impl Evidence {
    /// What expressions see: the context, the execution with its outputs, and `taskruns`, `logs` and `metrics`.
    pub fn roots(self: &Arc<Self>) -> Value {
        Value::from_object(Roots(Arc::clone(self)))
    }

    /// The runs of a task, or all task runs.
    pub fn runs<'e>(&'e self, task_id: Option<&'e str>) -> impl Iterator<Item = &'e TaskRun> {
        let runs = self.execution.task_run_list.iter();
        runs.filter(move |run| task_id.is_none_or(|id| run.task_id == id))
    }

    fn execution(&self) -> Value {
        let execution = &self.execution;
        Value::from(Serde(json!({
            "id": execution.id,
            "namespace": execution.namespace,
            "flowId": execution.flow_id,
            "originalId": execution.original_id,
            "startDate": execution.state.start_date(),
            "state": execution.current(),
            "outputs": execution.outputs.clone().unwrap_or_default(),
            "error": execution.error,
        })))
    }

    /// The runs of each task by its id.
    fn task_runs(&self) -> Value {
        let mut by_task: HashMap<&str, Vec<Json>> = HashMap::new();
        for run in self.runs(None) {
            by_task.entry(&run.task_id).or_default().push(task_run(run));
        }
        Value::from(Serde(by_task))
    }
}

/// Why a task run failed, in its last attempt.
pub(crate) fn failure(run: &TaskRun) -> Option<&weft_model::Failure> {
    run.attempts.last()?.failure.as_ref()
}

fn task_run(run: &TaskRun) -> Json {
    let attempts: Vec<Json> = run
        .attempts
        .iter()
        .map(|attempt| json!({"state": attempt.state.current(), "error": attempt.failure}))
        .collect();
    json!({
        "id": run.id,
        "state": run.current(),
        "value": run.value,
        "iteration": run.iteration,
        "attempts": attempts,
        "outputs": run.outputs,
        "error": failure(run),
    })
}

/// The context of assertions. Most of them read little of it, so each part is made when it is asked for.
#[derive(Debug)]
struct Roots(Arc<Evidence>);

const OWN: [&str; 4] = ["execution", "taskruns", "logs", "metrics"];

impl Object for Roots {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "execution" => Some(self.0.execution()),
            "taskruns" => Some(self.0.task_runs()),
            "logs" => Some(Value::from(Serde(&self.0.logs))),
            "metrics" => Some(Value::from(Serde(&self.0.metrics))),
            _ => self.0.context.get_attr(key).ok().filter(|value| !value.is_undefined()),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let inherited = self.0.context.try_iter().into_iter().flatten();
        let inherited = inherited.filter(|key| key.as_str().is_none_or(|key| !OWN.contains(&key)));
        Enumerator::Values(OWN.into_iter().map(Value::from).chain(inherited).collect())
    }
}
