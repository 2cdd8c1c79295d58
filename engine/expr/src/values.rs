//! What evaluation needs to know of [`Value`]s, and the lists and maps that it makes.
//!
//! Lists and maps made here know how deep they nest: values are dropped, compared and printed recursively, so a
//! template that wraps a list in a list in a loop has to be stopped by a number and not by the end of the stack.

use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};

use crate::Value;
use crate::error::Fault;

/// Entries of a map in order.
pub(crate) type Entries = IndexMap<String, Value>;

pub(crate) fn null() -> Value {
    Value::from(())
}

pub(crate) fn is_null(value: &Value) -> bool {
    value.is_none() || value.is_undefined()
}

pub(crate) fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

pub(crate) fn is_map(value: &Value) -> bool {
    value.kind() == ValueKind::Map
}

pub(crate) fn is_text(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::String | ValueKind::Bytes)
}

pub(crate) fn boolean(value: &Value) -> Option<bool> {
    (value.kind() == ValueKind::Bool).then(|| value.is_true())
}

/// An integer of 64 bits; no float is one.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    if value.is_integer() { value.as_i64() } else { None }
}

/// A number as evaluation calculates with it: integers beyond 64 bits count as floats.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    pub fn of(value: &Value) -> Option<Self> {
        if !value.is_number() {
            return None;
        }
        match integer(value) {
            Some(number) => Some(Self::Integer(number)),
            None => f64::try_from(value.clone()).ok().map(Self::Float),
        }
    }

    pub fn as_f64(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

/// What a value is called in messages.
pub(crate) fn kind_name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => "null",
        ValueKind::Bool => "a boolean",
        ValueKind::Number => "a number",
        ValueKind::String | ValueKind::Bytes => "a text",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "a map",
        _ => "an object",
    }
}

/// The error that a value holds, if a lazily computed part of the context failed.
pub(crate) fn held_error(value: &Value) -> Option<Fault> {
    let failed = value.kind() == ValueKind::Invalid;
    failed.then(|| Fault::new(format!("a part of the context cannot be computed: {value}")))
}

/// The entry of a map, by the key itself or, for keys that are no texts, by its text.
pub(crate) fn entry(map: &Value, key: &Value) -> Option<Value> {
    let object = map.as_object()?;
    let found = match key.as_str() {
        Some(name) => object.get_value_by_str(name),
        None => object
            .get_value(key)
            .filter(|found| !found.is_undefined())
            .or_else(|| object.get_value_by_str(&crate::text::scalar(key)?)),
    };
    found.filter(|value| !value.is_undefined())
}

pub(crate) fn pairs(map: &Value) -> impl Iterator<Item = (Value, Value)> {
    let pairs = map.as_object().filter(|_| is_map(map)).and_then(|object| object.try_iter_pairs());
    pairs.into_iter().flatten()
}

pub(crate) fn elements(list: &Value) -> impl Iterator<Item = Value> {
    let elements = if is_list(list) { list.try_iter().ok() } else { None };
    elements.into_iter().flatten()
}

/// Characters of a text, elements of a list, entries of a map; anything else has none.
pub(crate) fn length(value: &Value) -> usize {
    value.len().unwrap_or_else(|| elements(value).count() + pairs(value).count())
}

/// How deep a value nests, as far as it was made here; values of the context count as flat.
fn depth(value: &Value) -> usize {
    if let Some(list) = value.downcast_object_ref::<List>() {
        list.depth
    } else if let Some(map) = value.downcast_object_ref::<Map>() {
        map.depth
    } else if let Some(entry) = value.downcast_object_ref::<Entry>() {
        1 + depth(&entry.value)
    } else {
        0
    }
}

fn bounded(depth: usize, most: usize) -> Result<usize, Fault> {
    if depth > most {
        return Err(Fault::new(format!("lists and maps are nested more than {most} deep")));
    }
    Ok(depth)
}

#[derive(Debug)]
struct List {
    items: Vec<Value>,
    depth: usize,
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }
}

#[derive(Debug)]
struct Map {
    entries: Entries,
    depth: usize,
}

impl Object for Map {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.entries.get(key.as_str()?).cloned()
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.entries.get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let this = Arc::clone(self);
        Enumerator::KeyValueIter(Box::new((0..self.entries.len()).map(move |index| {
            let entry =
                this.entries.get_index(index).map(|(key, value)| (Value::from(key.as_str()), value.clone()));
            entry.unwrap_or_default()
        })))
    }
}

/// What `for` over a map yields: it has `key` and `value` and prints as `key=value`.
#[derive(Debug)]
pub(crate) struct Entry {
    pub key: Value,
    pub value: Value,
}

impl Object for Entry {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "key" => Some(self.key.clone()),
            "value" => Some(self.value.clone()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["key", "value"])
    }
}

pub(crate) fn list(items: Vec<Value>, most: usize) -> Result<Value, Fault> {
    let depth = bounded(1 + items.iter().map(depth).max().unwrap_or(0), most)?;
    Ok(Value::from_object(List { items, depth }))
}

pub(crate) fn map(entries: Entries, most: usize) -> Result<Value, Fault> {
    let depth = bounded(1 + entries.values().map(depth).max().unwrap_or(0), most)?;
    Ok(Value::from_object(Map { entries, depth }))
}

pub(crate) fn entry_value(key: Value, value: Value) -> Value {
    Value::from_object(Entry { key, value })
}

/// A JSON value; its depth is bounded by whoever parsed it, and again here.
pub(crate) fn from_json(json: serde_json::Value, most: usize) -> Result<Value, Fault> {
    if most == 0 {
        return Err(Fault::new("lists and maps are nested too deep"));
    }
    Ok(match json {
        serde_json::Value::Null => null(),
        serde_json::Value::Bool(flag) => Value::from(flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            _ => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(items) => {
            let items: Result<_, _> = items.into_iter().map(|item| from_json(item, most - 1)).collect();
            list(items?, most)?
        }
        serde_json::Value::Object(entries) => {
            let entries: Result<_, _> =
                entries.into_iter().map(|(key, value)| Ok((key, from_json(value, most - 1)?))).collect();
            map(entries?, most)?
        }
    })
}
