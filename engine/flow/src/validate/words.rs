//! JSON Schema in plain words.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
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
    let listed = options(schema);
    if listed.is_none() {
        for branch in ["anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten() {
            collect_forms(branch, forms);
        }
    }
    let mut add = |form: String| {
        if !form.is_empty() && !forms.contains(&form) {
            forms.push(form);
        }
    };
    if let Some(options) = listed {
        return add(one_of(&options));
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

/// The values that a schema allows, if it lists them: as an enumeration, or as constants that are described one by one.
pub(crate) fn options(schema: &Value) -> Option<Vec<Value>> {
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return Some(options.clone());
    }
    if let Some(option) = schema.get("const") {
        return Some(vec![option.clone()]);
    }
    let branches = ["anyOf", "oneOf"].into_iter().find_map(|key| schema.get(key)?.as_array())?;
    let mut all = Vec::with_capacity(branches.len());
    // Nothing at all is allowed beside any list.
    for branch in branches.iter().filter(|branch| branch.get("type").is_none_or(|name| name != "null")) {
        all.extend(options(branch)?);
    }
    (!all.is_empty()).then_some(all)
}

/// Whether a schema wants nothing but `true` and `false`.
pub(crate) fn is_flag(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(name)) => name == "boolean",
        Some(Value::Array(names)) => names.iter().all(|name| name == "boolean" || name == "null"),
        _ => false,
    }
}

/// What a schema that only has a pattern wants, from its description: "the key: letters and digits".
fn described(schema: Option<&Value>) -> Option<String> {
    let text = schema?.get("description")?.as_str()?.lines().next()?.trim_end_matches('.');
    let mut characters = text.chars();
    let first = characters.next()?;
    Some(first.to_lowercase().chain(characters).collect())
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

/// What an error of a schema says, in one way for flows that are checked and for values that were rendered. `schema` is
/// the one that has the keyword of the error.
pub(crate) fn problem(error: &ValidationError<'_>, schema: Option<&Value>) -> String {
    let found = || plain(error.instance());
    match error.kind() {
        ValidationErrorKind::Type { .. } => {
            let (wanted, found) = (schema.map(describe).unwrap_or_default(), kind_of(error.instance()));
            match wanted.is_empty() {
                true => format!("{found} is not allowed here"),
                false => format!("expected {wanted}, found {found}"),
            }
        }
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            match schema.map(describe).unwrap_or_default() {
                wanted if wanted.is_empty() => "this fits none of the allowed forms".to_owned(),
                wanted => format!("expected {wanted}, found {}", kind_of(error.instance())),
            }
        }
        ValidationErrorKind::Required { property } => format!("there is no property `{}`", plain(property)),
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            format!("unknown property {}", suggest::enumerate(unexpected.iter().map(String::as_str), "and"))
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map_or(&[][..], Vec::as_slice);
            format!("expected {}, found `{}`", one_of(options), found())
        }
        ValidationErrorKind::Constant { expected_value } => {
            format!("expected `{}`, found `{}`", plain(expected_value), found())
        }
        ValidationErrorKind::Format { format } if format == "duration" => {
            format!("`{}` is not a duration such as `PT30S` or `P1D`", found())
        }
        ValidationErrorKind::Format { format } => format!("`{}` is not a valid {format}", found()),
        ValidationErrorKind::Pattern { pattern } => match described(schema) {
            Some(wanted) => format!("expected {wanted}; found `{}`", found()),
            None => format!("`{}` does not match the pattern `{pattern}`", found()),
        },
        ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}, found {}", found()),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}, found {}", found()),
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            format!("must be more than {limit}, found {}", found())
        }
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            format!("must be less than {limit}, found {}", found())
        }
        ValidationErrorKind::MinItems { limit: 1 } => {
            "expected at least one item, found an empty list".to_owned()
        }
        ValidationErrorKind::MinItems { limit } => format!("expected at least {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("expected at most {limit} items"),
        ValidationErrorKind::MinLength { limit: 1 } => "this must not be empty".to_owned(),
        ValidationErrorKind::MinLength { limit } => format!("expected at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("expected at most {limit} characters"),
        ValidationErrorKind::MinProperties { limit } => format!("expected at least {limit} entries"),
        ValidationErrorKind::MaxProperties { limit } => format!("expected at most {limit} entries"),
        ValidationErrorKind::UniqueItems => "the same item is in this list twice".to_owned(),
        _ => format!("this is not valid: {}", error.masked()),
    }
}

/// What is wrong with rendered properties, as `validate` says it of a flow: one line each, with the place.
pub fn property_problem(error: &ValidationError<'_>, schema: &Value) -> String {
    let parent = error.schema_path().as_str().rsplit_once('/').and_then(|(parent, _)| schema.pointer(parent));
    let message = problem(error, parent);
    let place = error.instance_path().as_str().split('/').skip(1).fold(String::new(), |place, segment| {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        match (place.is_empty(), segment.bytes().all(|byte| byte.is_ascii_digit())) {
            (true, _) => segment,
            (false, true) => format!("{place}[{segment}]"),
            (false, false) => format!("{place}.{segment}"),
        }
    });
    if place.is_empty() { message } else { format!("property `{place}`: {message}") }
}

/// A value in words that a reader of YAML knows.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// "`A`, `B` or `C`".
pub(crate) fn one_of(options: &[Value]) -> String {
    if options.len() > OPTIONS {
        return format!("one of {} values", options.len());
    }
    let names: Vec<String> = options.iter().filter(|option| !option.is_null()).map(plain).collect();
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
            (json!({"enum": ["A", "B", null]}), "`A` or `B`"),
            (json!({"oneOf": [{"const": "A"}, {"const": "B"}, {"type": "null"}]}), "`A` or `B`"),
            (
                json!({"anyOf": [{"oneOf": [{"const": "A"}, {"const": "B"}]}, {"type": "integer"}]}),
                "`A` or `B` or a whole number",
            ),
            (json!({}), ""),
        ] {
            assert_eq!(describe(&schema), expected, "{schema}");
        }
    }
}
