//! Operators on values. Integers are of 64 bits and wrap, as Java's `long`; equal numbers are equal whatever their
//! type, and nothing else is converted to be compared.

use std::cmp::Ordering;

use minijinja::value::ValueKind;

use crate::Value;
use crate::engine::Engine;
use crate::error::Fault;
use crate::text;
use crate::tree::{Binary, Unary};
use crate::values::{self, Number, kind_name};

/// Evaluates every operator that needs both its operands.
pub(crate) fn binary(
    engine: &Engine<'_>,
    operator: Binary,
    left: &Value,
    right: &Value,
) -> Result<Value, Fault> {
    match operator {
        Binary::Equal => Ok(Value::from(equal(engine, left, right)?)),
        Binary::NotEqual => Ok(Value::from(!equal(engine, left, right)?)),
        Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
            let ordering = compare(operator.symbol(), left, right)?;
            Ok(Value::from(ordering.is_some_and(|ordering| match operator {
                Binary::Less => ordering.is_lt(),
                Binary::LessOrEqual => ordering.is_le(),
                Binary::Greater => ordering.is_gt(),
                _ => ordering.is_ge(),
            })))
        }
        Binary::Contains => contains(engine, left, right).map(Value::from),
        Binary::Add => add(engine, left, right),
        Binary::Subtract if values::is_list(left) => subtract_elements(engine, left, right),
        Binary::Concatenate => {
            let mut output = engine.output();
            output.value(left)?;
            output.value(right)?;
            engine.text(output.into_text())
        }
        Binary::Range => range(engine, left, right, 1),
        _ => calculate(operator, left, right),
    }
}

pub(crate) fn unary(operator: Unary, value: &Value) -> Result<Value, Fault> {
    let number = |symbol: &str| {
        Number::of(value)
            .ok_or_else(|| Fault::new(format!("`{symbol}` needs a number, not {}", kind_name(value))))
    };
    Ok(match operator {
        Unary::Not => Value::from(!truth("not", value)?),
        Unary::Plus => {
            number("+")?;
            value.clone()
        }
        Unary::Minus => match number("-")? {
            Number::Integer(number) => Value::from(number.wrapping_neg()),
            Number::Float(number) => Value::from(-number),
        },
    })
}

/// What counts as true: booleans, numbers and texts have an answer, null and the rest have none.
pub(crate) fn truth(asker: &str, value: &Value) -> Result<bool, Fault> {
    match value.kind() {
        ValueKind::Bool | ValueKind::Number | ValueKind::String | ValueKind::Bytes => Ok(value.is_true()),
        _ => {
            let hint = match value.kind() {
                ValueKind::None | ValueKind::Undefined => "ask `is null`, or give a default with `??`",
                _ => "ask `is empty`, or compare with `==`",
            };
            Err(Fault::new(format!(
                "`{asker}` needs a boolean, a number or a text, not {}",
                kind_name(value)
            ))
            .with_hint(hint))
        }
    }
}

