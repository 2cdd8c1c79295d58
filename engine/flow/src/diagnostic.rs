//! What is wrong with a flow, for people and for machines.

use serde::Serialize;

use crate::{Flow, Span};

/// Whether a flow can be used in spite of a [`Diagnostic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It can; it may not do what its author wants.
    Warning,
    /// It cannot.
    Error,
}

impl Severity {
    /// The name as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    /// Whether the flow can be used in spite of it.
    pub severity: Severity,
    /// What kind of mistake it is: kebab-case, documented one page each.
    pub code: &'static str,
    /// What is wrong and what was expected, in one line.
    pub message: String,
    /// Where it stands in the source.
    pub span: Span,
    /// Where it stands in the flow: `tasks[2].commands[0]`; empty for the flow itself.
    pub path: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
    /// Whether it is certain to matter only when the execution gets there: a reference to something that will not
    /// exist then. Whoever saves or checks a flow treats it by `severity`; whoever runs it treats it as a warning.
    pub runtime: bool,
}

/// Another place that belongs to a [`Diagnostic`].
#[derive(Debug, Clone, PartialEq)]
pub struct Related {
    /// Where it stands.
    pub span: Span,
    /// What it has to do with it.
    pub message: String,
}

impl Diagnostic {
    /// A mistake without hint.
    pub fn new(severity: Severity, code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            span,
            path: String::new(),
            hint: None,
            related: Vec::new(),
            runtime: false,
        }
    }

    /// An error without hint.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span, message)
    }

    /// A warning without hint.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span, message)
    }

    /// Adds where it stands in the flow.
    #[must_use]
    pub fn at(mut self, path: impl ToString) -> Self {
        self.path = path.to_string();
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to do about it, if that is known.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn related(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related.push(Related { span, message: message.into() });
        self
    }

    /// Says that it matters only when the execution gets there.
    #[must_use]
    pub fn at_runtime(mut self) -> Self {
        self.runtime = true;
        self
    }

    /// Whether no execution can be made of the flow.
    pub fn is_fatal(&self) -> bool {
        self.severity == Severity::Error && !self.runtime
    }

    /// The form for programs; `file` is what the flow's author calls the source.
    pub fn to_machine<'d>(&'d self, file: &'d str) -> MachineDiagnostic<'d> {
        MachineDiagnostic {
            severity: self.severity,
            code: self.code,
            message: &self.message,
            file,
            line: self.span.start.line,
            column: self.span.start.column,
            end_line: self.span.end.line,
            end_column: self.span.end.column,
            path: &self.path,
            hint: self.hint.as_deref(),
            runtime: self.runtime,
            related: self
                .related
                .iter()
                .map(|related| MachineRelated {
                    message: &related.message,
                    line: related.span.start.line,
                    column: related.span.start.column,
                })
                .collect(),
        }
    }
}

/// A [`Diagnostic`] as one flat JSON object. Lines and columns are from 1; the end is not included.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineDiagnostic<'d> {
    severity: Severity,
    code: &'static str,
    message: &'d str,
    file: &'d str,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    path: &'d str,
    hint: Option<&'d str>,
    runtime: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<MachineRelated<'d>>,
}

#[derive(Debug, Serialize)]
struct MachineRelated<'d> {
    message: &'d str,
    line: u32,
    column: u32,
}

/// What came of reading a flow.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The flow, unless a diagnostic is fatal.
    pub flow: Option<Flow>,
    /// Everything that is wrong, in the order of the source.
    pub diagnostics: Vec<Diagnostic>,
}

impl Outcome {
    /// Whether anything is an error, at runtime or before.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}
