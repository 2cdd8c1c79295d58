//! Documents of a flow as BSON, and BSON as what later tasks read.

use std::borrow::Cow;

use bson::{Bson, Document};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Map;
use weft_sdk::prelude::*;

use crate::{error, ion};

/// A document as a map, or as its text in JSON, extended JSON included.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct DocumentValue(Value);

impl JsonSchema for DocumentValue {
    fn schema_name() -> Cow<'static, str> {
        "Document".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["object", "string", "null"] })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl DocumentValue {
    /// The document; an empty one where nothing is given.
    pub fn document(&self, property: &str) -> Result<Document> {
        let map = match &self.0 {
            Value::Null => Map::new(),
            Value::Object(map) => map.clone(),
            Value::String(text) => match read(text) {
                Some(Value::Object(map)) => map,
                _ => return Err(wrong(property, "expected a map, or the text of one in JSON")),
            },
            _ => return Err(wrong(property, "expected a map, or the text of one in JSON")),
        };
        match Document::try_from(map) {
            Ok(document) => Ok(document),
            Err(problem) => Err(wrong(property, &format!("not extended JSON: {problem}"))),
        }
    }
}

fn wrong(property: &str, problem: &str) -> Error {
    error::document(format!("property `{property}`: {problem}"))
}

/// JSON, or with names that are not quoted.
fn read(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| {
        let (value, length) = ion::first(text, true).ok()??;
        text[length..].trim().is_empty().then_some(value)
    })
}

/// A value as later tasks see it: ids, dates and decimals as text, other numbers as numbers.
pub fn plain(value: Bson) -> Value {
    match value {
        Bson::Double(number) => Value::from(number),
        Bson::String(text) | Bson::Symbol(text) => Value::String(text),
        Bson::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Bson::Document(document) => object(document),
        Bson::Boolean(flag) => Value::Bool(flag),
        Bson::Null | Bson::Undefined => Value::Null,
        Bson::Int32(number) => Value::from(number),
        Bson::Int64(number) => Value::from(number),
        Bson::ObjectId(id) => Value::String(id.to_hex()),
        Bson::DateTime(date) => match date.try_to_rfc3339_string() {
            Ok(text) => Value::String(text),
            // Beyond the years that have a text.
            Err(_) => Value::from(date.timestamp_millis()),
        },
        Bson::Decimal128(number) => Value::String(number.to_string()),
        Bson::Timestamp(timestamp) => Value::from(timestamp.time),
        // What has no plain form keeps the one of extended JSON.
        other => other.into_relaxed_extjson(),
    }
}

/// The same for a document.
pub fn object(document: Document) -> Value {
    Value::Object(document.into_iter().map(|(name, value)| (name, plain(value))).collect())
}

/// An id as text.
pub fn id_text(id: &Bson) -> String {
    match plain(id.clone()) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use bson::oid::ObjectId;

    use super::*;

    #[test]
    fn documents_are_maps_or_texts() {
        let id = ObjectId::parse_str("60930c39a982931c20ef6cd6").unwrap();
        for (value, expected) in [
            (json!(null), doc! {}),
            (json!({"_id": {"$oid": id.to_hex()}, "n": 1}), doc! {"_id": id, "n": 1}),
            (json!(r#"{"$set": {"tags": ["a"]}}"#), doc! {"$set": {"tags": ["a"]}}),
            (json!("{name: 'x', age: {$gt: 3}}"), doc! {"name": "x", "age": {"$gt": 3}}),
        ] {
            assert_eq!(DocumentValue(value.clone()).document("filter").unwrap(), expected, "{value}");
        }
        for value in [json!("[1]"), json!("{a"), json!("{} x"), json!(3), json!({"_id": {"$oid": "x"}})] {
            let error = DocumentValue(value.clone()).document("filter").unwrap_err();
            assert!(error.message().starts_with("property `filter`: "), "{value}: {error}");
        }
    }

    #[test]
    fn values_are_plain() {
        let id = ObjectId::parse_str("60930c39a982931c20ef6cd6").unwrap();
        let document = doc! {
            "_id": id, "date": bson::DateTime::from_millis(0), "n": 5i64, "list": [1.5, null],
            "price": "12.50".parse::<bson::Decimal128>().unwrap(),
        };
        assert_eq!(
            object(document),
            json!({"_id": id.to_hex(), "date": "1970-01-01T00:00:00Z", "n": 5, "list": [1.5, null], "price": "12.50"})
        );
    }
}
