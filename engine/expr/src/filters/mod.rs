//! The filters: `value | name(arguments)`.
//!
//! Names, arguments and results are those of Pebble 3.2.2 and of Kestra up to 2.0. A null passes through most filters
//! untouched; those that have something to say of it are marked so.

mod collections;
mod dates;
mod digests;
mod encoding;
mod jq;
mod numbers;
mod regular;
mod strings;
mod yaml;

use crate::arguments::{Args, Signature};
use crate::engine::Engine;
use crate::error::Fault;
use crate::{Value, functions, predicates, suggest, values};

pub(crate) use collections::{largest, smallest};
pub(crate) use dates::{from_iso, now};

type Apply = fn(&Value, &Args<'_>, &Engine<'_>) -> Result<Value, Fault>;

/// A filter and how it is called.
#[derive(Debug)]
pub(crate) struct Filter {
    pub signature: Signature,
    /// Whether it is asked about null too; else null stays null.
    takes_null: bool,
    /// Whether it is asked about what does not exist too, as null.
    pub takes_undefined: bool,
    apply: Apply,
}

impl Filter {
    const fn new(
        name: &'static str,
        parameters: &'static [&'static str],
        required: usize,
        apply: Apply,
    ) -> Self {
        let signature = Signature { name, parameters, required, variadic: false };
        Self { signature, takes_null: false, takes_undefined: false, apply }
    }

    const fn with_null(self) -> Self {
        Self { takes_null: true, ..self }
    }

    pub fn apply(&self, input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
        engine.charge(1)?;
        if values::is_null(input) && !self.takes_null {
            return Ok(values::null());
        }
        (self.apply)(input, args, engine)
    }
}

/// `default` is the one filter that sees what does not exist.
static DEFAULT: Filter =
    Filter { takes_undefined: true, ..Filter::new("default", &["default"], 1, default).with_null() };

static GROUPS: [&[Filter]; 9] = [
    strings::FILTERS,
    regular::FILTERS,
    collections::FILTERS,
    numbers::FILTERS,
    dates::FILTERS,
    encoding::FILTERS,
    digests::FILTERS,
    jq::FILTERS,
    yaml::FILTERS,
];

fn all() -> impl Iterator<Item = &'static Filter> {
    GROUPS.iter().copied().flatten().chain(std::iter::once(&DEFAULT))
}

pub(crate) fn find(name: &str) -> Option<&'static Filter> {
    all().find(|filter| filter.signature.name == name)
}

pub(crate) fn unknown_filter(name: &str) -> Fault {
    let fault = Fault::new(format!("the filter `{name}` does not exist"));
    if let Some(nearest) = suggest::nearest(name, all().map(|filter| filter.signature.name)) {
        return fault.with_hint(format!("did you mean `{nearest}`?"));
    }
    match name {
        "size" | "count" | "len" => fault.with_hint("use `length`"),
        "addDate" | "plusDays" | "addDays" => fault.with_hint("use `dateAdd(1, 'DAYS')`"),
        "round" => fault.with_hint("use `numberFormat('#.##')`"),
        "escape" | "e" | "raw" | "safe" => {
            fault.with_hint("nothing is escaped here, so there is nothing to undo")
        }
        _ if functions::find(name).is_some() => {
            fault.with_hint(format!("it is a function: write `{name}(value)`"))
        }
        _ if predicates::find(name).is_some() => {
            fault.with_hint(format!("it is a test: write `value is {name}`"))
        }
        _ => fault,
    }
}

/// The filter that is meant by a call of one of Java's methods. Those that take no argument and are what the filter is
/// are let through; the others are named in the error.
pub(crate) fn method(name: &str) -> Result<&'static Filter, Fault> {
    let (same, other) = match name {
        "toUpperCase" => (Some("upper"), ""),
        "toLowerCase" => (Some("lower"), ""),
        "trim" | "strip" => (Some("trim"), ""),
        "length" | "size" => (Some("length"), ""),
        "replace" | "replaceAll" => (None, "value | replace({'from': 'to'})"),
        "split" => (None, "value | split(',')"),
        "substring" => (None, "value | slice(0, 3)"),
        "contains" => (None, "value contains 'text'"),
        "startsWith" => (None, "value | startsWith('text')"),
        "endsWith" => (None, "value | endsWith('text')"),
        "equals" => (None, "value == other"),
        "isEmpty" => (None, "value is empty"),
        "get" => (None, "value['key']"),
        "keySet" => (None, "value | keys"),
        "values" => (None, "value | values"),
        "toString" => (None, "'' ~ value"),
        "format" => (None, "value | date('yyyy-MM-dd')"),
        _ => (None, ""),
    };
    if let Some(filter) = same.and_then(find) {
        return Ok(filter);
    }
    let fault = Fault::new(format!("methods cannot be called: `.{name}()`"));
    if !other.is_empty() {
        return Err(fault.with_hint(format!("write `{other}`")));
    }
    Err(match find(name) {
        Some(_) => fault.with_hint(format!("write `value | {name}`")),
        None => fault.with_hint("use a filter: `value | name`"),
    })
}

fn default(input: &Value, args: &Args<'_>, _: &Engine<'_>) -> Result<Value, Fault> {
    if predicates::is_empty(input) {
        return Ok(args.get(0).cloned().unwrap_or_else(values::null));
    }
    Ok(input.clone())
}
