//! Any text as a template: parsing and rendering never panic, and end within the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_expr::{Environment, Fault, Limits, Serde, Template, Value};

struct World;

impl Environment for World {
    fn limits(&self) -> Limits {
        Limits { depth: 30, iterations: 20_000, output_bytes: 200_000, recursion: 5 }
    }

    fn now(&self) -> Result<jiff::Zoned, Fault> {
        Ok(jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC))
    }

    fn random(&self) -> Result<u64, Fault> {
        Ok(7)
    }

    fn read(&self, _: &str) -> Result<String, Fault> {
        Ok("{\"a\": [1, 2.5, null]}".to_owned())
    }
}

fuzz_target!(|source: &str| {
    let Ok(template) = Template::parse(source) else { return };
    template.references();
    template.calls();
    let context = Value::from(Serde(serde_json::json!({
        "s": "hello World", "n": null, "i": 42, "f": 3.65, "t": true, "e": "", "l": [3, 1, 2], "el": [],
        "m": {"a": 1, "b-c": "x", "nul": null, "sub": {"k": "v"}}, "d": "2026-01-31T12:00:00Z",
    })));
    if let Err(error) = template.render(&context, &World) {
        assert!(error.span.end <= source.len(), "{error:?}");
    }
    let _ = template.render_typed(&context, &World);
});
