//! Reads single values: each reader reports what does not fit and answers `None` for it.

use std::ops::RangeInclusive;

use jiff::SignedDuration;
use serde_json::Value;
use weft_model::{Label, State};

use super::Reader;
use super::path::Path;
use crate::codes::{INVALID_DURATION, INVALID_VALUE, SYSTEM_LABEL, WRONG_TYPE};
use crate::suggest;
use crate::validate::shapes;
use crate::yaml::{Kind, Map, Node};
use crate::{Diagnostic, duration};

/// Labels with this prefix are set by the system.
const SYSTEM_PREFIX: &str = "system.";

impl<'a> Reader<'a> {
    /// Reports a value of another type than is needed.
    pub(crate) fn wrong_type(&mut self, node: &Node, path: &Path<'_>, expected: &str) {
        let message = format!("expected {expected}, found {}", node.describe());
        self.push(Diagnostic::error(WRONG_TYPE, self.head(node), message).at(path));
    }

    /// Reports a value that is not one of those allowed.
    pub(crate) fn invalid(&mut self, node: &Node, path: &Path<'_>, message: impl Into<String>) {
        self.push(Diagnostic::error(INVALID_VALUE, self.head(node), message).at(path));
    }

    /// A string; numbers and booleans are taken as they are written.
    pub(crate) fn text(&mut self, node: &Node, path: &Path<'_>) -> Option<String> {
        let text = node.scalar_text(self.lines.source()).map(str::to_owned);
        if text.is_none() {
            let message = format!("expected a string, found {}", node.describe());
            let diagnostic = Diagnostic::error(WRONG_TYPE, self.head(node), message).at(path);
            self.push(diagnostic.maybe_hint(node.as_map().and_then(shapes::text_with_colon)));
        }
        text
    }

    /// `true` or `false`, also as a string.
    pub(crate) fn boolean(&mut self, node: &Node, path: &Path<'_>) -> Option<bool> {
        match (&node.kind, node.as_str()) {
            (Kind::Bool(value), _) => return Some(*value),
            (_, Some("true")) => return Some(true),
            (_, Some("false")) => return Some(false),
            (_, Some(text)) if is_dynamic(text) => self.fixed(node, path, "`true` or `false`"),
            _ => {
                let message = format!("expected `true` or `false`, found {}", node.describe());
                let flag = node.scalar_text(self.lines.source()).and_then(shapes::flag);
                let diagnostic = Diagnostic::error(WRONG_TYPE, self.head(node), message).at(path);
                self.push(diagnostic.maybe_hint(flag.map(|flag| format!("write `{flag}`"))));
            }
        }
        None
    }

    /// A whole number in a range, also as a string.
    pub(crate) fn integer(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        range: RangeInclusive<i64>,
    ) -> Option<i64> {
        let number = match &node.kind {
            Kind::Int(number) => Some(*number),
            Kind::String(text) if is_dynamic(&text.value) => {
                self.fixed(node, path, "a whole number");
                return None;
            }
            Kind::String(text) => text.value.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            self.wrong_type(node, path, "a whole number");
            return None;
        };
        if range.contains(&number) {
            return Some(number);
        }
        let message = if *range.end() >= i64::from(i32::MAX) {
            format!("must be at least {}, found {number}", range.start())
        } else {
            format!("must be from {} to {}, found {number}", range.start(), range.end())
        };
        self.invalid(node, path, message);
        None
    }

    /// A whole number from `least` that fits in 31 bits.
    pub(crate) fn count(&mut self, node: &Node, path: &Path<'_>, least: u32) -> Option<u32> {
        let number = self.integer(node, path, i64::from(least)..=i64::from(i32::MAX))?;
        u32::try_from(number).ok()
    }

    /// A number, also as a string.
    pub(crate) fn number(&mut self, node: &Node, path: &Path<'_>) -> Option<f64> {
        let number = match &node.kind {
            Kind::Int(number) => Some(*number as f64),
            Kind::Float(number) => Some(*number),
            Kind::String(text) => text.value.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        };
        if number.is_none() {
            self.wrong_type(node, path, "a number");
        }
        number
    }

    /// A duration that is known now.
    pub(crate) fn duration(&mut self, node: &Node, path: &Path<'_>) -> Option<SignedDuration> {
        match node.as_str() {
            Some(text) if is_dynamic(text) => {
                self.fixed(node, path, "a duration such as `PT30S`");
                None
            }
            Some(text) => match duration::parse_duration(text) {
                Ok(duration) => Some(duration),
                Err(error) => {
                    let hint = duration::suggestion(text).map(|written| format!("write `{written}`"));
                    let diagnostic = Diagnostic::error(INVALID_DURATION, node.span, error.to_string());
                    self.push(diagnostic.at(path).maybe_hint(hint));
                    None
                }
            },
            None => {
                self.not_a_duration(node, path);
                None
            }
        }
    }

    /// A duration, or an expression of one: checked as far as it is known now.
    pub(crate) fn dynamic_duration(&mut self, node: &Node, path: &Path<'_>) -> Option<String> {
        let Some(text) = node.as_str() else {
            self.not_a_duration(node, path);
            return None;
        };
        if is_dynamic(text) {
            return self.template(node, path).map(|_| text.to_owned());
        }
        self.duration(node, path).map(|_| text.to_owned())
    }

    fn not_a_duration(&mut self, node: &Node, path: &Path<'_>) {
        let message = format!("expected a duration such as `PT30S`, found {}", node.describe());
        let hint = match node.kind {
            Kind::Int(seconds) => Some(format!("for seconds write `PT{seconds}S`")),
            _ => None,
        };
        self.push(Diagnostic::error(WRONG_TYPE, self.head(node), message).at(path).maybe_hint(hint));
    }

