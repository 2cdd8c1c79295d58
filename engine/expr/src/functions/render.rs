//! `render()`: values that are templates themselves.

use super::Function;
use crate::Value;
use crate::arguments::Args;
use crate::error::{Fault, RenderError, SyntaxError};
use crate::eval::Evaluator;
use crate::parser;
use crate::values::{self, Entries};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("render", &["template", "recursive"], 1, |scope, args| {
        let recursive = args.opt_flag(1)?.unwrap_or(true);
        rendered(scope, args, recursive)
    }),
    Function::new("renderOnce", &["template"], 1, |scope, args| rendered(scope, args, false)),
];

/// Bytes of a template that cost as much to parse as one round of a loop.
const BYTES_PER_ROUND: usize = 64;

fn rendered(scope: &mut Evaluator<'_>, args: &Args<'_>, recursive: bool) -> Result<Value, Fault> {
    let Some(value) = args.get(0) else { return Ok(values::null()) };
    scope.engine.raw_kept.set(true);
    every_text(scope, value, recursive)
}

/// Renders a text, or all texts of a list or map, keys too. Other values are what they are.
fn every_text(scope: &mut Evaluator<'_>, value: &Value, recursive: bool) -> Result<Value, Fault> {
    let engine = scope.engine;
    engine.enter()?;
    let mut inner = || {
        if let Some(text) = value.as_str() {
            return passes(scope, text, recursive).and_then(|text| engine.text(text));
        }
        if values::is_list(value) {
            let items = engine.items(value)?;
            let items: Result<_, _> = items.iter().map(|item| every_text(scope, item, recursive)).collect();
            return engine.list(items?);
        }
        if values::is_map(value) {
            let mut entries = Entries::new();
            for (key, value) in engine.entries(value)? {
                entries.insert(passes(scope, &key, recursive)?, every_text(scope, &value, recursive)?);
            }
            return engine.map(entries);
        }
        Ok(value.clone())
    };
    let result = inner();
    engine.leave();
    result
}

/// Renders until nothing changes any more, or once.
fn passes(scope: &mut Evaluator<'_>, text: &str, recursive: bool) -> Result<String, Fault> {
    let mut text = text.to_string();
    for _ in 0..=scope.engine.limits.recursion {
        let next = once(scope, &text)?;
        if !recursive || next == text {
            return Ok(next);
        }
        text = next;
    }
    Err(scope.engine.too_many_renders())
}

/// One pass. `raw` stays as it is, for the next one; it is taken out when all is done.
fn once(scope: &mut Evaluator<'_>, text: &str) -> Result<String, Fault> {
    if crate::is_literal(text) {
        return Ok(text.to_string());
    }
    let engine = scope.engine;
    engine.charge(1 + text.len() / BYTES_PER_ROUND + scope.scopes.len())?;
    engine.inner(|| {
        let nested = |error: RenderError| {
            if engine.place_told.replace(true) || error.expression.is_empty() {
                return Fault { message: error.message, hint: error.hint };
            }
            Fault {
                message: format!("{} in the rendered `{}`", error.message, error.expression),
                hint: error.hint,
            }
        };
        let tree = parser::parse(text)
            .map_err(|(fault, span)| nested(SyntaxError::new(fault, text, span).into()))?;
        let mut output = engine.output();
        let mut inner = Evaluator::new(text, &tree, engine, scope.scopes.outer()).keeping_raw();
        inner.run(&mut output).map_err(|failure| nested(failure.into_error(text)))?;
        Ok(output.into_text())
    })
}
