//! What a template reads and calls, known without rendering it.

use std::collections::HashMap;
use std::ops::Range;

use crate::tree::{Binary, Body, Expr, FilterCall, Kind, Node, Span, Tree};

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
    /// The same for each name of the path; of one in brackets, what stands between them.
    pub names: Vec<Range<usize>>,
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

/// A function, filter or test that a template uses. All exist: an unknown one is a
/// [`SyntaxError`](crate::SyntaxError).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name as written.
    pub name: String,
    /// What it is.
    pub kind: CallKind,
    /// The first argument if it is a literal text, as the key in `secret('KEY')`.
    pub literal: Option<String>,
    /// Bytes of the name in the template's source; of the whole call for functions.
    pub span: Range<usize>,
}

/// Everything found in a tree, in the order of the source as far as the tree keeps it.
#[derive(Default)]
pub(crate) struct Found {
    pub references: Vec<Reference>,
    pub calls: Vec<Call>,
}

pub(crate) fn find(tree: &Tree) -> Found {
    let mut walker =
        Walker { tree, found: Found::default(), names: Names::default(), asked: Vec::new(), guarded: 0 };
    walker.body(&tree.body);
    for definition in tree.macros.values() {
        walker.definition(definition);
    }
    walker.found.references.sort_by_key(|reference| reference.span.start);
    walker.found.calls.sort_by_key(|call| call.span.start);
    walker.found
}

/// Guards that are remembered; no template that a person wrote has more.
const MAX_ASKED: usize = 200;

/// Names that the template gives itself: they are no roots of the context.
#[derive(Default)]
struct Names<'t> {
    stack: Vec<&'t str>,
    counts: HashMap<&'t str, usize>,
}

impl<'t> Names<'t> {
    fn push(&mut self, name: &'t str) {
        self.stack.push(name);
        *self.counts.entry(name).or_default() += 1;
    }

    fn truncate(&mut self, length: usize) {
        for name in self.stack.drain(length.min(self.stack.len())..) {
            self.counts.entry(name).and_modify(|count| *count -= 1);
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.counts.get(name).is_some_and(|count| *count > 0)
    }
}

struct Walker<'t> {
    tree: &'t Tree,
    found: Found,
    names: Names<'t>,
    /// Paths that a condition around has asked for.
    asked: Vec<Vec<String>>,
    /// How many `??` and the like are around.
    guarded: usize,
}

impl<'t> Walker<'t> {
    fn body(&mut self, body: &'t Body) {
        for node in body {
            self.node(node);
        }
    }

    fn node(&mut self, node: &'t Node) {
        match node {
            Node::Text(_) | Node::Raw { .. } => {}
            Node::Print(expr) => self.expr(expr),
            Node::Set { name, value } => {
                self.expr(value);
                self.names.push(name);
            }
            Node::If { branches, otherwise } => {
                let asked = self.asked.len();
                for (condition, body) in branches {
                    self.condition(condition);
                    self.body(body);
                }
                self.body(otherwise);
                self.asked.truncate(asked);
            }
            Node::For { variable, over, body, otherwise } => {
                self.expr(over);
                let names = self.names.stack.len();
                self.names.push(variable);
                self.names.push("loop");
                self.body(body);
                self.names.truncate(names);
                self.body(otherwise);
            }
            Node::Block(name, _) => {
                let tree = self.tree;
                if let Some(body) = tree.blocks.get(name) {
                    self.body(body);
                }
            }
            Node::Filtered { filters, body } => {
                self.body(body);
                for call in filters {
                    self.filter_call(call);
                }
            }
        }
    }

    fn definition(&mut self, definition: &'t crate::tree::Macro) {
        let names = std::mem::take(&mut self.names);
        for (parameter, default) in &definition.parameters {
            if let Some(default) = default {
                self.expr(default);
            }
            self.names.push(parameter);
        }
        self.body(&definition.body);
        self.names = names;
    }

