//! The values of a program: jaq's, with the numbers of jq 1.6.
//!
//! jaq tells integers from floats, divides by zero and prints infinities. jq knows one kind of number, and Kestra's jq
//! makes an integer of every whole one. A newtype is the only place that literals, operators and builtins all pass.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Range, Rem, Sub};

use jaq_core::Error;
use jaq_core::ops::Math;
use jaq_json::{Num, Rc, Val};

/// What an operator yields.
pub(super) type JsonR = Result<Json, Error<Json>>;

/// Bytes of a value that a message shows.
const SHOWN: usize = 200;

/// A value of jaq. It is never a float that is whole and fits an integer, and keys of maps are texts.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Json(pub Val);

/// For operators: what is not a number is less than everything, itself too, which is how `isnan` knows it.
#[expect(clippy::non_canonical_partial_ord_impl, reason = "sorting needs an order that is total")]
impl PartialOrd for Json {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.0.cmp(&other.0))
    }
}

/// For sorting.
impl Ord for Json {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Val::Num(Num::Float(l)), Val::Num(Num::Float(r))) if l.is_nan() && r.is_nan() => Ordering::Equal,
            (l, r) => l.cmp(r),
        }
    }
}

impl Json {
    /// A value made by jaq, which may be a whole float.
    pub fn new(value: Val) -> Self {
        match value {
            // `i64::MAX` is rounded up to 2^63 here, which does not fit.
            Val::Num(Num::Float(float)) if float.fract() == 0.0 && float.abs() < i64::MAX as f64 => {
                Self(Val::from(float as isize))
            }
            value => Self(value),
        }
    }

    /// The elements of a list; the value itself if it is none.
    pub fn into_items(self) -> Result<Vec<Val>, Self> {
        match self.0 {
            Val::Arr(items) => Ok(Rc::unwrap_or_clone(items)),
            value => Err(Self(value)),
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        write(&self.0, &mut text, usize::MAX);
        text
    }
}

/// Appends a value as JSON, with an end as soon as the text is longer than `most` bytes. What is no number becomes
/// null, and what is infinite the largest number, as in jq.
fn write(value: &Val, out: &mut String, most: usize) {
    match value {
        Val::Num(Num::Float(float)) if float.is_nan() => out.push_str("null"),
        Val::Num(Num::Float(float)) if float.is_infinite() => {
            out.push_str(if *float < 0.0 { "-1.7976931348623157e+308" } else { "1.7976931348623157e+308" });
        }
        Val::Null | Val::Bool(_) | Val::Num(_) => out.push_str(&value.to_string()),
        Val::TStr(bytes) | Val::BStr(bytes) => {
            let shown = &bytes[..bytes.len().min(most)];
            out.push_str(&serde_json::Value::from(String::from_utf8_lossy(shown)).to_string());
        }
        Val::Arr(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if out.len() > most {
                    return out.push('…');
                }
                out.push_str(if index > 0 { "," } else { "" });
                write(item, out, most);
            }
            out.push(']');
        }
        Val::Obj(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if out.len() > most {
                    return out.push('…');
                }
                out.push_str(if index > 0 { "," } else { "" });
                write(key, out, most);
                out.push(':');
                write(item, out, most);
            }
            out.push('}');
        }
    }
}

/// For messages, which show the beginning of a large value.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The message of a failure is a value as well, and not meant to be quoted.
        if let Val::TStr(bytes) = &self.0 {
            return f.write_str(&String::from_utf8_lossy(bytes));
        }
        let mut text = String::new();
        write(&self.0, &mut text, SHOWN);
        f.write_str(&text)
    }
}

impl From<bool> for Json {
    fn from(flag: bool) -> Self {
        Self(Val::from(flag))
    }
}

impl From<isize> for Json {
    fn from(number: isize) -> Self {
        Self(Val::from(number))
    }
}

impl From<usize> for Json {
    fn from(number: usize) -> Self {
        Self(Val::from(number))
    }
}

impl From<f64> for Json {
    fn from(number: f64) -> Self {
        Self::new(Val::from(number))
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self(Val::from(text))
    }
}

impl From<Range<Option<Json>>> for Json {
    fn from(range: Range<Option<Json>>) -> Self {
        Self(Val::from(range.start.map(|value| value.0)..range.end.map(|value| value.0)))
    }
}

impl FromIterator<Json> for Json {
    fn from_iter<T: IntoIterator<Item = Json>>(items: T) -> Self {
        Self(items.into_iter().map(|item| item.0).collect())
    }
}

/// Applies an operator of jaq if `fits` says that it is defined: an error of jaq would print all of both values.
fn apply(l: Json, operator: Math, r: Json, fits: bool) -> JsonR {
    if !fits {
        return Err(Error::math(l, operator, r));
    }
    operator.run(l.0, r.0).map(Json::new).map_err(|error| Error::new(Json(error.into_val())))
}

/// A number cut to an integer. `as` keeps those that are too large as large as can be.
fn cut(value: Json) -> Json {
    match value {
        Json(Val::Num(Num::Float(float))) => Json::from(float as isize),
        value => value,
    }
}

impl Add for Json {
    type Output = JsonR;
    fn add(self, r: Self) -> JsonR {
        use Val::{Arr, Null, Num, Obj, TStr};
        let fits = matches!(
            (&self.0, &r.0),
            (Null, _)
                | (_, Null)
                | (Num(_), Num(_))
                | (TStr(_), TStr(_))
                | (Arr(_), Arr(_))
                | (Obj(_), Obj(_))
        );
        apply(self, Math::Add, r, fits)
    }
}

impl Sub for Json {
    type Output = JsonR;
    fn sub(self, r: Self) -> JsonR {
        let fits = matches!((&self.0, &r.0), (Val::Num(_), Val::Num(_)) | (Val::Arr(_), Val::Arr(_)));
        apply(self, Math::Sub, r, fits)
    }
}

impl Mul for Json {
    type Output = JsonR;
    fn mul(self, r: Self) -> JsonR {
        match (&self.0, &r.0) {
            (Val::Num(_), Val::Num(_)) | (Val::Obj(_), Val::Obj(_)) => apply(self, Math::Mul, r, true),
            // A text is repeated a whole number of times.
            (Val::TStr(_), Val::Num(_)) => apply(self, Math::Mul, cut(r), true),
            (Val::Num(_), Val::TStr(_)) => apply(cut(self), Math::Mul, r, true),
            _ => apply(self, Math::Mul, r, false),
        }
    }
}

impl Div for Json {
    type Output = JsonR;
    fn div(self, r: Self) -> JsonR {
        let fits = match (&self.0, &r.0) {
            (Val::Num(_), Val::Num(divisor)) => *divisor != Num::Int(0),
            (Val::TStr(_), Val::TStr(_)) => true,
            _ => false,
        };
        apply(self, Math::Div, r, fits)
    }
}

impl Rem for Json {
    type Output = JsonR;
    fn rem(self, r: Self) -> JsonR {
        let (l, r) = (cut(self), cut(r));
        let fits = match (&l.0, &r.0) {
            (Val::Num(_), Val::Num(divisor)) => *divisor != Num::Int(0),
            _ => false,
        };
        apply(l, Math::Rem, r, fits)
    }
}

impl Neg for Json {
    type Output = JsonR;
    fn neg(self) -> JsonR {
        match self.0 {
            Val::Num(number) => Ok(Self(Val::Num(-number))),
            value => Err(Error::typ(Self(value), "number")),
        }
    }
}
