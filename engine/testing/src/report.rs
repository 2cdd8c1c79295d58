//! What came of a case.

use std::time::Duration;

use serde::{Serialize, Serializer};
use weft_flow::Span;
use weft_model::{LogEntry, State};

use crate::DiffLine;

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CaseResult {
    /// Everything was as expected.
    Passed,
    /// Something was not.
    Failed,
    /// It was not run.
    Skipped,
}

/// What came of a case.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseReport {
    /// Its id.
    pub id: String,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How it ended.
    pub result: CaseResult,
    /// The line in the test file, from 1.
    pub line: u32,
    /// How long it took.
    #[serde(rename = "durationMs", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// The execution, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<String>,
    /// How the execution ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// What was not as expected. Never empty for a case that failed.
    pub failures: Vec<Shortfall>,
    /// What is worth knowing and makes no case fail.
    pub notes: Vec<String>,
    /// The last lines of the log of a case that failed.
    pub log: Vec<LogEntry>,
}

/// One thing that was not as expected.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shortfall {
    /// What was looked at: an expression, the state of a task.
    pub subject: String,
    /// What the test file says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What the test file says for when it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The line in the test file, from 1.
    pub line: u32,
    /// The column in the test file, from 1.
    pub column: u32,
    /// What was expected: `equalTo 3`.
    pub expected: String,
    /// What was found.
    pub actual: String,
    /// Lines that differ, where the two have several lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<DiffLine>,
}

impl Shortfall {
    /// Something at a place of the test file.
    pub fn new(
        span: Span,
        subject: impl Into<String>,
        expected: impl Into<String>,
        actual: impl Into<String>,
    ) -> Self {
        Self {
            subject: subject.into(),
            expected: expected.into(),
            actual: actual.into(),
            line: span.start.line,
            column: span.start.column,
            ..Self::default()
        }
    }

    /// Changes every text that may show what an execution worked with.
    pub fn mask(&mut self, mask: &dyn Fn(&str) -> String) {
        let texts = [&mut self.expected, &mut self.actual];
        texts.into_iter().chain(self.diff.iter_mut().map(|line| &mut line.text)).for_each(|text| {
            *text = mask(text);
        });
    }
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u128(duration.as_millis())
}
