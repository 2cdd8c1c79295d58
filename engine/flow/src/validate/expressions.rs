//! Expressions: each text that is rendered is parsed, and what it reads is written down for later.

use weft_expr::Template;

use super::TaskIndex;
use super::outline::Stage;
use super::references::roots;
use crate::codes::{EXPRESSION_SYNTAX, NO_EFFECT};
use crate::parse::{Path, Reader, is_dynamic};
use crate::yaml::{Kind, Locator, Node};
use crate::{Diagnostic, Span};

/// Where an expression is rendered, which decides what it can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// At a time that is not known: variables and defaults.
    Anywhere,
    /// Before there is an execution: triggers.
    Trigger,
    /// When the inputs of an execution are read: only the inputs before this one.
    Input(usize),
    /// When the flow has come to a stage.
    Flow(Stage),
    /// When a task starts.
    Task(TaskIndex),
    /// When what is inside a task has ended: the condition of a loop, files that a directory keeps.
    TaskEnd(TaskIndex),
}

/// Something that an expression reads and that must be there.
#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) scope: Scope,
    /// The root and the names after it: `outputs`, `a`, `value`.
    pub(crate) names: Vec<String>,
    /// Where each of them stands.
    pub(crate) spans: Vec<Span>,
    pub(crate) path: String,
}

impl Use {
    /// Where a name stands; the last one for those that are not in the path.
    pub(crate) fn span(&self, name: usize) -> Span {
        self.spans.get(name).or(self.spans.last()).copied().unwrap_or_default()
    }
}

/// Whether a text is an expression that lacks its braces: it can be read as one, and reads what there is in a flow.
fn is_bare_expression(text: &str) -> bool {
    !is_dynamic(text)
        && text.contains('.')
        && Template::parse(&format!("{{{{ {text} }}}}")).is_ok_and(|template| {
            let mut references = template.references().into_iter();
            references
                .any(|reference| reference.path.len() > 1 && roots().any(|root| root == reference.path[0]))
        })
}

impl Reader<'_> {
    /// A text that is rendered later; numbers and booleans are taken as they are written.
    pub(crate) fn template(&mut self, node: &Node, path: &Path<'_>) -> Option<Template> {
        match &node.kind {
            Kind::String(text) => self.parse_expression(&text.value, node, path),
            _ => {
                let text = self.text(node, path)?;
                self.parse_expression(&text, node, path)
            }
        }
    }

    /// A condition, or another value that makes no sense as a fixed text.
    pub(crate) fn condition(&mut self, node: &Node, path: &Path<'_>) -> Option<Template> {
        if let Some(text) = node.as_str().filter(|text| is_bare_expression(text)) {
            let message = format!("there is no `{{{{ }}}}` around `{text}`, so it is taken as a text");
            let hint = format!("write `\"{{{{ {text} }}}}\"`");
            self.push(Diagnostic::warning(NO_EFFECT, self.head(node), message).at(path).hint(hint));
        }
        self.template(node, path)
    }

    /// Parses every text in a value, keys too.
    pub(crate) fn check_expressions(&mut self, node: &Node, path: &Path<'_>) {
        match &node.kind {
            Kind::String(text) if is_dynamic(&text.value) => {
                self.parse_expression(&text.value, node, path);
            }
            Kind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.check_expressions(item, &path.index(index));
                }
            }
            Kind::Map(map) => {
                for entry in &map.entries {
                    let at = path.key(&entry.key);
                    if is_dynamic(&entry.key) {
                        let key = Node { kind: Kind::Null, span: entry.key_span };
                        self.parse_expression(&entry.key, &key, &at);
                    }
                    self.check_expressions(&entry.value, &at);
                }
            }
            _ => {}
        }
    }

    /// Parses the text of a node. Of a node that is not a text, spans are the whole node.
    fn parse_expression(&mut self, text: &str, node: &Node, path: &Path<'_>) -> Option<Template> {
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(error) => {
                let span =
                    Locator::new(self.lines, node).map_or(node.span, |mut locator| locator.span(error.span));
                let diagnostic = Diagnostic::error(EXPRESSION_SYNTAX, span, error.message).at(path);
                self.push(diagnostic.maybe_hint(error.hint));
                return None;
            }
        };
        if !template.is_literal() {
            self.note_uses(&template, node, path);
        }
        Some(template)
    }

    fn note_uses(&mut self, template: &Template, node: &Node, path: &Path<'_>) {
        let mut references = template.references();
        references.retain(|reference| !reference.guarded && !reference.path.is_empty());
        // In the order of the source, so that the text is walked once.
        let mut places: Vec<(usize, usize)> = Vec::new();
        for (index, reference) in references.iter().enumerate() {
            places.extend((0..reference.names.len()).map(|name| (index, name)));
        }
        places.sort_by_key(|&(index, name)| references[index].names[name].start);
        let mut spans: Vec<Vec<Span>> =
            references.iter().map(|reference| vec![node.span; reference.names.len()]).collect();
        if let Some(mut locator) = Locator::new(self.lines, node) {
            for (index, name) in places {
                spans[index][name] = locator.span(references[index].names[name].clone());
            }
        }
        for (reference, spans) in references.into_iter().zip(spans) {
            self.uses.push(Use { scope: self.scope, names: reference.path, spans, path: path.to_string() });
        }
    }
}
