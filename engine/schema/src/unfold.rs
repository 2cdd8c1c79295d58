//! What a schema costs whoever checks a value with it: how large it is with its references unfolded.
//!
//! A schema of a few lines can refer to itself or to others so that checking one value takes longer than anybody waits. Two
//! sizes are bounded: all schemas that can be reached, each reference replaced by what it leads to (and cut where it leads
//! back), and the schemas that look at one value and at what is in it, [`LEVELS`] deep, where a reference that leads
//! back is followed. The first is what is prepared, the second what is done for each value.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::SchemaError;

/// So many schemas may a schema be when it is unfolded.
pub const MAX_UNFOLDED: u64 = 100_000;

/// So many schemas may look at one value and what is in it.
const MAX_WORK: u64 = 1_000_000;

/// So deep may schemas stand in each other, references followed. Bounds the stack of all who read them.
const MAX_DEPTH: usize = 64;

/// So deep is a value in a value for which a schema that refers to itself is weighed. Flows are seldom deeper.
const LEVELS: usize = 6;

/// Where a keyword's schemas look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the same value.
    Here,
    /// At one member of a map each: of these only one looks at what is in a member.
    OneMember,
    /// At members of a map.
    Members,
    /// At one item of a list each.
    OneItem,
    /// At items of a list.
    Items,
}

/// How schemas stand in a keyword.
#[derive(Clone, Copy)]
enum Shape {
    /// The value is one, or a list of them.
    Direct,
    /// The values of a map are.
    Map,
}

/// The keywords with schemas in them that look at a value, of all drafts.
const KEYWORDS: &[(&str, Shape, Place)] = &[
    ("allOf", Shape::Direct, Place::Here),
    ("anyOf", Shape::Direct, Place::Here),
    ("oneOf", Shape::Direct, Place::Here),
    ("not", Shape::Direct, Place::Here),
    ("if", Shape::Direct, Place::Here),
    ("then", Shape::Direct, Place::Here),
    ("else", Shape::Direct, Place::Here),
    ("extends", Shape::Direct, Place::Here),
    ("dependentSchemas", Shape::Map, Place::Here),
    ("dependencies", Shape::Map, Place::Here),
    ("properties", Shape::Map, Place::OneMember),
    ("patternProperties", Shape::Map, Place::Members),
    ("additionalProperties", Shape::Direct, Place::Members),
    ("unevaluatedProperties", Shape::Direct, Place::Members),
    ("propertyNames", Shape::Direct, Place::Members),
    ("prefixItems", Shape::Direct, Place::OneItem),
    ("items", Shape::Direct, Place::Items),
    ("additionalItems", Shape::Direct, Place::Items),
    ("unevaluatedItems", Shape::Direct, Place::Items),
    ("contains", Shape::Direct, Place::Items),
];

/// References whose target depends on how a place was reached, or on names given elsewhere: they cannot be weighed.
const UNBOUNDED: [&str; 2] = ["$dynamicRef", "$recursiveRef"];

/// How many schemas a schema is with its references unfolded.
///
/// # Errors
/// Where that is more than can be checked in bounded time, or cannot be known. The place is that of the schema as a
/// whole, or of the reference.
pub fn unfolded(schema: &Value) -> Result<u64, SchemaError> {
    let mut reader = Reader { root: schema, count: 0, path: Vec::new(), work: HashMap::new() };
    reader.count(schema, 0)?;
    if reader.work(schema, LEVELS)? > MAX_WORK {
        return Err(too_large(
            "for one value it would be followed more than 1,000,000 times, because it refers to itself several times",
        ));
    }
    Ok(reader.count)
}

struct Reader<'a> {
    root: &'a Value,
    count: u64,
    /// References that are being followed.
    path: Vec<&'a str>,
    /// The work of a schema, by its place in memory and the levels left.
    work: HashMap<(*const Value, usize), Option<u64>>,
}

