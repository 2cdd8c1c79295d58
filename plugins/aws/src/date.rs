//! Dates of signatures and headers.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use weft_sdk::{Error, Result};

/// Now, as the server's clock shows it if it differs by `offset` from this one.
pub fn now(offset: SignedDuration) -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_second(since.as_secs() as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    now.checked_add(offset).unwrap_or(now)
}

/// A number that differs from task to task, and is not 0.
pub fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_nanos() as u64) | 1
}

/// `20260101T000000Z`.
pub fn compact(date: Timestamp) -> String {
    date.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// By how much a server's clock differs from this one, going by its header `Date`.
pub fn offset_of(header: &str) -> Option<SignedDuration> {
    let server = rfc2822::parse(&header.replace("GMT", "+0000")).ok()?.timestamp();
    Some(server.duration_since(now(SignedDuration::ZERO)))
}

/// A date of the flow as a header has it: `Thu, 01 Jan 2026 00:00:00 GMT`.
pub fn http(property: &str, text: &str) -> Result<String> {
    let date = instant(property, text)?;
    Ok(date.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// A date of the flow.
pub fn instant(property: &str, text: &str) -> Result<Timestamp> {
    text.trim().parse().map_err(|_| {
        let message = format!("property `{property}`: `{text}` is not a date such as `2026-01-01T00:00:00Z`");
        Error::new("property.invalid", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_forms_of_their_places() {
        let date = instant("expires", "2026-01-02T03:04:05Z").unwrap();
        assert_eq!(compact(date), "20260102T030405Z");
        assert_eq!(http("expires", "2026-01-02T03:04:05+01:00").unwrap(), "Fri, 02 Jan 2026 02:04:05 GMT");
        assert_eq!(instant("expires", "soon").unwrap_err().code(), "property.invalid");
    }

    #[test]
    fn the_servers_clock_is_read_from_its_header() {
        assert!(offset_of("Thu, 01 Jan 2015 00:00:00 GMT").unwrap() < SignedDuration::from_hours(-24));
        assert_eq!(offset_of("yesterday"), None);
    }
}
