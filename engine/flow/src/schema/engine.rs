//! The engine's own types, described as the catalogue describes those of plugins.

use serde_json::{Value, json};

use super::{DEFINITIONS, parts, structures};
use crate::aliases::{ENGINE_TRIGGERS, STRUCTURES};
use crate::{TypeInfo, engine_triggers};

/// A type that the engine performs itself.
#[derive(Debug, Clone)]
pub struct EngineType {
    /// What it takes and gives, without the properties that all of its kind have.
    pub info: TypeInfo,
    /// Whether it is a trigger; if not, a task.
    pub is_trigger: bool,
}

/// Every type that the engine performs itself. References in a schema are relative to it.
pub fn describe_engine_types() -> Vec<EngineType> {
    let tasks = STRUCTURES.iter().map(|names| {
        let mut properties = structures::properties(names.what);
        properties[DEFINITIONS] = Value::Object(parts::definitions());
        properties[DEFINITIONS]["task"] = json!({"type": "object"});
        let info = TypeInfo {
            type_name: names.canonical().to_owned(),
            aliases: names.aliases(),
            properties,
            outputs: Value::Null,
            title: names.title.to_owned(),
            deprecated: None,
        };
        EngineType { info, is_trigger: false }
    });
    let triggers = ENGINE_TRIGGERS
        .iter()
        .filter_map(|names| engine_triggers::info(names.what))
        .map(|info| EngineType { info: info.clone(), is_trigger: true });
    tasks.chain(triggers).collect()
}
