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

use std::collections::HashSet;
use std::rc::Rc;

pub(crate) use defaults::Defaults;
pub(crate) use fields::Fields;
pub(crate) use id::IdKind;
pub(crate) use input::TYPES as INPUT_TYPES;
pub(crate) use path::{Path, shown as shown_key};
pub(crate) use read::{has_expression, is_dynamic};
pub use trigger::COMMON_TRIGGER_PROPERTIES;

use crate::inputs::root_of;
use crate::span::Lines;
use crate::suggest::Budget;
use crate::validate::{Outline, Schemas, Scope, Use};
use crate::yaml::Node;
use crate::{Catalogue, Diagnostic, Span, suggest};

/// Up to this many names, a hint lists all that there are.
const FEW_NAMES: usize = 8;

/// What the inputs of a flow are called.
pub(crate) struct InputNames {
    /// Their ids, in the order of the source.
    ids: Vec<String>,
    /// The part of each before the first dot: who gives that gives the input, or a part of it.
    roots: HashSet<String>,
}

impl InputNames {
    pub(crate) fn new(ids: Vec<String>) -> Self {
        let roots = ids.iter().map(|id| root_of(id).to_owned()).collect();
        Self { ids, roots }
    }
}

/// All of some names after `words`, where there are some and few. Looks at no more of them than that takes.
pub(crate) fn all_if_few<'c>(names: impl Iterator<Item = &'c str>, words: &str) -> Option<String> {
    let few: Vec<&str> = names.take(FEW_NAMES + 1).collect();
    let is_few = (1..=FEW_NAMES).contains(&few.len());
    is_few.then(|| format!("{words} {}", suggest::enumerate(few, "and")))
}

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
    /// What the flow's inputs are called, once they are read.
    pub(crate) input_names: Option<Rc<InputNames>>,
    /// Namespace and id of the flow.
    pub(crate) flow: Option<(String, String)>,
    /// The WorkingDirectory around the task that is being read.
    pub(crate) directory: Option<String>,
    /// What may still be spent on suggestions.
    pub(crate) suggestions: Budget,
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
            suggestions: Budget::default(),
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
        self.suggestions.did_you_mean(name, candidates)
    }

    /// The nearest of some names as a hint; all of them after `words` where none is near and there are few.
    pub(crate) fn nearest_or_all<'c>(
        &self,
        name: &str,
        candidates: impl Iterator<Item = &'c str> + Clone,
        words: &str,
    ) -> Option<String> {
        self.did_you_mean(name, candidates.clone()).or_else(|| all_if_few(candidates, words))
    }

    /// What to write in place of a type that does not exist.
    pub(crate) fn type_hint(&self, type_name: &str, known: impl FnOnce() -> Vec<&'a str>) -> Option<String> {
        if !self.suggestions.take(0) {
            return None;
        }
        let known = known();
        self.suggestions.take(known.len());
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
