//! From the events of the YAML parser to the tree.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag};

use super::{Entry, Kind, Map, Node, Style, Text, explain, scalar};
use crate::codes::{
    DUPLICATE_KEY, EMPTY_FLOW, MULTIPLE_DOCUMENTS, WRONG_TYPE, YAML_ALIAS, YAML_LIMIT, YAML_SYNTAX,
};
use crate::span::Lines;
use crate::{Diagnostic, ParseOptions, Position, Span};

/// Maps with more keys than this look for duplicates in a table.
const FEW_KEYS: usize = 16;

/// Bytes of a key. YAML allows keys without `?` in front of them 1,024 characters.
const LONGEST_KEY: usize = 4 * 1024;

/// Bytes of text that cost as much as one node of the budget.
const BYTES_PER_NODE: usize = 64;

/// Reads the one document of a source. `None` where there is none that can be used; diagnostics say why. Duplicate
/// keys are reported and left out, so that the rest can be checked too.
pub(crate) fn parse(
    lines: &Lines<'_>,
    options: &ParseOptions,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Node> {
    let source = lines.source();
    if source.len() > options.max_bytes {
        let message =
            format!("the source has {} bytes, more than the {} allowed", source.len(), options.max_bytes);
        diagnostics.push(Diagnostic::error(YAML_LIMIT, Span::at(lines.at(1, 0)), message));
        return None;
    }
    let mut builder = Builder {
        lines,
        options,
        diagnostics,
        stack: Vec::new(),
        inline: 0,
        tab_checked: 0,
        anchors: HashMap::new(),
        spent: 0,
        root: None,
    };
    match builder.run(&mut Parser::new_from_str(source)) {
        Ok(root) => Some(root),
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            None
        }
    }
}

/// Boxed, because it is passed up through every step.
type Step<T> = Result<T, Box<Diagnostic>>;

/// What a value costs the limits each time that it is used.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    /// Nodes, with long texts counted as several.
    cost: usize,
    /// Lists and maps inside each other.
    height: usize,
}

/// A list or map that is not complete yet.
struct Frame {
    start: Position,
    anchor: usize,
    /// Of what is in it so far, and itself.
    weight: Weight,
    /// In brackets, where indentation means nothing.
    inline: bool,
    collection: Collection,
}

enum Collection {
    List(Vec<Node>),
    Map { map: Map, key: Option<(String, Span)>, index: HashMap<String, usize>, merges: Vec<Node> },
}

struct Builder<'b, 's> {
    lines: &'b Lines<'s>,
    options: &'b ParseOptions,
    diagnostics: &'b mut Vec<Diagnostic>,
    stack: Vec<Frame>,
    /// How many frames are in brackets.
    inline: usize,
    /// The last line whose indentation was looked at.
    tab_checked: u32,
    anchors: HashMap<usize, (Node, Weight)>,
    /// Cost of all nodes so far, those that aliases stand for included.
    spent: usize,
    root: Option<Node>,
}

