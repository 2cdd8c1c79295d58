//! YAML as this crate reads it: a tree in which every key and every value knows its place in the source.
//!
//! The dialect is that of Jackson, which reads Kestra's flows: only `true` and `false` (also `True`, `TRUE`) are
//! booleans, dates are text, quoted values are always text. Beyond it, `<<` merges maps. A key that is there twice, a
//! TAB in the indentation and a second document are errors.

mod build;
mod explain;
mod layout;
mod mend;
mod place;
mod scalar;

use serde_json::{Number, Value};

use crate::Span;

pub(crate) use build::parse;
pub(crate) use mend::mend;
pub(crate) use place::Locator;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(Text),
    List(Vec<Node>),
    Map(Map),
}

/// Text, and how it is written: an offset in the text is mapped back to the source by it.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) style: Style,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// `|` and `>`.
    Block,
}

/// A map in the order of the source. Keys are unique.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    pub(crate) entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Map {
    /// The entry with this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Node {
    /// What it is, in words that a reader of YAML knows.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "a number",
            Kind::Float(_) => "a decimal number",
            Kind::String(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// The text, if it is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(&text.value),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// Whether there is nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// A scalar as it is written, so that `1.10` stays `1.10`; nothing for null, lists and maps.
    pub(crate) fn scalar_text<'n>(&'n self, source: &'n str) -> Option<&'n str> {
        match &self.kind {
            Kind::String(text) => Some(&text.value),
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => Some(self.span.text(source)),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The same value without places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Int(value) => Value::Number((*value).into()),
            // A float from YAML text is finite, see `scalar`.
            Kind::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            Kind::String(text) => Value::String(text.value.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Kind::Map(map) => Value::Object(map.to_json()),
        }
    }
}

impl Map {
    /// The same map without places.
    pub(crate) fn to_json(&self) -> weft_model::Map {
        self.entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
    }
}
