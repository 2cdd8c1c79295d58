//! What a trigger of a flow asks for, read once before it is watched.

use std::sync::Arc;

use serde_json::Value;
use weft_expr::Template;
use weft_flow::{EngineTrigger, Trigger};
use weft_model::Level;

use crate::condition::{self, Condition};
use crate::schedule::Schedule;

/// Why a trigger cannot be watched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// A property has a value that cannot be used.
    #[error("property `{property}`: {problem}")]
    Property {
        /// The property, as a path.
        property: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It is started by something that only a server sees.
    #[error("it needs a server: {0}")]
    NeedsServer(&'static str),
}

impl SetupError {
    pub(crate) fn property(property: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Property { property: property.into(), problem: problem.into() }
    }
}

/// What a trigger asks for.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) trigger: Arc<Trigger>,
    pub(crate) source: Source,
    /// All must hold.
    pub(crate) conditions: Vec<Condition>,
    pub(crate) allow_concurrent: bool,
    pub(crate) fail_on_error: bool,
    pub(crate) log_level: Level,
}

/// Where a trigger's events come from.
#[derive(Debug)]
pub(crate) enum Source {
    Clock(Schedule),
    Plugin,
}

impl Setup {
    pub(crate) fn of(trigger: Arc<Trigger>) -> Result<Self, SetupError> {
        let properties = &trigger.properties;
        let source = match trigger.engine() {
            Some(EngineTrigger::Schedule) => Source::Clock(Schedule::cron(properties)?),
            Some(EngineTrigger::ScheduleOnDates) => Source::Clock(Schedule::dates(properties)?),
            Some(EngineTrigger::Webhook) => {
                return Err(SetupError::NeedsServer("somebody has to take its HTTP requests"));
            }
            Some(EngineTrigger::Flow) => {
                return Err(SetupError::NeedsServer("somebody has to see the ends of other flows"));
            }
            None => Source::Plugin,
        };
        let mut conditions = Vec::new();
        for name in ["conditions", "scheduleConditions"] {
            if let Some(list) = properties.get(name) {
                conditions.extend(condition::read_all(list, name)?);
            }
        }
        match properties.get("when") {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => {
                let template =
                    Template::parse(text).map_err(|error| SetupError::property("when", error.to_string()))?;
                conditions.push(Condition::Expression(template));
            }
            Some(Value::Bool(fixed)) => conditions.push(Condition::Fixed(*fixed)),
            Some(other) => {
                return Err(SetupError::property("when", format!("expected an expression, found `{other}`")));
            }
        }
        let flag = |name: &str| properties.get(name) == Some(&Value::Bool(true));
        let (allow_concurrent, fail_on_error) = (flag("allowConcurrent"), flag("failOnTriggerError"));
        let level = properties.get("logLevel").and_then(Value::as_str).and_then(Level::from_name);
        Ok(Self {
            source,
            conditions,
            allow_concurrent,
            fail_on_error,
            log_level: level.unwrap_or(Level::Trace),
            trigger,
        })
    }
}
