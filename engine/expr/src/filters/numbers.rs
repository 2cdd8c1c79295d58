//! Filters on numbers, and between numbers and texts.

use minijinja::value::ValueKind;

use super::Filter;
use super::strings::text_input;
use crate::Value;
use crate::arguments::Args;
use crate::engine::{Engine, wrong_input};
use crate::error::Fault;
use crate::text::quote;
use crate::values::{self, Entry, Number};

pub(super) const FILTERS: &[Filter] = &[
    Filter::new("abs", &[], 0, |input, _, _| match Number::of(input) {
        Some(Number::Integer(number)) => Ok(Value::from(number.wrapping_abs())),
        Some(Number::Float(number)) => Ok(Value::from(number.abs())),
        None => Err(wrong_input("abs", "a number", input)),
    })
    .with_null(),
    Filter::new("className", &[], 0, |input, _, _| Ok(Value::from(class_name(input)))),
    Filter::new("number", &["type"], 0, number),
    Filter::new("numberFormat", &["format"], 0, number_format),
    // The name Pebble gives it; Kestra's documentation writes the other.
    Filter::new("numberformat", &["format"], 0, number_format),
    Filter::new("string", &[], 0, string),
];

/// A text as a number. Unlike in Java a leading zero does not make it octal.
fn number(input: &Value, args: &Args<'_>, _: &Engine<'_>) -> Result<Value, Fault> {
    let text = text_input("number", input)?;
    let kind = args.opt_text(0)?.unwrap_or_default();
    let wrong = |what: &str| Fault::new(format!("{} is not {what}", quote(text)));
    let float = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from);
    let hexadecimal = |digits: &str| i64::from_str_radix(digits, 16).ok();
    let integer = || match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => hexadecimal(digits),
        None => text.strip_suffix(['L', 'l']).unwrap_or(text).parse().ok(),
    };
    match &*kind {
        "" => integer()
            .map(Value::from)
            .or_else(|| text.parse::<i128>().ok().map(Value::from))
            .or_else(float)
            .ok_or_else(|| wrong("a number")),
        "INT" => integer()
            .filter(|number| i32::try_from(*number).is_ok())
            .map(Value::from)
            .ok_or_else(|| wrong("an integer of 32 bits").with_hint("use `number('LONG')` for larger ones")),
        "LONG" => integer().map(Value::from).ok_or_else(|| wrong("an integer of 64 bits")),
        "BIGINTEGER" => text.parse::<i128>().map(Value::from).map_err(|_| wrong("an integer of 128 bits")),
        "FLOAT" | "DOUBLE" | "BIGDECIMAL" => float().ok_or_else(|| wrong("a decimal number")),
        other => Err(Fault::new(format!("`number` knows no type `{other}`"))
            .with_hint("the types are INT, LONG, FLOAT, DOUBLE, BIGINTEGER and BIGDECIMAL")),
    }
}

/// A number as a text; a text has to be one already.
fn string(input: &Value, _: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let printed = engine.printed(input)?;
    let numeric = input.is_number() || printed.parse::<f64>().is_ok_and(f64::is_finite);
    if !(numeric && (input.is_number() || values::is_text(input))) {
        return Err(wrong_input("string", "a number or the text of one", input));
    }
    engine.text(printed)
}

/// What Java calls the type of a value.
fn class_name(value: &Value) -> &'static str {
    if value.downcast_object_ref::<Entry>().is_some() {
        return "java.util.Map$Entry";
    }
    match value.kind() {
        ValueKind::Bool => "java.lang.Boolean",
        ValueKind::Number => match Number::of(value) {
            Some(Number::Integer(number)) if i32::try_from(number).is_ok() => "java.lang.Integer",
            Some(Number::Integer(_)) => "java.lang.Long",
            _ if value.is_integer() => "java.math.BigInteger",
            _ => "java.lang.Double",
        },
        ValueKind::String | ValueKind::Bytes => "java.lang.String",
        ValueKind::Seq | ValueKind::Iterable => "java.util.ArrayList",
        ValueKind::Map => "java.util.LinkedHashMap",
        _ => "java.lang.Object",
    }
}

/// What Java prints if no format is given.
const DEFAULT_FORMAT: &str = "#,##0.###";
/// Digits of a format: more than any number has.
const MAX_DIGITS: usize = 340;

