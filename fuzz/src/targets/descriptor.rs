//! Any text as what a plugin says about itself: it is refused, or can be used by all who read it.

use weft_flow::{Catalogue, ParseOptions, TypeInfo, Validator};

use crate::host::descriptor::Descriptor;
use crate::text;

/// A flow that uses a type with properties of each kind.
const FLOW: &str = "id: f\nnamespace: n\ntasks:\n  - id: a\n    type: TYPE\n    text: \"{{ 1 }}\"\n    number: 7\n    \
                    list: [{a: b}, x]\n    map: {key: {key: [null, 1.5, true]}}\n";

pub fn run(input: &[u8]) -> Option<()> {
    let text = text(input)?;
    let claimed = Descriptor::claimed_types(text);
    let Ok(descriptor) = Descriptor::check(text) else {
        // A document that is no JSON says nothing.
        return serde_json::from_str::<serde_json::Value>(text).is_ok().then_some(());
    };
    let again = Descriptor::read(text).expect("what was checked can be read");
    let names = |descriptor: &Descriptor| -> Vec<String> {
        let types = descriptor.tasks.iter().chain(&descriptor.triggers);
        types.flat_map(|found| found.names().map(str::to_owned)).collect()
    };
    assert_eq!(names(&descriptor), names(&again));
    for name in names(&descriptor) {
        assert!(claimed.contains(&name), "`{name}` is not among those that the document claims");
    }
    for task in descriptor.tasks.iter().take(3) {
        let only = Only(TypeInfo {
            type_name: task.type_name.clone(),
            aliases: task.aliases.clone(),
            properties: task.properties().clone(),
            outputs: task.outputs().clone(),
            title: task.title.clone().unwrap_or_default(),
            deprecated: task.deprecated.clone(),
        });
        let source = FLOW.replace("TYPE", &task.type_name);
        let outcome = Validator::new(&only).parse(&source, &ParseOptions::default());
        assert!(outcome.flow.is_some() || !outcome.diagnostics.is_empty());
        weft_flow::flow_schema(&only);
    }
    Some(())
}

struct Only(TypeInfo);

impl Catalogue for Only {
    fn task(&self, type_name: &str) -> Option<&TypeInfo> {
        let known = self.0.type_name == type_name || self.0.aliases.iter().any(|alias| alias == type_name);
        known.then_some(&self.0)
    }

    fn trigger(&self, _: &str) -> Option<&TypeInfo> {
        None
    }

    fn type_names(&self) -> Vec<&str> {
        vec![&self.0.type_name]
    }
}
