//! The values that an execution is started with: given ones, defaults, checks (compat.md §1.3).

mod coerce;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use weft_expr::{Environment, Template, is_true};
use weft_model::Map;

use crate::parse::{all_if_few, is_dynamic};
use crate::suggest::Budget;
use crate::{Choice, Flow, Input, InputType};

pub use coerce::coerce_output;
pub(crate) use coerce::{check_fixed, full_match};

/// What is shown in place of a secret.
const MASK: &str = "********";

/// Characters of a refused value that are shown.
const SHOWN: usize = 80;

/// A value as it arrives.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// Text that is read according to the input's type.
    Text(String),
    /// A value that has a type already.
    Json(Value),
    /// A file on this machine.
    FilePath(PathBuf),
}

/// Takes files into internal storage.
pub trait FileInputs {
    /// Stores a file for an input; the result is its `kestra://` address. `extension` is what the stored name ends with
    /// if the file's own name is not kept. The error says why the file cannot be read.
    fn upload(&mut self, input: &str, file: &Path, extension: &str) -> Result<String, String>;
}

/// Refuses every file.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl FileInputs for NoFiles {
    fn upload(&mut self, _input: &str, _file: &Path, _extension: &str) -> Result<String, String> {
        Err("files cannot be given here".to_owned())
    }
}

impl Input {
    /// Whether an execution fails for want of this one if no value is given for it.
    pub(crate) fn is_needed(&self) -> bool {
        self.required && self.defaults.is_none() && self.depends_on.is_none()
    }
}

/// The name under which values are given: a dot in an id makes a map, which can be given as one. Who gives something under
/// the same name gives the input, or a part of it.
pub(crate) fn root_of(id: &str) -> &str {
    id.split('.').next().unwrap_or_default()
}

/// Why an execution cannot be started with these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputProblem {
    /// The input's id, or the name that was given.
    pub input: String,
    /// What is wrong: `missing required input`, `it must match the pattern ...`.
    pub message: String,
    /// The refused value, shortened; masked for secrets.
    pub received: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for InputProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid input for `{}`, {}", self.input, self.message)?;
        if let Some(received) = &self.received {
            write!(f, ", but received `{received}`")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for InputProblem {}

/// The values of a flow's inputs. Ids with dots make maps; an optional input without value is null; one whose
/// `dependsOn` does not hold is left out. All problems are found at once.
pub fn resolve_inputs(
    flow: &Flow,
    given: &BTreeMap<String, Given>,
    env: &dyn Environment,
    files: &mut dyn FileInputs,
) -> Result<Map, Vec<InputProblem>> {
    let mut context = Map::new();
    context.insert("flow".to_owned(), serde_json::json!({"id": flow.id, "namespace": flow.namespace}));
    context.insert("vars".to_owned(), Value::Object(flow.variables.clone()));
    resolve_values(&flow.inputs, given, context, env, files)
}

/// The same for any list of inputs, such as `onResume` of a pause. Expressions see `context`, and the values that are
/// known already as `inputs`.
pub fn resolve_values(
    inputs: &[Input],
    given: &BTreeMap<String, Given>,
    context: Map,
    env: &dyn Environment,
    files: &mut dyn FileInputs,
) -> Result<Map, Vec<InputProblem>> {
    let mut resolver = Resolver { given, context, values: Map::new(), env, files };
    let mut problems = unknown(inputs, given);
    for input in in_order(inputs) {
        match resolver.resolve(input) {
            Ok(Some(value)) => insert(&mut resolver.values, &input.id, value),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(resolver.values) } else { Err(problems) }
}

/// Names that were given and do not exist.
fn unknown(inputs: &[Input], given: &BTreeMap<String, Given>) -> Vec<InputProblem> {
    let ids = || inputs.iter().map(|input| input.id.as_str());
    let known: HashSet<&str> = ids().collect();
    let budget = Budget::default();
    given
        .keys()
        .filter(|name| !known.contains(name.as_str()))
        .map(|name| InputProblem {
            input: name.clone(),
            message: "the flow has no such input".to_owned(),
            received: None,
            hint: budget.did_you_mean(name, ids()).or_else(|| all_if_few(ids(), "it has")),
        })
        .collect()
}

/// Inputs in the order of the flow, but each after those that it depends on. Parsing has refused circles.
fn in_order(inputs: &[Input]) -> Vec<&Input> {
    let by_id: HashMap<&str, usize> =
        inputs.iter().enumerate().map(|(index, input)| (input.id.as_str(), index)).collect();
    let mut seen = vec![false; inputs.len()];
    let mut order = Vec::with_capacity(inputs.len());
    // What is looked at, with how many of those that it depends on were; no recursion, a chain may be as long as the flow.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for index in 0..inputs.len() {
        if !std::mem::replace(&mut seen[index], true) {
            open.push((index, 0));
        }
        while let Some((input, looked_at)) = open.last_mut() {
            let input = &inputs[*input];
            let name = input.depends_on.as_ref().and_then(|depends_on| depends_on.inputs.get(*looked_at));
            *looked_at += 1;
            match name.map(|name| by_id.get(name.as_str())) {
                Some(Some(&other)) if !std::mem::replace(&mut seen[other], true) => open.push((other, 0)),
                Some(_) => {}
                None => {
                    order.push(input);
                    open.pop();
                }
            }
        }
    }
    order
}

struct Resolver<'r> {
    given: &'r BTreeMap<String, Given>,
    context: Map,
    values: Map,
    env: &'r dyn Environment,
    files: &'r mut dyn FileInputs,
}

