//! What the loop of a trigger asks of the engine around it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use weft_expr::Environment;
use weft_flow::Trigger;
use weft_model::{Failure, Level, Map, State};
use weft_state::TriggeredExecution;

/// One call of a trigger's plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The execution that the first event will start: files that are stored meanwhile belong to it.
    pub execution_id: String,
    /// What the plugin remembers.
    pub state: Value,
}

/// What a plugin found.
#[derive(Debug, Clone, PartialEq)]
pub struct Polled {
    /// What expressions see as `trigger`, one execution each.
    pub events: Vec<Map>,
    /// What the plugin remembers from now on.
    pub state: Value,
    /// When to look again, where it should not be the trigger's own interval.
    pub next: Option<Duration>,
}

/// The engine around the triggers of one flow.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Takes a line about a trigger.
    fn log(&self, trigger: &Trigger, level: Level, message: &str);

    /// What a trigger's expressions see: flow, variables and so on, and `trigger` where there is an event.
    fn context(&self, trigger: Option<&Map>) -> weft_expr::Value;

    /// What a trigger's expressions may ask of the world.
    fn environment(&self) -> &dyn Environment;

    /// What is not to be shown of what the trigger has found so far, sealed; it is kept with its record.
    ///
    /// # Errors
    /// A text about why it cannot be sealed: then nothing may be kept.
    fn hidden(&self) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    /// How long a trigger waits between two polls.
    async fn interval(&self, trigger: &Trigger) -> Result<Duration, Failure>;

    /// Asks the trigger's plugin whether something has happened.
    async fn poll(&self, trigger: &Trigger, evaluation: &Evaluation) -> Result<Polled, Failure>;

    /// Tells the trigger's plugin that the executions of its last events are stored; its new state.
    async fn acknowledge(&self, trigger: &Trigger, evaluation: &Evaluation) -> Result<Value, Failure>;

    /// Removes what was stored for an execution that never was. Nothing there is fine.
    async fn discard(&self, execution_id: &str);

    /// Creates the execution unless it exists, runs it unless that has begun, and waits until it has ended or waits for
    /// a person; its state. May be asked again after a crash.
    ///
    /// # Errors
    /// A text about what keeps the execution from being kept.
    async fn run(&self, trigger: &Trigger, execution: &TriggeredExecution) -> Result<State, String>;

    /// The state of an execution that somebody else may be running; none if it is gone.
    async fn state(&self, execution_id: &str) -> Result<Option<State>, String>;
}
