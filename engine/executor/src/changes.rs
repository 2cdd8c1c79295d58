//! What tasks and people change in an execution: labels, variables, its end.
//!
//! An execution is stored as a whole at each change of it, so what all of its tasks add to it has a bound, beside that of
//! each attempt, which the worker keeps.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Value, json};
use weft_model::{Amount, ExecutionUpdate, Failure, Label, Map, State};

use crate::Settings;

/// Labels and variables as they will be, where they change, and the state in which the execution is to end.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub labels: Option<Vec<Label>>,
    pub variables: Option<Map>,
    pub exit: Option<State>,
}

impl Changed {
    /// What becomes of the execution by these updates, one after the other. The work is linear in both.
    pub fn by(
        updates: Vec<ExecutionUpdate>,
        labels_before: &[Label],
        variables_before: &Map,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let (mut labels, mut variables, mut exit) = (Vec::new(), None, None);
        let mut grows = false;
        for update in updates {
            match update {
                ExecutionUpdate::Labels(new) => labels.extend(new),
                ExecutionUpdate::SetVariables(new) => {
                    grows = true;
                    let variables = variables.get_or_insert_with(|| optional(variables_before));
                    variables.extend(new.into_iter().map(|(name, value)| (name, Some(value))));
                }
                ExecutionUpdate::UnsetVariables(names) => {
                    let variables = variables.get_or_insert_with(|| optional(variables_before));
                    for name in names {
                        if let Some(value) = variables.get_mut(&name) {
                            *value = None;
                        }
                    }
                }
                ExecutionUpdate::Exit(state) => exit = Some(state),
            }
        }
        let labels = (!labels.is_empty()).then(|| {
            let mut all = labels_before.to_vec();
            set_labels(&mut all, labels);
            all
        });
        let variables: Option<Map> =
            variables.map(|all| all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect());
        if let Some(labels) = &labels {
            check("labels", "labels", labels.len() as u64, settings.max_labels)?;
        }
        if let Some(variables) = variables.as_ref().filter(|_| grows) {
            let Amount { bytes, nodes } = Amount::of_members(variables);
            check("variables", "bytes of variables", bytes, settings.max_variables.bytes)?;
            check("variables", "values in variables", nodes, settings.max_variables.nodes)?;
        }
        Ok(Self { labels, variables, exit })
    }
}

/// A variable that is removed keeps its place until the end, so that removing many is not moving all the others each time.
fn optional(variables: &Map) -> IndexMap<String, Option<Value>> {
    variables.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect()
}

fn check(bound: &str, what: &str, amount: u64, limit: u64) -> Result<(), Failure> {
    if amount <= limit {
        return Ok(());
    }
    let message = format!(
        "the execution would have {amount} {what}, and may have {limit}\n\
         hint: put out what later tasks need as outputs of the task"
    );
    let detail = json!({"bound": bound, "amount": amount, "limit": limit});
    Err(Failure::new("task.budget", message).with_detail(detail))
}

/// Adds `new` to `labels`; a key that is there gets the new value.
pub(crate) fn set_labels(labels: &mut Vec<Label>, new: Vec<Label>) {
    // Of two labels of one key, which only a flow can have, the first counts.
    let mut places: HashMap<String, usize> =
        labels.iter().enumerate().rev().map(|(place, label)| (label.key.clone(), place)).collect();
    for label in new {
        match places.get(&label.key) {
            Some(&place) => labels[place].value = label.value,
            None => {
                places.insert(label.key.clone(), labels.len());
                labels.push(label);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(key: &str, value: &str) -> Label {
        Label { key: key.into(), value: value.into() }
    }

    fn map(value: Value) -> Map {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn updates_follow_one_another() {
        use ExecutionUpdate::{Exit, Labels, SetVariables, UnsetVariables};
        let before = [label("a", "1"), label("a", "2"), label("b", "3")];
        let variables_before = map(json!({"x": 1, "y": 2}));
        let names = |names: &[&str]| UnsetVariables(names.iter().map(|&name| name.to_owned()).collect());
        for (updates, labels, variables, exit) in [
            (vec![], None, None, None),
            (vec![Exit(State::Failed), Exit(State::Success)], None, None, Some(State::Success)),
            (
                vec![Labels(vec![label("c", "4"), label("a", "5")]), Labels(vec![label("c", "6")])],
                Some(vec![label("a", "5"), label("a", "2"), label("b", "3"), label("c", "6")]),
                None,
                None,
            ),
            (
                vec![names(&["x", "z"]), SetVariables(map(json!({"z": 3, "y": 4}))), names(&["y"])],
                None,
                Some(json!({"z": 3})),
                None,
            ),
            (
                vec![names(&["x"]), SetVariables(map(json!({"x": 3})))],
                None,
                Some(json!({"x": 3, "y": 2})),
                None,
            ),
        ] {
            let shown = format!("{updates:?}");
            let changed = Changed::by(updates, &before, &variables_before, &Settings::default()).unwrap();
            assert_eq!(changed.labels, labels, "{shown}");
            assert_eq!(changed.variables.map(Value::Object), variables, "{shown}");
            assert_eq!(changed.exit, exit, "{shown}");
        }
    }

    #[test]
    fn what_all_tasks_add_has_a_bound() {
        let settings =
            Settings { max_labels: 2, max_variables: Amount { bytes: 20, nodes: 5 }, ..Settings::default() };
        let (before, variables_before) = ([label("a", "1")], map(json!({"x": [1, 2]})));
        let set = |variables: Value| ExecutionUpdate::SetVariables(map(variables));
        for (update, problem) in [
            (ExecutionUpdate::Labels(vec![label("b", "")]), None),
            (
                ExecutionUpdate::Labels(vec![label("b", ""), label("c", "")]),
                Some("would have 3 labels, and may have 2"),
            ),
            (set(json!({"x": "0123456789"})), None),
            (set(json!({"x": [1, 2, 3]})), None),
            (set(json!({"x": [1, 2, 3, 4]})), Some("would have 6 values in variables, and may have 5")),
            (set(json!({"y": "0123456789abc"})), Some("would have 22 bytes of variables, and may have 20")),
            (ExecutionUpdate::UnsetVariables(vec!["x".into()]), None),
        ] {
            let shown = format!("{update:?}");
            match (Changed::by(vec![update], &before, &variables_before, &settings), problem) {
                (Ok(_), None) => {}
                (Err(failure), Some(part)) => {
                    assert_eq!(failure.code, "task.budget");
                    assert!(failure.message.contains(part), "{}", failure.message);
                }
                (changed, _) => panic!("{shown}: {changed:?}"),
            }
        }
    }
}
