//! Functions that make values of values and texts.

use super::Function;
use crate::Value;
use crate::arguments::Args;
use crate::engine::Engine;
use crate::error::Fault;
use crate::filters::{largest, smallest};
use crate::ion;
use crate::operators;
use crate::values::{self, Entries};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("fromIon", &["ion", "allRows"], 1, |scope, args| {
        if args.get(0).is_none() {
            return Ok(values::null());
        }
        let mut rows = ion::read(&args.text(0)?, scope.engine)?;
        if args.opt_flag(1)?.unwrap_or(false) {
            return scope.engine.list(rows);
        }
        rows.truncate(1);
        Ok(rows.pop().unwrap_or_else(values::null))
    }),
    Function::new("fromJson", &["json"], 1, from_json),
    // The name before Kestra 0.19.
    Function::new("json", &["json"], 1, from_json),
    Function::new("max", &[], 0, |scope, args| largest(args, scope.engine)).variadic(),
    Function::new("min", &[], 0, |scope, args| smallest(args, scope.engine)).variadic(),
    Function::new("range", &["start", "end", "increment"], 2, |scope, args| {
        let step = args.opt_integer(2)?.unwrap_or(1);
        operators::range(scope.engine, args.required(0)?, args.required(1)?, step)
    }),
    Function::new("yaml", &["yaml"], 1, |scope, args| {
        let text = args.text(0)?;
        scope.engine.check_length(text.len())?;
        if open_brackets(&text) > MAX_YAML_BRACKETS {
            return Err(Fault::new(format!("the YAML has more than {MAX_YAML_BRACKETS} open brackets")));
        }
        let yaml = serde_yaml::from_str(&text)
            .map_err(|error| Fault::new(format!("the text is not YAML: {error}")))?;
        from_yaml(yaml, scope.engine)
    }),
];

/// Open brackets up to which YAML is read: the scanner's time grows with the square of them, long before it says that
/// they are too many.
const MAX_YAML_BRACKETS: usize = 2000;

/// The most brackets that are open at a time, at least: those in quotes are counted too.
fn open_brackets(text: &str) -> usize {
    let (mut open, mut most) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

fn from_json(scope: &mut crate::eval::Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
    if args.get(0).is_none() {
        return Ok(values::null());
    }
    let text = args.text(0)?;
    scope.engine.check_length(text.len())?;
    let json = serde_json::from_str(&text).map_err(|error| {
        let fault = Fault::new(format!("the text is not JSON: {error}"));
        if text.trim().is_empty() { fault.with_hint("the text is empty") } else { fault }
    })?;
    scope.engine.json(json)
}

fn from_yaml(yaml: serde_yaml::Value, engine: &Engine<'_>) -> Result<Value, Fault> {
    engine.enter()?;
    let result = (|| {
        Ok(match yaml {
            serde_yaml::Value::Null => values::null(),
            serde_yaml::Value::Bool(flag) => Value::from(flag),
            serde_yaml::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Value::from(number),
                (None, Some(number)) => Value::from(number),
                _ => Value::from(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_yaml::Value::String(text) => Value::from(text),
            serde_yaml::Value::Sequence(items) => {
                let items: Result<_, _> = items.into_iter().map(|item| from_yaml(item, engine)).collect();
                engine.list(items?)?
            }
            serde_yaml::Value::Mapping(mapping) => {
                let mut entries = Entries::new();
                for (key, value) in mapping {
                    let key = from_yaml(key, engine)?;
                    entries.insert(engine.printed(&key)?, from_yaml(value, engine)?);
                }
                engine.map(entries)?
            }
            serde_yaml::Value::Tagged(tagged) => from_yaml(tagged.value, engine)?,
        })
    })();
    engine.leave();
    result
}
