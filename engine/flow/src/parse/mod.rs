//! One typed pass over the tree: from YAML nodes to the model. It goes on after a mistake, so that all are reported at
//! once, and it writes down what the checks of the whole flow (`validate`) need.

mod condition;
mod defaults;
mod fields;
mod flow;
mod flowable;
mod id;
mod input;
mod path;
mod read;
mod retry;
mod task;
mod trigger;

use std::cell::Cell;
use std::collections::HashSet;

pub(crate) use defaults::Defaults;
pub(crate) use fields::Fields;
pub(crate) use id::IdKind;
pub(crate) use input::TYPES as INPUT_TYPES;
pub(crate) use path::Path;
pub(crate) use read::{has_expression, is_dynamic};
pub use trigger::COMMON_TRIGGER_PROPERTIES;

use crate::span::Lines;
use crate::validate::{Outline, Schemas, Scope, Use};
use crate::yaml::Node;
use crate::{Catalogue, Diagnostic, Span, suggest};

/// Up to this many names, a hint lists all that there are.
const FEW_NAMES: usize = 8;

/// How many names are compared for suggestions: a source that is wrong everywhere must not cost seconds.
const COMPARISONS: usize = 200_000;

/// The state of the pass.
pub(crate) struct Reader<'a> {
    pub(crate) lines: &'a Lines<'a>,
    pub(crate) catalogue: &'a dyn Catalogue,
    pub(crate) schemas: &'a Schemas,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// All tasks with their places in the structure.
    pub(crate) outline: Outline<'a>,
    /// What expressions read.
    pub(crate) uses: Vec<Use>,
    /// Where the expressions that are being read will be rendered.
    pub(crate) scope: Scope,
    /// `pluginDefaults` of the flow.
    pub(crate) defaults: Defaults<'a>,
    /// Variables that tasks set while the flow runs.
    pub(crate) set_variables: HashSet<String>,
    /// Ids of the flow's inputs, once they are read.
    pub(crate) input_names: Option<Vec<String>>,
    /// Namespace and id of the flow.
    pub(crate) flow: Option<(String, String)>,
    /// The WorkingDirectory around the task that is being read.
    pub(crate) directory: Option<String>,
    /// How many names may still be compared.
    comparisons: Cell<usize>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(lines: &'a Lines<'a>, catalogue: &'a dyn Catalogue, schemas: &'a Schemas) -> Self {
        Self {
            lines,
            catalogue,
            schemas,
            diagnostics: Vec::new(),
            outline: Outline::default(),
            uses: Vec::new(),
            scope: Scope::Anywhere,
            defaults: Defaults::default(),
            set_variables: HashSet::new(),
            input_names: None,
            flow: None,
            directory: None,
            comparisons: Cell::new(COMPARISONS),
        }
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The nearest of some names, as a hint.
    pub(crate) fn did_you_mean<'c>(
        &self,
        name: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<String> {
        let candidates = candidates.into_iter().take(self.comparisons.get());
        suggest::did_you_mean(
            name,
            candidates.inspect(|_| self.comparisons.update(|left| left.saturating_sub(1))),
        )
    }

    /// The nearest of some names as a hint; all of them after `words` where none is near and there are few.
    pub(crate) fn nearest_or_all(&self, name: &str, candidates: &[&str], words: &str) -> Option<String> {
        self.did_you_mean(name, candidates.iter().copied()).or_else(|| {
            let few = (1..=FEW_NAMES).contains(&candidates.len());
            few.then(|| format!("{words} {}", suggest::enumerate(candidates.iter().copied(), "and")))
        })
    }

    /// What to write in place of a type that does not exist.
    pub(crate) fn type_hint(&self, type_name: &str, known: impl FnOnce() -> Vec<&'a str>) -> Option<String> {
        if self.comparisons.get() == 0 {
            return None;
        }
        let known = known();
        self.comparisons.update(|left| left.saturating_sub(known.len()));
        suggest::type_hint(type_name, &known)
    }

    /// Reads with another scope for expressions.
    pub(crate) fn within<T>(&mut self, scope: Scope, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.scope, scope);
        let result = read(self);
        self.scope = before;
        result
    }

    /// Where to point for a value: its first line.
    pub(crate) fn head(&self, node: &Node) -> Span {
        let span = node.span;
        if span.start.line == span.end.line {
            return span;
        }
        let line = self.lines.text(span.start.line);
        Span::new(span.start, self.lines.at(span.start.line, line.trim_end().chars().count() as u32))
    }
}
