//! What a flow says about the flows that it calls: are they there, and do they take what they are given?

use std::cell::LazyCell;
use std::collections::HashSet;
use std::sync::Arc;

use crate::codes::{MISSING_PROPERTY, UNDEFINED_INPUT, UNKNOWN_FLOW};
use crate::inputs::root_of;
use crate::locate::Tasks;
use crate::parse::{all_if_few, is_dynamic};
use crate::span::Lines;
use crate::suggest::Budget;
use crate::{Diagnostic, Flow, Input, ParseOptions, Shape, Span, Subflow, Task, TaskKind, yaml};

/// Checks each `Subflow` and `ForEachItem` whose flow can be told before it runs. `source` is what the flow was read from;
/// `find` looks a flow up by namespace and id, and is not asked for what cannot be read.
///
/// A flow that is not there is only a warning: it may be in another folder when the caller is run.
pub fn check_calls(flow: &Flow, source: &str, find: &dyn Fn(&str, &str) -> Called) -> Vec<Diagnostic> {
    let calls: Vec<(&Task, &Subflow)> =
        flow.all_tasks().into_iter().filter_map(|task| Some((task, call(task)?))).collect();
    // Most flows call nothing, or have nothing wrong: the source is read again only for places of mistakes.
    let lines = Lines::new(source);
    let root = LazyCell::new(|| yaml::parse(&lines, &ParseOptions::default(), &mut Vec::new()));
    let places: Places<'_> = LazyCell::new(Box::new(|| root.as_ref().map(|root| Tasks::of(&lines, root))));
    let suggestions = Budget::default();
    let checked = calls.into_iter().flat_map(|(task, call)| {
        let caller = Caller { places: &places, suggestions: &suggestions, task };
        match find(&call.namespace, &call.flow_id) {
            Called::Found(called) => caller.inputs(call, &called),
            Called::Missing { others } => vec![caller.missing(call, &others)],
            Called::Unusable => Vec::new(),
        }
    });
    checked.collect()
}

/// What there is of a flow that is called.
#[derive(Debug, Clone)]
pub enum Called {
    /// It is there.
    Found(Arc<Flow>),
    /// It is not; the names of those that are.
    Missing {
        /// `namespace.id` each.
        others: Arc<[String]>,
    },
    /// Something is wrong with it, which is said elsewhere.
    Unusable,
}

/// The call of a task, if its flow is named and not computed.
fn call(task: &Task) -> Option<&Subflow> {
    let TaskKind::Flowable(flowable) = &task.kind else { return None };
    let call = match &flowable.shape {
        Shape::Subflow(call) => call,
        Shape::ForEachItem(each) => &each.subflow,
        _ => return None,
    };
    let computed = is_dynamic(&call.namespace) || is_dynamic(&call.flow_id) || task.disabled;
    (!computed).then_some(call)
}

/// Inputs of one call that are named as missing; of more, only how many there are.
const MISSING_INPUTS: usize = 20;

/// Of the tasks of the caller; none where its source cannot be read.
type Places<'c> = LazyCell<Option<Tasks<'c>>, Box<dyn FnOnce() -> Option<Tasks<'c>> + 'c>>;

struct Caller<'c, 'p> {
    places: &'c Places<'p>,
    suggestions: &'c Budget,
    task: &'c Task,
}

impl Caller<'_, '_> {
    fn span(&self, property: &str) -> Span {
        let places = self.places.as_ref();
        places.and_then(|places| places.locate(&self.task.id, property)).unwrap_or(self.task.span)
    }

    fn missing(&self, call: &Subflow, others: &[String]) -> Diagnostic {
        let name = format!("{}.{}", call.namespace, call.flow_id);
        let hint = self
            .suggestions
            .did_you_mean(&name, others.iter().map(String::as_str))
            .unwrap_or_else(|| "run this one with `--flows DIR` if that is in another folder".to_owned());
        let message = format!("there is no flow `{name}` beside this one");
        Diagnostic::warning(UNKNOWN_FLOW, self.span("flowId"), message).hint(hint)
    }

    /// Inputs that the other flow does not have, and those that it needs and is not given.
    fn inputs(&self, call: &Subflow, called: &Flow) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let name = &call.flow_id;
        let known: HashSet<&str> = called.inputs.iter().map(|input| root_of(&input.id)).collect();
        let mut unknown = call.inputs.keys().filter(|key| !known.contains(root_of(key))).peekable();
        if unknown.peek().is_some() {
            let places = self.places.as_ref();
            let spans = places.map(|places| places.members(&self.task.id, "inputs")).unwrap_or_default();
            found.extend(unknown.map(|key| {
                let known = || called.inputs.iter().map(|input| input.id.as_str());
                let hint = match called.inputs.is_empty() {
                    true => Some("it has none: leave it out".to_owned()),
                    false => {
                        let nearest = self.suggestions.did_you_mean(key, known());
                        nearest.or_else(|| all_if_few(known(), "its inputs are"))
                    }
                };
                let message = format!("the flow `{name}` has no input `{key}`");
                let span = spans.get(key.as_str()).copied().unwrap_or_else(|| self.span("inputs"));
                Diagnostic::error(UNDEFINED_INPUT, span, message).maybe_hint(hint).at_runtime()
            }));
        }
        let given: HashSet<&str> = call.inputs.keys().map(|key| root_of(key)).collect();
        let is_missing = |input: &&Input| input.is_needed() && !given.contains(root_of(&input.id));
        let missing: Vec<&Input> = called.inputs.iter().filter(is_missing).collect();
        let span = missing.first().map(|_| self.span("flowId")).unwrap_or_default();
        found.extend(missing.iter().take(MISSING_INPUTS).enumerate().map(|(index, input)| {
            let also = match missing.len().saturating_sub(MISSING_INPUTS) {
                more if more > 0 && index + 1 == MISSING_INPUTS => format!(", and {more} more"),
                _ => String::new(),
            };
            let message =
                format!("the flow `{name}` needs the input `{}`, which it is not given{also}", input.id);
            let hint = format!("add `{}: ...` to the `inputs` of this task", input.id);
            Diagnostic::error(MISSING_PROPERTY, span, message).hint(hint).at_runtime()
        }));
        found
    }
}