fn number_format(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let number = Number::of(input).ok_or_else(|| {
        wrong_input("numberFormat", "a number", input).with_hint("make a number of a text with `| number`")
    })?;
    let format = args.opt_text(0)?.unwrap_or(DEFAULT_FORMAT.into());
    engine.text(DecimalFormat::parse(&format)?.format(number))
}

/// A format of Java's `DecimalFormat` for one sign, with English separators: `#,##0.00`, `00.0%`, `'#'0`.
struct DecimalFormat {
    prefix: String,
    suffix: String,
    /// 100 for `%`, 1000 for `‰`.
    factor: f64,
    /// Digits in a group; 0 for none.
    grouping: usize,
    least_integer: usize,
    least_fraction: usize,
    most_fraction: usize,
    /// Digits of the exponent; 0 for none.
    exponent: usize,
    negative: Option<(String, String)>,
}

impl DecimalFormat {
    fn parse(pattern: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| {
            Fault::new(format!("{} is not a format of a number: {why}", quote(pattern)))
                .with_hint("a format is like `#,##0.00`: `0` is a digit, `#` a digit unless it is a leading or trailing 0")
        };
        let mut parts = unquoted_split(pattern).into_iter();
        let positive = parts.next().unwrap_or_default();
        let (prefix, digits, suffix) = affixes(&positive);
        let (integer, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        let grouping = integer.rfind(',').map_or(0, |comma| integer.len() - comma - 1);
        let integer: String = integer.chars().filter(|c| *c != ',').collect();
        let zeros = |text: &str| text.matches('0').count();
        if integer.trim_start_matches('#').contains('#') || fraction.trim_start_matches('0').contains('0') {
            return Err(wrong("every `0` has to be next to the decimal point"));
        }
        if fraction.contains(['.', ',']) || integer.len() + fraction.len() > MAX_DIGITS {
            return Err(wrong("it has too many parts"));
        }
        if integer.is_empty() && fraction.is_empty() {
            return Err(wrong("it has no digits"));
        }
        let exponent =
            suffix.strip_prefix('E').map_or(0, |rest| rest.len() - rest.trim_start_matches('0').len());
        if exponent > 0 && (integer.is_empty() || integer.contains('#') || grouping > 0) {
            return Err(wrong("with an exponent, there are only `0`s before the decimal point"));
        }
        let suffix = if exponent > 0 { &suffix[exponent + 1..] } else { &suffix };
        // `#.##` writes a zero before the point, `.##` does not.
        let least_integer = match zeros(&integer) {
            0 if digits.contains('.') && !integer.is_empty() => 1,
            zeros => zeros,
        };
        let factor = match () {
            () if prefix.contains('%') || suffix.contains('%') => 100.0,
            () if prefix.contains('‰') || suffix.contains('‰') => 1000.0,
            () => 1.0,
        };
        let negative = parts.next().map(|part| {
            let (prefix, _, suffix) = affixes(&part);
            (unquote(&prefix), unquote(&suffix))
        });
        Ok(Self {
            prefix: unquote(&prefix),
            suffix: unquote(suffix),
            factor,
            exponent,
            grouping,
            least_integer,
            least_fraction: zeros(fraction),
            most_fraction: fraction.len(),
            negative,
        })
    }

    fn format(&self, number: Number) -> String {
        let (is_negative, digits) = match number {
            Number::Integer(number) if self.factor == 1.0 && self.exponent == 0 => {
                (number < 0, number.unsigned_abs().to_string())
            }
            number => {
                let number = number.as_f64() * self.factor;
                if number.is_nan() {
                    return "NaN".to_string();
                }
                let size = number.abs();
                let digits = if size.is_infinite() { "∞".to_string() } else { self.rounded(size) };
                (number.is_sign_negative(), digits)
            }
        };
        let (digits, exponent) = digits.split_once('E').unwrap_or((&digits, ""));
        let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let integer = integer.trim_start_matches('0');
        let mut fraction = fraction.trim_end_matches('0').to_string();
        while fraction.len() < self.least_fraction {
            fraction.push('0');
        }
        let mut body = self.grouped(&format!("{integer:0>least$}", least = self.least_integer));
        if body.is_empty() && fraction.is_empty() {
            body.push('0');
        }
        if !fraction.is_empty() {
            body.push('.');
            body.push_str(&fraction);
        }
        if !exponent.is_empty() {
            body.push('E');
            body.push_str(exponent);
        }
        match (&self.negative, is_negative) {
            (Some((prefix, suffix)), true) => format!("{prefix}{body}{suffix}"),
            (None, true) => format!("-{}{body}{}", self.prefix, self.suffix),
            (_, false) => format!("{}{body}{}", self.prefix, self.suffix),
        }
    }

    /// Rounds the exact value half to even, as Java does.
    fn rounded(&self, size: f64) -> String {
        if self.exponent > 0 {
            return self.scientific(size);
        }
        format!("{size:.digits$}", digits = self.most_fraction)
    }

    /// As many digits before the point as the format has, and the exponent that this needs: `1.23E4`.
    fn scientific(&self, size: f64) -> String {
        let digits = format!("{size:.digits$e}", digits = self.least_integer + self.most_fraction - 1);
        let (digits, exponent) = digits.split_once('e').unwrap_or((&digits, "0"));
        let digits = digits.replace('.', "");
        let (integer, fraction) = digits.split_at(self.least_integer.min(digits.len()));
        // Java writes zero with an exponent of zero.
        let shift = if size == 0.0 { 0 } else { self.least_integer as i64 - 1 };
        let exponent = exponent.parse::<i64>().unwrap_or_default() - shift;
        let sign = if exponent < 0 { "-" } else { "" };
        format!("{integer}.{fraction}E{sign}{:0>least$}", exponent.unsigned_abs(), least = self.exponent)
    }

    fn grouped(&self, digits: &str) -> String {
        if self.grouping == 0 || !digits.is_ascii() {
            return digits.to_string();
        }
        let first = digits.len() % self.grouping;
        let (head, tail) = digits.split_at(first);
        let groups = tail.as_bytes().chunks(self.grouping).map(String::from_utf8_lossy);
        let head = (!head.is_empty()).then(|| head.into());
        head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
    }
}

/// Splits a format at `;`, where it is not in quotes.
fn unquoted_split(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in pattern.chars() {
        quoted ^= c == '\'';
        match parts.last_mut() {
            _ if c == ';' && !quoted => parts.push(String::new()),
            Some(part) => part.push(c),
            None => {}
        }
    }
    parts
}

/// What stands before the digits, the digits, and what follows them.
fn affixes(part: &str) -> (String, String, String) {
    let mut quoted = false;
    let mut is_digit = |c: char| {
        quoted ^= c == '\'';
        !quoted && matches!(c, '#' | '0' | ',' | '.')
    };
    let start = part.find(&mut is_digit).unwrap_or(part.len());
    let rest = &part[start..];
    let length = rest.find(|c| !matches!(c, '#' | '0' | ',' | '.')).unwrap_or(rest.len());
    (part[..start].to_string(), rest[..length].to_string(), rest[length..].to_string())
}

/// Takes quotes away; two in a row are one.
fn unquote(affix: &str) -> String {
    affix.replace("''", "\u{0}").replace('\'', "").replace('\u{0}', "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_javas() {
        for (pattern, number, expected) in [
            ("#.##", Number::Float(3.65), "3.65"),
            ("#.##", Number::Float(0.25), "0.25"),
            (".##", Number::Float(0.25), ".25"),
            ("#", Number::Integer(0), "0"),
            ("0.00", Number::Integer(7), "7.00"),
            ("000", Number::Integer(7), "007"),
            ("#,##0.00", Number::Float(1234567.891), "1,234,567.89"),
            ("#,##0", Number::Integer(-1234), "-1,234"),
            ("0.0%", Number::Float(0.256), "25.6%"),
            ("0;(0)", Number::Integer(-5), "(5)"),
            ("'#'0", Number::Integer(5), "#5"),
            ("#.#", Number::Float(0.25), "0.2"),
            ("#.#", Number::Float(0.35), "0.3"),
            ("€ #,##0", Number::Float(1e6), "€ 1,000,000"),
        ] {
            let formatted = DecimalFormat::parse(pattern).map(|format| format.format(number));
            assert_eq!(formatted.as_deref(), Ok(expected), "{pattern}");
        }
    }

    #[test]
    fn wrong_formats_are_refused() {
        for pattern in ["", "abc", "0#", "#.#0", "0.0.0", "#E0"] {
            assert!(DecimalFormat::parse(pattern).is_err(), "{pattern}");
        }
    }
}
