//! ISO-8601 durations as Java reads them: `PT5M`, `PT0.250S`, `P1DT12H`, in any case, without weeks, months and years.

use jiff::SignedDuration;

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: {reason}")]
pub struct DurationError {
    text: String,
    reason: &'static str,
}

const EXPECTED: &str = "expected ISO-8601 such as `PT30S`, `PT1H30M` or `P1D`";

/// Reads an ISO-8601 duration. Days are 24 hours; a number may be negative and seconds may have a fraction.
pub fn parse_duration(text: &str) -> Result<SignedDuration, DurationError> {
    read(text).map_err(|reason| DurationError { text: text.chars().take(60).collect(), reason })
}

/// What was meant by a duration without its `T`: `PT10M` for `P10M`, `PT1H30M` for `P1H30M`.
fn without_t(text: &str) -> Option<String> {
    let time = text.strip_prefix(['P', 'p'])?;
    let written = format!("PT{}", time.to_ascii_uppercase());
    parse_duration(&written).ok().map(|_| written)
}

/// What a text that people write for a duration (`10s`, `1h 30m`, `500ms`, `2 days`) is in ISO-8601.
pub(crate) fn suggestion(text: &str) -> Option<String> {
    if let Some(written) = without_t(text.trim()) {
        return Some(written);
    }
    let mut rest = text.trim();
    let mut parts: [Option<String>; 4] = Default::default();
    let mut next = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(digits).filter(|(number, _)| !number.is_empty())?;
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let (index, number) = match unit.to_ascii_lowercase().as_str() {
            "d" | "day" | "days" => (0, number.to_owned()),
            "h" | "hour" | "hours" | "hr" | "hrs" => (1, number.to_owned()),
            "m" | "min" | "mins" | "minute" | "minutes" => (2, number.to_owned()),
            "" | "s" | "sec" | "secs" | "second" | "seconds" => (3, number.to_owned()),
            "ms" | "millis" | "milliseconds" => {
                let millis: u64 = number.parse().ok()?;
                let fraction = format!("{:03}", millis % 1_000);
                let fraction = fraction.trim_end_matches('0');
                let point = if fraction.is_empty() { "" } else { "." };
                (3, format!("{}{point}{fraction}", millis / 1_000))
            }
            _ => return None,
        };
        if index < next {
            return None;
        }
        next = index + 1;
        parts[index] = Some(number);
        rest = after.trim_start();
    }
    let [days, hours, minutes, seconds] = &parts;
    let part = |number: &Option<String>, unit: &str| match number {
        Some(number) => format!("{number}{unit}"),
        None => String::new(),
    };
    let time = part(hours, "H") + &part(minutes, "M") + &part(seconds, "S");
    let written = match (days.is_some(), time.is_empty()) {
        (true, true) => format!("P{}", part(days, "D")),
        (_, false) => format!("P{}T{time}", part(days, "D")),
        (false, true) => return None,
    };
    parse_duration(&written).ok().map(|_| written)
}

/// Units in the order in which they must stand, with their seconds.
const UNITS: [(u8, i64); 4] = [(b'D', 86_400), (b'H', 3_600), (b'M', 60), (b'S', 1)];

fn read(text: &str) -> Result<SignedDuration, &'static str> {
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let mut rest = unsigned.strip_prefix(['P', 'p']).ok_or(EXPECTED)?;
    let mut total = SignedDuration::ZERO;
    let mut in_time = false;
    let mut next_unit = 0;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix(['T', 't']) {
            if in_time || time.is_empty() {
                return Err(EXPECTED);
            }
            (in_time, rest, next_unit) = (true, time, next_unit.max(1));
            continue;
        }
        let length =
            rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b',')).count();
        let number = &rest[..length];
        let unit = rest.as_bytes().get(length).ok_or(EXPECTED)?.to_ascii_uppercase();
        if !in_time && matches!(unit, b'Y' | b'M' | b'W') {
            return Err("weeks, months and years are not allowed; use days");
        }
        let index = UNITS.iter().position(|&(name, _)| name == unit).ok_or(EXPECTED)?;
        if index < next_unit || (index > 0) != in_time {
            return Err(EXPECTED);
        }
        let part = if unit == b'S' { seconds(number)? } else { whole(number, UNITS[index].1)? };
        total = total.checked_add(part).ok_or("it is too long")?;
        (rest, next_unit) = (&rest[length + 1..], index + 1);
    }
    if next_unit == 0 {
        return Err(EXPECTED);
    }
    if negative { total.checked_neg().ok_or("it is too long") } else { Ok(total) }
}

fn whole(number: &str, unit: i64) -> Result<SignedDuration, &'static str> {
    let count: i64 = number.parse().map_err(|_| EXPECTED)?;
    count.checked_mul(unit).map(SignedDuration::from_secs).ok_or("it is too long")
}

fn seconds(number: &str) -> Result<SignedDuration, &'static str> {
    let (whole_part, fraction) = number.split_once(['.', ',']).unwrap_or((number, ""));
    let seconds = whole(whole_part, 1)?;
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a fraction of seconds has at most 9 digits");
    }
    // Nine digits fit.
    let nanos: i32 = format!("{fraction:0<9}").parse().map_err(|_| EXPECTED)?;
    let nanos = if whole_part.starts_with('-') { -nanos } else { nanos };
    seconds.checked_add(SignedDuration::new(0, nanos)).ok_or("it is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood() {
        for (text, expected) in [
            ("10s", Some("PT10S")),
            ("5m", Some("PT5M")),
            ("P10M", Some("PT10M")),
            ("p1h30m", Some("PT1H30M")),
            ("1h30m", Some("PT1H30M")),
            ("1h 30m", Some("PT1H30M")),
            ("2 days", Some("P2D")),
            ("1d 12h", Some("P1DT12H")),
            ("500ms", Some("PT0.5S")),
            ("1500ms", Some("PT1.5S")),
            ("30", Some("PT30S")),
            ("30 Seconds", Some("PT30S")),
            ("30s 1h", None),
            ("soon", None),
            ("", None),
            ("1 fortnight", None),
            ("-5s", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(suggestion(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in [
            ("PT5m", 300_000),
            ("PT0.250S", 250),
            ("PT0.25s", 250),
            ("P1D", 86_400_000),
            ("p1dt1h1m1.5s", 90_061_500),
            ("PT36H", 129_600_000),
            ("PT0S", 0),
            ("-PT1S", -1_000),
            ("PT-1.5S", -1_500),
            ("PT-0.5S", -500),
            ("P2DT-1H", 169_200_000),
        ] {
            assert_eq!(parse_duration(text).map(|d| d.as_millis()), Ok(millis), "{text}");
        }
    }

    #[test]
    fn texts_that_are_none() {
        for (text, reason) in [
            ("", EXPECTED),
            ("P", EXPECTED),
            ("PT", EXPECTED),
            ("10", EXPECTED),
            ("5m", EXPECTED),
            ("PT5", EXPECTED),
            ("P1H", EXPECTED),
            ("PT1D", EXPECTED),
            ("PT1M1H", EXPECTED),
            ("PT1.5H", EXPECTED),
            ("P1M", "weeks, months and years are not allowed; use days"),
            ("P1W", "weeks, months and years are not allowed; use days"),
            ("PT9223372036854775807H", "it is too long"),
            ("PT1.0123456789S", "a fraction of seconds has at most 9 digits"),
            ("PTéS", EXPECTED),
        ] {
            assert_eq!(parse_duration(text).map_err(|error| error.reason), Err(reason), "{text}");
        }
    }
}
