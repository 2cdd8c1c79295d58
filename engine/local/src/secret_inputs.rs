//! Inputs of type SECRET: kept encrypted with the execution, hidden in every log line, and open only to expressions.

use serde_json::Value;
use weft_executor::Seals;
use weft_flow::{Input, InputType};
use weft_model::Map;
use weft_worker::{Masker, Vault};

use crate::LocalError;

/// Opens sealed inputs for expressions.
#[derive(Debug)]
pub struct OpenedBy(pub Vault);

impl Seals for OpenedBy {
    fn open(&self, value: &Value) -> Option<String> {
        // One that cannot be opened has been reported when the execution was taken up.
        self.0.open(value)?.ok()
    }
}

/// Hides the values of SECRET inputs from now on, and puts what is kept in their place.
pub fn seal(inputs: &[Input], values: &mut Map, masker: &Masker, vault: &Vault) -> Result<(), LocalError> {
    for value in secrets(inputs, values) {
        if let Value::String(text) = value {
            masker.add(text);
            *value = vault.seal(text)?;
        }
    }
    Ok(())
}

/// Hides the values of SECRET inputs of an execution that was kept.
pub fn hide_sealed(inputs: &[Input], values: &Map, masker: &Masker, vault: &Vault) -> Result<(), LocalError> {
    for value in secrets(inputs, &mut values.clone()) {
        match vault.open(value) {
            Some(text) => masker.add(&text?),
            // Kept by a version that did not encrypt.
            None => value.as_str().into_iter().for_each(|text| masker.add(text)),
        }
    }
    Ok(())
}

/// The values of SECRET inputs, and the items of lists of them; dots in an id nest.
fn secrets<'m>(inputs: &[Input], values: &'m mut Map) -> Vec<&'m mut Value> {
    let mut found: Vec<&mut Value> = Vec::new();
    let ids: Vec<Vec<&str>> = inputs
        .iter()
        .filter(|input| is_secret(&input.kind))
        .map(|input| input.id.split('.').collect())
        .collect();
    collect(values, &mut Vec::new(), &ids, &mut found);
    found.into_iter().flat_map(texts).collect()
}

fn is_secret(kind: &InputType) -> bool {
    match kind {
        InputType::Secret { .. } => true,
        InputType::Array { items } => is_secret(items),
        _ => false,
    }
}

/// The value, or those in it where it is a list.
fn texts(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Array(items) => items.iter_mut().flat_map(texts).collect(),
        value => vec![value],
    }
}

fn collect<'m>(
    values: &'m mut Map,
    path: &mut Vec<String>,
    ids: &[Vec<&str>],
    found: &mut Vec<&'m mut Value>,
) {
    for (key, value) in values.iter_mut() {
        path.push(key.clone());
        if ids.iter().any(|id| id.iter().eq(path.iter())) {
            found.push(value);
        } else if let Value::Object(inner) = value
            && ids.iter().any(|id| id.iter().take(path.len()).eq(path.iter()))
        {
            collect(inner, path, ids, found);
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_secrets_are_sealed_wherever_they_nest() {
        let flow = "id: f\nnamespace: n\ninputs:\n  - {id: open, type: STRING}\n  - {id: pass, type: SECRET}\n  \
                    - {id: db.pass, type: SECRET}\n  - {id: none, type: SECRET, required: false}\n  \
                    - {id: list, type: ARRAY, itemType: SECRET}\n\
                    tasks:\n  - {id: s, type: io.kestra.plugin.core.flow.Sequential, tasks: []}\n";
        let flow = flow.replace("tasks: []", "tasks: [{id: p, type: io.kestra.plugin.core.flow.Pause}]");
        let flow = weft_flow::parse(&flow, &NoPlugins, &weft_flow::ParseOptions::default());
        let flow = flow.flow.unwrap_or_else(|| panic!("{:?}", flow.diagnostics));
        let dir = tempfile::tempdir().unwrap();
        let (vault, masker) = (Vault::new(None, dir.path().join("key")), Masker::default());
        let given = json!({"open": "visible", "pass": "secret-one", "db": {"pass": "secret-two"}, "none": null,
                   "list": ["secret-three"]});
        let mut values = given.as_object().cloned().unwrap();
        seal(&flow.inputs, &mut values, &masker, &vault).unwrap();
        let text = Value::Object(values.clone()).to_string();
        assert!(text.contains("visible") && !text.contains("secret-"), "{text}");
        assert_eq!(values["none"], Value::Null);
        assert_eq!(masker.mask("secret-one secret-two secret-three visible"), "****** ****** ****** visible");
        assert_eq!(OpenedBy(vault.clone()).open(&values["db"]["pass"]).as_deref(), Some("secret-two"));
        assert_eq!(OpenedBy(vault.clone()).open(&values["list"][0]).as_deref(), Some("secret-three"));

        let again = Masker::default();
        hide_sealed(&flow.inputs, &values, &again, &vault).unwrap();
        assert_eq!(again.mask("secret-two"), "******");
        let other = Vault::new(None, dir.path().join("other"));
        assert!(matches!(hide_sealed(&flow.inputs, &values, &again, &other), Err(LocalError::Encryption(_))));
    }

    struct NoPlugins;

    impl weft_flow::Catalogue for NoPlugins {
        fn task(&self, _: &str) -> Option<&weft_flow::TypeInfo> {
            None
        }

        fn trigger(&self, _: &str) -> Option<&weft_flow::TypeInfo> {
            None
        }

        fn type_names(&self) -> Vec<&str> {
            Vec::new()
        }
    }
}