pub(crate) fn equal(engine: &Engine<'_>, left: &Value, right: &Value) -> Result<bool, Fault> {
    use ValueKind as K;
    engine.enter()?;
    let result = (|| match (left.kind(), right.kind()) {
        (K::None | K::Undefined, K::None | K::Undefined) => Ok(true),
        (K::Bool, K::Bool) => Ok(left.is_true() == right.is_true()),
        (K::Number, K::Number) => Ok(left == right),
        (K::String | K::Bytes, K::String | K::Bytes) => Ok(left.as_bytes() == right.as_bytes()),
        (K::Seq | K::Iterable, K::Seq | K::Iterable) => {
            let mut rights = values::elements(right);
            for element in values::elements(left) {
                engine.charge(1)?;
                match rights.next() {
                    Some(other) if equal(engine, &element, &other)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(rights.next().is_none())
        }
        (K::Map, K::Map) => {
            let mut count = 0;
            for (key, value) in values::pairs(left) {
                engine.charge(1)?;
                count += 1;
                match values::entry(right, &key) {
                    Some(other) if equal(engine, &value, &other)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(values::pairs(right).count() == count)
        }
        _ => Ok(false),
    })();
    engine.leave();
    result
}

/// The order of two numbers; null has none and is neither less nor greater.
fn compare(symbol: &str, left: &Value, right: &Value) -> Result<Option<Ordering>, Fault> {
    if values::is_null(left) || values::is_null(right) {
        return Ok(None);
    }
    match (Number::of(left), Number::of(right)) {
        (Some(Number::Integer(left)), Some(Number::Integer(right))) => Ok(Some(left.cmp(&right))),
        (Some(_), Some(_)) => Ok(Some(left.cmp(right))),
        _ => {
            let (left_kind, right_kind) = (kind_name(left), kind_name(right));
            let fault = Fault::new(format!("`{symbol}` compares numbers, not {left_kind} with {right_kind}"));
            let text = [left, right].into_iter().any(values::is_text);
            Err(if text { fault.with_hint("make a number of a text with `| number`") } else { fault })
        }
    }
}

pub(crate) fn contains(engine: &Engine<'_>, container: &Value, wanted: &Value) -> Result<bool, Fault> {
    match container.kind() {
        ValueKind::None | ValueKind::Undefined => Ok(false),
        ValueKind::Seq | ValueKind::Iterable => {
            let elements = engine.items(container)?;
            if !values::is_list(wanted) {
                return has(engine, &elements, wanted);
            }
            for wanted in values::elements(wanted) {
                if !has(engine, &elements, &wanted)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        ValueKind::Map => Ok(values::entry(container, wanted).is_some()),
        ValueKind::String | ValueKind::Bytes => {
            let container = text::scalar(container).unwrap_or_default();
            engine.check_length(container.len())?;
            Ok(container.contains(&engine.printed(wanted)?))
        }
        _ => {
            Err(Fault::new(format!("`contains` needs a list, a map or a text, not {}", kind_name(container))))
        }
    }
}

pub(crate) fn has(engine: &Engine<'_>, elements: &[Value], wanted: &Value) -> Result<bool, Fault> {
    for element in elements {
        engine.charge(1)?;
        if equal(engine, element, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Numbers are added, texts are joined, and a list gets one more element or those of another list.
fn add(engine: &Engine<'_>, left: &Value, right: &Value) -> Result<Value, Fault> {
    if values::is_text(left) || values::is_text(right) {
        let mut output = engine.output();
        for value in [left, right] {
            // Java's way: unlike `~`, `+` writes null out.
            if values::is_null(value) { output.push("null")? } else { output.value(value)? }
        }
        return engine.text(output.into_text());
    }
    if values::is_list(left) {
        let mut items = engine.items(left)?;
        if values::is_list(right) {
            items.extend(engine.items(right)?)
        } else {
            items.push(right.clone())
        }
        return engine.list(items);
    }
    calculate(Binary::Add, left, right)
}

fn subtract_elements(engine: &Engine<'_>, left: &Value, right: &Value) -> Result<Value, Fault> {
    let removed = if values::is_list(right) { engine.items(right)? } else { vec![right.clone()] };
    let mut kept = Vec::new();
    for element in engine.items(left)? {
        if !has(engine, &removed, &element)? {
            kept.push(element);
        }
    }
    engine.list(kept)
}

fn calculate(operator: Binary, left: &Value, right: &Value) -> Result<Value, Fault> {
    let symbol = operator.symbol();
    let (Some(left_number), Some(right_number)) = (Number::of(left), Number::of(right)) else {
        let (left_kind, right_kind) = (kind_name(left), kind_name(right));
        let fault = Fault::new(format!("`{symbol}` needs two numbers, not {left_kind} and {right_kind}"));
        let text = [left, right].into_iter().any(values::is_text);
        return Err(if text { fault.with_hint("make a number of a text with `| number`") } else { fault });
    };
    if let (Number::Integer(left), Number::Integer(right)) = (left_number, right_number) {
        return integers(operator, left, right).map(Value::from);
    }
    let (left, right) = (left_number.as_f64(), right_number.as_f64());
    Ok(Value::from(match operator {
        Binary::Add => left + right,
        Binary::Subtract => left - right,
        Binary::Multiply => left * right,
        Binary::Divide => left / right,
        _ => left % right,
    }))
}

fn integers(operator: Binary, left: i64, right: i64) -> Result<i64, Fault> {
    if right == 0 && matches!(operator, Binary::Divide | Binary::Remainder) {
        return Err(
            Fault::new("division by zero").with_hint("ask for zero first, as in `n == 0 ? 0 : m / n`")
        );
    }
    Ok(match operator {
        Binary::Add => left.wrapping_add(right),
        Binary::Subtract => left.wrapping_sub(right),
        Binary::Multiply => left.wrapping_mul(right),
        Binary::Divide => left.wrapping_div(right),
        _ => left.wrapping_rem(right),
    })
}

/// Integers or single characters from one to another, both included.
pub(crate) fn range(engine: &Engine<'_>, from: &Value, to: &Value, step: i64) -> Result<Value, Fault> {
    if step == 0 {
        return Err(Fault::new("the step of a range cannot be 0"));
    }
    let single = |value: &Value| {
        let text = value.as_str()?;
        let mut chars = text.chars();
        chars.next().filter(|_| chars.next().is_none())
    };
    if let (Some(Number::Integer(from)), Some(Number::Integer(to))) = (Number::of(from), Number::of(to)) {
        let count = range_count(from, to, step);
        engine.charge(count)?;
        let steps = std::iter::successors(Some(from), |n| n.checked_add(step)).take(count);
        return engine.list(steps.map(Value::from).collect());
    }
    if let (Some(from), Some(to)) = (single(from), single(to)) {
        let (from, to) = (i64::from(u32::from(from)), i64::from(u32::from(to)));
        let count = range_count(from, to, step);
        engine.charge(count)?;
        let steps = std::iter::successors(Some(from), |n| n.checked_add(step)).take(count);
        let chars = steps.filter_map(|code| char::from_u32(u32::try_from(code).ok()?));
        return engine.list(chars.map(|c| Value::from(String::from(c))).collect());
    }
    Err(Fault::new(format!(
        "a range needs two integers or two texts of one character, not {} and {}",
        kind_name(from),
        kind_name(to)
    )))
}

fn range_count(from: i64, to: i64, step: i64) -> usize {
    let (distance, step) = (i128::from(to) - i128::from(from), i128::from(step));
    if distance.signum() * step.signum() < 0 {
        return 0;
    }
    usize::try_from(distance / step + 1).unwrap_or(usize::MAX)
}
