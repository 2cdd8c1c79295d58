//! `yaml`: a value as YAML text, lists indented by one blank below their key.

use minijinja::value::ValueKind;

use super::Filter;
use crate::Value;
use crate::engine::Engine;
use crate::error::Fault;
use crate::text;
use crate::values;

pub(super) const FILTERS: &[Filter] = &[Filter::new("yaml", &[], 0, |input, _, engine| {
    if values::is_null(input) {
        return Ok(Value::from("null"));
    }
    let mut out = lines(input, engine)?.join("\n");
    out.push('\n');
    engine.text(out)
})
.with_null()];

/// A value as lines without indentation.
fn lines(value: &Value, engine: &Engine<'_>) -> Result<Vec<String>, Fault> {
    engine.enter()?;
    let result = (|| match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let mut out = Vec::new();
            for element in engine.items(value)? {
                let element = lines(&element, engine)?;
                engine.charge(element.len())?;
                out.extend(element.into_iter().enumerate().map(|(index, line)| match index {
                    0 => format!(" - {line}"),
                    _ => indented("   ", line),
                }));
            }
            Ok(if out.is_empty() { vec!["[]".to_string()] } else { out })
        }
        ValueKind::Map => {
            let mut out = Vec::new();
            for (key, value) in engine.entries(value)? {
                let key = scalar(&Value::from(key))?.join(" ");
                let below = lines(&value, engine)?;
                engine.charge(below.len())?;
                let nested = (values::is_map(&value) || values::is_list(&value)) && value.len() != Some(0);
                if !nested {
                    out.extend(below.into_iter().enumerate().map(|(index, line)| match index {
                        0 => format!("{key}: {line}"),
                        _ => line,
                    }));
                    continue;
                }
                out.push(format!("{key}:"));
                let indent = if values::is_map(&value) { "  " } else { "" };
                out.extend(below.into_iter().map(|line| indented(indent, line)));
            }
            Ok(if out.is_empty() { vec!["{}".to_string()] } else { out })
        }
        _ => scalar(value),
    })();
    engine.leave();
    result
}

/// An empty line stays empty: it is part of a text of several lines.
fn indented(indent: &str, line: String) -> String {
    if line.is_empty() { line } else { format!("{indent}{line}") }
}

/// A scalar, quoted where YAML would read it as something else; texts of several lines are block literals.
fn scalar(value: &Value) -> Result<Vec<String>, Fault> {
    if !values::is_text(value) {
        let text =
            if values::is_null(value) { "null".into() } else { text::scalar(value).unwrap_or_default() };
        return Ok(vec![text.into_owned()]);
    }
    let text = text::scalar(value).unwrap_or_default();
    let yaml =
        serde_yaml::to_string(&*text).map_err(|error| Fault::new(format!("cannot write YAML: {error}")))?;
    Ok(yaml.strip_suffix('\n').unwrap_or(&yaml).split('\n').map(String::from).collect())
}
