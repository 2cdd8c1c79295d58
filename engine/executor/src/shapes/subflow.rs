//! `Subflow`: a call of another flow. A task run with attempts, like a plugin's.

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use weft_expr::{Environment, Template, Value, render_json};
use weft_flow::{Shape, Subflow, Task, TaskKind};
use weft_model::{CORRELATION_ID_LABEL, Failure, Label, Level, Map, State, TriggerContext, child_id};

use crate::changes::set_labels;
use crate::frame::RunIndex;
use crate::leaf::Outcome;
use crate::turn::Turn;
use crate::{Command, Machine, SubflowCall, SubflowRequest};

impl Turn<'_> {
    /// Calls the subflow for the attempt that is under way.
    pub(crate) fn call_subflow(&mut self, run: RunIndex, task: &Task, subflow: &Subflow, context: &Value) {
        match self.machine.subflow_request(run, task, subflow, context, self.env) {
            Ok(request) => self.command(Command::StartSubflow(Box::new(request))),
            Err(message) => self.fail_attempt(run, Failure::new("subflow.render", message)),
        }
    }

    pub fn subflow_started(&mut self, call: &SubflowCall) {
        let Some((run, waits, _)) = self.machine.called(call) else { return };
        let mut outputs = Map::new();
        outputs.insert("executionId".to_owned(), json!(self.machine.subflow_id(run, call.attempt)));
        if waits {
            self.edit(run).outputs = Some(outputs);
            self.machine.show_outputs(run);
        } else {
            self.settle(run, Outcome::new(State::Success, outputs, None, self.now), true);
        }
    }

    pub fn subflow_ended(&mut self, call: &SubflowCall, execution_id: String, state: State, outputs: Map) {
        if !state.is_terminal() || state == State::Retried {
            return;
        }
        let Some((run, true, transmits)) = self.machine.called(call) else { return };
        let own = match state {
            _ if self.machine.state(run) == State::Killing => State::Killed,
            _ if !transmits => State::Success,
            State::Success | State::Warning | State::Killed => state,
            _ => State::Failed,
        };
        let failure = own.is_failed().then(|| {
            Failure::new("subflow.failed", format!("the execution `{execution_id}` ended as {state}"))
        });
        if let Some(failure) = &failure {
            self.log(Level::Error, Some(run), failure.message.clone());
        }
        let mut result = Map::new();
        result.insert("executionId".to_owned(), json!(execution_id));
        result.insert("state".to_owned(), json!(state));
        result.insert("outputs".to_owned(), Json::Object(outputs));
        self.settle(run, Outcome::new(own, result, failure, self.now), true);
    }

    pub fn subflow_refused(&mut self, call: &SubflowCall, failure: Failure) {
        let Some((run, ..)) = self.machine.called(call) else { return };
        if self.machine.state(run) == State::Killing {
            let outcome = Outcome::new(State::Killed, Map::new(), Some(failure), self.now);
            return self.settle(run, outcome, false);
        }
        self.fail_attempt(run, failure);
    }

    /// Kills the subflow of a task run whose end is waited for; one that is not goes on.
    pub fn cancel_subflow(&mut self, run: RunIndex) {
        let record = self.machine.run(run);
        let attempt = record.attempts.len().saturating_sub(1) as u32;
        let call = SubflowCall { task_run_id: record.id.clone(), attempt };
        if let Some((_, true, _)) = self.machine.called(&call) {
            let execution_id = self.machine.subflow_id(run, attempt);
            self.command(Command::CancelSubflow { call, execution_id });
        }
    }
}

impl Machine {
    /// The subflow that a task run calls.
    pub(crate) fn subflow(&self, run: RunIndex) -> Option<&Subflow> {
        let node = self.runs[run].node?;
        match &self.plan.task(node).kind {
            TaskKind::Flowable(flowable) => match &flowable.shape {
                Shape::Subflow(subflow) => Some(subflow),
                Shape::ForEachItem(items) if self.plan.is_batch(node) => Some(&items.subflow),
                _ => None,
            },
            TaskKind::Run { .. } => None,
        }
    }

    /// The task run of a call that is under way, whether it waits for the end and whether a failure is its own.
    fn called(&self, call: &SubflowCall) -> Option<(RunIndex, bool, bool)> {
        let run = self.open_run(&call.task_run_id).filter(|run| self.is_current(*run, call.attempt))?;
        let subflow = self.subflow(run)?;
        Some((run, subflow.wait, subflow.transmit_failed))
    }

    /// The id of the execution that an attempt creates. Iterations of a `LoopUntil` share task runs and differ in when
    /// these began.
    fn subflow_id(&self, run: RunIndex, attempt: u32) -> String {
        let record = self.run(run);
        let path = format!("{}/subflow/{attempt}/{}", record.id, record.state.start_date());
        child_id(&self.execution.id, &path)
    }

    fn subflow_request(
        &self,
        run: RunIndex,
        task: &Task,
        subflow: &Subflow,
        context: &Value,
        env: &dyn Environment,
    ) -> Result<SubflowRequest, String> {
        let text = |property: &str, source: &str| {
            let template =
                Template::parse(source).map_err(|error| format!("cannot read `{property}`: {error}"))?;
            template.render(context, env).map_err(|error| format!("cannot evaluate `{property}`: {error}"))
        };
        let inputs = render_map(&subflow.inputs, context, env);
        let inputs = inputs.map_err(|error| format!("cannot evaluate `inputs`: {error}"))?;
        let correlation = |label: &&Label| subflow.inherit_labels || label.key == CORRELATION_ID_LABEL;
        let mut labels: Vec<Label> = self.execution.labels.iter().filter(correlation).cloned().collect();
        let own = subflow.labels.iter().map(|label| {
            Ok(Label { key: text("labels", &label.key)?, value: text("labels", &label.value)? })
        });
        set_labels(&mut labels, own.collect::<Result<_, String>>()?);
        let schedule_date = subflow.schedule_date.as_deref().map(|date| {
            let date = text("scheduleDate", date)?;
            let at: Result<Timestamp, _> = date.parse();
            at.map_err(|_| {
                format!(
                    "`scheduleDate` is not an instant: `{date}`\nhint: write it as `2026-01-31T08:00:00Z`"
                )
            })
        });
        let record = self.run(run);
        let attempt = record.attempts.len().saturating_sub(1) as u32;
        let variables = [
            ("executionId", json!(self.execution.id)),
            ("namespace", json!(self.execution.namespace)),
            ("flowId", json!(self.execution.flow_id)),
            ("flowRevision", json!(self.execution.flow_revision)),
            ("taskRunId", json!(record.id)),
            ("taskRunAttempt", json!(attempt)),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(SubflowRequest {
            call: SubflowCall { task_run_id: record.id.clone(), attempt },
            execution_id: self.subflow_id(run, attempt),
            namespace: text("namespace", &subflow.namespace)?,
            flow_id: text("flowId", &subflow.flow_id)?,
            revision: subflow.revision,
            inputs,
            labels,
            parent_id: self.execution.id.clone(),
            trigger: TriggerContext { id: task.id.clone(), type_name: task.type_name.clone(), variables },
            wait: subflow.wait,
            outputs: subflow.outputs.clone(),
            schedule_date: schedule_date.transpose()?,
        })
    }
}

/// Renders all texts of a map.
pub(super) fn render_map(map: &Map, context: &Value, env: &dyn Environment) -> Result<Map, String> {
    match render_json(&Json::Object(map.clone()), context, env) {
        Ok(Json::Object(map)) => Ok(map),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(error.to_string()),
    }
}
