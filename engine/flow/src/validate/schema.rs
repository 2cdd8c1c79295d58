//! JSON Schemas of plugins, compiled when first used and kept.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use weft_schema::{SchemaError, Validator};

use crate::{TypeInfo, duration};

/// Keyword of a property that is never rendered.
const STATIC: &str = "x-weft-static";

/// Keyword that says what the engine does with a property.
const ROLE: &str = "x-weft-role";

/// Role of a property whose keys become variables.
const SET_VARIABLES: &str = "set-variables";

/// How far `$ref`s are followed; a schema may refer to itself.
const REF_DEPTH: usize = 8;

/// Compiled schemas by type.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    compiled: Mutex<HashMap<String, Arc<Compiled>>>,
}

impl Schemas {
    /// The schema of a type's properties.
    pub(crate) fn get(&self, info: &TypeInfo) -> Arc<Compiled> {
        // A panic while compiling leaves the map as it was, so a poisoned lock is as good as another.
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = compiled.get(&info.type_name) {
            return Arc::clone(schema);
        }
        let schema = Arc::new(Compiled::new(info));
        compiled.insert(info.type_name.clone(), Arc::clone(&schema));
        schema
    }
}

/// The schema of a type's properties.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The type it is of.
    pub(crate) type_name: String,
    /// As the plugin gave it.
    pub(crate) source: Value,
    /// `None` where there is nothing to check.
    pub(crate) validator: Option<Validator>,
    /// Why there is no validator though there should be one.
    pub(crate) fault: Option<String>,
    /// Names of all properties.
    pub(crate) names: BTreeSet<String>,
    /// Whether properties with other names are allowed.
    pub(crate) open: bool,
}

impl Compiled {
    fn new(info: &TypeInfo) -> Self {
        let source = &info.properties;
        let mut names = BTreeSet::new();
        collect_names(source, source, REF_DEPTH, &mut names);
        let more = source.get("additionalProperties").is_some_and(|more| *more != false);
        let open = names.is_empty() || more || source.get("patternProperties").is_some();
        let (validator, fault) = match source {
            Value::Object(_) => match compile(source) {
                Ok(validator) => (Some(validator), None),
                Err(fault) => (None, Some(fault.to_string())),
            },
            _ => (None, None),
        };
        Self { type_name: info.type_name.clone(), source: source.clone(), validator, fault, names, open }
    }

    /// Whether a property is never rendered.
    pub(crate) fn is_static(&self, property: &str) -> bool {
        self.keyword(property, STATIC) == Some(&Value::Bool(true))
    }

    /// Whether the keys of a property become variables.
    pub(crate) fn sets_variables(&self, property: &str) -> bool {
        self.keyword(property, ROLE).is_some_and(|role| role == SET_VARIABLES)
    }

    fn keyword(&self, property: &str, keyword: &str) -> Option<&Value> {
        self.source.get("properties")?.get(property)?.get(keyword)
    }

    /// The schema at a JSON pointer.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        self.source.pointer(pointer)
    }
}

fn compile(source: &Value) -> Result<Validator, SchemaError> {
    weft_schema::compile(source, &[("duration", |text| duration::parse_duration(text).is_ok())])
}

/// Names of properties, also of those that only some forms of a value have.
fn collect_names(schema: &Value, root: &Value, depth: usize, names: &mut BTreeSet<String>) {
    let Value::Object(schema) = schema else { return };
    if let Some(Value::Object(properties)) = schema.get("properties") {
        names.extend(properties.keys().cloned());
    }
    let Some(depth) = depth.checked_sub(1) else { return };
    for part in parts(schema, root) {
        collect_names(part, root, depth, names);
    }
}

/// Schemas that describe the same value as this one.
fn parts<'s>(schema: &'s Map<String, Value>, root: &'s Value) -> impl Iterator<Item = &'s Value> {
    let lists =
        ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    let branches = ["then", "else"].into_iter().filter_map(|key| schema.get(key));
    let reference =
        schema.get("$ref").and_then(Value::as_str).and_then(|uri| root.pointer(uri.strip_prefix('#')?));
    lists.chain(branches).chain(reference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_collected_from_all_forms() {
        for (schema, names, open) in [
            (json!(null), &[][..], true),
            (json!({}), &[], true),
            (json!({"properties": {"a": {}}}), &["a"], false),
            (json!({"properties": {"a": {}}, "additionalProperties": false}), &["a"], false),
            (json!({"properties": {"a": {}}, "additionalProperties": {"type": "string"}}), &["a"], true),
            (json!({"$ref": "#/$defs/x", "$defs": {"x": {"properties": {"a": {}}}}}), &["a"], false),
            (json!({"$ref": "#"}), &[], true),
            (
                json!({"allOf": [{"properties": {"a": {}}}, {"then": {"properties": {"b": {}}}}]}),
                &["a", "b"],
                false,
            ),
        ] {
            let compiled = Compiled::new(&TypeInfo { properties: schema.clone(), ..TypeInfo::default() });
            assert_eq!(compiled.names.iter().map(String::as_str).collect::<Vec<_>>(), names, "{schema}");
            assert_eq!(compiled.open, open, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_cannot_be_used_has_a_fault() {
        let compiled =
            Compiled::new(&TypeInfo { properties: json!({"type": "no such type"}), ..TypeInfo::default() });
        assert!(compiled.validator.is_none());
        assert!(compiled.fault.is_some());
    }
}
