//! The host's catalogue of plugins as `weft-flow` wants it.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::{Value, json};
use weft_flow::{Catalogue, Elsewhere, TypeInfo};
use weft_host::TaskType;

/// What flows are checked against. Schemas are read when a flow names their type: most flows name a few of many.
pub struct FlowCatalogue<'h> {
    host: &'h weft_host::Catalogue,
    /// Of the types that the host knew before.
    infos: HashMap<&'h str, OnceLock<TypeInfo>>,
    /// Of types that were found since.
    later: Infos,
}

/// A list that only grows, so that what is in it can be lent.
#[derive(Default)]
struct Infos(OnceLock<Box<(TypeInfo, Infos)>>);

impl Infos {
    /// The one with this name; made and added where there is none.
    fn get_or_add(&self, type_name: &str, make: impl Fn() -> TypeInfo) -> &TypeInfo {
        let mut list = self;
        loop {
            let (info, rest) = &**list.0.get_or_init(|| Box::new((make(), Self::default())));
            if info.type_name == type_name {
                return info;
            }
            list = rest;
        }
    }
}

impl<'h> FlowCatalogue<'h> {
    /// Everything that the host's plugins provide.
    pub fn new(host: &'h weft_host::Catalogue) -> Self {
        let types = host.plugins().flat_map(|plugin| plugin.tasks.iter().chain(&plugin.triggers));
        let infos = types.map(|found| (found.type_name.as_str(), OnceLock::new())).collect();
        Self { host, infos, later: Infos::default() }
    }

    fn info(&self, found: &TaskType) -> &TypeInfo {
        let make = || TypeInfo {
            type_name: found.type_name.clone(),
            aliases: found.aliases.clone(),
            properties: found.properties().clone(),
            outputs: with_files(found.outputs().clone(), found.properties()),
            title: found.title.clone().unwrap_or_default(),
            deprecated: found.deprecated.clone(),
        };
        match self.infos.get(found.type_name.as_str()) {
            Some(info) => info.get_or_init(make),
            None => self.later.get_or_add(&found.type_name, make),
        }
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
        Some(self.info(self.host.get(type_name)?))
    }

    fn trigger(&self, type_name: &str) -> Option<&TypeInfo> {
        Some(self.info(self.host.trigger(type_name)?))
    }

    fn type_names(&self) -> Vec<&str> {
        let types = self.host.plugins().flat_map(|plugin| plugin.tasks.iter().chain(&plugin.triggers));
        let mut names: Vec<&str> = types.map(|found| found.type_name.as_str()).collect();
        // Two plugins may have the same one.
        names.sort_unstable();
        names.dedup();
        names
    }

    fn not_looked_at(&self) -> Option<Elsewhere> {
        let folder = self.host.untrusted()?.display();
        Some(Elsewhere {
            why: format!(
                "the plugins in the folder `{folder}` here are not trusted, so they were not looked at"
            ),
            hint: format!("look at them, then `weft trust {folder}`"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_are_found_later_are_kept() {
        let infos = Infos::default();
        let info = |name: &str| TypeInfo { type_name: name.to_owned(), ..TypeInfo::default() };
        let first = infos.get_or_add("a", || info("a"));
        assert_eq!(infos.get_or_add("b", || info("b")).type_name, "b");
        assert!(std::ptr::eq(infos.get_or_add("a", || info("a")), first));
    }

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