impl<'a> Reader<'a> {
    /// Counts all schemas that can be reached.
    fn count(&mut self, schema: &'a Value, depth: usize) -> Result<(), SchemaError> {
        self.count += 1;
        if self.count > MAX_UNFOLDED {
            return Err(too_large("its references unfold to more than 100,000 schemas"));
        }
        if depth > MAX_DEPTH {
            return Err(too_large("schemas stand in each other more than 64 deep, references followed"));
        }
        let Value::Object(keywords) = schema else { return Ok(()) };
        if let Some((reference, target)) = self.target(keywords)?
            && !self.path.contains(&reference)
        {
            self.path.push(reference);
            self.count(target, depth + 1)?;
            self.path.pop();
        }
        for (inner, _) in inner(keywords) {
            self.count(inner, depth + 1)?;
        }
        Ok(())
    }

    /// How many schemas look at one value, and at one value in it, and so on.
    fn work(&mut self, schema: &'a Value, levels: usize) -> Result<u64, SchemaError> {
        let Value::Object(keywords) = schema else { return Ok(1) };
        let key = (std::ptr::from_ref(schema), levels);
        match self.work.get(&key) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => return Err(too_large("a reference leads back to itself for the same value")),
            None => {}
        }
        self.work.insert(key, None);
        let mut here = 1u64;
        if let Some((_, target)) = self.target(keywords)? {
            here = here.saturating_add(self.work(target, levels)?);
        }
        let (mut members, mut items) = ([0u64; 2], [0u64; 2]);
        for (inner, place) in inner(keywords) {
            if place == Place::Here {
                here = here.saturating_add(self.work(inner, levels)?);
            } else if levels > 0 {
                let work = self.work(inner, levels - 1)?;
                let (sums, alone) = match place {
                    Place::OneMember => (&mut members, true),
                    Place::OneItem => (&mut items, true),
                    Place::Items => (&mut items, false),
                    Place::Members | Place::Here => (&mut members, false),
                };
                if alone {
                    sums[0] = sums[0].max(work);
                } else {
                    sums[1] = sums[1].saturating_add(work);
                }
            }
        }
        let below = |sums: [u64; 2]| sums[0].saturating_add(sums[1]);
        // A value is a map or a list.
        let all = here.saturating_add(below(members).max(below(items)));
        self.work.insert(key, Some(all));
        Ok(all)
    }

    /// What the reference of a schema leads to.
    fn target(&self, keywords: &'a Map<String, Value>) -> Result<Option<(&'a str, &'a Value)>, SchemaError> {
        if let Some(name) = UNBOUNDED.into_iter().find(|name| keywords.contains_key(*name)) {
            return Err(too_large(&format!("it has `{name}`; only `$ref` is followed")));
        }
        let Some(reference) = keywords.get("$ref").and_then(Value::as_str) else { return Ok(None) };
        let pointer = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let target = pointer.and_then(|pointer| self.root.pointer(&decoded(pointer)));
        let Some(target) = target else {
            return Err(too_large(&format!(
                "`$ref` leads to `{reference}`; expected a place in this schema, as in `#/$defs/Name`"
            )));
        };
        Ok(Some((reference, target)))
    }
}

/// The schemas in a schema that look at values.
fn inner(keywords: &Map<String, Value>) -> impl Iterator<Item = (&Value, Place)> {
    KEYWORDS.iter().filter_map(|(name, shape, place)| Some((keywords.get(*name)?, *shape, *place))).flat_map(
        |(value, shape, place)| {
            let found: Box<dyn Iterator<Item = &Value>> = match (shape, value) {
                (Shape::Map, Value::Object(map)) => Box::new(map.values()),
                (Shape::Direct, Value::Array(list)) => Box::new(list.iter()),
                (Shape::Direct, schema) => Box::new(std::iter::once(schema)),
                (Shape::Map, _) => Box::new(std::iter::empty()),
            };
            found.map(move |schema| (schema, place))
        },
    )
}

