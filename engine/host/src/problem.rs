//! What is wrong with plugins. Problems are collected, never fatal: a broken plugin must not stop flows that do not
//! name it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Whether a problem keeps a plugin from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The plugin, or one of its types, cannot be used.
    Error,
    /// Worth knowing.
    Warning,
}

/// Something wrong with one plugin, or with the host's directories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginProblem {
    /// The file or directory; `bundled:NAME` for a plugin in the binary.
    pub path: PathBuf,
    /// A documented code: `plugin.not-a-component`, `plugin.world`, `plugin.describe`, `plugin.conflict`,
    /// `plugin.reserved-type`, `plugin.unreadable`, `plugin.too-large`, `plugin.compile`, `plugin.untrusted`,
    /// `plugin.grant`, `plugin.cache`, `plugin.engine`.
    pub code: String,
    /// What is wrong, what was expected and what to do. Does not repeat the path.
    pub message: String,
    /// How bad it is.
    pub severity: Severity,
    /// The types that the plugin would provide, as far as it could say.
    #[serde(default)]
    pub types: Vec<String>,
}

impl PluginProblem {
    pub(crate) fn error(path: impl Into<PathBuf>, code: &str, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            code: code.to_owned(),
            message: message.into(),
            severity: Severity::Error,
            types: Vec::new(),
        }
    }

    pub(crate) fn warning(path: impl Into<PathBuf>, code: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, code, message) }
    }
}

impl std::fmt::Display for PluginProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "plugin {}: {}", self.path.display(), self.message)
    }
}
