//! The host's catalogue of plugins as `weft-flow` wants it.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::{Value, json};
use weft_flow::{Catalogue, TypeInfo};
use weft_host::TaskType;

/// What flows are checked against. Schemas are read when a flow names their type: most flows name a few of many.
pub struct FlowCatalogue<'h> {
    host: &'h weft_host::Catalogue,
    infos: HashMap<&'h str, OnceLock<TypeInfo>>,
}

impl<'h> FlowCatalogue<'h> {
    /// Everything that the host's plugins provide.
    pub fn new(host: &'h weft_host::Catalogue) -> Self {
        let types = host.plugins().iter().flat_map(|plugin| plugin.tasks.iter().chain(&plugin.triggers));
        Self { host, infos: types.map(|found| (found.type_name.as_str(), OnceLock::new())).collect() }
    }

    fn info(&self, found: &TaskType) -> Option<&TypeInfo> {
        Some(self.infos.get(found.type_name.as_str())?.get_or_init(|| TypeInfo {
            type_name: found.type_name.clone(),
            aliases: found.aliases.clone(),
            properties: found.properties().clone(),
            outputs: with_files(found.outputs().clone(), found.properties()),
            title: found.title.clone().unwrap_or_default(),
            deprecated: found.deprecated.clone(),
        }))
    }
}

/// The outputs of a type with those that the worker adds: maps of the files that a property asks it to take.
fn with_files(mut outputs: Value, properties: &Value) -> Value {
    let Some(known) = outputs.get_mut("properties").and_then(Value::as_object_mut) else { return outputs };
    for property in
        properties["properties"].as_object().into_iter().flat_map(|properties| properties.values())
    {
        let name = match property["x-weft-role"].as_str() {
            Some("output-files") => property["x-weft-output"].as_str().unwrap_or("outputFiles"),
            Some("output-directory") => "outputFiles",
            _ => continue,
        };
        known
            .entry(name)
            .or_insert_with(|| json!({"type": "object", "additionalProperties": {"type": "string"}}));
    }
    outputs
}

impl Catalogue for FlowCatalogue<'_> {
    fn task(&self, type_name: &str) -> Option<&TypeInfo> {
        self.info(self.host.get(type_name)?)
    }

    fn trigger(&self, type_name: &str) -> Option<&TypeInfo> {
        self.info(self.host.trigger(type_name)?)
    }

    fn type_names(&self) -> Vec<&str> {
        self.infos.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_the_worker_takes_are_outputs() {
        let properties = json!({"properties": {
            "outputs": {"x-weft-role": "output-files", "x-weft-output": "uris"},
            "outputDirectory": {"x-weft-role": "output-directory"},
            "format": {},
        }});
        let outputs = with_files(json!({"properties": {"value": {"type": "string"}}}), &properties);
        let names: Vec<_> = outputs["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["value", "uris", "outputFiles"]);
        assert_eq!(with_files(Value::Null, &properties), Value::Null, "nothing is known of the outputs");
    }
}
