//! (signatures; being written)
use std::sync::Arc;

use jiff::Timestamp;
use weft_expr::Environment;
use weft_flow::Flow;
use weft_model::Execution;

use crate::{Event, Settings, Start, Transition};

/// One execution in memory.
#[derive(Debug)]
pub struct Machine {
    execution: Execution,
}

impl Machine {
    /// A new execution, CREATED. Store all of it, then send [`Event::Start`].
    pub fn create(flow: Arc<Flow>, start: Start, settings: Arc<Settings>, now: Timestamp) -> Self {
        let _ = settings;
        Self { execution: start.into_execution(&flow, now) }
    }

    /// An execution from the store. Call [`Self::recover`] before any event if nothing else runs it any more.
    pub fn load(flow: Arc<Flow>, execution: Execution, settings: Arc<Settings>) -> Self {
        let _ = (flow, settings);
        Self { execution }
    }

    /// Takes in one event.
    pub fn handle(&mut self, event: Event, env: &dyn Environment, now: Timestamp) -> Transition {
        let _ = (event, env, now);
        Transition::default()
    }

    /// Asks again for everything that is not finished: after a restart of the engine.
    pub fn recover(&mut self, env: &dyn Environment, now: Timestamp) -> Transition {
        let _ = (env, now);
        Transition::default()
    }

    /// The execution as it stands.
    pub fn execution(&self) -> &Execution {
        &self.execution
    }
}
