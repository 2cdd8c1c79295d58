//! The host's catalogue of plugins as `weft-flow` wants it.

use std::collections::HashMap;
use std::sync::OnceLock;

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
            outputs: found.outputs().clone(),
            title: found.title.clone().unwrap_or_default(),
            deprecated: found.deprecated.clone(),
        }))
    }
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
