//! What a flow says about the flows that it calls: are they there, and do they take what they are given?

use std::sync::Arc;

use crate::codes::{MISSING_PROPERTY, UNDEFINED_INPUT, UNKNOWN_FLOW};
use crate::inputs::gives;
use crate::parse::is_dynamic;
use crate::{Diagnostic, Flow, Shape, Span, Subflow, Task, TaskKind, locate, suggest};

/// Checks each `Subflow` and `ForEachItem` whose flow can be told before it runs. `source` is what the flow was read from;
/// `find` looks a flow up by namespace and id, and is not asked for what cannot be read.
///
/// A flow that is not there is only a warning: it may be in another folder when the caller is run.
pub fn check_calls(flow: &Flow, source: &str, find: &dyn Fn(&str, &str) -> Called) -> Vec<Diagnostic> {
    let tasks = flow.all_tasks();
    tasks
        .into_iter()
        .filter_map(|task| Some((task, call(task)?)))
        .flat_map(|(task, call)| {
            let caller = Caller { source, task };
            match find(&call.namespace, &call.flow_id) {
                Called::Found(called) => caller.inputs(call, &called),
                Called::Missing { others } => vec![caller.missing(call, &others)],
                Called::Unusable => Vec::new(),
            }
        })
        .collect()
}

/// What there is of a flow that is called.
#[derive(Debug, Clone)]
pub enum Called {
    /// It is there.
    Found(Arc<Flow>),
    /// It is not; the names of those that are.
    Missing {
        /// `namespace.id` each.
        others: Vec<String>,
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

struct Caller<'c> {
    source: &'c str,
    task: &'c Task,
}

impl Caller<'_> {
    fn span(&self, property: &str) -> Span {
        locate(self.source, &self.task.id, property, None).unwrap_or(self.task.span)
    }

    fn missing(&self, call: &Subflow, others: &[String]) -> Diagnostic {
        let name = format!("{}.{}", call.namespace, call.flow_id);
        let hint = suggest::did_you_mean(&name, others.iter().map(String::as_str))
            .unwrap_or_else(|| "run this one with `--flows DIR` if that is in another folder".to_owned());
        let message = format!("there is no flow `{name}` beside this one");
        Diagnostic::warning(UNKNOWN_FLOW, self.span("flowId"), message).hint(hint)
    }

    /// Inputs that the other flow does not have, and those that it needs and is not given.
    fn inputs(&self, call: &Subflow, called: &Flow) -> Vec<Diagnostic> {
        let name = &call.flow_id;
        let unknown =
            call.inputs.keys().filter(|key| !called.inputs.iter().any(|input| gives(key, &input.id)));
        let unknown = unknown.map(|key| {
            let known = called.inputs.iter().map(|input| input.id.as_str());
            let hint = match called.inputs.is_empty() {
                true => "it has none: leave it out".to_owned(),
                false => suggest::did_you_mean(key, known.clone())
                    .unwrap_or_else(|| format!("its inputs are {}", suggest::enumerate(known, "and"))),
            };
            let message = format!("the flow `{name}` has no input `{key}`");
            let span = self.span(&format!("inputs.{key}"));
            Diagnostic::error(UNDEFINED_INPUT, span, message).hint(hint).at_runtime()
        });
        let needed = called.inputs.iter().filter(|input| input.is_missing_in(&call.inputs));
        let needed = needed.map(|input| {
            let message = format!("the flow `{name}` needs the input `{}`, which it is not given", input.id);
            let hint = format!("add `{}: ...` to the `inputs` of this task", input.id);
            Diagnostic::error(MISSING_PROPERTY, self.span("flowId"), message).hint(hint).at_runtime()
        });
        unknown.chain(needed).collect()
    }
}
