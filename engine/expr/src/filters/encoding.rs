//! Filters that write values in other notations.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::ValueKind;

use super::Filter;
use crate::Value;
use crate::engine::Engine;
use crate::error::Fault;
use crate::text;
use crate::values::{self, Number};

pub(super) const FILTERS: &[Filter] = &[
    Filter::new("base64decode", &[], 0, |input, _, engine| {
        let text = engine.printed(input)?;
        let bytes =
            STANDARD.decode(&text).map_err(|error| Fault::new(format!("the text is not base64: {error}")))?;
        engine.text(String::from_utf8_lossy(&bytes))
    }),
    Filter::new("base64encode", &[], 0, |input, _, engine| {
        engine.text(STANDARD.encode(engine.printed(input)?))
    }),
    // The name before Kestra 0.19.
    Filter::new("json", &[], 0, |input, _, engine| engine.text(engine.printed_json(input)?)).with_null(),
    Filter::new("toIon", &[], 0, |input, _, engine| {
        let mut out = String::new();
        ion(input, engine, &mut out)?;
        engine.text(out)
    })
    .with_null(),
    Filter::new("toJson", &[], 0, |input, _, engine| engine.text(engine.printed_json(input)?)).with_null(),
    Filter::new("urldecode", &[], 0, |input, _, engine| engine.text(url_decode(&engine.printed(input)?)?)),
    Filter::new("urlencode", &[], 0, |input, _, engine| engine.text(url_encode(&engine.printed(input)?))),
];

/// As Java's `URLEncoder`: a form's encoding, in which a blank is `+`.
fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            // Writing to a `String` does not fail.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

fn url_decode(text: &str) -> Result<String, Fault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                match (digit(rest.next()), digit(rest.next())) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => {
                        return Err(Fault::new(
                            "a `%` of the text is not followed by two hexadecimal digits",
                        ));
                    }
                }
            }
            byte => byte,
        });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Ion text: JSON with bare names as keys and an exponent on every float.
fn ion(value: &Value, engine: &Engine<'_>, out: &mut String) -> Result<(), Fault> {
    engine.enter()?;
    let result = (|| {
        engine.charge(1)?;
        engine.check_length(out.len())?;
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                out.push('[');
                for (index, element) in values::elements(value).enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    ion(&element, engine, out)?;
                }
                out.push(']');
            }
            ValueKind::Map => {
                out.push('{');
                for (index, (key, value)) in values::pairs(value).enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    out.push_str(&symbol(&text::scalar(&key).unwrap_or_default()));
                    out.push(':');
                    ion(&value, engine, out)?;
                }
                out.push('}');
            }
            ValueKind::Number => match Number::of(value) {
                Some(Number::Float(number)) if !value.is_integer() => match number {
                    number if number.is_nan() => out.push_str("nan"),
                    number if number.is_infinite() => {
                        out.push_str(if number > 0.0 { "+inf" } else { "-inf" })
                    }
                    number => _ = write!(out, "{number:?}{}", if number.abs() < 1e16 { "e0" } else { "" }),
                },
                _ => out.push_str(&text::scalar(value).unwrap_or_default()),
            },
            _ => out.push_str(&engine.printed_json(value)?),
        }
        Ok(())
    })();
    engine.leave();
    result
}

/// A field's name: bare if it can be, else in single quotes.
fn symbol(name: &str) -> String {
    let word = |c: char| c == '_' || c == '$' || c.is_ascii_alphanumeric();
    let bare = name.chars().all(word)
        && name.chars().next().is_some_and(|first| !first.is_ascii_digit())
        && !matches!(name, "null" | "true" | "false" | "nan");
    if bare { name.to_string() } else { format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_encoding_goes_both_ways() {
        for (text, encoded) in
            [("hello World", "hello+World"), ("a/b?c=é&*-_.~", "a%2Fb%3Fc%3D%C3%A9%26*-_.%7E")]
        {
            assert_eq!(url_encode(text), encoded);
            assert_eq!(url_decode(encoded).as_deref(), Ok(text));
        }
        assert!(url_decode("100%").is_err());
    }
}