    /// Reports an expression where the value must be known before anything runs.
    fn fixed(&mut self, node: &Node, path: &Path<'_>, expected: &str) {
        let message = format!("expected {expected}, found an expression");
        let hint = "this property is not rendered: its value must be in the flow";
        self.push(Diagnostic::error(WRONG_TYPE, node.span, message).at(path).hint(hint));
    }

    /// One of some names.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        options: &[(&'static str, T)],
    ) -> Option<T> {
        let name = self.text(node, path)?;
        let found = options.iter().find(|(option, _)| *option == name).map(|(_, value)| *value);
        if found.is_none() {
            let names = || options.iter().map(|(option, _)| *option);
            let message = format!("expected one of {}, found `{name}`", suggest::enumerate(names(), "or"));
            let hint = self.did_you_mean(&name, names());
            self.push(Diagnostic::error(INVALID_VALUE, node.span, message).at(path).maybe_hint(hint));
        }
        found
    }

    /// One of some states.
    pub(crate) fn state(&mut self, node: &Node, path: &Path<'_>, states: &[State]) -> Option<State> {
        let options: Vec<_> = states.iter().map(|&state| (state.as_str(), state)).collect();
        self.choice(node, path, &options)
    }

    /// The items of a list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, path: &Path<'_>, of: &str) -> Option<&'n [Node]> {
        let items = node.as_list();
        if items.is_none() {
            let expected = format!("a list of {of}");
            let message = format!("expected {expected}, found {}", node.describe());
            let hint = match &node.kind {
                Kind::Map(map) if shapes::is_unspaced(map) => {
                    Some("put a space after the `-` of each item".to_owned())
                }
                Kind::Map(_) => Some("begin each item with `- `".to_owned()),
                Kind::String(_) => Some("for a list of one item begin the line with `- `".to_owned()),
                _ => None,
            };
            self.push(Diagnostic::error(WRONG_TYPE, self.head(node), message).at(path).maybe_hint(hint));
        }
        items
    }

    /// A list of strings.
    pub(crate) fn texts(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<String>> {
        let items = self.list(node, path, "strings")?;
        Some(
            items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| self.text(item, &path.index(index)))
                .collect(),
        )
    }

    /// A map.
    pub(crate) fn map<'n>(&mut self, node: &'n Node, path: &Path<'_>) -> Option<&'n Map> {
        let map = node.as_map();
        if map.is_none() {
            self.wrong_type(node, path, "a map");
        }
        map
    }

    /// A map whose values are rendered later.
    pub(crate) fn rendered_map(&mut self, node: &Node, path: &Path<'_>) -> Option<weft_model::Map> {
        let map = self.map(node, path)?;
        self.check_expressions(node, path);
        Some(map.to_json())
    }

    /// A value that is rendered later.
    pub(crate) fn rendered(&mut self, node: &Node, path: &Path<'_>) -> Option<Value> {
        self.check_expressions(node, path);
        Some(node.to_json())
    }

    /// Labels: a map, or a list of maps with `key` and `value`.
    pub(crate) fn labels(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<Label>> {
        self.check_expressions(node, path);
        let mut labels = Vec::new();
        match &node.kind {
            Kind::Map(map) => {
                for entry in &map.entries {
                    let at = path.key(&entry.key);
                    let value = self.label_value(&entry.value, &at);
                    self.label(&mut labels, (&entry.key, entry.key_span), value, &at);
                }
            }
            Kind::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.label_item(&mut labels, item, &path.index(index));
                }
            }
            _ => self.wrong_type(node, path, "a map of labels, or a list of `key` and `value`"),
        }
        Some(labels)
    }

    fn label_item(&mut self, labels: &mut Vec<Label>, item: &Node, path: &Path<'_>) {
        if item.as_map().is_none() {
            let message = format!("expected a label with `key` and `value`, found {}", item.describe());
            let hint = "write labels as a map, `team: data`, or each as `- key: team` and `value: data`";
            return self.push(Diagnostic::error(WRONG_TYPE, self.head(item), message).at(path).hint(hint));
        }
        let Some(mut fields) = self.fields(item, path) else { return };
        let key = self.required(&mut fields, "key", (path, "this label"), |reader, node, path| {
            reader.text(node, path).map(|text| (text, node.span))
        });
        let value = fields
            .take_even_null("value")
            .and_then(|entry| self.label_value(&entry.value, &path.key("value")));
        self.finish(fields, path, "this label");
        if let Some((key, span)) = key {
            self.label(labels, (&key, span), value, path);
        }
    }

    /// A label without a value is an empty string.
    fn label_value(&mut self, node: &Node, path: &Path<'_>) -> Option<String> {
        if node.is_null() { Some(String::new()) } else { self.text(node, path) }
    }

    fn label(
        &mut self,
        labels: &mut Vec<Label>,
        (key, span): (&str, crate::Span),
        value: Option<String>,
        path: &Path<'_>,
    ) {
        if key.starts_with(SYSTEM_PREFIX) {
            let message = format!("the label `{key}` begins with `{SYSTEM_PREFIX}`, which is for the system");
            self.push(Diagnostic::warning(SYSTEM_LABEL, span, message).at(path));
        }
        if let Some(value) = value {
            labels.push(Label { key: key.to_owned(), value });
        }
    }
}

/// Whether a text has an expression in it.
pub(crate) fn is_dynamic(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| matches!(pair, [b'{', b'{' | b'%' | b'#']))
}

/// Whether an expression is anywhere in a value.
pub(crate) fn has_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => is_dynamic(text),
        Value::Array(items) => items.iter().any(has_expression),
        Value::Object(map) => map.iter().any(|(key, value)| is_dynamic(key) || has_expression(value)),
        _ => false,
    }
}
