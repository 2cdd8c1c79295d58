//! What is known about a task type before any run: its roles and its schema, read once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;
use weft_expr::Environment;
use weft_host::{Catalogue, Host, TaskType};
use weft_model::{Failure, Map};
use weft_schema::{SchemaError, Validator};

use crate::render;
use crate::schema::{Roles, Schema};

/// The plans of the types that were used so far.
#[derive(Default)]
pub struct Plans {
    known: Mutex<HashMap<String, Arc<Plan>>>,
}

impl Plans {
    /// The plan of a task type, under the name as written.
    pub async fn of(&self, host: &Host, type_name: &str) -> Result<Arc<Plan>, Failure> {
        self.of_kind(host, type_name, |catalogue| catalogue.get(type_name)).await
    }

    /// The plan of a trigger type, under the name as written.
    pub async fn of_trigger(&self, host: &Host, type_name: &str) -> Result<Arc<Plan>, Failure> {
        self.of_kind(host, type_name, |catalogue| catalogue.trigger(type_name)).await
    }

    /// No name is both a task type's and a trigger type's.
    async fn of_kind<'h>(
        &self,
        host: &'h Host,
        type_name: &str,
        find: impl FnOnce(&'h Catalogue) -> Option<&'h TaskType>,
    ) -> Result<Arc<Plan>, Failure> {
        if let Some(plan) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(type_name) {
            return Ok(Arc::clone(plan));
        }
        let catalogue = host.catalogue().await;
        let Some(found) = find(catalogue) else {
            let why = catalogue.explain_missing(type_name).map(|why| format!(": {why}")).unwrap_or_default();
            return Err(Failure::new(
                "plugin.unknown-type",
                format!("no plugin has the type `{type_name}`{why}"),
            ));
        };
        let plan = Arc::new(Plan::new(found.properties().clone()));
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(type_name.to_owned(), Arc::clone(&plan));
        Ok(plan)
    }
}

/// What is known about a task type before any run.
pub struct Plan {
    /// What the engine does with the properties.
    pub roles: Roles,
    schema: Value,
    /// Built when the first task gets as far.
    validator: OnceLock<Result<Validator, SchemaError>>,
}

impl Plan {
    /// Reads a schema of properties.
    pub fn new(schema: Value) -> Self {
        Self { roles: Roles::of(&schema), schema, validator: OnceLock::new() }
    }

    /// Whether the task gets an output directory: its property, else the schema's default.
    pub fn output_directory(&self, properties: &Map) -> bool {
        let Some(name) = &self.roles.output_directory else { return false };
        match properties.get(name) {
            Some(Value::Bool(wanted)) => *wanted,
            Some(Value::String(text)) => text.trim() == "true",
            _ => self.schema["properties"][name]["default"] == true,
        }
    }

    /// Whether the schema knows this property.
    pub fn has_property(&self, name: &str) -> bool {
        self.schema["properties"].get(name).is_some()
    }

    /// How long a trigger waits between two polls: its property, else the schema's default, as text.
    pub fn interval<'a>(&'a self, properties: &'a Map) -> Option<(&'a str, &'a Value)> {
        let name = self.roles.interval.as_deref()?;
        Some((name, properties.get(name).unwrap_or(&self.schema["properties"][name]["default"])))
    }

    /// Renders all properties but those that the engine handles itself before or does not render at all.
    pub fn render(
        &self,
        properties: &Map,
        context: &weft_expr::Value,
        env: &dyn Environment,
    ) -> Result<Map, Failure> {
        let schema = Schema::root(&self.schema);
        let mut rendered = Map::new();
        for (name, value) in properties {
            let written =
                self.roles.input_files.contains(name) || self.roles.namespace_files.as_ref() == Some(name);
            if written {
                // A plugin that wants their content finds them in its directory.
                continue;
            }
            let value = if self.roles.unrendered.contains(name) {
                value.clone()
            } else {
                render::property(value, schema.property(name), name, context, env)?
            };
            rendered.insert(name.clone(), value);
        }
        Ok(rendered)
    }

    /// Checks rendered properties: what was an expression when the flow was checked is a value now.
    pub fn validate(&self, properties: &Map) -> Result<(), Failure> {
        let validator = self
            .validator
            .get_or_init(|| weft_schema::compile(&without_required_files(&self.schema, &self.roles), &[]));
        let Ok(validator) = validator else {
            // The host checks schemas when it reads a plugin's description.
            return Ok(());
        };
        let properties = Value::Object(properties.clone());
        let problems: Vec<String> = validator
            .iter_errors(&properties)
            .map(|error| weft_flow::property_problem(&error, &self.schema))
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(Failure::new("property.invalid", problems.join("\n")))
    }
}

/// The schema without the demand for properties that [`Plan::render`] leaves out.
fn without_required_files(schema: &Value, roles: &Roles) -> Value {
    let mut schema = schema.clone();
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required
            .retain(|name| !roles.input_files.iter().chain(&roles.namespace_files).any(|file| name == file));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan() -> Plan {
        Plan::new(json!({
            "type": "object",
            "properties": {
                "count": {"type": "integer"},
                "inputFiles": {"x-weft-role": "input-files"},
                "outputDirectory": {"type": "boolean", "default": true, "x-weft-role": "output-directory"},
                "kept": {"type": "string", "x-weft-static": true},
            },
            "required": ["count", "inputFiles"],
            "additionalProperties": false,
        }))
    }

    fn map(value: Value) -> Map {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn rendering_leaves_files_and_static_properties_alone() {
        let context = weft_expr::Value::from(weft_expr::Serde(json!({"n": 3})));
        let given = map(json!({"count": "{{ n }}", "inputFiles": {"a": "{{ n }}"}, "kept": "{{ n }}"}));
        let rendered = plan().render(&given, &context, &weft_expr::NoEnvironment).unwrap();
        assert_eq!(Value::Object(rendered), json!({"count": 3, "kept": "{{ n }}"}));
    }

    #[test]
    fn rendered_values_are_checked_and_named() {
        for (given, part) in [
            (json!({"count": 1}), None),
            (json!({"count": "x"}), Some("property `count`: expected a whole number, found a string")),
            (json!({}), Some("there is no property `count`")),
            (json!({"count": 1, "more": 1}), Some("unknown property `more`")),
        ] {
            match (plan().validate(&map(given.clone())), part) {
                (Ok(()), None) => {}
                (Err(failure), Some(part)) => {
                    assert_eq!(failure.code, "property.invalid");
                    assert!(failure.message.contains(part), "{given}: {}", failure.message);
                }
                (result, _) => panic!("{given}: {result:?}"),
            }
        }
    }

    #[test]
    fn the_output_directory_is_a_property_or_the_default() {
        for (given, expected) in [
            (json!({}), true),
            (json!({"outputDirectory": false}), false),
            (json!({"outputDirectory": "true"}), true),
        ] {
            assert_eq!(plan().output_directory(&map(given.clone())), expected, "{given}");
        }
    }
}
