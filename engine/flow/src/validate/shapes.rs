//! A value of the wrong shape: what to write instead, where the schema and the value leave no doubt.

use jsonschema::JsonType;
use serde_json::Value;

use super::words;
use crate::span::Lines;
use crate::yaml::{Kind, Map, Node};

/// The hint for a value whose type is not allowed. `key` is the property's name, `allows` the types that its schema
/// allows.
pub(super) fn hint(
    node: &Node,
    key: &str,
    schema: Option<&Value>,
    allows: impl Fn(JsonType) -> bool,
    lines: &Lines<'_>,
) -> Option<String> {
    let text = node.scalar_text(lines.source());
    if allows(JsonType::Boolean)
        && !allows(JsonType::String)
        && let Some(flag) = text.and_then(flag)
    {
        return Some(format!("write `{flag}`"));
    }
    if allows(JsonType::String)
        && let Some(map) = node.as_map()
    {
        return text_with_colon(map);
    }
    if allows(JsonType::Array) {
        return match &node.kind {
            Kind::Map(map) if is_unspaced(map) => Some("put a space after the `-` of each item".to_owned()),
            Kind::Map(_) => Some("begin each item with `- `".to_owned()),
            Kind::String(text) if text.value.starts_with('-') && !text.value.starts_with("- ") => {
                Some("put a space after the `-` of each item".to_owned())
            }
            _ => text.map(|_| "for a list of one item begin the line with `- `".to_owned()),
        };
    }
    if allows(JsonType::Object) {
        return match (&node.kind, text) {
            (Kind::List(_), _) => Some("write each as `KEY: value`, without `- `".to_owned()),
            (_, Some(text)) => {
                let name = main_property(schema?, matches!(node.kind, Kind::Bool(_)))?;
                Some(format!("write `{key}:` and, indented below it, `{name}: {text}`"))
            }
            _ => None,
        };
    }
    None
}

/// What people write for `true` and `false` in other dialects of YAML.
pub(crate) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" | "1" | "true" => Some(true),
        "no" | "off" | "n" | "0" | "false" => Some(false),
        _ => None,
    }
}

/// `- echo "Result: ok"`, where the colon makes a map of what was meant as a text.
pub(crate) fn text_with_colon(map: &Map) -> Option<String> {
    let [entry] = map.entries.as_slice() else { return None };
    let one_line = entry.key_span.start.line == entry.value.span.end.line;
    one_line.then(|| "quote the whole line: without quotes, `: ` makes a map of it".to_owned())
}

/// Whether a list was meant, with items like `-id: a`.
pub(crate) fn is_unspaced(map: &Map) -> bool {
    map.entries.iter().any(|entry| entry.key.starts_with('-'))
}

/// The property that a single value most likely stands for: the one that must be there, or else the first that can
/// have such a value.
fn main_property(schema: &Value, is_flag: bool) -> Option<&str> {
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match required {
        [one] => one.as_str(),
        [] => properties
            .iter()
            .find(|(_, property)| words::is_flag(property) == is_flag)
            .map(|(name, _)| name.as_str()),
        _ => None,
    }
}
