//! Printing: texts as they are, null as nothing, lists and maps as compact JSON, numbers as Java prints them.

use std::borrow::Cow;
use std::fmt::Write as _;

use minijinja::value::ValueKind;

use crate::Value;
use crate::error::Fault;
use crate::values::{self, Entry, Number};

/// How deep values of the context may nest to be printed; those that a template makes are bounded when made.
const MAX_DEPTH: usize = 256;

/// Text that is being written, up to a bound.
pub(crate) struct Output {
    text: String,
    most: usize,
}

impl Output {
    pub fn new(most: usize) -> Self {
        Self { text: String::new(), most }
    }

    pub fn push(&mut self, text: &str) -> Result<(), Fault> {
        if self.text.len() + text.len() > self.most {
            return Err(too_long(self.most));
        }
        self.text.push_str(text);
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn into_text(self) -> String {
        self.text
    }

    /// Writes a value as `{{ value }}` prints it.
    pub fn value(&mut self, value: &Value) -> Result<(), Fault> {
        if let Some(entry) = value.downcast_object_ref::<Entry>() {
            self.value(&entry.key)?;
            self.push("=")?;
            return self.java(&entry.value, 0);
        }
        match scalar(value) {
            Some(text) => self.push(&text),
            None => self.json(value, 0),
        }
    }

    /// Writes a value as compact JSON.
    pub fn json(&mut self, value: &Value, depth: usize) -> Result<(), Fault> {
        check_depth(depth)?;
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                self.push("[")?;
                for (index, element) in values::elements(value).enumerate() {
                    self.push(if index == 0 { "" } else { "," })?;
                    self.json(&element, depth + 1)?;
                }
                self.push("]")
            }
            ValueKind::Map => {
                self.push("{")?;
                for (index, (key, value)) in values::pairs(value).enumerate() {
                    self.push(if index == 0 { "" } else { "," })?;
                    self.quoted(&scalar(&key).unwrap_or_default())?;
                    self.push(":")?;
                    self.json(&value, depth + 1)?;
                }
                self.push("}")
            }
            ValueKind::Undefined | ValueKind::None => self.push("null"),
            ValueKind::Bool => self.push(&scalar(value).unwrap_or_default()),
            ValueKind::Number => match Number::of(value) {
                // JSON has no such numbers.
                Some(Number::Float(number)) if !number.is_finite() => self.quoted(&float(number)),
                _ => self.push(&scalar(value).unwrap_or_default()),
            },
            ValueKind::Invalid => {
                Err(values::held_error(value).unwrap_or_else(|| Fault::new("invalid value")))
            }
            _ => self.quoted(&scalar(value).unwrap_or_default()),
        }
    }

    /// Writes a value as Java prints it inside of a map's entry: `{k=v}` and `[1, 2]`.
    fn java(&mut self, value: &Value, depth: usize) -> Result<(), Fault> {
        check_depth(depth)?;
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                self.push("[")?;
                for (index, element) in values::elements(value).enumerate() {
                    self.push(if index == 0 { "" } else { ", " })?;
                    self.java(&element, depth + 1)?;
                }
                self.push("]")
            }
            ValueKind::Map => {
                self.push("{")?;
                for (index, (key, value)) in values::pairs(value).enumerate() {
                    self.push(if index == 0 { "" } else { ", " })?;
                    self.push(&scalar(&key).unwrap_or_default())?;
                    self.push("=")?;
                    self.java(&value, depth + 1)?;
                }
                self.push("}")
            }
            ValueKind::Undefined | ValueKind::None => self.push("null"),
            _ => self.value(value),
        }
    }

    fn quoted(&mut self, text: &str) -> Result<(), Fault> {
        self.push("\"")?;
        let mut from = 0;
        for (at, c) in text.char_indices() {
            let escape: Cow<'static, str> = match c {
                '"' => "\\\"".into(),
                '\\' => "\\\\".into(),
                '\n' => "\\n".into(),
                '\r' => "\\r".into(),
                '\t' => "\\t".into(),
                '\u{8}' => "\\b".into(),
                '\u{c}' => "\\f".into(),
                c if c < ' ' => format!("\\u{:04X}", u32::from(c)).into(),
                _ => continue,
            };
            self.push(&text[from..at])?;
            self.push(&escape)?;
            from = at + c.len_utf8();
        }
        self.push(&text[from..])?;
        self.push("\"")
    }
}

pub(crate) fn too_long(most: usize) -> Fault {
    Fault::new(format!("the text is longer than {most} bytes"))
        .with_hint("write large data to a file and pass its address")
}

/// A text as messages quote it: on one line, and not too much of it.
pub(crate) fn short(text: &str, most: usize) -> String {
    let mut quoted: String = text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(most).is_some() {
        quoted.push_str("...");
    }
    quoted
}

/// [`short`] for values and names.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", short(text, 80))
}

fn check_depth(depth: usize) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::new(format!("the value is nested more than {MAX_DEPTH} deep")));
    }
    Ok(())
}

/// The text of a value that is neither a list nor a map; null is the empty text.
pub(crate) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Some("".into()),
        ValueKind::Bool => Some(if value.is_true() { "true" } else { "false" }.into()),
        ValueKind::String => value.as_str().map(Cow::from),
        ValueKind::Bytes => value.as_bytes().map(String::from_utf8_lossy),
        ValueKind::Number if value.is_integer() => Some(value.to_string().into()),
        ValueKind::Number => Number::of(value).map(|number| float(number.as_f64()).into()),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map | ValueKind::Invalid => None,
        _ => Some(value.to_string().into()),
    }
}

/// A double as Java's `Double.toString` writes it: `1.5`, `1.0`, `1.0E10`.
pub(crate) fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_string();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_string();
    }
    let size = number.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        let mut text = number.to_string();
        if !text.contains('.') {
            text.push_str(".0");
        }
        return text;
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let mut text = digits.to_string();
    if !text.contains('.') {
        text.push_str(".0");
    }
    // Writing to a `String` does not fail.
    let _ = write!(text, "E{exponent}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_look_as_in_java() {
        for (number, expected) in [
            (1.5, "1.5"),
            (3.65, "3.65"),
            (2.0, "2.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (9_999_999.0, "9999999.0"),
            (10_000_000.0, "1.0E7"),
            (1.25e-9, "1.25E-9"),
            (f64::INFINITY, "Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float(number), expected);
        }
    }
}
