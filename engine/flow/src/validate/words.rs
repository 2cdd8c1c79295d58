//! JSON Schema in plain words.

use serde_json::Value;

use crate::suggest;

/// Options of an enumeration that are named; of more, only how many there are.
const OPTIONS: usize = 12;

/// What a schema wants: "a list of strings". Empty if it wants nothing in particular.
pub(crate) fn describe(schema: &Value) -> String {
    let mut forms = Vec::new();
    collect_forms(schema, &mut forms);
    join(&forms)
}

fn collect_forms(schema: &Value, forms: &mut Vec<String>) {
    for key in ["anyOf", "oneOf"] {
        for branch in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            collect_forms(branch, forms);
        }
    }
    let mut add = |form: String| {
        if !form.is_empty() && !forms.contains(&form) {
            forms.push(form);
        }
    };
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return add(one_of(options));
    }
    match schema.get("type") {
        Some(Value::String(name)) => add(one(name, schema)),
        Some(Value::Array(names)) => {
            names
                .iter()
                .filter_map(Value::as_str)
                .filter(|name| *name != "null")
                .for_each(|name| add(one(name, schema)));
        }
        _ => {}
    }
}

fn one(name: &str, schema: &Value) -> String {
    let of = |what: &str, key: &str| {
        let inner = schema.get(key).map(plural).filter(|inner| !inner.is_empty());
        inner.map_or_else(|| format!("a {what}"), |inner| format!("a {what} of {inner}"))
    };
    match name {
        "string" => "a string".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => of("list", "items"),
        "object" => of("map", "additionalProperties"),
        "null" => "nothing".to_owned(),
        _ => String::new(),
    }
}

fn plural(schema: &Value) -> String {
    let name = match schema.get("type") {
        Some(Value::String(name)) => name.as_str(),
        _ => return String::new(),
    };
    match name {
        "string" => "strings",
        "integer" => "whole numbers",
        "number" => "numbers",
        "boolean" => "booleans",
        "array" => "lists",
        "object" => "maps",
        _ => "",
    }
    .to_owned()
}

/// "`A`, `B` or `C`".
pub(crate) fn one_of(options: &[Value]) -> String {
    if options.len() > OPTIONS {
        return format!("one of {} values", options.len());
    }
    let names: Vec<String> = options.iter().map(plain).collect();
    suggest::enumerate(names.iter().map(String::as_str), "or")
}

/// A value as it would be written in YAML, if it is a scalar.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn join(forms: &[String]) -> String {
    match forms {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn descriptions() {
        for (schema, expected) in [
            (json!({"type": "string"}), "a string"),
            (json!({"type": "array", "items": {"type": "string"}}), "a list of strings"),
            (json!({"type": "array"}), "a list"),
            (
                json!({"type": "object", "additionalProperties": {"type": "integer"}}),
                "a map of whole numbers",
            ),
            (json!({"type": ["integer", "null"]}), "a whole number"),
            (json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]}), "a string or a list"),
            (
                json!({"oneOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}),
                "a string, a number or `true` or `false`",
            ),
            (json!({"enum": ["A", "B"]}), "`A` or `B`"),
            (json!({"type": "string", "enum": ["A"]}), "`A`"),
            (json!({}), ""),
        ] {
            assert_eq!(describe(&schema), expected, "{schema}");
        }
    }
}
