//! The operators of assertions.
//!
//! What an expression gives may be text where the test file has a number, or JSON text where it has a map (`read()` gives
//! text): such values are compared as what they are written like.

use std::cmp::Ordering;

use fancy_regex::Regex;
use serde_json::Value;
use weft_flow::testing::Operator;

/// Whether `actual` is as the operator says.
///
/// # Errors
/// The two cannot be compared; the text says why.
pub(crate) fn holds(operator: Operator, actual: &Value, expected: &Value) -> Result<bool, String> {
    use Operator::*;
    let switched_on = || expected.as_bool().unwrap_or_else(|| text(expected) == "true");
    match operator {
        EqualTo => Ok(equal(actual, expected)),
        NotEqualTo => Ok(!equal(actual, expected)),
        IsNull => Ok(actual.is_null() == switched_on()),
        IsNotNull => Ok(actual.is_null() != switched_on()),
        IsTrue => Ok(equal(actual, &Value::Bool(true)) == switched_on()),
        IsFalse => Ok(equal(actual, &Value::Bool(false)) == switched_on()),
        Contains => contains(actual, expected),
        NotContains => contains(actual, expected).map(|contains| !contains),
        StartsWith => Ok(scalar(actual)?.starts_with(&scalar(expected)?)),
        EndsWith => Ok(scalar(actual)?.ends_with(&scalar(expected)?)),
        Matches => {
            let (pattern, text) = (scalar(expected)?, scalar(actual)?);
            let regex = Regex::new(&pattern).map_err(|error| format!("not a regular expression: {error}"))?;
            regex.is_match(&text).map_err(|error| format!("the regular expression gave up: {error}"))
        }
        GreaterThan => compare(actual, expected).map(Ordering::is_gt),
        GreaterThanOrEqualTo => compare(actual, expected).map(Ordering::is_ge),
        LessThan => compare(actual, expected).map(Ordering::is_lt),
        LessThanOrEqualTo => compare(actual, expected).map(Ordering::is_le),
        In => among(actual, expected),
        NotIn => among(actual, expected).map(|among| !among),
    }
}

/// Whether two values are the same. `1`, `1.0` and `"1"` are; so are a map and its JSON text.
pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len()
                && x.iter().all(|(key, value)| y.get(key).is_some_and(|other| equal(value, other)))
        }
        (Value::String(written), other) | (other, Value::String(written)) => match other {
            Value::String(text) => written == text,
            Value::Null => false,
            _ => serde_json::from_str::<Value>(written)
                .is_ok_and(|read| !read.is_string() && equal(&read, other)),
        },
        _ => a == b,
    }
}

/// A text in a text, a value in a list (or each of several), a key in a map.
fn contains(whole: &Value, part: &Value) -> Result<bool, String> {
    match (whole, part) {
        (Value::Array(items), part) => {
            let has = |part: &Value| items.iter().any(|item| equal(item, part));
            Ok(has(part) || matches!(part, Value::Array(parts) if !parts.is_empty() && parts.iter().all(has)))
        }
        (Value::Object(map), Value::Object(part)) => {
            Ok(part.iter().all(|(key, value)| map.get(key).is_some_and(|found| equal(found, value))))
        }
        (Value::Object(map), key) => Ok(map.contains_key(&scalar(key)?)),
        (Value::Null, _) => Err("nothing contains something".to_owned()),
        (whole, part) => Ok(scalar(whole)?.contains(&scalar(part)?)),
    }
}

fn among(value: &Value, list: &Value) -> Result<bool, String> {
    let read;
    let items = match list {
        Value::Array(items) => items,
        Value::String(written) => {
            read = serde_json::from_str::<Vec<Value>>(written)
                .map_err(|_| format!("`{written}` is not a list"))?;
            &read
        }
        other => return Err(format!("expected a list to look into, found {}", kind(other))),
    };
    Ok(items.iter().any(|item| equal(item, value)))
}