    /// A condition, after which what it asked for counts as guarded.
    fn condition(&mut self, condition: &'t Expr) {
        let before = self.found.references.len();
        self.expr(condition);
        let asked = self.found.references[before..].iter().filter(|reference| reference.guarded);
        let room = MAX_ASKED.saturating_sub(self.asked.len());
        self.asked.extend(asked.take(room).map(|reference| reference.path.clone()));
    }

    fn guard(&mut self, expr: &'t Expr) {
        self.guarded += 1;
        self.expr(expr);
        self.guarded -= 1;
    }

    fn expr(&mut self, expr: &'t Expr) {
        if self.path(expr) {
            return;
        }
        match &expr.kind {
            Kind::Binary(Binary::NullCoalesce | Binary::UndefinedCoalesce, left, right) => {
                self.guard(left);
                self.expr(right);
            }
            Kind::Binary(Binary::And | Binary::Or, left, right) => {
                let asked = self.asked.len();
                self.condition(left);
                self.expr(right);
                self.asked.truncate(asked);
            }
            Kind::Ternary(parts) => {
                let [condition, yes, no] = &**parts;
                let asked = self.asked.len();
                self.condition(condition);
                self.expr(yes);
                self.expr(no);
                self.asked.truncate(asked);
            }
            Kind::Filter(input, call) => {
                if call.filter.takes_undefined {
                    self.guard(input)
                } else {
                    self.expr(input)
                }
                self.filter_call(call);
            }
            Kind::Test { of, test, arguments, name, .. } => {
                if test.takes_undefined {
                    self.guard(of)
                } else {
                    self.expr(of)
                }
                self.call(test.signature.name, CallKind::Test, arguments, *name);
            }
            Kind::Function { function, arguments } => {
                self.call(function.signature.name, CallKind::Function, arguments, expr.span);
            }
            kind => {
                for child in kind.children() {
                    self.expr(child);
                }
            }
        }
    }

    fn filter_call(&mut self, call: &'t FilterCall) {
        self.call(call.filter.signature.name, CallKind::Filter, &call.arguments, call.span);
    }

    fn call(&mut self, name: &str, kind: CallKind, arguments: &'t [Option<Expr>], span: Span) {
        let literal = match arguments.first() {
            Some(Some(Expr { kind: Kind::Literal(value), .. })) => value.as_str().map(String::from),
            _ => None,
        };
        self.found.calls.push(Call { name: name.to_string(), kind, literal, span: span.range() });
        for argument in arguments.iter().flatten() {
            self.expr(argument);
        }
    }

    /// Takes an expression that is a path from a root; others are left to the caller.
    fn path(&mut self, expr: &'t Expr) -> bool {
        let mut links = Vec::new();
        let mut root = expr;
        while let Kind::Attribute(of, _) | Kind::Index(of, _) = &root.kind {
            links.push(root);
            root = of;
        }
        let Kind::Variable(name) = &root.kind else { return false };
        let mut path = vec![name.clone()];
        let mut span = root.span;
        let mut names = vec![root.span.range()];
        let mut known = true;
        for link in links.into_iter().rev() {
            match &link.kind {
                Kind::Attribute(_, name) if known => {
                    let end = link.span.range().end;
                    names.push(end.saturating_sub(name.len())..end);
                    path.push(name.clone());
                }
                Kind::Index(_, index) => {
                    let literal = match &index.kind {
                        Kind::Literal(value) => crate::text::scalar(value),
                        _ => None,
                    };
                    match literal {
                        Some(key) if known => {
                            names.push(index.span.range());
                            path.push(key.into_owned());
                        }
                        Some(_) => {}
                        None => {
                            known = false;
                            self.expr(index);
                        }
                    }
                }
                _ => {}
            }
            if known {
                span = link.span;
            }
        }
        if self.names.contains(name) {
            return true;
        }
        let related = |asked: &Vec<String>| asked.iter().zip(&path).all(|(left, right)| left == right);
        let guarded = self.guarded > 0 || self.asked.iter().any(related);
        self.found.references.push(Reference { path, guarded, span: span.range(), names });
        true
    }
}
