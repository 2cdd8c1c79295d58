//! From a value as it arrives to a value of an input's type.

use std::collections::HashSet;
use std::sync::LazyLock;

use fancy_regex::Regex;
use jiff::{Timestamp, civil};
use serde_json::{Number, Value};

use crate::{Choice, InputType, ParseOptions, duration, suggest, yaml_to_json};

/// What Kestra takes for an address.
static URI: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^[a-z]+://(?:www\.)?[-a-zA-Z0-9@:%._+~#=]{1,256}\.[a-zA-Z0-9()]{1,6}\b(?:[-a-zA-Z0-9()@:%_+.~#?&/=]*)$",
    )
    .ok()
});

/// What Kestra takes for a mail address; nothing is one too.
static EMAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^$|^[a-zA-Z0-9_!#$%&'*+/=?`{|}~^.-]+@[a-zA-Z0-9.-]+$").ok());

/// A value of a type, from text or from a value that is one already. The error says what it must be.
pub(super) fn coerce(kind: &InputType, value: &Value) -> Result<Value, String> {
    match kind {
        InputType::String { validator } | InputType::Secret { validator } => {
            let text = scalar(value, "a string")?;
            matches_pattern(&text, validator.as_deref())?;
            Ok(Value::String(text))
        }
        InputType::Int { min, max } => integer(value, *min, *max),
        InputType::Float { min, max } => float(value, *min, *max),
        // As in Kestra: whatever is not true is false.
        InputType::Bool => Ok(Value::Bool(match value {
            Value::Bool(value) => *value,
            other => scalar(other, "`true` or `false`")?.eq_ignore_ascii_case("true"),
        })),
        InputType::DateTime { after, before } => {
            let read = |text: &str| text.parse::<Timestamp>().ok();
            let expected = "it must be a date with time and zone such as `2024-01-31T12:00:00Z`";
            ordered(value, (after, before), expected, read)
        }
        InputType::Date { after, before } => {
            let read = |text: &str| text.parse::<civil::Date>().ok();
            ordered(value, (after, before), "it must be a date such as `2024-01-31`", read)
        }
        InputType::Time { after, before } => {
            let read = |text: &str| text.parse::<civil::Time>().ok();
            ordered(value, (after, before), "it must be a time such as `12:30:00`", read)
        }
        InputType::Duration { min, max } => {
            let text = scalar(value, "a duration such as `PT30S`")?;
            let duration =
                duration::parse_duration(&text).map_err(|error| format!("it must be a duration: {error}"))?;
            in_bounds(duration, *min, *max)?;
            Ok(Value::String(duration.to_string()))
        }
        InputType::File { allowed_extensions, .. } => {
            let text = scalar(value, "the address or the path of a file")?;
            let allowed = allowed_extensions.is_empty()
                || allowed_extensions.iter().any(|end| text.to_lowercase().ends_with(&end.to_lowercase()));
            if allowed {
                Ok(Value::String(text))
            } else {
                let names = suggest::enumerate(allowed_extensions.iter().map(String::as_str), "or");
                Err(format!("the file's name must end with {names}"))
            }
        }
        InputType::Json => match value {
            Value::String(text) => json(text),
            other => Ok(other.clone()),
        },
        InputType::Yaml => match value {
            Value::String(text) => yaml_value(text),
            other => Ok(other.clone()),
        },
        InputType::Uri => shaped(value, &URI, "an address such as `https://example.com/path`"),
        InputType::Email => shaped(value, &EMAIL, "a mail address"),
        InputType::Array { items } => {
            let list = list(value)?;
            // Items of a list have been parsed with it.
            if matches!(**items, InputType::Json) {
                return Ok(Value::Array(list));
            }
            let item = |(index, value): (usize, &Value)| {
                coerce(items, value).map_err(|message| format!("item {index}: {message}"))
            };
            list.iter().enumerate().map(item).collect::<Result<_, _>>().map(Value::Array)
        }
        InputType::Select(choice) => {
            let text = scalar(value, "one of the values")?;
            chosen(&text, choice)?;
            Ok(Value::String(text))
        }
        InputType::MultiSelect(choice) => {
            let allowed: HashSet<&str> = choice.values.iter().map(String::as_str).collect();
            let item = |value: &Value| {
                let text = scalar(value, "one of the values")?;
                if !allowed.contains(text.as_str()) {
                    chosen(&text, choice)?;
                }
                Ok(Value::String(text))
            };
            list(value)?.iter().map(item).collect::<Result<_, String>>().map(Value::Array)
        }
    }
}

/// Checks a value that no expression can change any more. Values to choose from are not known if they are an expression.
pub(crate) fn check_fixed(kind: &InputType, value: &Value) -> Result<(), String> {
    match kind {
        // Only whoever starts the execution can look at a file.
        InputType::File { .. } => Ok(()),
        InputType::Select(choice) | InputType::MultiSelect(choice) if choice.expression.is_some() => Ok(()),
        kind => coerce(kind, value).map(|_| ()),
    }
}

/// A value of a flow's output in its declared type. The error says what it must be.
pub fn coerce_output(kind: &InputType, value: &Value) -> Result<Value, String> {
    match (kind, value) {
        (_, Value::Null) => Ok(Value::Null),
        // What a script put out as a string is a string, even if it is no JSON.
        (InputType::Json, Value::String(text)) => Ok(json(text).unwrap_or_else(|_| value.clone())),
        (kind, value) => coerce(kind, value),
    }
}

/// A pattern that a text must match as a whole. Look-around and backreferences are allowed, as in Java.
pub(crate) fn full_match(pattern: &str) -> Result<Regex, String> {
    // Alone first, so that the error counts from the start of the pattern.
    Regex::new(pattern)
        .and_then(|_| Regex::new(&format!(r"\A(?:{pattern})\z")))
        .map_err(|error| error.to_string())
}

/// A value as text: strings as they are, everything else as JSON.
pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn scalar(value: &Value, expected: &str) -> Result<String, String> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(as_text(value)),
        _ => Err(format!("it must be {expected}")),
    }
}

