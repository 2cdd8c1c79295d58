//! The descriptor: one JSON document from which the engine knows a plugin's types, their schemas and documentation.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::{Context, Output, Result, Task, Trigger};

/// The version of the descriptor's own shape. Readers accept unknown fields, so it changes rarely.
const API_VERSION: u32 = 1;

/// YAML that shows the use of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// What it shows.
    pub title: &'static str,
    /// A task or trigger, or a whole flow.
    pub yaml: &'static str,
}

/// What a type reaches beyond the engine. A statement for the operator, whose own the grant is: what is granted is given as far
/// as it stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// What it uses, each as in a grant: `kv`, `secrets=DB_*`, `http=api.example.com`. Without it, all that is granted is given.
    pub capabilities: Option<&'static [&'static str]>,
    /// Hosts, as `https://*.example.com`.
    pub hosts: &'static [&'static str],
    /// Programs, as `git`; `*` for whatever the flow names.
    pub commands: &'static [&'static str],
    /// Container images; `*` for whatever the flow names.
    pub images: &'static [&'static str],
    /// Variables of the engine's environment, as `AWS_*`. The others are not shown to the plugin.
    pub variables: &'static [&'static str],
    /// Files of the engine's user, as `~/.aws/config`, or `$NAME` for one that a variable names. The others are not shown
    /// to the plugin.
    pub files: &'static [&'static str],
}

impl Needs {
    /// Nothing.
    pub const NOTHING: Self =
        Self { capabilities: None, hosts: &[], commands: &[], images: &[], variables: &[], files: &[] };
}

/// The constants of a task or trigger type.
struct Facts {
    type_name: &'static str,
    aliases: &'static [&'static str],
    title: &'static str,
    description: &'static str,
    examples: &'static [Example],
    deprecated: Option<&'static str>,
    needs: Needs,
}

/// The entry of one task type.
pub fn describe_task<T: Task>() -> Value {
    let facts = Facts {
        type_name: T::TYPE,
        aliases: T::ALIASES,
        title: T::TITLE,
        description: T::DESCRIPTION,
        examples: T::EXAMPLES,
        deprecated: T::DEPRECATED,
        needs: T::NEEDS,
    };
    describe(facts, schema_of::<T>(true), output_schema(T::run))
}

/// The entry of one trigger type.
pub fn describe_trigger<T: Trigger>() -> Value {
    let facts = Facts {
        type_name: T::TYPE,
        aliases: T::ALIASES,
        title: T::TITLE,
        description: T::DESCRIPTION,
        examples: T::EXAMPLES,
        deprecated: T::DEPRECATED,
        needs: T::NEEDS,
    };
    describe(facts, schema_of::<T>(true), schema_of::<T::Event>(false))
}

/// The whole document.
pub fn descriptor(
    name: &str,
    version: &str,
    description: &str,
    tasks: Vec<Value>,
    triggers: Vec<Value>,
) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "plugin": { "name": name, "version": version, "description": description },
        "tasks": tasks,
        "triggers": triggers,
    })
}

/// The schema of what `run` returns: only the compiler can name that type, so it is taken from the function.
fn output_schema<'a, T, O: Output>(_run: impl FnOnce(T, &'a Context) -> Result<O>) -> Map<String, Value> {
    schema_of::<O>(false)
}

/// An object schema without references, so that a keyword stands at the property it is about.
fn schema_of<T: JsonSchema>(closed: bool) -> Map<String, Value> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = match schema.to_value() {
        Value::Object(schema) => schema,
        // `true`, the schema of a `json!` value: any object.
        _ => Map::new(),
    };
    schema.remove("title");
    // `#[serde(default)]` on an `Option`: that nothing is the default need not be said.
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut().filter_map(Value::as_object_mut) {
            if property.get("default").is_some_and(Value::is_null) {
                property.shift_remove("default");
            }
        }
    }
    schema.entry("type").or_insert_with(|| "object".into());
    if closed {
        schema.entry("properties").or_insert_with(|| json!({}));
        schema.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    schema
}

fn describe(facts: Facts, mut properties: Map<String, Value>, mut outputs: Map<String, Value>) -> Value {
    let from_comment = properties.remove("description");
    let description = match from_comment {
        Some(Value::String(comment)) if facts.description.is_empty() => comment,
        _ => facts.description.to_owned(),
    };
    let title = match facts.title {
        "" => description.lines().next().unwrap_or_default().trim_end_matches('.'),
        title => title,
    };
    let mut needs = json!({
        "hosts": facts.needs.hosts,
        "commands": facts.needs.commands,
        "images": facts.needs.images,
    });
    if let Some(capabilities) = facts.needs.capabilities {
        needs["capabilities"] = json!(capabilities);
    }
    // Most types look at nothing of the engine's surroundings.
    for (name, list) in [("variables", facts.needs.variables), ("files", facts.needs.files)] {
        if !list.is_empty() {
            needs[name] = json!(list);
        }
    }
    let examples: Vec<Value> =
        facts.examples.iter().map(|example| json!({"title": example.title, "yaml": example.yaml})).collect();
    outputs.remove("description");
    json!({
        "type": facts.type_name,
        "aliases": facts.aliases,
        "title": title,
        "description": description,
        "properties": properties,
        "examples": examples,
        "deprecated": facts.deprecated,
        "needs": needs,
        "outputs": outputs,
    })
}
