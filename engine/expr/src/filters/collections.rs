//! Filters on lists and maps. None changes its input, unlike Pebble's `sort` and `reverse`.

use std::collections::HashSet;

use minijinja::value::ValueKind;

use super::Filter;
use crate::Value;
use crate::arguments::Args;
use crate::engine::{Engine, wrong_input};
use crate::error::Fault;
use crate::operators;
use crate::tree::Binary;
use crate::values::{self, kind_name};

pub(super) const FILTERS: &[Filter] = &[
    Filter::new("chunk", &["size"], 1, chunk),
    Filter::new("distinct", &[], 0, |input, _, engine| distinct("distinct", input, engine)),
    Filter::new("first", &[], 0, |input, _, engine| end("first", input, engine, false)),
    Filter::new("flatten", &[], 0, flatten),
    Filter::new("join", &["separator"], 0, join),
    Filter::new("keys", &[], 0, keys),
    Filter::new("last", &[], 0, |input, _, engine| end("last", input, engine, true)),
    Filter::new("length", &[], 0, |input, _, _| Ok(Value::from(values::length(input)))).with_null(),
    Filter::new("merge", &["items"], 1, merge).with_null(),
    Filter::new("reverse", &[], 0, |input, _, engine| {
        let mut items = engine.list_items("reverse", input)?;
        items.reverse();
        engine.list(items)
    }),
    Filter::new("rsort", &[], 0, |input, _, engine| {
        let mut items = sorted("rsort", input, engine)?;
        items.reverse();
        engine.list(items)
    }),
    Filter::new("slice", &["fromIndex", "toIndex"], 0, slice),
    Filter::new("sort", &[], 0, |input, _, engine| engine.list(sorted("sort", input, engine)?)),
    Filter::new("uniq", &[], 0, |input, _, engine| match values::is_list(input) {
        true => distinct("uniq", input, engine),
        false => Ok(input.clone()),
    }),
    Filter::new("values", &[], 0, |input, _, engine| match values::is_map(input) {
        true => engine.list(engine.entries(input)?.into_values().collect()),
        false => Err(wrong_input("values", "a map", input)),
    }),
];

fn chunk(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let size = args.integer(0)?;
    let size = usize::try_from(size).ok().filter(|size| *size > 0);
    let size = size.ok_or_else(|| Fault::new("`chunk` needs a size of 1 or more"))?;
    let items = engine.list_items("chunk", input)?;
    let chunks: Result<_, _> = items.chunks(size).map(|chunk| engine.list(chunk.to_vec())).collect();
    engine.list(chunks?)
}

/// Elements are the same if their JSON is: 1, 1.0 and '1' are three.
fn distinct(filter: &str, input: &Value, engine: &Engine<'_>) -> Result<Value, Fault> {
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for item in engine.list_items(filter, input)? {
        if seen.insert(engine.printed_json(&item)?) {
            kept.push(item);
        }
    }
    engine.list(kept)
}

/// The first or last element of a list, or character of a text; null if there is none.
fn end(filter: &str, input: &Value, engine: &Engine<'_>, last: bool) -> Result<Value, Fault> {
    let found = match input.kind() {
        ValueKind::String | ValueKind::Bytes => {
            let text = input.as_str().unwrap_or_default();
            let found = if last { text.chars().next_back() } else { text.chars().next() };
            found.map(|c| Value::from(String::from(c)))
        }
        ValueKind::Seq | ValueKind::Iterable if !last => values::elements(input).next(),
        ValueKind::Seq => {
            values::length(input).checked_sub(1).and_then(|end| input.get_item_by_index(end).ok())
        }
        _ => engine.list_items(filter, input)?.pop(),
    };
    Ok(found.unwrap_or_else(values::null))
}

fn flatten(input: &Value, _: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let mut flat = Vec::new();
    for item in engine.list_items("flatten", input)? {
        if values::is_list(&item) { flat.extend(engine.items(&item)?) } else { flat.push(item) }
    }
    engine.list(flat)
}

/// Java's way: null is written out.
fn join(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let separator = args.opt_text(0)?.unwrap_or_default();
    let mut output = engine.output();
    for (index, item) in engine.list_items("join", input)?.iter().enumerate() {
        if index > 0 {
            output.push(&separator)?;
        }
        if values::is_null(item) { output.push("null")? } else { output.value(item)? }
    }
    engine.text(output.into_text())
}

