//! What is wrong with a flow, for people and for machines.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::codes::MORE_MISTAKES;
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

/// As many diagnostics of one source as are told, and how many more there are.
#[derive(Debug, Default)]
pub struct Told<'d> {
    /// Those that are told, in the order of the source.
    pub shown: Vec<&'d Diagnostic>,
    /// How many are not, by kind.
    pub rest: BTreeMap<&'static str, usize>,
    /// Whether any of the rest is an error.
    pub rest_has_errors: bool,
}

/// Kinds of which a count is told.
const FEW_KINDS: usize = 5;

impl<'d> Told<'d> {
    /// At most `most` of some diagnostics: errors before warnings, and those that come first in the source.
    pub fn most_of(diagnostics: &'d [Diagnostic], most: usize) -> Self {
        if diagnostics.len() <= most {
            return Self { shown: diagnostics.iter().collect(), ..Self::default() };
        }
        let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
        let errors = diagnostics.iter().filter(|diagnostic| is_error(diagnostic)).count();
        let (mut room_of_errors, mut room) = (errors.min(most), most - errors.min(most));
        let mut told = Self::default();
        for diagnostic in diagnostics {
            let left = if is_error(diagnostic) { &mut room_of_errors } else { &mut room };
            if *left > 0 {
                *left -= 1;
                told.shown.push(diagnostic);
            } else {
                *told.rest.entry(diagnostic.code).or_default() += 1;
                told.rest_has_errors |= is_error(diagnostic);
            }
        }
        told
    }

    /// How many are not told.
    pub fn more(&self) -> usize {
        self.rest.values().sum()
    }

    /// What is said of those that are not told; nothing if there are none: "and 9,900 more: 9,900 `unknown-type`".
    pub fn summary(&self) -> Option<String> {
        let mut kinds: Vec<(&str, usize)> = self.rest.iter().map(|(code, count)| (*code, *count)).collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let others: usize = kinds.iter().skip(FEW_KINDS).map(|(_, count)| count).sum();
        let mut words: Vec<String> = kinds
            .iter()
            .take(FEW_KINDS)
            .map(|(code, count)| format!("{} `{code}`", grouped(*count)))
            .collect();
        if others > 0 {
            words.push(format!("{} of other kinds", grouped(others)));
        }
        (self.more() > 0).then(|| format!("and {} more: {}", grouped(self.more()), words.join(", ")))
    }

    /// The rest as one more entry of the form for programs; nothing if there are none. `file` is what the flow's author
    /// calls the source.
    pub fn rest_to_machine<'r>(&'r self, file: &'r str) -> Option<MachineRest<'r>> {
        let severity = if self.rest_has_errors { Severity::Error } else { Severity::Warning };
        let message = self.summary()?;
        Some(MachineRest {
            severity,
            code: MORE_MISTAKES,
            message,
            file,
            more: self.more(),
            by_code: &self.rest,
        })
    }
}

/// `9,900`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// What stands for the mistakes of a source that are not listed one by one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineRest<'r> {
    severity: Severity,
    code: &'static str,
    message: String,
    file: &'r str,
    /// How many there are.
    more: usize,
    /// The same by code.
    by_code: &'r BTreeMap<&'static str, usize>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_before_warnings_and_the_rest_is_counted() {
        let diagnostics: Vec<Diagnostic> = (0..12_000)
            .map(|index| match index % 4 {
                0 => Diagnostic::error("e", Span::default(), index.to_string()),
                _ => Diagnostic::warning("w", Span::default(), index.to_string()),
            })
            .collect();
        let messages = |told: &Told<'_>| {
            told.shown.iter().map(|diagnostic| diagnostic.message.clone()).collect::<Vec<_>>().join(" ")
        };
        for (all, most, shown, summary) in [
            (&diagnostics[..4], 9, "0 1 2 3", None),
            (&diagnostics[..4], 4, "0 1 2 3", None),
            (&diagnostics[..8], 4, "0 1 2 4", Some("and 4 more: 4 `w`")),
            (&diagnostics[..8], 1, "0", Some("and 7 more: 6 `w`, 1 `e`")),
            (&diagnostics[..], 0, "", Some("and 12,000 more: 9,000 `w`, 3,000 `e`")),
        ] {
            let told = Told::most_of(all, most);
            assert_eq!((messages(&told).as_str(), told.summary().as_deref()), (shown, summary));
            assert_eq!(told.shown.len() + told.more(), all.len());
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
