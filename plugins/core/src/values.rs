//! Property values that flows write in more than one way.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;
use weft_sdk::{Error, Level, Result, Text};

/// Whether a rendered text counts as false: it is empty, `false`, `0` or `-0`. Everything else is true. White space around
/// it does not count, for a condition in a YAML block ends with a line break.
pub fn is_false(text: &str) -> bool {
    matches!(text.trim(), "" | "false" | "0" | "-0")
}

/// One text or a list of them; a list may also be written as its JSON text.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Texts(Value);

impl Texts {
    /// The texts; a single one is a list of one.
    pub fn lines(self) -> Vec<String> {
        match self.0 {
            Value::Array(items) => items.into_iter().map(plain).collect(),
            other => vec![plain(other)],
        }
    }

    /// The texts, where a single text must be a JSON list of them.
    pub fn list(self, property: &str) -> Result<Vec<String>> {
        match self.0 {
            Value::String(text) => match serde_json::from_str(&text) {
                Ok(Value::Array(items)) => Ok(items.into_iter().map(plain).collect()),
                _ => Err(Error::new(
                    "property.invalid",
                    ["`", property, "` is neither a list nor the JSON text of one: `", &text, "`"].concat(),
                )),
            },
            other => Ok(Self(other).lines()),
        }
    }
}

impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number", "boolean", "array"],
            "items": { "type": ["string", "number", "boolean"] }
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// The schema of a log level.
#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "only its schema is used")]
pub enum LevelName {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// A level by name, INFO where none is given.
pub fn level(name: Option<&Text>) -> Level {
    name.and_then(|name| Level::from_name(name)).unwrap_or(Level::Info)
}

/// A scalar as text; anything else as JSON.
pub fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        // Values have text keys and go to memory, so writing them cannot fail.
        other => serde_json::to_string(&other).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn truth_of_texts() {
        for (text, expected) in [
            ("", true),
            ("false", true),
            ("0", true),
            ("-0", true),
            (" ", true),
            ("false\n", true),
            ("true\n", false),
            ("False", false),
            ("0.0", false),
            ("null", false),
            ("true", false),
        ] {
            assert_eq!(is_false(text), expected, "{text:?}");
        }
    }

    #[test]
    fn texts_in_all_forms() {
        for (json, lines, list) in [
            (json!("a"), vec!["a"], None),
            (json!(["a", 1, true]), vec!["a", "1", "true"], Some(vec!["a", "1", "true"])),
            (json!("[\"a\", \"b\"]"), vec!["[\"a\", \"b\"]"], Some(vec!["a", "b"])),
            (json!([]), vec![], Some(vec![])),
            (json!([{"a": null}]), vec!["{\"a\":null}"], Some(vec!["{\"a\":null}"])),
        ] {
            let texts: Texts = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(texts.clone().lines(), lines, "{json}");
            assert_eq!(
                texts.list("files").ok(),
                list.map(|list| list.into_iter().map(String::from).collect())
            );
        }
    }
}