fn keys(input: &Value, _: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    match input.kind() {
        ValueKind::Map => engine.list(engine.entries(input)?.into_keys().map(Value::from).collect()),
        ValueKind::Seq | ValueKind::Iterable => {
            engine.list((0..engine.items(input)?.len() as i64).map(Value::from).collect())
        }
        _ => Err(wrong_input("keys", "a map or a list", input)),
    }
}

/// What is filtered decides the result's type: a map takes entries of a map or elements of a list as their own keys, a
/// list takes elements or entries.
fn merge(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let Some(other) = args.get(0) else {
        return if values::is_null(input) {
            Err(Fault::new("both sides of `merge` are null"))
        } else {
            Ok(input.clone())
        };
    };
    let wrong =
        || Err(Fault::new(format!("`merge` cannot add {} to {}", kind_name(other), kind_name(input))));
    match input.kind() {
        ValueKind::None | ValueKind::Undefined => Ok(other.clone()),
        ValueKind::Map => {
            let mut entries = engine.entries(input)?;
            if values::is_map(other) {
                entries.extend(engine.entries(other)?);
            } else if values::is_list(other) {
                for item in engine.items(other)? {
                    entries.insert(engine.printed(&item)?, item);
                }
            } else {
                return wrong();
            }
            engine.map(entries)
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let mut items = engine.items(input)?;
            if values::is_list(other) {
                items.extend(engine.items(other)?);
            } else if values::is_map(other) {
                items.extend(values::pairs(other).map(|(key, value)| values::entry_value(key, value)));
            } else {
                return wrong();
            }
            engine.list(items)
        }
        _ => Err(wrong_input("merge", "a list or a map", input)),
    }
}

fn slice(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    if values::is_text(input) {
        let text = input.as_str().unwrap_or_default();
        let (from, to) = bounds(args, text.chars().count())?;
        return engine.text(text.chars().skip(from).take(to - from).collect::<String>());
    }
    let items = engine.list_items("slice", input)?;
    let (from, to) = bounds(args, items.len())?;
    engine.list(items[from..to].to_vec())
}

fn bounds(args: &Args<'_>, length: usize) -> Result<(usize, usize), Fault> {
    let negative = |_| Fault::new("`slice` counts from 0; it takes no negative positions");
    let from = usize::try_from(args.opt_integer(0)?.unwrap_or(0)).map_err(negative)?;
    let to = match args.opt_integer(1)? {
        Some(to) => usize::try_from(to).map_err(negative)?,
        None => length,
    };
    if to > length || from > length {
        let beyond = from.max(to);
        return Err(Fault::new(format!("`slice` to {beyond} is beyond the length, which is {length}"))
            .with_hint("leave out the second argument to take all up to the end"));
    }
    if args.get(1).is_some() && from >= to {
        return Err(Fault::new(format!("`slice` from {from} to {to} is empty")));
    }
    Ok((from, to))
}

/// Numbers by size, texts by their characters, booleans with false first; nothing else, and no mixture.
fn sorted(filter: &str, input: &Value, engine: &Engine<'_>) -> Result<Vec<Value>, Fault> {
    let mut items = engine.list_items(filter, input)?;
    let Some(first) = items.first() else { return Ok(items) };
    let kind = first.kind();
    if !matches!(kind, ValueKind::Number | ValueKind::String | ValueKind::Bool) {
        return Err(Fault::new(format!("`{filter}` cannot order {}", kind_name(first))));
    }
    if let Some(odd) = items.iter().find(|item| item.kind() != kind) {
        return Err(Fault::new(format!(
            "`{filter}` cannot compare {} with {}",
            kind_name(first),
            kind_name(odd)
        )));
    }
    items.sort_by(|left, right| match kind {
        ValueKind::Bool => left.is_true().cmp(&right.is_true()),
        ValueKind::String => left.as_str().cmp(&right.as_str()),
        _ => left.cmp(right),
    });
    Ok(items)
}

pub(crate) fn largest(args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    extreme(args, engine, Binary::Greater)
}

pub(crate) fn smallest(args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    extreme(args, engine, Binary::Less)
}

fn extreme(args: &Args<'_>, engine: &Engine<'_>, operator: Binary) -> Result<Value, Fault> {
    let mut best: Option<&Value> = None;
    for candidate in args.values.iter().flatten().filter(|value| !values::is_null(value)) {
        best = match best {
            Some(best) if !operators::binary(engine, operator, candidate, best)?.is_true() => Some(best),
            _ => Some(candidate),
        };
    }
    Ok(best.cloned().unwrap_or_else(values::null))
}
