//! The one shape of an error that a task run can end with.

use serde::{Deserialize, Serialize};

/// Why a task run failed. Codes are an open, documented namespace (`docs/errors/`), one page each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{message}")]
pub struct Failure {
    /// Kebab-case with a dot between area and reason: `process.exit-code`, `plugin.trap`.
    pub code: String,
    /// What happened, what was expected and what to do, for a person.
    pub message: String,
    /// Whether trying again, with nothing changed, may help.
    #[serde(default)]
    pub retryable: bool,
    /// Facts for a program: an exit code, a property path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

impl Failure {
    /// A failure that trying again will not mend.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: false, detail: None }
    }

    /// The same, marked as worth another try.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// The same, with facts for a program.
    #[must_use]
    pub fn with_detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = Some(detail);
        self
    }
}
