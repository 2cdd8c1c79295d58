//! The tests: `value is name`, `value is not name`.

use minijinja::value::ValueKind;

use crate::Value;
use crate::arguments::{Args, Signature};
use crate::engine::{Engine, wrong_input};
use crate::error::Fault;
use crate::operators;
use crate::values;

type Holds = fn(&Value, &Args<'_>, &Engine<'_>) -> Result<bool, Fault>;

/// A test and how it is asked.
#[derive(Debug)]
pub(crate) struct Predicate {
    pub signature: Signature,
    /// Whether it is asked about what does not exist too, as null.
    pub takes_undefined: bool,
    holds: Holds,
}

impl Predicate {
    const fn new(name: &'static str, parameters: &'static [&'static str], holds: Holds) -> Self {
        let signature = Signature { name, parameters, required: parameters.len(), variadic: false };
        Self { signature, takes_undefined: false, holds }
    }

    pub fn holds(&self, value: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<bool, Fault> {
        (self.holds)(value, args, engine)
    }
}

static PREDICATES: [Predicate; 9] = [
    // Null is not defined either.
    Predicate {
        takes_undefined: true,
        ..Predicate::new("defined", &[], |value, _, _| Ok(!values::is_null(value)))
    },
    Predicate::new("empty", &[], |value, _, _| Ok(is_empty(value))),
    Predicate::new("equalTo", &["value"], |value, args, engine| {
        let other = args.get(0).cloned().unwrap_or_else(values::null);
        operators::equal(engine, value, &other)
    }),
    Predicate::new("even", &[], |value, _, _| integer("even", value).map(|number| number % 2 == 0)),
    Predicate::new("iterable", &[], |value, _, _| Ok(values::is_list(value))),
    Predicate::new("json", &[], |value, _, _| {
        Ok(match value.as_str() {
            Some(text) => serde_json::from_str::<serde_json::Value>(text).is_ok(),
            None => values::is_map(value) || values::is_list(value),
        })
    }),
    Predicate::new("map", &[], |value, _, _| Ok(values::is_map(value))),
    Predicate::new("null", &[], |value, _, _| Ok(values::is_null(value))),
    Predicate::new("odd", &[], |value, _, _| integer("odd", value).map(|number| number % 2 != 0)),
];

pub(crate) fn find(name: &str) -> Option<&'static Predicate> {
    PREDICATES.iter().find(|predicate| predicate.signature.name == name)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PREDICATES.iter().map(|predicate| predicate.signature.name)
}

/// Null, blank texts, and lists and maps without elements.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => true,
        ValueKind::String | ValueKind::Bytes => value.as_str().is_some_and(|text| text.trim().is_empty()),
        ValueKind::Seq | ValueKind::Iterable => values::elements(value).next().is_none(),
        ValueKind::Map => values::pairs(value).next().is_none(),
        _ => false,
    }
}

fn integer(test: &str, value: &Value) -> Result<i64, Fault> {
    values::integer(value).ok_or_else(|| wrong_input(test, "an integer", value))
}
