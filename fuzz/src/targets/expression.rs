//! Any text as a template: parsing and rendering never panic, end within the limits, and give the same each time.

use std::sync::OnceLock;

use serde_json::json;
use weft_expr::{Environment, RenderError, Serde, Template, Value, render_json};

use crate::text;
use crate::world::World;

pub fn run(input: &[u8]) -> Option<()> {
    let source = text(input)?;
    let template = match Template::parse(source) {
        Ok(template) => template,
        Err(error) => {
            check(&error.into(), source);
            return Some(());
        }
    };
    assert_eq!(template.source(), source);
    for reference in template.references() {
        assert!(reference.span.end <= source.len(), "{reference:?}");
    }
    template.calls();
    let world = World::default();
    let first = template.render(context(), &world);
    match &first {
        Ok(text) => assert!(text.len() <= world.limits().output_bytes, "{} bytes", text.len()),
        Err(error) => check(error, source),
    }
    assert_eq!(template.render(context(), &world), first, "the same each time");
    if template.is_literal() {
        assert_eq!(first.as_deref(), Ok(source));
    }
    if let Err(error) = template.render_typed(context(), &world) {
        check(&error, source);
    }
    // As a text in a value, it renders to the same.
    match render_json(&json!([source]), context(), &world) {
        Ok(rendered) => assert_eq!(rendered[0].as_str(), first.as_deref().ok()),
        Err(error) => assert_eq!((&*error.path, first.is_err()), ("[0]", true)),
    }
    Some(())
}

fn check(error: &RenderError, source: &str) {
    let span = &error.span;
    assert!(span.start <= span.end && span.end <= source.len(), "{error:?}");
    assert!(source.is_char_boundary(span.start) && source.is_char_boundary(span.end), "{error:?}");
    assert!(error.line >= 1 && error.column >= 1, "{error:?}");
    assert!(!error.message.contains('\n'), "the message is one line: {error:?}");
}

fn context() -> &'static Value {
    static CONTEXT: OnceLock<Value> = OnceLock::new();
    CONTEXT.get_or_init(|| {
        Value::from(Serde(json!({
            "s": "hello World", "n": null, "i": 42, "f": 3.65, "t": true, "e": "", "l": [3, 1, 2], "el": [],
            "m": {"a": 1, "b-c": "x", "nul": null, "sub": {"k": "v"}}, "d": "2026-01-31T12:00:00Z",
            "again": "{{ render(again) }}", "other": "{{ s }}",
        })))
    })
}
