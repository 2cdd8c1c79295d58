//! Any text as a flow: nothing panics, and every place lies in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use weft_flow::{Catalogue, Graph, ParseOptions, RenderOptions, TypeInfo, Validator, draw_tree, locate, render};

/// One plugin type with properties of several kinds.
struct Plugins(TypeInfo);

impl Catalogue for Plugins {
    fn task(&self, type_name: &str) -> Option<&TypeInfo> {
        (type_name == self.0.type_name).then_some(&self.0)
    }

    fn trigger(&self, _: &str) -> Option<&TypeInfo> {
        None
    }

    fn type_names(&self) -> Vec<&str> {
        vec![&self.0.type_name]
    }
}

fuzz_target!(|source: &str| {
    let plugins = Plugins(TypeInfo {
        type_name: "p.T".to_owned(),
        properties: json!({
            "type": "object",
            "required": ["commands"],
            "additionalProperties": false,
            "properties": {
                "commands": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                "env": {"type": "object", "additionalProperties": {"type": "string"}},
                "wait": {"type": "string", "format": "duration"},
                "count": {"type": "integer"},
                "fixed": {"type": "boolean", "x-weft-static": true},
            },
        }),
        outputs: json!({"type": "object", "properties": {"value": {}}}),
        ..TypeInfo::default()
    });
    let outcome = Validator::new(&plugins).parse(source, &ParseOptions::default());
    for diagnostic in &outcome.diagnostics {
        assert!(diagnostic.span.end.offset as usize <= source.len(), "{diagnostic:?}");
        assert!(diagnostic.span.start.line >= 1, "{diagnostic:?}");
    }
    render(&outcome.diagnostics, source, "fuzz.yaml", RenderOptions::default());
    if let Some(flow) = &outcome.flow {
        draw_tree(flow);
        Graph::of(flow).to_mermaid();
        for task in &flow.tasks {
            locate(source, &task.id, "commands[0]", Some(0..1));
        }
    }
});
