//! The two ends of an execution: how it begins, and what is left to do when its last task has ended.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value as Json;
use weft_expr::{Template, Value, render_json};
use weft_flow::{InputType, OutputDefinition, Retry, RetryBehavior, coerce_output};
use weft_model::{ExecutionError, Level, Map, State, child_id};

use crate::frame::{Frame, Order, Phase};
use crate::plan::Branch;
use crate::retry::{Attempts, next_attempt};
use crate::slab::Id;
use crate::turn::Turn;
use crate::{Command, Start};

impl Turn<'_> {
    /// Lets the execution run.
    pub fn start(&mut self) {
        match self.machine.execution.current() {
            State::Created | State::Queued => {
                self.enter_execution(State::Running);
                let root = self.machine.frames.insert(Frame::new(None, None));
                self.machine.root = Some(root);
                self.start_lane(root, Branch::Tasks, Order::Sequential, None);
                self.watch_promises();
            }
            State::Restarted => {
                self.enter_execution(State::Running);
                self.go_on_everywhere();
                self.watch_promises();
            }
            _ => {}
        }
    }

    /// Lets the execution wait for others of its flow.
    pub fn queue(&mut self) {
        if self.machine.execution.current() == State::Created {
            self.enter_execution(State::Queued);
        }
    }

    /// Ends the execution before it began.
    pub fn refuse(&mut self, state: State, code: &str, reason: &str) {
        if !matches!(self.machine.execution.current(), State::Created | State::Queued) {
            return;
        }
        let state = if state == State::Cancelled { state } else { State::Failed };
        let message = format!("not started: {reason}");
        self.log(Level::Warn, None, message.clone());
        self.header().error = Some(ExecutionError { code: code.to_owned(), message });
        self.close_execution(state);
    }

    /// The last task has ended.
    pub fn finish_execution(&mut self, root: Id<Frame>) {
        let Some(frame) = self.machine.frames.get(root) else { return };
        let ending = self.machine.ending;
        let tally = frame.tally.state();
        let state = match ending {
            Some(ending) => ending.state,
            None => {
                let state = self.check_assertions(tally);
                self.render_outputs(state)
            }
        };
        if matches!(state, State::Success | State::Warning) && self.machine.execution.error.is_some() {
            self.header().error = None;
        }
        let next = if ending.is_none() && state == State::Failed { self.next_execution() } else { None };
        let state = if next.is_some() { State::Retried } else { state };
        if let Some(start) = next {
            self.command(Command::NewExecution { start: Box::new(start) });
        }
        self.close_execution(state);
    }

    /// Gives the execution its final state; what comes after it is begun.
    pub fn close_execution(&mut self, state: State) {
        self.enter_execution(state);
        self.machine.ending = None;
        self.command(Command::Ended { state });
        let root = self.machine.root.filter(|_| !self.machine.plan.list(None, Branch::After).is_empty());
        let Some(root) = root else { return self.close_machine() };
        if let Some(frame) = self.machine.frames.get_mut(root) {
            frame.phase = Phase::After;
        }
        self.start_lane(root, Branch::After, Order::Sequential, None);
    }

    /// Nothing is left to do.
    pub fn close_machine(&mut self) {
        if let Some(root) = self.machine.root.take() {
            self.machine.frames.remove(root);
        }
        self.command(Command::Done);
    }

    /// Renders the flow's outputs. Where that fails the execution has failed, if it had not before.
    fn render_outputs(&mut self, state: State) -> State {
        let plan = Arc::clone(&self.machine.plan);
        let definitions = &plan.flow().outputs;
        if definitions.is_empty() || state == State::Killed {
            return state;
        }
        let context = self.machine.basis.context(None);
        let mut outputs = Map::new();
        for definition in definitions {
            match self.output(definition, &context) {
                Ok(value) => outputs.insert(definition.id.clone(), value),
                // Outputs of tasks that did not run are missing: that is what the failure did, not news.
                Err(_) if state == State::Failed => return state,
                Err(message) => {
                    let message = format!("cannot put out `{}`: {message}", definition.id);
                    self.log(Level::Error, None, message.clone());
                    self.header().error = Some(ExecutionError { code: "flow.output".to_owned(), message });
                    return State::Failed;
                }
            };
        }
        self.header().outputs = Some(outputs);
        state
    }

    fn output(&self, definition: &OutputDefinition, context: &Value) -> Result<Json, String> {
        let value = match &definition.value {
            Json::String(source) => {
                let template = Template::parse(source).map_err(|error| error.to_string())?;
                let value = template.render_typed(context, self.env).map_err(|error| error.to_string())?;
                serde_json::to_value(&value).map_err(|error| error.to_string())?
            }
            value => render_json(value, context, self.env).map_err(|error| error.to_string())?,
        };
        if value.is_null() && !definition.required {
            return Ok(value);
        }
        let value = coerce_output(&definition.kind, &value)?;
        for secret in secrets(&definition.kind, &value) {
            self.env.hide(secret);
        }
        Ok(value)
    }

    /// The execution that repeats this one, if a retry asks for it and allows it.
    pub fn next_execution(&self) -> Option<Start> {
        let machine = &self.machine;
        let execution = &machine.execution;
        let of_flow = machine.plan.flow().retry.as_ref();
        let retry: &Retry = match machine.repeat {
            Some(node) => machine.plan.retry(node)?,
            None => of_flow.filter(|retry| retry.behavior == RetryBehavior::CreateNewExecution)?,
        };
        let at: Timestamp = next_attempt(
            retry,
            Attempts {
                ended: execution.metadata.attempt_number,
                first_start: execution.metadata.original_created_date,
                last_end: execution.state.end_date().unwrap_or(self.now),
                seed: &execution.original_id,
            },
        )?;
        Some(Start {
            id: child_id(&execution.id, "retry"),
            flow_revision: execution.flow_revision,
            inputs: execution.inputs.clone(),
            labels: execution.labels.clone(),
            trigger: execution.trigger.clone(),
            parent_id: execution.parent_id.clone(),
            original_id: Some(execution.original_id.clone()),
            attempt_number: execution.metadata.attempt_number + 1,
            original_created_date: Some(execution.metadata.original_created_date),
            correlation_id: None,
            schedule_date: Some(at),
        })
    }
}

/// The texts of a value that its type makes secrets.
fn secrets<'v>(kind: &InputType, value: &'v Json) -> Vec<&'v str> {
    match (kind, value) {
        (InputType::Secret { .. }, Json::String(text)) => vec![text],
        (InputType::Array { items }, Json::Array(values)) => {
            values.iter().flat_map(|value| secrets(items, value)).collect()
        }
        _ => Vec::new(),
    }
}
