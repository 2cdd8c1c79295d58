//! Names of time zones.

use jiff::tz;

/// Whether this is a time zone: a name in the system's database, `Z`, or an offset such as `+02:00`. Where the system
/// has no database, every name is taken.
pub(crate) fn is_time_zone(name: &str) -> bool {
    let offset = name.strip_prefix("UTC").or_else(|| name.strip_prefix("GMT")).unwrap_or(name);
    name == "Z"
        || offset.is_empty()
        || is_offset(offset)
        || tz::db().is_definitively_empty()
        || tz::db().get(name).is_ok()
}

/// `+2`, `-02`, `+02:00`, `+0200`.
fn is_offset(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(['+', '-']) else { return false };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 && digits.is_ascii() => digits.split_at(2),
        None => (digits, "00"),
    };
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&text.len()).then(|| text.parse::<u8>().ok()).flatten()
    };
    number(hours, 1..=2).is_some_and(|hours| hours <= 18)
        && number(minutes, 2..=2).is_some_and(|minutes| minutes < 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones() {
        for (name, expected) in [
            ("UTC", true),
            ("Z", true),
            ("+02:00", true),
            ("-0330", true),
            ("GMT+2", true),
            ("+25", false),
            ("+1:99", false),
            ("", true),
        ] {
            assert_eq!(is_time_zone(name), expected, "{name}");
        }
        if !tz::db().is_definitively_empty() {
            assert!(is_time_zone("Europe/Paris"));
            assert!(!is_time_zone("Europe/Pariss"));
        }
    }
}