fn matches_pattern(text: &str, pattern: Option<&str>) -> Result<(), String> {
    let Some(pattern) = pattern else { return Ok(()) };
    match full_match(pattern)?.is_match(text) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("it must match the pattern `{pattern}`")),
        Err(error) => Err(format!("the pattern `{pattern}` cannot be tried: {error}")),
    }
}

fn integer(value: &Value, min: Option<i64>, max: Option<i64>) -> Result<Value, String> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number
        .filter(|number| i32::try_from(*number).is_ok())
        .ok_or_else(|| "it must be a whole number of 32 bits".to_owned())?;
    in_bounds(number, min, max)?;
    Ok(number.into())
}

fn float(value: &Value, min: Option<f64>, max: Option<f64>) -> Result<Value, String> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number =
        number.filter(|number: &f64| number.is_finite()).ok_or_else(|| "it must be a number".to_owned())?;
    in_bounds(number, min, max)?;
    Number::from_f64(number).map(Value::Number).ok_or_else(|| "it must be a number".to_owned())
}

fn in_bounds<T: PartialOrd + std::fmt::Display>(
    value: T,
    min: Option<T>,
    max: Option<T>,
) -> Result<(), String> {
    match (min, max) {
        (Some(min), _) if value < min => Err(format!("it must be more than `{min}`")),
        (_, Some(max)) if value > max => Err(format!("it must be less than `{max}`")),
        _ => Ok(()),
    }
}

/// A date or time between two others.
fn ordered<T: PartialOrd + std::fmt::Display>(
    value: &Value,
    (after, before): (&Option<String>, &Option<String>),
    expected: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Value, String> {
    let found = value.as_str().and_then(|text| read(text.trim())).ok_or_else(|| expected.to_owned())?;
    if let Some(after) = after
        && read(after).is_some_and(|after| found < after)
    {
        return Err(format!("it must be after `{after}`"));
    }
    if let Some(before) = before
        && read(before).is_some_and(|before| found > before)
    {
        return Err(format!("it must be before `{before}`"));
    }
    Ok(Value::String(found.to_string()))
}

fn shaped(value: &Value, shape: &LazyLock<Option<Regex>>, expected: &str) -> Result<Value, String> {
    let text = scalar(value, expected)?;
    let fits = shape.as_ref().is_some_and(|shape| shape.is_match(&text).unwrap_or(false));
    if fits { Ok(Value::String(text)) } else { Err(format!("it must be {expected}")) }
}

/// Values to choose from that a message names.
const NAMED: usize = 50;

/// Values to choose from that are looked through for a typing mistake.
const COMPARED: usize = 1_000;

fn chosen(text: &str, choice: &Choice) -> Result<(), String> {
    if choice.allow_custom || choice.values.iter().any(|value| value == text) {
        return Ok(());
    }
    let known = || choice.values.iter().map(String::as_str);
    let near = suggest::did_you_mean(text, known().take(COMPARED)).map(|hint| format!(" ({hint})"));
    let near = near.unwrap_or_default();
    match choice.values.len().checked_sub(NAMED).filter(|&more| more > 0) {
        None => Err(format!("it must match one of the values {}{near}", suggest::enumerate(known(), "or"))),
        Some(more) => {
            let named = suggest::enumerate(known().take(NAMED), "or");
            Err(format!("it must match one of the values {named} and {more} others{near}"))
        }
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it must be JSON: {error}"))
}

fn yaml_value(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    yaml_to_json(text, &ParseOptions::default()).map_err(|problem| {
        let start = problem.span.start;
        format!("it must be YAML: {} at line {} column {}", problem.message, start.line, start.column)
    })
}

/// A list, also as JSON or YAML text.
fn list(value: &Value) -> Result<Vec<Value>, String> {
    let parsed = match value {
        Value::String(text) => json(text).or_else(|_| yaml_value(text))?,
        other => other.clone(),
    };
    match parsed {
        Value::Array(items) => Ok(items),
        _ => Err("it must be a list, as in `[1, 2]`".to_owned()),
    }
}