/// Numbers by their size, also where they are text; other texts letter by letter, which is right for ISO dates.
fn compare(a: &Value, b: &Value) -> Result<Ordering, String> {
    let uncomparable = || Err(format!("{} cannot be compared with {}", kind(a), kind(b)));
    match (number(a), number(b), a, b) {
        (Some(a), Some(b), ..) => a.partial_cmp(&b).map_or_else(uncomparable, Ok),
        (_, _, Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        _ => uncomparable(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::Array(_) | Value::Object(_) | Value::Null => {
            Err(format!("expected a text, found {}", kind(value)))
        }
        value => Ok(text(value)),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operators() {
        use Operator::*;
        let yes = json!(true);
        for (operator, actual, expected, result) in [
            (EqualTo, json!(3), json!(3.0), Ok(true)),
            (EqualTo, json!("3"), json!(3), Ok(true)),
            (EqualTo, json!("true"), json!(true), Ok(true)),
            (EqualTo, json!("x"), json!(3), Ok(false)),
            (EqualTo, json!("\"3\""), json!(3), Ok(false)),
            (EqualTo, json!("null"), json!(null), Ok(false)),
            (EqualTo, json!(null), json!(null), Ok(true)),
            (EqualTo, json!("{\"a\": [1]}"), json!({"a": [1.0]}), Ok(true)),
            (EqualTo, json!([1, 2]), json!([2, 1]), Ok(false)),
            (NotEqualTo, json!("a"), json!("b"), Ok(true)),
            (IsNull, json!(null), yes.clone(), Ok(true)),
            (IsNull, json!(null), json!(false), Ok(false)),
            (IsNotNull, json!(0), yes.clone(), Ok(true)),
            (IsTrue, json!("true"), yes.clone(), Ok(true)),
            (IsTrue, json!(1), yes.clone(), Ok(false)),
            (IsFalse, json!(false), yes, Ok(true)),
            (Contains, json!("abc"), json!("b"), Ok(true)),
            (Contains, json!(["a", 2]), json!("2"), Ok(true)),
            (Contains, json!(["a", "b", "c"]), json!(["c", "a"]), Ok(true)),
            (Contains, json!(["a"]), json!(["a", "b"]), Ok(false)),
            (Contains, json!({"a": 1}), json!("a"), Ok(true)),
            (Contains, json!({"a": 1, "b": 2}), json!({"b": 2}), Ok(true)),
            (Contains, json!(null), json!("a"), Err("nothing contains something")),
            (NotContains, json!("abc"), json!("x"), Ok(true)),
            (StartsWith, json!("abc"), json!("ab"), Ok(true)),
            (EndsWith, json!(123), json!(23), Ok(true)),
            (StartsWith, json!([]), json!("a"), Err("expected a text, found a list")),
            (Matches, json!("4 rows read"), json!("^\\d+ rows"), Ok(true)),
            (Matches, json!("x"), json!("("), Err("not a regular expression")),
            (GreaterThan, json!(10), json!("9"), Ok(true)),
            (GreaterThan, json!("10"), json!("9"), Ok(true)),
            (GreaterThanOrEqualTo, json!(1), json!(1.0), Ok(true)),
            (LessThan, json!("2024-01-31"), json!("2024-02-01"), Ok(true)),
            (LessThanOrEqualTo, json!(2), json!(1), Ok(false)),
            (LessThan, json!([]), json!(1), Err("a list cannot be compared with a number")),
            (In, json!("2"), json!([1, 2]), Ok(true)),
            (In, json!("b"), json!("[\"a\"]"), Ok(false)),
            (NotIn, json!(3), json!([1, 2]), Ok(true)),
            (In, json!(3), json!(3), Err("expected a list to look into, found a number")),
        ] {
            let name = operator.name();
            match (holds(operator, &actual, &expected), result) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{actual} {name} {expected}"),
                (Err(found), Err(wanted)) => {
                    assert!(found.starts_with(wanted), "{actual} {name} {expected}: {found}");
                }
                (found, wanted) => panic!("{actual} {name} {expected}: {found:?}, not {wanted:?}"),
            }
        }
    }
}
