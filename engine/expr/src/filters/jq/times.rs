//! `strptime`: jaq's wants a whole date.

use jaq_core::native::{Fun, unary, v};
use jaq_core::{Error, Native};
use jaq_std::ValT as _;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::json::{Json, JsonR};
use super::steps::Kind;

pub(super) fn natives() -> impl Iterator<Item = Fun<Kind>> {
    let native = Native::<Kind>::new(|cv| unary(cv, |text, format| strptime(&text, &format)));
    std::iter::once(("strptime", v(1), native))
}

/// The parts of a time in UTC. What the text does not say is that of 1900-01-01 00:00:00.
fn strptime(value: &Json, format: &Json) -> JsonR {
    let text = |value: &Json| {
        let bytes = value.as_bytes().ok_or_else(|| Error::typ(value.clone(), "text"))?;
        Ok::<_, Error<Json>>(String::from_utf8_lossy(bytes).into_owned())
    };
    let mut time = BrokenDownTime::parse(text(format)?, text(value)?).map_err(Error::str)?;
    let zoned = time.offset().is_some() || time.iana_time_zone().is_some();
    if !zoned {
        let date = time.to_date().or_else(|_| {
            let year = time.year().unwrap_or(1900);
            jiff::civil::Date::new(year, time.month().unwrap_or(1), time.day().unwrap_or(1))
        });
        let date = date.map_err(Error::str)?;
        let clock = time.to_time().unwrap_or_default();
        time = BrokenDownTime::from(date.to_datetime(clock));
        time.set_offset(Some(jiff::tz::Offset::UTC));
    }
    let time = time.to_timestamp().map_err(Error::str)?.to_zoned(TimeZone::UTC);
    let seconds = match time.subsec_nanosecond() {
        0 => Json::from(isize::from(time.second())),
        nanoseconds => Json::from(f64::from(time.second()) + f64::from(nanoseconds) / 1e9),
    };
    let whole = |part: i16| Json::from(isize::from(part));
    Ok([
        whole(time.year()),
        whole(i16::from(time.month()) - 1),
        whole(i16::from(time.day())),
        whole(i16::from(time.hour())),
        whole(i16::from(time.minute())),
        seconds,
        whole(i16::from(time.weekday().to_sunday_zero_offset())),
        whole(time.day_of_year() - 1),
    ]
    .into_iter()
    .collect())
}