impl Resolver<'_> {
    /// A value; `None` if the input is left out.
    fn resolve(&mut self, input: &Input) -> Result<Option<Value>, InputProblem> {
        if !self.is_asked_for(input)? {
            return Ok(None);
        }
        let choice = self.choice(input)?;
        let value = match self.given.get(&input.id) {
            Some(given) => self.given_value(input, given)?,
            None => self.default_value(input, choice.as_ref())?,
        };
        if value.is_null() {
            return if input.required {
                let hint = Some(format!("give it a value, as in `{}=...`", input.id));
                Err(InputProblem {
                    hint,
                    ..problem(input, "missing required input".to_owned(), &Value::Null)
                })
            } else {
                Ok(Some(Value::Null))
            };
        }
        let kind = choice.as_ref().unwrap_or(&input.kind);
        if let (InputType::File { extension, .. }, Value::String(text)) = (kind, &value)
            && !text.starts_with("kestra://")
        {
            return self.upload(input, Path::new(text), extension).map(Some);
        }
        coerce::coerce(kind, &value).map(Some).map_err(|message| problem(input, message, &value))
    }

    /// Whether the inputs that it depends on are there and its condition holds.
    fn is_asked_for(&self, input: &Input) -> Result<bool, InputProblem> {
        let Some(depends_on) = &input.depends_on else { return Ok(true) };
        if !depends_on.inputs.iter().all(|id| find(&self.values, id).is_some_and(|value| !value.is_null())) {
            return Ok(false);
        }
        let Some(condition) = &depends_on.condition else { return Ok(true) };
        let text = condition
            .render(&self.context(), self.env)
            .map_err(|error| problem_without_value(input, format!("its condition failed: {error}")))?;
        Ok(is_true(&text))
    }

    /// The type with the values that an expression gives to choose from.
    fn choice(&self, input: &Input) -> Result<Option<InputType>, InputProblem> {
        let (InputType::Select(choice) | InputType::MultiSelect(choice)) = &input.kind else {
            return Ok(None);
        };
        let Some(expression) = &choice.expression else { return Ok(None) };
        let rendered = self.render(input, expression)?;
        let rendered = match rendered {
            Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
            other => other,
        };
        let Value::Array(items) = rendered else {
            let message = "the expression of its values is not a list".to_owned();
            return Err(problem_without_value(input, message));
        };
        let values = items.iter().map(coerce::as_text).collect();
        let choice = Choice { values, expression: None, ..choice.clone() };
        Ok(Some(match input.kind {
            InputType::Select(_) => InputType::Select(choice),
            _ => InputType::MultiSelect(choice),
        }))
    }

    fn given_value(&mut self, input: &Input, given: &Given) -> Result<Value, InputProblem> {
        match given {
            Given::Text(text) => Ok(Value::String(text.clone())),
            Given::Json(value) => Ok(value.clone()),
            Given::FilePath(path) => match &input.kind {
                InputType::File { extension, .. } => self.upload(input, path, extension),
                _ => {
                    let message = "only an input of type FILE takes a file".to_owned();
                    Err(problem(input, message, &Value::String(path.display().to_string())))
                }
            },
        }
    }

    fn upload(&mut self, input: &Input, path: &Path, extension: &str) -> Result<Value, InputProblem> {
        let shown = Value::String(path.display().to_string());
        coerce::coerce(&input.kind, &shown).map_err(|message| problem(input, message, &shown))?;
        let uri = self.files.upload(&input.id, path, extension);
        uri.map(Value::String)
            .map_err(|reason| problem(input, format!("the file cannot be taken: {reason}"), &shown))
    }

    fn default_value(&self, input: &Input, choice: Option<&InputType>) -> Result<Value, InputProblem> {
        match (&input.defaults, choice.unwrap_or(&input.kind)) {
            (Some(Value::String(text)), _) if is_dynamic(text) => {
                let template = Template::parse(text).map_err(|error| {
                    problem_without_value(input, format!("its default is not valid: {error}"))
                })?;
                self.render(input, &template)
            }
            (Some(value), _) => weft_expr::render_json(value, &self.context(), self.env).map_err(|error| {
                problem_without_value(input, format!("its default cannot be rendered: {error}"))
            }),
            (None, InputType::Select(choice)) if choice.auto_select_first => {
                Ok(choice.values.first().map_or(Value::Null, |first| Value::String(first.clone())))
            }
            (None, _) => Ok(Value::Null),
        }
    }

    fn render(&self, input: &Input, template: &Template) -> Result<Value, InputProblem> {
        let failed =
            |error: String| problem_without_value(input, format!("an expression of it failed: {error}"));
        let value =
            template.render_typed(&self.context(), self.env).map_err(|error| failed(error.to_string()))?;
        serde_json::to_value(value).map_err(|error| failed(error.to_string()))
    }

    fn context(&self) -> weft_expr::Value {
        let mut context = self.context.clone();
        context.insert("inputs".to_owned(), Value::Object(self.values.clone()));
        // Every JSON value is a value of expressions.
        serde_json::from_value(Value::Object(context)).unwrap_or_default()
    }
}

