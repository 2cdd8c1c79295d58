//! JSON Schema of a whole flow, for YAML editors: the engine's own structure and whatever the catalogue has. Draft-07,
//! which editors know best; the task's `type` decides by `if` and `then`, so that errors name what is wrong.

mod engine;
mod parts;
mod plugin;
mod structures;

use serde_json::{Map, Value, json};

pub use engine::{EngineType, describe_engine_types};

use crate::aliases::{ENGINE_TRIGGERS, Names, STRUCTURES};
use crate::{Catalogue, TypeInfo, engine_triggers};

/// Where the schemas of types are.
const DEFINITIONS: &str = "definitions";

/// The JSON Schema of a flow that uses the types of a catalogue.
pub fn flow_schema(catalogue: &dyn Catalogue) -> Value {
    let mut definitions = parts::definitions();
    let mut tasks = Types::default();
    for names in STRUCTURES {
        tasks.add_engine_type(names, structures::properties(names.what));
    }
    let mut triggers = Types::default();
    for names in ENGINE_TRIGGERS {
        if let Some(info) = engine_triggers::info(names.what) {
            triggers.add_plugin_type(info);
        }
    }
    for name in catalogue.type_names() {
        if let Some(info) = catalogue.task(name) {
            tasks.add_plugin_type(info);
        }
        if let Some(info) = catalogue.trigger(name) {
            triggers.add_plugin_type(info);
        }
    }
    let task = tasks.finish("task", parts::task_properties(), &mut definitions);
    let trigger = triggers.finish("trigger", parts::trigger_properties(), &mut definitions);
    definitions.insert("task".to_owned(), task);
    definitions.insert("trigger".to_owned(), trigger);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Flow",
        "description": "A flow: tasks, and what starts them.",
        "type": "object",
        "required": ["id", "namespace", "tasks"],
        "additionalProperties": false,
        "properties": parts::flow_properties(),
        DEFINITIONS: definitions,
    })
}

/// What references in a schema are relative to.
#[derive(Clone, Copy)]
enum Refs {
    /// The whole schema.
    Here,
    /// The schema of the type.
    Own,
}

/// The types of tasks, or of triggers.
#[derive(Default)]
struct Types {
    /// Names as `const`, each with its description.
    names: Vec<Value>,
    aliases: Vec<String>,
    /// All names of a type with its schema.
    schemas: Vec<(Vec<String>, (Value, Refs))>,
}

impl Types {
    fn add_engine_type<T>(&mut self, names: &Names<T>, schema: Value) {
        self.add(names.canonical(), names.aliases(), names.title, (schema, Refs::Here));
    }

    fn add_plugin_type(&mut self, info: &TypeInfo) {
        // One schema that is not valid would make the editor drop the whole.
        let usable = weft_schema::compile(&info.properties, &[]).is_ok();
        let properties = if usable { info.properties.clone() } else { Value::Bool(true) };
        self.add(&info.type_name, info.aliases.clone(), &info.title, (properties, Refs::Own));
    }

    fn add(&mut self, name: &str, aliases: Vec<String>, title: &str, schema: (Value, Refs)) {
        self.names.push(json!({"const": name, "description": title}));
        let all = std::iter::once(name.to_owned()).chain(aliases.iter().cloned()).collect();
        self.aliases.extend(aliases);
        self.schemas.push((all, schema));
    }

    /// The schema of any task (or trigger). Those of the types become definitions.
    fn finish(self, what: &str, common: Map<String, Value>, definitions: &mut Map<String, Value>) -> Value {
        let mut types = self.names;
        if !self.aliases.is_empty() {
            types.push(json!({"enum": self.aliases}));
        }
        let mut branches = Vec::with_capacity(self.schemas.len());
        for (names, (schema, refs)) in self.schemas {
            let key = format!("{what}.{}", names[0]);
            branches.push(json!({
                "if": {"required": ["type"], "properties": {"type": {"enum": names}}},
                "then": {"$ref": format!("#/{DEFINITIONS}/{key}")},
            }));
            let common = common.keys().map(String::as_str).chain(["type"]);
            let place = match refs {
                Refs::Here => "#".to_owned(),
                Refs::Own => format!("#/{DEFINITIONS}/{key}"),
            };
            let schema = plugin::for_editor(schema, &place, common);
            definitions.insert(key, schema);
        }
        let mut properties = common;
        properties.insert(
            "type".to_owned(),
            json!({"description": format!("What the {what} does."), "anyOf": types}),
        );
        json!({
            "type": "object",
            "required": ["id", "type"],
            "properties": properties,
            "allOf": branches,
        })
    }
}
