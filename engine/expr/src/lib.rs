//! (being written)

mod environment;
mod error;
mod limits;

use std::ops::Range;
use std::sync::Arc;

pub use environment::{Environment, NoEnvironment};
pub use error::{Fault, RenderError, SyntaxError};
pub use limits::Limits;
pub use minijinja::Value;

/// A parsed template; a clone shares the parse.
#[derive(Debug, Clone)]
pub struct Template {
    source: Arc<str>,
}

/// A path from a root of the context that a template reads, as far as it is known without evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The root and the names after it: `outputs.a['b']` is `["outputs", "a", "b"]`. A computed index ends the path.
    pub path: Vec<String>,
    /// Whether the template copes with its absence: left of `??` or `???`, before `| default`, asked by `is defined`
    /// or in a branch whose condition asks for it.
    pub guarded: bool,
    /// Bytes of the template's source.
    pub span: Range<usize>,
}

/// What a [`Call`] calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// `name(...)`.
    Function,
    /// `... | name`.
    Filter,
    /// `... is name`.
    Test,
}

/// A function, filter or test that a template uses. All exist: an unknown one is a [`SyntaxError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name as written.
    pub name: String,
    /// What it is.
    pub kind: CallKind,
    /// The first argument if it is a literal text, as the key in `secret('KEY')`.
    pub literal: Option<String>,
    /// Bytes of the name in the template's source.
    pub span: Range<usize>,
}

impl Template {
    /// Parses a template. Any text without `{{`, `{%` and `{#` is a template that renders to itself.
    pub fn parse(source: &str) -> Result<Template, SyntaxError> {
        Ok(Template { source: source.into() })
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it renders to its own source whatever the context is.
    pub fn is_literal(&self) -> bool {
        !["{{", "{%", "{#"].iter().any(|open| self.source.contains(open))
    }

    /// The paths it reads from the context, in the order of the source.
    pub fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// The functions, filters and tests it uses, in the order of the source.
    pub fn calls(&self) -> Vec<Call> {
        Vec::new()
    }

    /// Renders to text.
    pub fn render(&self, context: &Value, env: &dyn Environment) -> Result<String, RenderError> {
        let _ = (context, env);
        Ok(self.source.to_string())
    }

    /// Renders to the native value if the template is exactly one `{{ }}`, else to text.
    pub fn render_typed(&self, context: &Value, env: &dyn Environment) -> Result<Value, RenderError> {
        self.render(context, env).map(Value::from)
    }
}

/// Renders every text of a JSON value, keys too; texts stay texts.
pub fn render_json(
    value: &serde_json::Value,
    context: &Value,
    env: &dyn Environment,
) -> Result<serde_json::Value, RenderError> {
    let _ = (context, env);
    Ok(value.clone())
}