/// A pointer is percent-encoded where it stands in a reference.
fn decoded(pointer: &str) -> String {
    if !pointer.contains('%') {
        return pointer.to_owned();
    }
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn too_large(reason: &str) -> SchemaError {
    SchemaError { at: String::new(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `depth` definitions, each of which refers to the next so often, under a keyword.
    fn ladder(depth: usize, times: usize, step: impl Fn(Vec<Value>) -> Value) -> Value {
        let mut defs = Map::new();
        for level in 0..depth {
            let next = format!("#/$defs/L{}", level + 1);
            defs.insert(format!("L{level}"), step(vec![json!({"$ref": next}); times]));
        }
        defs.insert(format!("L{depth}"), json!({"type": "string"}));
        json!({"$ref": "#/$defs/L0", "$defs": defs})
    }

    fn properties(schemas: Vec<Value>) -> Value {
        let named = schemas.into_iter().enumerate().map(|(index, schema)| (format!("p{index}"), schema));
        json!({"properties": named.collect::<Map<_, _>>()})
    }

    #[test]
    fn schemas_are_counted_with_their_references_unfolded() {
        for (schema, expected) in [
            (json!(true), 1),
            (json!({"type": "object", "properties": {"a": {}, "b": {"items": {}}}}), 4),
            (
                json!({"properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/A"}}, "$defs": {"A": {}}}),
                5,
            ),
            (json!({"$defs": {"unused": {"allOf": [{}, {}]}}}), 1),
            (json!({"properties": {"$ref": {"type": "string"}}}), 2),
            (json!({"$ref": "#/$defs/a%20b", "$defs": {"a b": {}}}), 2),
            // Cut where it leads back.
            (json!({"properties": {"next": {"$ref": "#"}}}), 4),
            (ladder(10, 2, |schemas| json!({"anyOf": schemas})), 4 * (1 << 10) - 2),
        ] {
            assert_eq!(unfolded(&schema).map_err(|error| error.reason), Ok(expected), "{schema}");
        }
    }

    #[test]
    fn trees_and_unions_that_refer_to_themselves_are_fine() {
        let tree = json!({"$ref": "#/$defs/Node", "$defs": {"Node": {"properties": {
            "left": {"$ref": "#/$defs/Node"}, "right": {"$ref": "#/$defs/Node"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            "named": {"additionalProperties": {"$ref": "#/$defs/Node"}},
        }}}});
        let json = json!({"$ref": "#/$defs/Json", "$defs": {"Json": {"anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": {"$ref": "#/$defs/Json"}},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/Json"}},
        ]}}});
        let operators = ["and", "or", "not"].map(|name| {
            json!({"type": "object", "properties": {"type": {"const": name}, "of": {"$ref": "#/$defs/E"}}})
        });
        let expression = json!({"$ref": "#/$defs/E", "$defs": {"E": {"oneOf": operators}}});
        for schema in [tree, json, expression] {
            assert!(unfolded(&schema).is_ok(), "{schema}: {:?}", unfolded(&schema));
        }
    }

    #[test]
    fn what_cannot_be_checked_in_bounded_time_is_refused() {
        let chain = |depth| ladder(depth, 1, |schemas| json!({"allOf": schemas}));
        assert!(unfolded(&chain(20)).is_ok());
        let several = json!({"$ref": "#/$defs/A", "$defs": {"A": {
            "anyOf": (0..30).map(|_| json!({"properties": {"a": {"$ref": "#/$defs/A"}}})).collect::<Vec<_>>()
        }}});
        for (schema, reason) in [
            (ladder(30, 2, |schemas| json!({"allOf": schemas})), "unfold to more than 100,000"),
            (ladder(30, 3, properties), "unfold to more than 100,000"),
            (chain(2_000), "more than 64 deep"),
            (json!({"$ref": "#"}), "leads back to itself"),
            (json!({"anyOf": [{"$ref": "#"}, {}]}), "leads back to itself"),
            (json!({"$ref": "#/$defs/A", "$defs": {"A": {"not": {"$ref": "#/$defs/A"}}}}), "leads back"),
            (several, "followed more than 1,000,000 times"),
            (json!({"items": {"$dynamicRef": "#node"}}), "it has `$dynamicRef`"),
            (json!({"items": {"$ref": "#node"}}), "`$ref` leads to `#node`"),
            (json!({"items": {"$ref": "https://example.org/a.json"}}), "`$ref` leads to `https:"),
            (json!({"items": {"$ref": "#/$defs/Gone"}}), "`$ref` leads to `#/$defs/Gone`"),
        ] {
            let error = unfolded(&schema).expect_err(reason);
            assert!(error.reason.contains(reason), "{}", error.reason);
        }
    }
}