impl<'s> Builder<'_, 's> {
    fn run(&mut self, parser: &mut Parser<'s, StrInput<'s>>) -> Step<Node> {
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| Box::new(explain::explain(&error, self.lines)))?;
            let start = self.position(span.start);
            match event {
                Event::DocumentStart(_) => {
                    if self.root.as_ref().is_some_and(|root| !root.is_null()) {
                        return Err(Box::new(
                            Diagnostic::error(
                                MULTIPLE_DOCUMENTS,
                                Span::new(start, self.position(span.end)),
                                "a second YAML document begins here, and a file holds one flow",
                            )
                            .hint("put each flow into a file of its own"),
                        ));
                    }
                }
                Event::Scalar(text, style, anchor, tag) => {
                    self.check_tab(start)?;
                    let node = self.scalar(&text, style, tag.as_deref(), start, span.end);
                    let cost = 1 + text.len() / BYTES_PER_NODE;
                    self.spend(cost, node.span)?;
                    self.complete(node, anchor, Weight { cost, height: 0 })?;
                }
                Event::Alias(anchor) => self.alias(anchor, Span::new(start, self.position(span.end)))?,
                Event::SequenceStart(anchor, _) => {
                    self.open(start, anchor, '[', Collection::List(Vec::new()))?;
                }
                Event::MappingStart(anchor, _) => {
                    let map = Collection::Map {
                        map: Map::default(),
                        key: None,
                        index: HashMap::new(),
                        merges: Vec::new(),
                    };
                    self.open(start, anchor, '{', map)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(self.position(span.end))?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        match self.root.take() {
            Some(root) if !root.is_null() => Ok(root),
            _ => Err(Box::new(
                Diagnostic::error(EMPTY_FLOW, Span::at(self.lines.at(1, 0)), "there is no flow in this file")
                    .hint("a flow needs at least `id`, `namespace` and `tasks`"),
            )),
        }
    }

    fn position(&self, marker: Marker) -> Position {
        self.lines.at(marker.line() as u32, marker.col() as u32)
    }

    /// The scanner takes a TAB for a space where it harms no structure; other readers of the file will not.
    fn check_tab(&mut self, start: Position) -> Step<()> {
        if self.inline > 0 || start.line <= self.tab_checked {
            return Ok(());
        }
        self.tab_checked = start.line;
        let indentation = self.lines.text(start.line).chars().take(start.column as usize - 1);
        let has_tab = indentation.take_while(|c| matches!(c, ' ' | '\t')).any(|c| c == '\t');
        match has_tab.then(|| explain::tab(start.line, self.lines)).flatten() {
            Some(diagnostic) => Err(Box::new(diagnostic)),
            None => Ok(()),
        }
    }

    fn spend(&mut self, cost: usize, span: Span) -> Step<()> {
        self.spent += cost;
        if self.spent <= self.options.max_nodes {
            return Ok(());
        }
        let message = format!("the flow has more than {} values", self.options.max_nodes);
        Err(Box::new(
            Diagnostic::error(YAML_LIMIT, span, message)
                .hint("what aliases (`*name`) stand for counts each time"),
        ))
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        start: Position,
        end: Marker,
    ) -> Node {
        let end = self.position(end);
        let forced_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
        let plain = style == ScalarStyle::Plain && !forced_text;
        let kind = if plain { scalar::resolve(text) } else { None };
        let kind = kind.unwrap_or_else(|| {
            let style = match style {
                ScalarStyle::Plain => Style::Plain,
                ScalarStyle::SingleQuoted => Style::SingleQuoted,
                ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
                ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
            };
            Kind::String(Text { value: text.to_owned(), style })
        });
        let end = match style {
            ScalarStyle::Plain if text.is_empty() => start,
            ScalarStyle::Plain => end,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => self.closing_quote(start, end),
            // The scanner ends a block at the next line that is not part of it.
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let (from, to) = (start.offset as usize, end.offset as usize);
                let text = self.lines.source().get(from..to).unwrap_or_default();
                self.lines.at_byte(from + text.trim_end().len())
            }
        };
        Node { kind, span: Span::new(start, end) }
    }

    /// The scanner counts blanks and a comment after the closing quote to the scalar.
    fn closing_quote(&self, start: Position, end: Position) -> Position {
        let from = start.offset as usize;
        let text = self.lines.source().as_bytes().get(from..end.offset as usize).unwrap_or_default();
        let Some(&quote) = text.first() else { return end };
        let mut at = 1;
        while at < text.len() {
            match text[at] {
                b'\\' if quote == b'"' => at += 1,
                b'\'' if quote == b'\'' && text.get(at + 1) == Some(&b'\'') => at += 1,
                byte if byte == quote => return self.lines.at_byte(from + at + 1),
                _ => {}
            }
            at += 1;
        }
        end
    }

    fn open(&mut self, start: Position, anchor: usize, bracket: char, collection: Collection) -> Step<()> {
        self.check_tab(start)?;
        let inline = self.lines.source()[start.offset as usize..].starts_with(bracket);
        let span = Span::at(start);
        self.check_depth(1, span)?;
        self.spend(1, span)?;
        self.inline += usize::from(inline);
        let weight = Weight { cost: 1, height: 1 };
        self.stack.push(Frame { start, anchor, weight, inline, collection });
        Ok(())
    }

    /// Whether something of this height may stand here.
    fn check_depth(&self, height: usize, span: Span) -> Step<()> {
        if self.stack.len() + height <= self.options.max_depth {
            return Ok(());
        }
        let message = format!("lists and maps are nested more than {} deep", self.options.max_depth);
        Err(Box::new(Diagnostic::error(YAML_LIMIT, span, message)))
    }

    fn close(&mut self, end: Position) -> Step<()> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        self.inline -= usize::from(frame.inline);
        let (kind, last) = match frame.collection {
            Collection::List(items) => {
                let last = items.last().map(|item| item.span.end);
                (Kind::List(items), last)
            }
            Collection::Map { mut map, merges, .. } => {
                let last = map.entries.last().map(|entry| entry.value.span.end);
                if !merges.is_empty() {
                    let mut known: HashSet<String> =
                        map.entries.iter().map(|entry| entry.key.clone()).collect();
                    for merged in merges {
                        self.merge(&mut map, merged, &mut known);
                    }
                }
                (Kind::Map(map), last)
            }
        };
        // A block has no end of its own; the scanner gives the start of what comes next.
        let end = if frame.inline { end } else { last.unwrap_or(frame.start).max(frame.start) };
        let node = Node { kind, span: Span::new(frame.start, end) };
        self.complete(node, frame.anchor, frame.weight)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Step<()> {
        let Some(&(_, weight)) = self.anchors.get(&anchor) else {
            let message = "an alias cannot stand inside its own anchor";
            return Err(Box::new(Diagnostic::error(YAML_ALIAS, span, message)));
        };
        self.check_depth(weight.height, span)?;
        self.spend(weight.cost, span)?;
        // Cloned only after the limits allowed it.
        match self.anchors.get(&anchor).map(|(node, _)| node.clone()) {
            Some(node) => self.complete(node, 0, weight),
            None => Ok(()),
        }
    }

    /// Puts a finished value where it belongs.
    fn complete(&mut self, node: Node, anchor: usize, weight: Weight) -> Step<()> {
        if anchor > 0 {
            self.spend(weight.cost, node.span)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let source = self.lines.source();
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.weight.cost += weight.cost;
        frame.weight.height = frame.weight.height.max(weight.height + 1);
        match &mut frame.collection {
            Collection::List(items) => items.push(node),
            Collection::Map { map, key, index, merges } => {
                let Some((key, key_span)) = key.take() else {
                    *key = Some(key_text(node, source)?);
                    return Ok(());
                };
                if key == "<<" && !source[key_span.start.offset as usize..].starts_with(['"', '\'']) {
                    merges.push(node);
                    return Ok(());
                }
                if let Some(first) = find(map, index, &key) {
                    let message = format!("the key `{key}` is here twice");
                    self.diagnostics.push(
                        Diagnostic::error(DUPLICATE_KEY, key_span, message)
                            .hint("remove one of the two, or rename it")
                            .related(map.entries[first].key_span, "first used here"),
                    );
                    return Ok(());
                }
                let value = if node.is_null() && node.span.start == node.span.end {
                    Node { kind: Kind::Null, span: key_span }
                } else {
                    node
                };
                map.entries.push(Entry { key, key_span, value });
                if map.entries.len() > FEW_KEYS {
                    remember(map, index);
                }
            }
        }
        Ok(())
    }

    /// `<<: *base` and `<<: [*a, *b]`: keys that are not there yet are added. `known` are those that are.
    fn merge(&mut self, map: &mut Map, merged: Node, known: &mut HashSet<String>) {
        let found = merged.describe();
        match merged.kind {
            Kind::Map(other) => {
                map.entries.extend(other.entries.into_iter().filter(|entry| known.insert(entry.key.clone())));
            }
            Kind::List(items) if items.iter().all(|item| item.as_map().is_some()) => {
                items.into_iter().for_each(|item| self.merge(map, item, known));
            }
            _ => {
                let message = format!("`<<` merges a map or a list of maps, found {}", found);
                self.diagnostics.push(Diagnostic::error(YAML_ALIAS, merged.span, message));
            }
        }
    }
}

