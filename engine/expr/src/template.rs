//! The public face: a template that is parsed once and rendered often.

use std::sync::Arc;

use crate::Value;
use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::{Failure, RenderError, SyntaxError};
use crate::eval::Evaluator;
use crate::lexer::{self, OPENERS};
use crate::parser;
use crate::references::{self, Call, Reference};
use crate::scope::Scopes;
use crate::tree::{Node, Span, Tree};

/// How deep a value of [`render_json`] may nest; JSON that was parsed is less deep.
const MAX_JSON_DEPTH: usize = 150;

/// A parsed template; a clone shares the parse.
#[derive(Debug, Clone)]
pub struct Template {
    source: Arc<str>,
    /// `None` for a text without delimiters.
    tree: Option<Arc<Tree>>,
}

pub(crate) fn is_literal(source: &str) -> bool {
    !source.contains('{') || !OPENERS.iter().any(|opener| source.contains(opener))
}

impl Template {
    /// Parses a template. Any text without `{{`, `{%` and `{#` is a template that renders to itself.
    pub fn parse(source: &str) -> Result<Template, SyntaxError> {
        let tree = if is_literal(source) {
            None
        } else {
            let tree =
                parser::parse(source).map_err(|(fault, span)| SyntaxError::new(fault, source, span))?;
            Some(Arc::new(tree))
        };
        Ok(Template { source: source.into(), tree })
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it renders to its own source whatever the context is.
    pub fn is_literal(&self) -> bool {
        self.tree.is_none()
    }

    /// The paths it reads from the context, in the order of the source.
    pub fn references(&self) -> Vec<Reference> {
        self.tree.as_ref().map_or_else(Vec::new, |tree| references::find(tree).references)
    }

    /// The functions, filters and tests it uses, in the order of the source.
    pub fn calls(&self) -> Vec<Call> {
        self.tree.as_ref().map_or_else(Vec::new, |tree| references::find(tree).calls)
    }

    /// Renders to text.
    pub fn render(&self, context: &Value, env: &dyn Environment) -> Result<String, RenderError> {
        let Some(tree) = &self.tree else { return Ok(self.source.to_string()) };
        let engine = Engine::new(env);
        let mut output = engine.output();
        let rendered = self.evaluator(tree, &engine, context).run(&mut output);
        rendered.map_err(|failure| self.error(failure))?;
        Ok(finished(output.into_text(), &engine))
    }

    /// Renders to the native value if the template is exactly one `{{ }}`, else to text.
    pub fn render_typed(&self, context: &Value, env: &dyn Environment) -> Result<Value, RenderError> {
        let Some(tree) = &self.tree else { return Ok(Value::from(&*self.source)) };
        let [Node::Print(expr)] = tree.body.as_slice() else {
            return self.render(context, env).map(Value::from);
        };
        let engine = Engine::new(env);
        let value =
            self.evaluator(tree, &engine, context).eval(expr).map_err(|failure| self.error(failure))?;
        match value.as_str() {
            Some(text) if engine.raw_kept.get() => Ok(Value::from(lexer::strip_raw(text))),
            _ => Ok(value),
        }
    }

    fn evaluator<'a>(&'a self, tree: &'a Tree, engine: &'a Engine<'a>, context: &'a Value) -> Evaluator<'a> {
        Evaluator::new(&self.source, tree, engine, Scopes::new(context))
    }

    fn error(&self, failure: Failure) -> RenderError {
        failure.into_error(&self.source)
    }
}

/// Takes out what `render()` kept for its own later passes.
fn finished(text: String, engine: &Engine<'_>) -> String {
    if engine.raw_kept.get() { lexer::strip_raw(&text) } else { text }
}

/// Renders every text of a JSON value, keys too; texts stay texts. Where two keys become one, the first stays.
pub fn render_json(
    value: &serde_json::Value,
    context: &Value,
    env: &dyn Environment,
) -> Result<serde_json::Value, RenderError> {
    let mut path = Vec::new();
    rendered_json(value, context, env, &mut path).map_err(|mut error| {
        error.path = joined(&path).into();
        error
    })
}

/// A step on the way to a text in a JSON value.
enum Step {
    Key(String),
    Index(usize),
}

fn joined(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// On failure `path` is left where the failure is.
fn rendered_json(
    value: &serde_json::Value,
    context: &Value,
    env: &dyn Environment,
    path: &mut Vec<Step>,
) -> Result<serde_json::Value, RenderError> {
    if path.len() > MAX_JSON_DEPTH {
        let fault = crate::Fault::new(format!("the value is nested more than {MAX_JSON_DEPTH} deep"));
        return Err(fault.at(Span::new(0, 0)).into_error(""));
    }
    let text = |text: &str| Template::parse(text)?.render(context, env);
    Ok(match value {
        serde_json::Value::String(template) => serde_json::Value::String(text(template)?),
        serde_json::Value::Array(items) => {
            let mut rendered = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                path.push(Step::Index(index));
                rendered.push(rendered_json(item, context, env, path)?);
                path.pop();
            }
            serde_json::Value::Array(rendered)
        }
        serde_json::Value::Object(entries) => {
            let mut rendered = serde_json::Map::with_capacity(entries.len());
            for (key, item) in entries {
                path.push(Step::Key(key.clone()));
                let key = text(key)?;
                let item = rendered_json(item, context, env, path)?;
                path.pop();
                rendered.entry(key).or_insert(item);
            }
            serde_json::Value::Object(rendered)
        }
        other => other.clone(),
    })
}
