//! Which plain scalars are not text.

use super::Kind;

/// What an unquoted scalar means, by Jackson's rules; `None` for text.
pub(super) fn resolve(text: &str) -> Option<Kind> {
    match text.as_bytes().first() {
        None => Some(Kind::Null),
        Some(b'~' | b'n' | b'N') => matches!(text, "~" | "null" | "Null" | "NULL").then_some(Kind::Null),
        Some(b't' | b'T') => matches!(text, "true" | "True" | "TRUE").then_some(Kind::Bool(true)),
        Some(b'f' | b'F') => matches!(text, "false" | "False" | "FALSE").then_some(Kind::Bool(false)),
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => integer(text).or_else(|| float(text)),
        Some(_) => None,
    }
}

/// `12`, `-1_000`, `0x1F`, `0b101`, `0o17` and `017`. What does not fit in 64 bits becomes a float.
fn integer(text: &str) -> Option<Kind> {
    let (negative, unsigned) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    let digit = |byte: u8| byte == b'_' || (byte as char).is_digit(radix);
    if digits.as_bytes().first().is_none_or(|&byte| byte == b'_') || !digits.bytes().all(digit) {
        return None;
    }
    let plain: String = digits.chars().filter(|&c| c != '_').collect();
    match i128::from_str_radix(&plain, radix).map(|value| if negative { -value } else { value }) {
        Ok(value) => {
            Some(i64::try_from(value).map_or_else(|_| finite(value as f64).unwrap_or(Kind::Null), Kind::Int))
        }
        Err(_) if radix == 10 => text.parse().ok().and_then(finite),
        Err(_) => None,
    }
}

/// `1.5`, `-.5`, `1.`, `1.5e3`. A point is needed: `1e3` is more often a part of a hash than a number.
fn float(text: &str) -> Option<Kind> {
    let unsigned = text.trim_start_matches(['+', '-']);
    if text.len() - unsigned.len() > 1 || !text.contains('.') {
        return None;
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.')?;
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let well_formed = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && digits(exponent_digits)
        && !exponent_digits.is_empty();
    if well_formed { text.parse().ok().and_then(finite) } else { None }
}

/// JSON, which expressions and plugins see, has no infinity: such a number stays text.
fn finite(value: f64) -> Option<Kind> {
    value.is_finite().then_some(Kind::Float(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars() {
        for (text, expected) in [
            ("", "Some(Null)"),
            ("~", "Some(Null)"),
            ("null", "Some(Null)"),
            ("nUll", "None"),
            ("true", "Some(Bool(true))"),
            ("TRUE", "Some(Bool(true))"),
            ("tRUE", "None"),
            ("yes", "None"),
            ("on", "None"),
            ("False", "Some(Bool(false))"),
            ("0", "Some(Int(0))"),
            ("-12", "Some(Int(-12))"),
            ("+7", "Some(Int(7))"),
            ("1_000", "Some(Int(1000))"),
            ("_1", "None"),
            ("0x1F", "Some(Int(31))"),
            ("0o17", "Some(Int(15))"),
            ("017", "Some(Int(15))"),
            ("08", "None"),
            ("-", "None"),
            ("0x", "None"),
            ("9223372036854775807", "Some(Int(9223372036854775807))"),
            ("9223372036854775808", "Some(Float(9.223372036854776e18))"),
            ("1.5", "Some(Float(1.5))"),
            ("-.5", "Some(Float(-0.5))"),
            ("1.5e3", "Some(Float(1500.0))"),
            ("1.5e", "None"),
            ("1e3", "None"),
            (".", "None"),
            ("1.2.3", "None"),
            ("1.5e999", "None"),
            ("--1.5", "None"),
            (".inf", "None"),
            ("2023-01-01", "None"),
            ("12:30:45", "None"),
        ] {
            assert_eq!(format!("{:?}", resolve(text)), expected, "{text:?}");
        }
    }
}