/// A key as text; anything but a scalar cannot be one.
fn key_text(node: Node, source: &str) -> Step<(String, Span)> {
    match &node.kind {
        Kind::Map(_) | Kind::List(_) => {
            let text = node.span.text(source);
            // `{{ x }}` without quotes is a map whose key is a map.
            let before = source[..node.span.start.offset as usize].ends_with('{');
            Err(Box::new(if before && text.starts_with('{') {
                let start = Position {
                    column: node.span.start.column - 1,
                    offset: node.span.start.offset - 1,
                    ..node.span.start
                };
                explain::expression_needs_quotes(Span::new(start, node.span.end))
            } else {
                Diagnostic::error(
                    WRONG_TYPE,
                    node.span,
                    format!("a key must be a text, found {}", node.describe()),
                )
            }))
        }
        Kind::Null if node.span.start == node.span.end => {
            Err(Box::new(Diagnostic::error(YAML_SYNTAX, node.span, "there is no key before this `:`")))
        }
        Kind::Null => Ok((node.span.text(source).to_owned(), node.span)),
        // The scanner refuses longer ones itself, but for those that are written after `?`. Each mistake below a key
        // names it.
        Kind::String(text) if text.value.len() > LONGEST_KEY => {
            let message = format!("this key has {} bytes, {LONGEST_KEY} are allowed", text.value.len());
            Err(Box::new(Diagnostic::error(YAML_LIMIT, Span::at(node.span.start), message)))
        }
        _ => Ok((node.scalar_text(source).unwrap_or_default().to_owned(), node.span)),
    }
}

/// Where a key is in a map; `index` knows those of large maps.
fn find(map: &Map, index: &HashMap<String, usize>, key: &str) -> Option<usize> {
    if map.entries.len() > FEW_KEYS {
        index.get(key).copied()
    } else {
        map.entries.iter().position(|entry| entry.key == key)
    }
}

/// Adds what is new in a large map to its index.
fn remember(map: &Map, index: &mut HashMap<String, usize>) {
    for (position, entry) in map.entries.iter().enumerate().skip(index.len()) {
        index.insert(entry.key.clone(), position);
    }
}