/// Puts a value under an id, whose dots make maps.
fn insert(values: &mut Map, id: &str, value: Value) {
    match id.split_once('.') {
        None => {
            values.insert(id.to_owned(), value);
        }
        Some((outer, inner)) => {
            let entry = values.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            if !entry.is_object() {
                *entry = Value::Object(Map::new());
            }
            if let Value::Object(map) = entry {
                insert(map, inner, value);
            }
        }
    }
}

fn find<'v>(values: &'v Map, id: &str) -> Option<&'v Value> {
    let mut names = id.split('.');
    names.next().and_then(|first| names.try_fold(values.get(first)?, |value, name| value.get(name)))
}

fn problem(input: &Input, message: String, received: &Value) -> InputProblem {
    let received = match received {
        value if is_secret(&input.kind) && !value.is_null() => MASK.to_owned(),
        value => shortened(&coerce::as_text(value)),
    };
    InputProblem { input: input.id.clone(), message, received: Some(received), hint: None }
}

fn is_secret(kind: &InputType) -> bool {
    match kind {
        InputType::Secret { .. } => true,
        InputType::Array { items } => is_secret(items),
        _ => false,
    }
}

fn problem_without_value(input: &Input, message: String) -> InputProblem {
    InputProblem { input: input.id.clone(), message, received: None, hint: None }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
