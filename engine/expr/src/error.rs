//! Errors that point to the character of the template that is wrong.

use std::fmt;
use std::ops::Range;

use crate::text::short;
use crate::tree::Span;

/// A template that cannot be parsed, or that names a filter, function, test or tag that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", Place { joint: "in", expression, line: *line, column: *column, path: "", hint })]
pub struct SyntaxError {
    /// What is wrong and what was expected; one line without the place.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The `{{ }}` or `{% %}` it happened in, shortened if long.
    pub expression: Box<str>,
    /// Bytes of the template's source that are meant.
    pub span: Range<usize>,
    /// Line of the span's start in the template, from 1.
    pub line: u32,
    /// Column of the span's start in characters, from 1.
    pub column: u32,
}

/// A template that failed while it was rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", Place { joint: if *undefined { "used in" } else { "in" }, expression, line: *line, column: *column, path, hint })]
pub struct RenderError {
    /// What is wrong; one line without the place.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The `{{ }}` or `{% %}` it happened in, shortened if long.
    pub expression: Box<str>,
    /// Whether a name that does not exist is the cause.
    pub undefined: bool,
    /// Where in the value given to [`render_json`](crate::render_json) the template was, as `env.KEY` or
    /// `commands[2]`; empty for a single template.
    pub path: Box<str>,
    /// Bytes of the template's source that are meant.
    pub span: Range<usize>,
    /// Line of the span's start in the template, from 1.
    pub line: u32,
    /// Column of the span's start in characters, from 1.
    pub column: u32,
}

/// A failure without a place: what an [`Environment`](crate::Environment) answers when it cannot do what an
/// expression asks. The evaluator adds the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What is wrong; one line, lower case.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Fault {
    /// A failure with a message. A hint that stands in it on a line of its own, as in errors of other parts of the
    /// engine, is taken out: the place goes between the two.
    pub fn new(message: impl Into<String>) -> Self {
        const HINT: &str = "\nhint: ";
        let mut message = message.into();
        let hint = message.find(HINT).map(|at| message.split_off(at)[HINT.len()..].to_owned());
        Self { message, hint }
    }

    /// Adds what the reader can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(self, span: Span) -> Failure {
        Failure(Box::new(FailureParts { fault: self, span, undefined: false }))
    }

    /// As [`Self::at`], for a name that does not exist: `??`, `default` and `is defined` cope with it.
    pub(crate) fn undefined_at(self, span: Span) -> Failure {
        Failure(Box::new(FailureParts { fault: self, span, undefined: true }))
    }
}

impl SyntaxError {
    pub(crate) fn new(fault: Fault, source: &str, span: Span) -> Self {
        let place = Located::find(source, span);
        Self {
            message: fault.message,
            hint: fault.hint,
            expression: place.expression.into(),
            span: span.range(),
            line: place.line,
            column: place.column,
        }
    }
}

impl From<SyntaxError> for RenderError {
    fn from(error: SyntaxError) -> Self {
        Self {
            message: error.message,
            hint: error.hint,
            expression: error.expression,
            undefined: false,
            path: Box::default(),
            span: error.span,
            line: error.line,
            column: error.column,
        }
    }
}

/// What evaluation hands up: boxed, since it passes through every level of the tree.
#[derive(Debug)]
pub(crate) struct Failure(Box<FailureParts>);

#[derive(Debug)]
struct FailureParts {
    fault: Fault,
    span: Span,
    undefined: bool,
}

impl Failure {
    /// Whether a name that does not exist is the cause.
    pub(crate) fn is_undefined(&self) -> bool {
        self.0.undefined
    }

    pub(crate) fn with_hint(mut self, hint: String) -> Self {
        self.0.fault.hint = Some(hint);
        self
    }

    pub(crate) fn into_error(self, source: &str) -> RenderError {
        let FailureParts { fault, span, undefined } = *self.0;
        let place = Located::find(source, span);
        RenderError {
            message: fault.message,
            hint: fault.hint,
            expression: place.expression.into(),
            undefined,
            path: Box::default(),
            span: span.range(),
            line: place.line,
            column: place.column,
        }
    }
}

/// Characters of an expression that an error quotes.
const QUOTED: usize = 120;

/// A span translated for people.
struct Located {
    line: u32,
    column: u32,
    expression: String,
}

impl Located {
    fn find(source: &str, span: Span) -> Self {
        let start = span.range().start.min(source.len());
        let before = source.get(..start).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        let as_u32 = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self { line: as_u32(line), column: as_u32(column), expression: enclosing(source, span) }
    }
}

/// The `{{ }}` or `{% %}` around a span, on one line.
fn enclosing(source: &str, span: Span) -> String {
    let range = span.range();
    let Some(head) = source.get(..(range.start + 2).min(source.len())).or(source.get(..range.start)) else {
        return String::new();
    };
    let open = head.rfind("{{").max(head.rfind("{%")).max(head.rfind("{#"));
    let Some(open) = open else { return String::new() };
    let close = match &source[open..open + 2] {
        "{{" => "}}",
        "{%" => "%}",
        _ => "#}",
    };
    // A span never ends outside its own delimiters, so the first close after it is the right one.
    let from = range.end.max(open + 2).min(source.len());
    let end = source.get(from..).and_then(|rest| rest.find(close)).map_or(source.len(), |at| from + at + 2);
    let text = source.get(open..end).unwrap_or_default();
    short(text, QUOTED)
}

/// The part of a message that says where: shared by both errors.
struct Place<'a> {
    joint: &'a str,
    expression: &'a str,
    line: u32,
    column: u32,
    path: &'a str,
    hint: &'a Option<String>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.expression.is_empty() {
            write!(f, " {} the expression `{}`", self.joint, self.expression)?;
        }
        if !self.path.is_empty() {
            write!(f, " of `{}`", self.path)?;
        }
        write!(f, " at line {} column {}", self.line, self.column)?;
        match self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}
