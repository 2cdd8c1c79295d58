//! What an execution under test finds: inputs, the trigger, files and values.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use weft_expr::{Environment, Serde, render_json};
use weft_flow::testing::{FileSource, TestCase, file_source};
use weft_flow::{Flow, Given, Input, InputType};
use weft_model::TriggerContext;
use weft_state::{KvKind, KvValue};

use super::CaseRequest;
use crate::{Local, LocalError};

/// Where the content of inputs of type FILE is put that stands in the test file.
const FILES: &str = "fixtures";

/// The inputs of a case as somebody would give them.
pub(super) fn inputs(
    case: &TestCase,
    flow: &Flow,
    request: &CaseRequest,
    env: &dyn Environment,
) -> Result<BTreeMap<String, Given>, LocalError> {
    let mut given = BTreeMap::new();
    for (name, fixture) in &case.fixtures.inputs {
        let input = flow.inputs.iter().find(|input| input.id == *name);
        let is_file = input.is_some_and(|input| matches!(input.kind, InputType::File { .. }));
        let value = rendered(&fixture.value, flow, env, name)?;
        let value = match (is_file && !value.is_null()).then(|| file_source(&value)) {
            None | Some(Ok(FileSource::Stored(_))) => Given::Json(value),
            Some(Ok(FileSource::Path(path))) => Given::FilePath(request.directory.join(path)),
            Some(Ok(FileSource::Inline(content))) => {
                let path = request.data.join(FILES).join(name).join(file_name(name, input));
                weft_files::private::write(&path, content).map_err(|error| {
                    LocalError::Fixture(format!("cannot write `{}`: {error}", path.display()))
                })?;
                Given::FilePath(path)
            }
            Some(Err(message)) => return Err(LocalError::Fixture(format!("input `{name}`: {message}"))),
        };
        given.insert(name.clone(), value);
    }
    Ok(given)
}

/// A name that the input takes.
fn file_name(name: &str, input: Option<&Input>) -> String {
    match input.map(|input| &input.kind) {
        Some(InputType::File { allowed_extensions, extension }) => {
            format!("{name}{}", allowed_extensions.first().unwrap_or(extension))
        }
        _ => name.to_owned(),
    }
}

/// What started the execution.
pub(super) fn trigger(
    case: &TestCase,
    flow: &Flow,
    env: &dyn Environment,
) -> Result<Option<TriggerContext>, LocalError> {
    let Some(trigger) = &case.fixtures.trigger else { return Ok(None) };
    let of_flow = match &trigger.id {
        Some((id, _)) => flow.triggers.iter().find(|trigger| trigger.id == *id),
        None => flow.triggers.first(),
    };
    let variables = Value::Object(trigger.variables.clone());
    let variables = match rendered(&variables, flow, env, "trigger")? {
        Value::Object(variables) => variables,
        _ => trigger.variables.clone(),
    };
    Ok(Some(TriggerContext {
        id: of_flow.map_or_else(|| "trigger".to_owned(), |trigger| trigger.id.clone()),
        type_name: trigger
            .type_name
            .clone()
            .or_else(|| of_flow.map(|trigger| trigger.type_name.clone()))
            .unwrap_or_default(),
        variables,
    }))
}

/// A fixture that is rendered before there is an execution.
fn rendered(value: &Value, flow: &Flow, env: &dyn Environment, what: &str) -> Result<Value, LocalError> {
    let context = json!({"flow": {"id": flow.id, "namespace": flow.namespace}, "vars": flow.variables});
    let context = weft_expr::Value::from(Serde(context));
    render_json(value, &context, env)
        .map_err(|error| LocalError::Fixture(format!("the fixture of `{what}` cannot be evaluated: {error}")))
}

impl Local {
    /// Fills the key-value store.
    pub(super) fn put_values(&self, case: &TestCase, namespace: &str) -> Result<(), LocalError> {
        for fixture in &case.fixtures.kv {
            let kind = match &fixture.value {
                Value::String(_) => KvKind::String,
                Value::Number(_) => KvKind::Number,
                Value::Bool(_) => KvKind::Boolean,
                _ => KvKind::Json,
            };
            let value =
                KvValue { value: fixture.value.clone(), kind, expires: None, updated: Timestamp::now() };
            let namespace = fixture.namespace.as_deref().unwrap_or(namespace);
            self.inner.kv.set(namespace, &fixture.key, &value, true)?;
        }
        Ok(())
    }

    /// Puts files into the namespace.
    pub(super) async fn put_namespace_files(
        &self,
        case: &TestCase,
        namespace: &str,
        directory: &Path,
    ) -> Result<(), LocalError> {
        for (name, file) in &case.fixtures.files {
            let uri = weft_files::namespace_files(namespace)?.join(name)?;
            match &file.source {
                FileSource::Path(path) => {
                    let file = weft_files::OpenFile::open(&directory.join(path))?;
                    self.storage().put_file(&uri, file).await?;
                }
                FileSource::Inline(content) | FileSource::Stored(content) => {
                    self.storage().put_bytes(&uri, content.as_bytes()).await?;
                }
            }
        }
        Ok(())
    }
}
