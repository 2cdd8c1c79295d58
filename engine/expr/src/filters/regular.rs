//! Filters with regular expressions, in Java's syntax as far as it is regular: no backreferences, no lookaround.

use std::borrow::Cow;

use regex::{Captures, Regex};

use super::Filter;
use super::strings::each_text;
use crate::Value;
use crate::arguments::Args;
use crate::engine::Engine;
use crate::error::Fault;
use crate::text;
use crate::values::{self, kind_name};

pub(super) const FILTERS: &[Filter] = &[
    Filter::new("regexExtract", &["regex", "group"], 1, extract),
    Filter::new("regexMatch", &["regex"], 1, |input, args, engine| {
        let found =
            !values::is_null(input) && engine.regex(&args.text(0)?)?.is_match(&engine.printed(input)?);
        Ok(Value::from(found))
    })
    .with_null(),
    Filter::new("regexReplace", &["regex", "replacement"], 2, |input, args, engine| {
        let regex = engine.regex(&args.text(0)?)?;
        engine.text(replace_all(&engine.printed(input)?, &regex, &args.text(1)?, engine)?)
    }),
    Filter::new("replace", &["replace_pairs", "regexp"], 1, replace),
    Filter::new("split", &["delimiter", "limit"], 1, split),
];

fn extract(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let regex = engine.regex(&args.text(0)?)?;
    let group = args.opt_integer(1)?.unwrap_or(0);
    let group = usize::try_from(group).ok().filter(|group| *group < regex.captures_len());
    let group = group.ok_or_else(|| {
        Fault::new(format!("the regular expression has {} groups", regex.captures_len() - 1))
            .with_hint("group 0 is the whole match, the first pair of parentheses is group 1")
    })?;
    let text = engine.printed(input)?;
    match regex.captures(&text).and_then(|captures| captures.get(group)) {
        Some(found) => engine.text(found.as_str()),
        None => Ok(values::null()),
    }
}

fn replace(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let pairs = args.required(0)?;
    if !values::is_map(pairs) {
        return Err(Fault::new(format!("`replace` needs a map of texts, not {}", kind_name(pairs)))
            .with_hint("write `replace({'from': 'to'})`"));
    }
    let mut changes: Vec<(Cow<'_, str>, Option<Regex>, String)> = Vec::new();
    let as_regex = args.opt_flag(1)?.unwrap_or(false);
    for (from, to) in engine.entries(pairs)? {
        let regex = if as_regex { Some(engine.regex(&from)?) } else { None };
        changes.push((from.into(), regex, engine.printed(&to)?));
    }
    each_text(input, engine, &|text| {
        let mut text = text.to_string();
        for (from, regex, to) in &changes {
            text = match regex {
                Some(regex) => replace_all(&text, regex, to, engine)?,
                None => {
                    let added = text.matches(&**from).count().saturating_mul(to.len());
                    engine.check_length(text.len().saturating_add(added))?;
                    text.replace(&**from, to)
                }
            };
        }
        engine.text(text)
    })
}

/// Replaces every match; in the replacement `$1` and `${name}` are groups and a backslash takes the next character
/// as it is.
fn replace_all(text: &str, regex: &Regex, replacement: &str, engine: &Engine<'_>) -> Result<String, Fault> {
    let mut output = engine.output();
    let mut from = 0;
    for captures in regex.captures_iter(text) {
        engine.charge(1)?;
        let Some(whole) = captures.get(0) else { continue };
        output.push(&text[from..whole.start()])?;
        expand(replacement, &captures, &mut output)?;
        from = whole.end();
    }
    output.push(&text[from..])?;
    Ok(output.into_text())
}

fn expand(replacement: &str, captures: &Captures<'_>, output: &mut text::Output) -> Result<(), Fault> {
    let mut rest = replacement;
    while let Some(at) = rest.find(['$', '\\']) {
        output.push(&rest[..at])?;
        let special = &rest[at..];
        let after = &special[1..];
        if special.starts_with('\\') {
            let literal = after.chars().next().map_or(0, char::len_utf8);
            output.push(&after[..literal])?;
            rest = &after[literal..];
        } else if let Some((name, behind)) = after.strip_prefix('{').and_then(|named| named.split_once('}')) {
            output.push(captures.name(name).ok_or_else(|| no_group(name))?.as_str())?;
            rest = behind;
        } else {
            // As many digits as name a group that exists, and at least one.
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let exists =
                |count: &usize| after[..*count].parse::<usize>().is_ok_and(|group| group < captures.len());
            let Some(used) = (1..=digits).take_while(|count| exists(count)).last() else {
                return Err(no_group(&after[..digits.max(after.chars().next().map_or(0, char::len_utf8))]));
            };
            let group = after[..used].parse().unwrap_or(0);
            output.push(captures.get(group).map_or("", |found| found.as_str()))?;
            rest = &after[used..];
        }
    }
    output.push(rest)
}

fn no_group(name: &str) -> Fault {
    Fault::new(format!("the regular expression has no group `{name}`"))
        .with_hint("write a `$` that is meant literally as `\\$`")
}

/// As Java's `String.split`: the delimiter is a regular expression, and without a limit (or with 0) empty texts at the
/// end are dropped.
fn split(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let text = super::strings::text_input("split", input)?;
    let regex = engine.regex(&args.text(0)?)?;
    let limit = args.opt_integer(1)?.unwrap_or(0);
    let most = usize::try_from(limit).ok().filter(|most| *most > 0).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut from = 0;
    for found in regex.find_iter(text) {
        engine.charge(1)?;
        if parts.len() + 1 >= most {
            break;
        }
        // An empty match at the very start splits nothing off.
        if found.end() == 0 {
            continue;
        }
        parts.push(&text[from..found.start()]);
        from = found.end();
    }
    parts.push(&text[from..]);
    if limit == 0 {
        while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        // A text of delimiters only has no parts, but the empty text has itself.
        if parts == [""] && !text.is_empty() {
            parts.clear();
        }
    }
    engine.list(parts.into_iter().map(Value::from).collect())
}
