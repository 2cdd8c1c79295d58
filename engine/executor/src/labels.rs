//! `labels` as expressions see them.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Serde};
use serde_json::Value as Json;
use weft_expr::Value;
use weft_model::{Label, Map};

/// Labels for expressions. A key with dots is a path, as in Kestra (`labels.system.correlationId`), and is found as a
/// whole too: `labels['system.correlationId']`. Listed and printed are the paths alone.
pub fn labels_as_value(labels: &[Label]) -> Value {
    let mut nested = Map::new();
    let mut dotted = Map::new();
    // A key that is the beginning of another one keeps its text; the longer one is then found as a whole only.
    let (paths, plain): (Vec<_>, Vec<_>) = labels.iter().partition(|label| label.key.contains('.'));
    for Label { key, value } in plain {
        nested.insert(key.clone(), Json::from(value.as_str()));
    }
    for Label { key, value } in paths {
        put(&mut nested, key, value);
        dotted.insert(key.clone(), Json::from(value.as_str()));
    }
    let nested = Value::from(Serde(&nested));
    if dotted.is_empty() { nested } else { Value::from_object(Labels { nested, dotted }) }
}

fn put(map: &mut Map, path: &str, value: &str) {
    match path.split_once('.') {
        Some((first, rest)) => {
            if let Json::Object(inner) =
                map.entry(first.to_owned()).or_insert_with(|| Json::Object(Map::new()))
            {
                put(inner, rest, value);
            }
        }
        None => {
            map.entry(path.to_owned()).or_insert_with(|| Json::from(value));
        }
    }
}

#[derive(Debug)]
struct Labels {
    nested: Value,
    /// By the whole key.
    dotted: Map,
}

impl Object for Labels {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let path = || self.nested.get_attr(key).ok().filter(|value| !value.is_undefined());
        self.dotted.get(key).map(|value| Value::from(Serde(value))).or_else(path)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.nested.try_iter().into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weft_expr::{NoEnvironment, Template};

    use super::*;

    #[test]
    fn dots_in_keys_are_paths() {
        let labels = [
            ("system.correlationId", "e1"),
            ("team", "data"),
            ("team.name", "infra"),
            ("a.b.c", "deep"),
            ("a.b", "short"),
            ("a.d", "side"),
        ];
        let labels = labels.map(|(key, value)| Label { key: key.into(), value: value.into() });
        let labels = labels_as_value(&labels);
        let context = Value::from_pairs([("labels", labels.clone())]);
        for (expression, expected) in [
            ("labels.system.correlationId", "e1"),
            ("labels['system.correlationId']", "e1"),
            ("labels['system']['correlationId']", "e1"),
            ("labels.team", "data"),
            ("labels['team.name']", "infra"),
            ("labels.a.b.c", "deep"),
            ("labels['a.b']", "short"),
            ("labels.a.d", "side"),
            ("labels.none ?? 'nothing'", "nothing"),
            ("labels['a.b.x'] ?? 'nothing'", "nothing"),
            ("labels.system is defined", "true"),
        ] {
            let template = Template::parse(&format!("{{{{ {expression} }}}}")).unwrap();
            assert_eq!(template.render(&context, &NoEnvironment).unwrap(), expected, "{expression}");
        }
        assert_eq!(
            serde_json::to_value(&labels).unwrap(),
            json!({
                "team": "data",
                "system": {"correlationId": "e1"},
                "a": {"b": {"c": "deep"}, "d": "side"},
            })
        );
    }
}
