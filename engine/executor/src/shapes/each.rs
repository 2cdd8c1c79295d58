//! `ForEach`, `EachSequential` and `EachParallel`: a list of tasks once for each value.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value as Json;
use weft_expr::{Environment, Template, Value, render_json};
use weft_flow::Shape;

use crate::frame::{Each, Frame, Iteration, Order, RunIndex};
use crate::plan::Branch;
use crate::slab::Id;
use crate::turn::Turn;

/// How much of a list of values is shown in a message.
const MAX_SHOWN: usize = 200;

impl Turn<'_> {
    pub(super) fn open_each(&mut self, run: RunIndex, frame: Id<Frame>, values: &Json, limit: u32) {
        match loop_values(values, &self.context(run), self.env) {
            Ok(values) => {
                let texts: Vec<Json> = values.iter().map(|value| Json::from(&**value)).collect();
                self.set_output(run, super::VALUES, texts);
                self.begin_loop(frame, Each { values, next: 0, limit });
            }
            Err(message) => {
                let place = self.machine.place(run, "values", None);
                self.fail_open(run, &format!("{place}{message}"));
            }
        }
    }

    /// Begins a loop whose values are known.
    pub(super) fn begin_loop(&mut self, id: Id<Frame>, each: Each) {
        if let Some(frame) = self.machine.frames.get_mut(id) {
            frame.each = Some(each);
        }
        self.next_iterations(id);
    }

    /// Begins as many iterations as may run, and ends the loop if none is left.
    pub(crate) fn next_iterations(&mut self, id: Id<Frame>) {
        while let Some((branch, order, iteration)) = self.next_iteration(id) {
            self.start_lane(id, branch, order, Some(iteration));
        }
        if self.machine.frames.get(id).is_some_and(|frame| frame.lanes == 0) {
            self.main_ended(id);
        }
    }

    fn next_iteration(&mut self, id: Id<Frame>) -> Option<(Branch, Order, Iteration)> {
        let machine = &mut *self.machine;
        let frame = machine.frames.get_mut(id)?;
        let each = frame.each.as_mut()?;
        if machine.ending.is_some() || frame.failed || (each.limit > 0 && frame.lanes >= each.limit) {
            return None;
        }
        let number = each.next;
        let value = each.values.get(number)?;
        each.next += 1;
        let value = Some(Arc::clone(value));
        let shape = &machine.plan.flowable(frame.node?)?.shape;
        Some(loop_iteration(shape, number as u32, value))
    }
}

/// How one iteration of a loop is run.
pub(crate) fn loop_iteration(
    shape: &Shape,
    number: u32,
    value: Option<Arc<str>>,
) -> (Branch, Order, Iteration) {
    match shape {
        // A batch is told its file as `taskrun.items`.
        Shape::ForEachItem(_) => (Branch::Batch, Order::Sequential, Iteration { number, value: None }),
        Shape::ForEach { parallel_tasks: true, .. } => {
            (Branch::Tasks, Order::Parallel(0), Iteration { number, value })
        }
        _ => (Branch::Tasks, Order::Sequential, Iteration { number, value }),
    }
}

/// The values of a loop as texts, each once: a value names its iteration.
fn loop_values(values: &Json, context: &Value, env: &dyn Environment) -> Result<Vec<Arc<str>>, String> {
    let list =
        match values {
            Json::String(source) => {
                let template =
                    Template::parse(source).map_err(|error| format!("cannot read `values`: {error}"))?;
                let value = template.render_typed(context, env);
                let value = value.map_err(|error| format!("cannot evaluate `values`: {error}"))?;
                match value.as_str() {
                    Some(text) => {
                        serde_json::from_str(text).map_err(|error| not_a_list(text, &error.to_string()))?
                    }
                    None => serde_json::to_value(&value)
                        .map_err(|error| format!("cannot use `values`: {error}"))?,
                }
            }
            values => render_json(values, context, env)
                .map_err(|error| format!("cannot evaluate `values`: {error}"))?,
        };
    let Json::Array(items) = &list else {
        return Err(not_a_list(&list.to_string(), "it is a single value"));
    };
    let mut known = HashSet::with_capacity(items.len());
    let mut texts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let text: Arc<str> = match item {
            Json::Null => {
                return Err(format!(
                    "found null at position {index} of `values`: {}\nhint: remove it, or replace it by a text",
                    shortened(&list.to_string())
                ));
            }
            Json::String(text) => text.as_str().into(),
            other => other.to_string().into(),
        };
        if known.insert(Arc::clone(&text)) {
            texts.push(text);
        }
    }
    Ok(texts)
}

fn not_a_list(text: &str, reason: &str) -> String {
    format!(
        "`values` is not a list: {reason}: {}\nhint: give a list or the JSON text of one",
        shortened(text)
    )
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weft_expr::NoEnvironment;

    use super::*;

    fn values(values: Json) -> Result<Vec<String>, String> {
        let values = loop_values(&values, &Value::from_pairs([("n", 7)]), &NoEnvironment)?;
        Ok(values.iter().map(|value| value.to_string()).collect())
    }

    #[test]
    fn values_become_texts() {
        for (given, expected) in [
            (json!(["a", "b"]), &["a", "b"][..]),
            (json!([1, 2.5, true]), &["1", "2.5", "true"]),
            (json!(r#"["a", {"k": [1]}]"#), &["a", r#"{"k":[1]}"#]),
            (json!([{"k": "v"}]), &[r#"{"k":"v"}"#]),
            (json!(["a", "b", "a"]), &["a", "b"]),
            (json!([]), &[]),
            (json!("[]"), &[]),
        ] {
            assert_eq!(values(given.clone()).unwrap(), expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_list_of_values_is_refused() {
        for (given, expected) in [
            (json!([1, null, {"a": 1}]), r#"found null at position 1 of `values`: [1,null,{"a":1}]"#),
            (json!("[null]"), "found null at position 0"),
            (json!("{\"a\": 1}"), "`values` is not a list: it is a single value"),
            (json!("no list"), "`values` is not a list: expected ident"),
            (json!({"a": 1}), "`values` is not a list: it is a single value"),
        ] {
            let message = values(given.clone()).unwrap_err();
            assert!(message.contains(expected), "{given}: {message}");
        }
    }
}
