//! What `validate` says of a flow and what a run of it does: where nothing is said to be wrong, the flow is run to its end by
//! the engine's own state machine, with a worker that renders properties as the real one does and puts out what the types
//! promise. Nothing panics, no expression is found to be none, no property is found to be unknown or to have the wrong type
//! that stood in the flow as it is; every execution ends, however it is interrupted, and stays as it was when it is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use weft_flow::{Catalogue as _, Flow, Given, InputType, NoFiles, ParseOptions, TaskKind, resolve_inputs};
use weft_model::Map;

use crate::catalogue::{Plugins, with_validator};
use crate::play::{Play, check_templates};
use crate::text;
use crate::world::World;


pub fn run(input: &[u8]) -> Option<()> {
    let source = text(input)?;
    let outcome = with_validator(|validator| validator.parse(source, &ParseOptions::default()));
    if outcome.has_errors() {
        // Kept, for half of the way to a flow without mistakes is worth something.
        return Some(());
    }
    let flow = Arc::new(outcome.flow.expect("a flow without errors is one"));
    for task in flow.all_tasks() {
        if let TaskKind::Run { properties } = &task.kind {
            let info = Plugins::get().task(&task.type_name).expect("the type is known");
            check_templates(properties, &info.properties);
        }
    }
    let Some(inputs) = inputs(&flow) else { return Some(()) };

    let mut whole = Play::new(&flow, inputs.clone());
    whole.run_to_end();

    let mut broken = Play::new(&flow, inputs.clone());
    // At another place for each source, and at the same for the same.
    broken.steps(source.len() % 7);
    broken.crash();
    broken.run_to_end();

    let mut killed = Play::new(&flow, inputs);
    killed.steps(source.len() % 5);
    killed.kill();
    killed.run_to_end();
    Some(())
}

/// Values for the inputs that need one; none where the flow's own validators refuse them.
fn inputs(flow: &Flow) -> Option<Map> {
    let mut given = BTreeMap::new();
    for input in &flow.inputs {
        if input.required && input.defaults.is_none() {
            given.insert(input.id.clone(), Given::Json(sample(&input.kind)?));
        }
    }
    match resolve_inputs(flow, &given, &World::default(), &mut NoFiles) {
        Ok(inputs) => Some(inputs),
        Err(problems) => {
            for problem in problems {
                assert!(!problem.to_string().is_empty());
            }
            None
        }
    }
}

fn sample(kind: &InputType) -> Option<Value> {
    Some(match kind {
        InputType::Int { min, .. } => min.unwrap_or(1).into(),
        InputType::Float { min, .. } => min.unwrap_or(0.5).into(),
        InputType::Bool => true.into(),
        InputType::DateTime { .. } => "2026-01-31T12:00:00Z".into(),
        InputType::Date { .. } => "2026-01-31".into(),
        InputType::Time { .. } => "12:00:00".into(),
        InputType::Duration { .. } => "PT1M".into(),
        InputType::Json => "{\"a\": 1}".into(),
        InputType::Yaml => "a: 1".into(),
        InputType::Uri => "https://example.com/a".into(),
        InputType::Array { .. } => Value::Array(Vec::new()),
        InputType::Email => "ann@example.com".into(),
        InputType::Select(choice) => choice.values.first()?.as_str().into(),
        InputType::MultiSelect(choice) => Value::Array(vec![choice.values.first()?.as_str().into()]),
        InputType::File { .. } => return None,
        _ => "text".into(),
    })
}
