//! A plugin's schema as a part of the editor's: draft-07, with room for expressions and for what every task has.

use serde_json::{Map, Value, json};

/// Keywords whose value is one schema.
const ONE: [&str; 9] = [
    "items",
    "additionalProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "additionalItems",
];

/// Keywords whose value is a list of schemas.
const LIST: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Keywords whose value is a map of schemas.
const MAP: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];

/// How deep schemas may nest before the rest is left as it is.
const DEPTH: usize = 40;

/// The schema of a type, whose references are relative to `place` (a reference too). `common` are properties that are described elsewhere.
pub(super) fn for_editor<'c>(schema: Value, place: &str, common: impl Iterator<Item = &'c str>) -> Value {
    let Value::Object(schema) = schema else { return Value::Bool(true) };
    let mut schema = relaxed(schema, place, DEPTH);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for name in common {
            properties.entry(name).or_insert(Value::Bool(true));
        }
        // Kestra refuses what it does not know, whether the plugin says so or not.
        schema.entry("additionalProperties").or_insert(Value::Bool(false));
    } else {
        schema.remove("additionalProperties");
    }
    Value::Object(schema)
}

/// A schema in which references are found from the outside, and each property may be an expression.
fn relaxed(schema: Map<String, Value>, place: &str, depth: usize) -> Map<String, Value> {
    let Some(depth) = depth.checked_sub(1) else { return schema };
    let inner = |value: Value| match value {
        Value::Object(schema) => Value::Object(relaxed(schema, place, depth)),
        other => other,
    };
    schema
        .into_iter()
        .filter(|(key, _)| !key.starts_with("x-weft-"))
        .map(|(key, value)| {
            let value = match (key.as_str(), value) {
                ("$ref", Value::String(target)) => match target.strip_prefix('#') {
                    Some(local) => Value::String(format!("{place}{local}")),
                    None => Value::String(target),
                },
                ("properties", Value::Object(map)) => Value::Object(
                    map.into_iter().map(|(name, value)| (name, property(value, place, depth))).collect(),
                ),
                ("items" | "additionalProperties", value) => property(value, place, depth),
                (key, Value::Array(list)) if LIST.contains(&key) => list.into_iter().map(inner).collect(),
                (key, Value::Object(map)) if MAP.contains(&key) => {
                    map.into_iter().map(|(name, value)| (name, inner(value))).collect()
                }
                (key, value) if ONE.contains(&key) => inner(value),
                (_, value) => value,
            };
            (key, value)
        })
        .collect()
}

/// A property: what it says, or an expression of it unless it is never rendered.
fn property(value: Value, place: &str, depth: usize) -> Value {
    let Value::Object(schema) = value else { return value };
    let is_static = schema.get("x-weft-static") == Some(&Value::Bool(true));
    let mut schema = relaxed(schema, place, depth);
    if is_static || takes_any_string(&schema) {
        return Value::Object(schema);
    }
    // Editors show the description of the outer schema only.
    let mut outer = Map::new();
    for key in ["title", "description", "default", "examples", "deprecated"] {
        if let Some(value) = schema.remove(key) {
            outer.insert(key.to_owned(), value);
        }
    }
    outer.insert("anyOf".to_owned(), json!([schema, {"$ref": "#/definitions/expression"}]));
    Value::Object(outer)
}

fn takes_any_string(schema: &Map<String, Value>) -> bool {
    let restricted =
        ["enum", "const", "pattern", "format", "maxLength"].iter().any(|key| schema.contains_key(*key));
    let untyped = !["type", "$ref", "allOf", "anyOf", "oneOf"].iter().any(|key| schema.contains_key(*key));
    let text = match schema.get("type") {
        Some(Value::String(name)) => name == "string",
        Some(Value::Array(names)) => names.iter().any(|name| name == "string"),
        _ => false,
    };
    !restricted && (untyped || text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_take_expressions_and_common_properties() {
        let schema = json!({
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "level": {"enum": ["A"], "description": "How much."},
                "runner": {"enum": ["A"], "x-weft-static": true},
                "list": {"type": "array", "items": {"$ref": "#/$defs/item"}},
            },
            "$defs": {"item": {"type": "integer"}},
        });
        let found = for_editor(schema, "#/definitions/x", ["id"].into_iter());
        let expression = json!({"$ref": "#/definitions/expression"});
        assert_eq!(
            found,
            json!({
                "type": "object",
                "properties": {
                    "text": {"type": "string"},
                    "level": {"description": "How much.", "anyOf": [{"enum": ["A"]}, expression]},
                    "runner": {"enum": ["A"]},
                    "list": {"anyOf": [
                        {"type": "array", "items": {"anyOf": [{"$ref": "#/definitions/x/$defs/item"}, expression]}},
                        expression
                    ]},
                    "id": true,
                },
                "$defs": {"item": {"type": "integer"}},
                "additionalProperties": false,
            })
        );
    }
}
