//! Rendering a task's properties: texts stay texts, unless the schema wants something else there.

use serde_json::{Value, json};
use weft_expr::{Environment, RenderError, Template};
use weft_model::{Failure, Map};

use crate::schema::Schema;

/// Renders every text in `value`, keys of maps too. `path` names the place in errors (`env.KEY`, `commands[2]`).
///
/// Where the schema takes no text, an expression keeps its native type, and text that is written like the wanted type
/// (`"true"`, `"42"`, `"[1, 2]"`) becomes it: forms and environment variables only know text.
pub fn property(
    value: &Value,
    schema: Schema<'_>,
    path: &str,
    context: &weft_expr::Value,
    env: &dyn Environment,
) -> Result<Value, Failure> {
    Ok(match value {
        Value::String(text) => text_value(text, schema, path, context, env)?,
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| property(item, schema.items(), &format!("{path}[{index}]"), context, env))
            .collect::<Result<_, _>>()?,
        Value::Object(members) => {
            let mut rendered = Map::new();
            for (key, member) in members {
                let place = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let name = text(key, &place, context, env)?;
                let member = property(member, schema.property(key), &place, context, env)?;
                rendered.insert(name, member);
            }
            Value::Object(rendered)
        }
        other => other.clone(),
    })
}

/// The context with further variables, which win.
pub fn overlay<const N: usize>(
    context: &weft_expr::Value,
    more: [(&str, weft_expr::Value); N],
) -> weft_expr::Value {
    weft_expr::merge_maps([context.clone(), weft_expr::Value::from_pairs(more)])
}

/// Renders one text.
pub fn text(
    source: &str,
    path: &str,
    context: &weft_expr::Value,
    env: &dyn Environment,
) -> Result<String, Failure> {
    if !source.contains('{') {
        return Ok(source.to_owned());
    }
    let template = Template::parse(source).map_err(|error| failure(path, &error.into()))?;
    template.render(context, env).map_err(|error| failure(path, &error))
}

/// Renders one text to its native value, if it is exactly one expression.
pub fn native(
    source: &str,
    path: &str,
    context: &weft_expr::Value,
    env: &dyn Environment,
) -> Result<Value, Failure> {
    let template = Template::parse(source).map_err(|error| failure(path, &error.into()))?;
    let value = template.render_typed(context, env).map_err(|error| failure(path, &error))?;
    serde_json::to_value(&value)
        .map_err(|error| Failure::new("expression.failed", format!("property `{path}`: {error}")))
}

fn text_value(
    source: &str,
    schema: Schema<'_>,
    path: &str,
    context: &weft_expr::Value,
    env: &dyn Environment,
) -> Result<Value, Failure> {
    if schema.takes("string") {
        return text(source, path, context, env).map(Value::String);
    }
    match native(source, path, context, env)? {
        Value::String(text) => Ok(coerce(text, schema)),
        value => Ok(value),
    }
}

/// Text as the type that the schema wants, where it is written like it; else as it is, for validation to complain.
fn coerce(text: String, schema: Schema<'_>) -> Value {
    let trimmed = text.trim();
    if trimmed.is_empty() && schema.takes("null") {
        return Value::Null;
    }
    match serde_json::from_str::<Value>(&trimmed.to_ascii_lowercase()) {
        Ok(value @ Value::Bool(_)) if schema.takes("boolean") => return value,
        Ok(value @ Value::Number(_)) if schema.takes("number") || schema.takes("integer") => return value,
        _ => {}
    }
    match serde_json::from_str::<Value>(trimmed) {
        Ok(value @ Value::Array(_)) if schema.takes("array") => value,
        Ok(value @ Value::Object(_)) if schema.takes("object") => value,
        _ => Value::String(text),
    }
}

/// The detail says where the flow's source has it: see [`weft_flow::Places`].
fn failure(path: &str, error: &RenderError) -> Failure {
    let detail = json!({"property": path, "start": error.span.start, "end": error.span.end});
    Failure::new("expression.failed", format!("property `{path}`: {error}")).with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use weft_expr::NoEnvironment;

    #[test]
    fn texts_become_what_the_schema_wants() {
        let schema = json!({"properties": {
            "flag": {"type": "boolean"},
            "count": {"type": "integer"},
            "list": {"type": "array", "items": {"type": "string"}},
            "text": {"type": "string"},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "maybe": {"type": ["integer", "null"]},
        }});
        let context = weft_expr::Value::from(weft_expr::Serde(
            json!({"yes": true, "n": 7, "l": ["a", "b"], "k": "KEY"}),
        ));
        for (given, expected) in [
            (json!({"flag": "{{ yes }}"}), json!({"flag": true})),
            (json!({"flag": "True"}), json!({"flag": true})),
            (json!({"flag": "maybe"}), json!({"flag": "maybe"})),
            (json!({"count": "{{ n }}"}), json!({"count": 7})),
            (json!({"count": " 42 "}), json!({"count": 42})),
            (json!({"list": "{{ l }}"}), json!({"list": ["a", "b"]})),
            (json!({"list": ["{{ n }}", "x"]}), json!({"list": ["7", "x"]})),
            (json!({"list": "[\"X\"]"}), json!({"list": ["X"]})),
            (json!({"text": "{{ n }}"}), json!({"text": "7"})),
            (json!({"text": "true"}), json!({"text": "true"})),
            (json!({"env": {"{{ k }}": "{{ yes }}"}}), json!({"env": {"KEY": "true"}})),
            (json!({"maybe": ""}), json!({"maybe": null})),
        ] {
            let rendered = property(&given, Schema::root(&schema), "", &context, &NoEnvironment).unwrap();
            assert_eq!(rendered, expected, "{given}");
        }
    }

    #[test]
    fn errors_name_the_property() {
        let schema = json!({});
        let context = weft_expr::Value::from(weft_expr::Serde(json!({})));
        let given = json!({"env": {"A": ["x", "{{ missing }}"]}});
        let failure = property(&given, Schema::root(&schema), "", &context, &NoEnvironment).unwrap_err();
        assert_eq!(failure.code, "expression.failed");
        assert!(failure.message.starts_with("property `env.A[1]`: "), "{}", failure.message);
        assert!(failure.message.contains("missing"), "{}", failure.message);
    }
}
