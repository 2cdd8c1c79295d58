//! What a task run lets one observe: log lines and metrics.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How much a log line matters. Ordered: `Trace` is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// For following a program step by step.
    Trace,
    /// For finding a fault.
    Debug,
    /// What happens.
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
}

impl Level {
    /// The level of a number from the plugin contract: 0 trace .. 4 error; larger numbers are errors.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Trace,
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warn,
            _ => Self::Error,
        }
    }

    /// The level with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error]
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(name))
    }

    /// The name as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// One line of an execution's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// When the engine saw it.
    pub timestamp: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// The task that said it; none for the execution itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The task run that said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_run_id: Option<String>,
    /// Which attempt of the task run, from 0.
    #[serde(default)]
    pub attempt_number: u32,
    /// The text, without the line break.
    pub message: String,
}

/// What a metric's value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Things counted; values of one name and tags are added up.
    Counter,
    /// Time taken, stored in milliseconds; added up like a counter.
    Timer,
    /// A reading; the last one counts.
    Gauge,
}

/// One metric of one task run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// The task that emitted it.
    pub task_id: String,
    /// The task run that emitted it.
    pub task_run_id: String,
    /// Its name, as the script gave it.
    pub name: String,
    /// What the value means.
    #[serde(rename = "type")]
    pub kind: MetricKind,
    /// Counted things, or milliseconds for a timer.
    pub value: f64,
    /// Dimensions, values as text.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was first emitted.
    pub timestamp: Timestamp,
}
