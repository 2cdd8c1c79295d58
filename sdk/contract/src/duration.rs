//! Lengths of time, as flows write them.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::Text;

/// A length of time in ISO-8601: `PT10S`, `PT1H30M`, `P1D`. Months, years and weeks have no fixed length or are not
/// understood by the flows' other readers, so they are errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IsoDuration(pub Duration);

impl std::str::FromStr for IsoDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_iso(text).map(Self).ok_or_else(|| {
            let hint = "hint: write days, hours, minutes and seconds as in `P1D`, `PT1H30M`, `PT0.5S`";
            format!("`{text}` is not a duration\n{hint}")
        })
    }
}

/// Seconds to 9 places; everything else whole numbers, each designator at most once and in order.
fn parse_iso(text: &str) -> Option<Duration> {
    let rest = text.trim().strip_prefix(['P', 'p'])?;
    let (date, time) = match rest.split_once(['T', 't']) {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let (mut seconds, mut nanos) = (0u64, 0);
    for (part, designators) in [(date, &[(b'D', 86_400)][..]), (time, &[(b'H', 3600), (b'M', 60), (b'S', 1)])]
    {
        let mut rest = part;
        let mut allowed = designators;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')?;
            let designator = rest.as_bytes()[end].to_ascii_uppercase();
            let position = allowed.iter().position(|&(letter, _)| letter == designator)?;
            let (whole, fraction) = match rest[..end].split_once(['.', ',']) {
                Some((whole, fraction)) if designator == b'S' => (whole, billionths(fraction)?),
                Some(_) => return None,
                None => (&rest[..end], 0),
            };
            seconds = seconds.checked_add(whole.parse::<u64>().ok()?.checked_mul(allowed[position].1)?)?;
            nanos = fraction;
            allowed = &allowed[position + 1..];
            rest = &rest[end + 1..];
        }
    }
    Some(Duration::new(seconds, nanos))
}

/// One to nine digits behind the point, in billionths.
fn billionths(digits: &str) -> Option<u32> {
    let missing = u32::try_from(9usize.checked_sub(digits.len())?).ok()?;
    digits.parse::<u32>().ok()?.checked_mul(10u32.pow(missing))
}

impl Serialize for IsoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("PT{}.{:09}S", self.0.as_secs(), self.0.subsec_nanos()))
    }
}

impl<'de> Deserialize<'de> for IsoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for IsoDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "duration" })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("PT10S", Some(10_000)),
            ("PT0.5S", Some(500)),
            ("PT0,25S", Some(250)),
            ("P1D", Some(86_400_000)),
            ("P1DT2H3M4S", Some(93_784_000)),
            ("pt1m", Some(60_000)),
            ("PT0S", Some(0)),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("P1M", None),
            ("P1W", None),
            ("PT1S1M", None),
            ("PT1M1M", None),
            ("PT1.5M", None),
            ("PT.5S", None),
            ("PT1.S", None),
            ("PT1.5.5S", None),
            ("PT0.1234567891S", None),
            ("PT-1S", None),
            ("10", None),
            ("10s", None),
            ("", None),
            ("PT99999999999999999999S", None),
            ("P18446744073709551615D", None),
        ] {
            let parsed = text.parse::<IsoDuration>().ok().map(|duration| duration.0.as_millis());
            assert_eq!(parsed, expected, "{text}");
        }
    }
}
