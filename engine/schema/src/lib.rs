//! How the JSON Schemas with which plugins describe their properties are read.
//!
//! Owns: their dialect, and how much of a schema can be checked in bounded time. Never does: I/O, fetching of references, words for what does not match (that is `weft-flow`'s).
//! Called by: `weft-host` (is a description usable), `weft-flow` (is a flow valid), `weft-worker` (are the rendered
//! properties valid).
//!
//! It is one crate because `jsonschema` is generic over kinds of JSON: each crate that compiles a schema has a copy of every
//! keyword, half a megabyte of the binary.

mod unfold;

pub use jsonschema::Validator;
use serde_json::Value;
pub use unfold::{MAX_UNFOLDED, unfolded};

/// A `format` that texts are checked for: its name, and whether a text is written so.
pub type Format = (&'static str, fn(&str) -> bool);

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SchemaError {
    /// Where in the schema, as a JSON pointer.
    pub at: String,
    /// What is wrong there.
    pub reason: String,
}

/// Prepares a schema for checking values: of draft 2020-12, unless its `$schema` names another one. Texts are checked for
/// formats only where some are given: for these, and for those that the standard knows.
///
/// # Errors
/// Where it is no valid schema, or refers to another document.
pub fn compile(schema: &Value, formats: &[Format]) -> Result<Validator, SchemaError> {
    let mut options = jsonschema::options().should_validate_formats(!formats.is_empty());
    for &(name, is_written_so) in formats {
        options = options.with_format(name, is_written_so);
    }
    options
        .build(schema)
        .map_err(|error| SchemaError { at: error.instance_path().to_string(), reason: error.to_string() })
}

/// Makes what the first schema to be compiled needs, which takes a millisecond: on a thread of its own while the first one
/// reads files, it takes none.
pub fn warm_up() {
    // The answer is known; what it takes to find it stays.
    let _ = jsonschema::draft202012::meta::is_valid(&Value::Bool(true));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas() {
        for (schema, error) in [
            (json!({"type": "object", "properties": {"a": {"type": "string"}}}), None),
            (json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}]}), None),
            (json!({"properties": {"a": {"type": "text"}}}), Some("/properties/a/type")),
            (json!({"$ref": "https://example.org/other.json"}), Some("")),
        ] {
            let found = compile(&schema, &[]).err().map(|error| error.at);
            assert_eq!(found.as_deref(), error, "{schema}");
        }
    }

    #[test]
    fn formats_are_checked_where_some_are_given() {
        let schema = json!({"format": "short"});
        let is_valid =
            |formats: &[Format]| compile(&schema, formats).map(|found| found.is_valid(&json!("long")));
        assert_eq!(is_valid(&[]), Ok(true));
        assert_eq!(is_valid(&[("short", |text| text.len() < 3)]), Ok(false));
    }
}
