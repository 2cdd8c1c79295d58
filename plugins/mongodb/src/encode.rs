//! JSON text to BSON bytes, without a tree in between: a file of a hundred thousand documents goes through here.

use std::fmt;

use bson::oid::ObjectId;
use bson::{Bson, Document};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

const DOUBLE: u8 = 0x01;
const STRING: u8 = 0x02;
const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const BOOLEAN: u8 = 0x08;
const NULL: u8 = 0x0a;
const OBJECT_ID: u8 = 0x07;
const INT32: u8 = 0x10;
const INT64: u8 = 0x12;

/// Which field becomes `_id`.
#[derive(Debug, Clone)]
pub struct IdRule {
    pub key: String,
    /// Whether the field itself is left out.
    pub remove: bool,
}

/// A whole document: appends it to `out`, which is as it was if that fails.
pub struct Record<'a> {
    pub out: &'a mut Vec<u8>,
    pub id: Option<&'a IdRule>,
}

impl<'de> DeserializeSeed<'de> for Record<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Record<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document (a map of names to values)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { out, id } = self;
        let start = out.len();
        let result = (|| {
            out.extend_from_slice(&[0; 4]);
            let mut found = id.is_none();
            while let Some(key) = map.next_key::<Key<'_>>()? {
                match id {
                    Some(rule) if key.0 == rule.key => {
                        let value: Value = map.next_value()?;
                        let id = object_id(&value).ok_or_else(|| {
                            de::Error::custom(format_args!(
                                "the field `{}` is to become `_id` (`idKey`): expected 24 hexadecimal digits, found {value}",
                                rule.key
                            ))
                        })?;
                        found = true;
                        if !rule.remove && rule.key != "_id" {
                            let bson = Bson::try_from(value).map_err(de::Error::custom)?;
                            append(out, &rule.key, bson).map_err(de::Error::custom)?;
                        }
                        append(out, "_id", Bson::ObjectId(id)).map_err(de::Error::custom)?;
                    }
                    // The one that `idKey` makes takes its place.
                    Some(_) if key.0 == "_id" => {
                        map.next_value::<de::IgnoredAny>()?;
                    }
                    _ => field(out, &key.0, &mut map)?,
                }
            }
            if let (false, Some(rule)) = (found, id) {
                let text =
                    format_args!("there is no field `{}`, which is to become `_id` (`idKey`)", rule.key);
                return Err(de::Error::custom(text));
            }
            out.push(0);
            close(out, start);
            Ok(())
        })();
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

fn object_id(value: &Value) -> Option<ObjectId> {
    match value {
        Value::String(text) => ObjectId::parse_str(text).ok(),
        Value::Object(map) => ObjectId::parse_str(map.get("$oid")?.as_str()?).ok(),
        _ => None,
    }
}

/// A key, borrowed where the text has no escapes.
struct Key<'de>(std::borrow::Cow<'de, str>);

impl<'de> de::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(text.into()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(text.to_owned().into()))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// One field with its value, which is next in `map`.
fn field<'de, A: MapAccess<'de>>(out: &mut Vec<u8>, key: &str, map: &mut A) -> Result<(), A::Error> {
    let kind = head(out, key).map_err(de::Error::custom)?;
    out[kind] = map.next_value_seed(Element(out))?;
    Ok(())
}

/// The place of a type, which is not known yet, and the name.
fn head(out: &mut Vec<u8>, key: &str) -> Result<usize, &'static str> {
    if key.as_bytes().contains(&0) {
        return Err("a name holds a NUL character, which MongoDB does not take");
    }
    let kind = out.len();
    out.push(0);
    out.extend_from_slice(key.as_bytes());
    out.push(0);
    Ok(kind)
}

/// Writes the length of what began at `start`.
fn close(out: &mut [u8], start: usize) {
    // Documents of a gigabyte are refused long before this is cut off.
    let length = ((out.len() - start) as i32).to_le_bytes();
    out[start..start + 4].copy_from_slice(&length);
}

