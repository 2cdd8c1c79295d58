//! `If` and `Switch`: one of several lists.

use indexmap::IndexMap;
use weft_expr::{Template, is_true};
use weft_flow::{Shape, Task};
use weft_model::TaskRun;

use crate::frame::{Frame, Order, RunIndex};
use crate::plan::Branch;
use crate::slab::Id;
use crate::turn::Turn;

const EVALUATION_RESULT: &str = "evaluationResult";
const VALUE: &str = "value";
const DEFAULTS: &str = "defaults";

impl Turn<'_> {
    pub(super) fn open_if(&mut self, run: RunIndex, frame: Id<Frame>, condition: &Template) {
        match self.render(run, "condition", condition) {
            Ok(text) => {
                let holds = is_true(&text);
                self.set_output(run, EVALUATION_RESULT, holds);
                let branch = if holds { Branch::Then } else { Branch::Otherwise };
                self.start_lane(frame, branch, Order::Sequential, None);
            }
            Err(error) => self.fail_render(run, "condition", &error),
        }
    }

    pub(super) fn open_switch(
        &mut self,
        run: RunIndex,
        frame: Id<Frame>,
        value: &Template,
        cases: &IndexMap<String, Vec<Task>>,
        has_defaults: bool,
    ) {
        let value = match self.render(run, "value", value) {
            Ok(value) => value,
            Err(error) => return self.fail_render(run, "value", &error),
        };
        let case = cases.get_index_of(&value);
        if case.is_none() && !has_defaults {
            let known: Vec<_> = cases.keys().map(|key| format!("`{key}`")).collect();
            let message = format!(
                "no case for `{value}`, only for {}\nhint: add the case, or `defaults` for all other values",
                known.join(", ")
            );
            return self.fail_open(run, &message);
        }
        self.set_output(run, VALUE, value);
        self.set_output(run, DEFAULTS, case.is_none());
        let branch = case.map_or(Branch::Defaults, |index| Branch::Case(index as u32));
        self.start_lane(frame, branch, Order::Sequential, None);
    }
}

/// The list that an `If` or a `Switch` has chosen, as its outputs say.
pub(crate) fn chosen(shape: &Shape, run: &TaskRun) -> Option<Branch> {
    match shape {
        Shape::If { .. } => {
            let holds = run.output(EVALUATION_RESULT)?.as_bool()?;
            Some(if holds { Branch::Then } else { Branch::Otherwise })
        }
        Shape::Switch { cases, .. } => {
            let case = cases.get_index_of(run.output(VALUE)?.as_str()?);
            Some(case.map_or(Branch::Defaults, |index| Branch::Case(index as u32)))
        }
        _ => None,
    }
}