/// A value: appends it without its type, which is the result.
struct Element<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = u8;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u8, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = u8;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<u8, E> {
        self.0.push(u8::from(value));
        Ok(BOOLEAN)
    }

    fn visit_i64<E>(self, value: i64) -> Result<u8, E> {
        match i32::try_from(value) {
            Ok(value) => {
                self.0.extend_from_slice(&value.to_le_bytes());
                Ok(INT32)
            }
            Err(_) => {
                self.0.extend_from_slice(&value.to_le_bytes());
                Ok(INT64)
            }
        }
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<u8, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E>(self, value: f64) -> Result<u8, E> {
        self.0.extend_from_slice(&value.to_le_bytes());
        Ok(DOUBLE)
    }

    fn visit_str<E>(self, text: &str) -> Result<u8, E> {
        self.0.extend_from_slice(&(text.len() as i32 + 1).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        Ok(STRING)
    }

    fn visit_unit<E>(self) -> Result<u8, E> {
        Ok(NULL)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u8, A::Error> {
        let out = self.0;
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        for index in 0.. {
            let (length, kind) = (out.len(), out.len());
            out.push(0);
            push_number(out, index);
            out.push(0);
            match items.next_element_seed(Element(out))? {
                Some(found) => out[kind] = found,
                None => {
                    out.truncate(length);
                    break;
                }
            }
        }
        out.push(0);
        close(out, start);
        Ok(ARRAY)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u8, A::Error> {
        let out = self.0;
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        let mut first = true;
        while let Some(key) = map.next_key::<Key<'_>>()? {
            if std::mem::take(&mut first) && key.0.starts_with('$') {
                out.truncate(start);
                return extended(out, key, map);
            }
            field(out, &key.0, &mut map)?;
        }
        out.push(0);
        close(out, start);
        Ok(DOCUMENT)
    }
}

/// A map that begins with `$`: a value in extended JSON, or a map after all.
fn extended<'de, A: MapAccess<'de>>(out: &mut Vec<u8>, first: Key<'_>, mut map: A) -> Result<u8, A::Error> {
    let mut members = Map::new();
    members.insert(first.0.into_owned(), map.next_value()?);
    while let Some((key, value)) = map.next_entry::<String, Value>()? {
        members.insert(key, value);
    }
    let name = members.keys().next().cloned().unwrap_or_default();
    let bson = Bson::try_from(members)
        .map_err(|error| de::Error::custom(format_args!("`{name}` is not extended JSON: {error}")))?;
    value_of(out, bson).map_err(de::Error::custom)
}

/// Appends a field of any type.
fn append(out: &mut Vec<u8>, key: &str, value: Bson) -> Result<(), String> {
    let kind = head(out, key)?;
    out[kind] = value_of(out, value)?;
    Ok(())
}

/// Appends a value without its type, which is the result.
fn value_of(out: &mut Vec<u8>, value: Bson) -> Result<u8, String> {
    if let Bson::ObjectId(id) = value {
        out.extend_from_slice(&id.bytes());
        return Ok(OBJECT_ID);
    }
    let mut document = Document::new();
    document.insert("", value);
    let bytes = document.to_vec().map_err(|error| error.to_string())?;
    // Length, type, the empty name, the value, the end.
    out.extend_from_slice(&bytes[6..bytes.len() - 1]);
    Ok(bytes[4])
}

fn push_number(out: &mut Vec<u8>, number: u32) {
    let start = out.len();
    let mut rest = number;
    loop {
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out[start..].reverse();
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn encode(json: &str, id: Option<&IdRule>) -> Result<Document, String> {
        let mut out = vec![9];
        let mut deserializer = serde_json::Deserializer::from_str(json);
        Record { out: &mut out, id }.deserialize(&mut deserializer).map_err(|error| {
            assert_eq!(out, [9], "as it was");
            error.to_string()
        })?;
        Document::from_reader(&out[1..]).map_err(|error| error.to_string())
    }

    #[test]
    fn json_and_extended_json() {
        let id = "60930c39a982931c20ef6cd6";
        for (json, expected) in [
            ("{}", doc! {}),
            (
                r#"{"a": 1, "b": -3000000000, "c": 1.5, "d": "größe\n", "e": true, "f": null, "g": 18446744073709551615}"#,
                doc! {"a": 1, "b": -3_000_000_000i64, "c": 1.5, "d": "größe\n", "e": true, "f": null, "g": 18446744073709551615f64},
            ),
            (
                r#"{"list": [1, [2, {"x": []}], "3", 4, 5, 6, 7, 8, 9, 10, 11], "map": {"y": {"z": 1}}}"#,
                doc! {"list": [1, [2, {"x": []}], "3", 4, 5, 6, 7, 8, 9, 10, 11], "map": {"y": {"z": 1}}},
            ),
            (
                r#"{"_id": {"$oid": "60930c39a982931c20ef6cd6"}, "n": {"$numberLong": "5"}, "q": {"$gt": 1}}"#,
                doc! {"_id": ObjectId::parse_str(id).unwrap(), "n": 5i64, "q": {"$gt": 1}},
            ),
            (
                r#"{"d": {"$date": "2026-01-01T00:00:00Z"}, "k": {"a": 1, "$b": 2}}"#,
                doc! {"d": bson::DateTime::from_millis(1_767_225_600_000), "k": {"a": 1, "$b": 2}},
            ),
        ] {
            assert_eq!(encode(json, None), Ok(expected), "{json}");
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for (json, expected) in [
            ("[1]", "expected a document"),
            ("3", "expected a document"),
            (r#"{"a": {"$oid": "x"}}"#, "`$oid` is not extended JSON"),
            (r#"{"a\u0000": 1}"#, "a name holds a NUL character"),
            (r#"{"a": 1"#, "EOF"),
        ] {
            let error = encode(json, None).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn a_field_becomes_the_id() {
        let id = ObjectId::parse_str("60930c39a982931c20ef6cd6").unwrap();
        let rule = |remove| IdRule { key: "key".to_owned(), remove };
        let json = r#"{"_id": 3, "key": "60930c39a982931c20ef6cd6", "a": 1}"#;
        assert_eq!(encode(json, Some(&rule(true))), Ok(doc! {"_id": id, "a": 1}));
        let kept = doc! {"key": "60930c39a982931c20ef6cd6", "_id": id, "a": 1};
        assert_eq!(encode(json, Some(&rule(false))), Ok(kept));
        for (json, expected) in [
            (r#"{"a": 1}"#, "there is no field `key`"),
            (r#"{"key": "x"}"#, r#"expected 24 hexadecimal digits, found "x""#),
            (r#"{"key": 1}"#, "found 1"),
        ] {
            let error = encode(json, Some(&rule(true))).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
