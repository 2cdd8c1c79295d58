//! Dates of a `Schedule` or a `ScheduleOnDates` trigger.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use serde_json::{Value, json};
use weft_flow::parse_duration;
use weft_model::Map;

use crate::SetupError;

static PARSER: DateTimeParser = DateTimeParser::new();

/// When a trigger fires by the clock.
#[derive(Debug)]
pub(crate) struct Schedule {
    times: Times,
    zone: TimeZone,
    /// Dates that are later than this are left out.
    late: Option<SignedDuration>,
    pub(crate) missed: Missed,
}

#[derive(Debug)]
enum Times {
    Cron(Box<Cron>),
    /// In order.
    Dates(Vec<Timestamp>),
}

/// What becomes of dates that went by while nobody watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missed {
    All,
    Last,
    None,
}

impl Schedule {
    /// Reads the properties of a `Schedule`.
    pub(crate) fn cron(properties: &Map) -> Result<Self, SetupError> {
        let text = text(properties, "cron").unwrap_or_default();
        let seconds = properties.get("withSeconds") == Some(&Value::Bool(true));
        let parser = CronParser::builder()
            .seconds(if seconds { Seconds::Required } else { Seconds::Disallowed })
            .year(Year::Disallowed)
            .build();
        // The one name that this library does not know.
        let pattern = if text.trim().eq_ignore_ascii_case("@midnight") { "@daily" } else { text };
        let cron = parser
            .parse(pattern)
            .map_err(|error| SetupError::property("cron", format!("`{text}`: {error}")))?;
        Self::new(Times::Cron(Box::new(cron)), properties)
    }

    /// Reads the properties of a `ScheduleOnDates`.
    pub(crate) fn dates(properties: &Map) -> Result<Self, SetupError> {
        let zone = zone(properties)?;
        let listed = properties.get("dates").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut dates = listed
            .iter()
            .map(|date| {
                let text = date.as_str().unwrap_or_default();
                date_in(text, &zone).ok_or_else(|| {
                    SetupError::property(
                        "dates",
                        format!("`{date}` is not a date such as `2026-12-24T18:00:00Z`"),
                    )
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        dates.sort_unstable();
        dates.dedup();
        Self::new(Times::Dates(dates), properties)
    }

    fn new(times: Times, properties: &Map) -> Result<Self, SetupError> {
        let late = match text(properties, "lateMaximumDelay") {
            Some(text) => Some(
                parse_duration(text)
                    .map_err(|error| SetupError::property("lateMaximumDelay", error.to_string()))?,
            ),
            None => None,
        };
        let missed = match text(properties, "recoverMissedSchedules") {
            Some("LAST") => Missed::Last,
            Some("NONE") => Missed::None,
            _ => Missed::All,
        };
        Ok(Self { times, zone: zone(properties)?, late, missed })
    }

    /// The first date after `date`.
    pub(crate) fn after(&self, date: Timestamp) -> Option<Timestamp> {
        match &self.times {
            Times::Cron(cron) => {
                let found = cron.find_next_occurrence(&date.to_zoned(self.zone.clone()), false);
                found.ok().map(|found| found.timestamp())
            }
            Times::Dates(dates) => dates.iter().find(|found| **found > date).copied(),
        }
    }

    /// The last date before `date`.
    pub(crate) fn before(&self, date: Timestamp) -> Option<Timestamp> {
        match &self.times {
            Times::Cron(cron) => {
                let found = cron.find_previous_occurrence(&date.to_zoned(self.zone.clone()), false);
                found.ok().map(|found| found.timestamp())
            }
            Times::Dates(dates) => dates.iter().rev().find(|found| **found < date).copied(),
        }
    }

    /// The date to wait for when watching begins, `next` being the one that was waited for before, if any.
    pub(crate) fn first(&self, next: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        // One that has not passed is found again, unless the expression has been changed since.
        match (next.filter(|next| *next <= now), self.missed) {
            (Some(next), Missed::All) => Some(next),
            (Some(next), Missed::Last) => {
                let last = self.before(now + SignedDuration::from_nanos(1));
                Some(last.filter(|last| *last >= next).unwrap_or(next))
            }
            // A list of dates has no other past than the one nobody watched; a new trigger begins now all the same.
            (Some(_), Missed::None) | (None, _) => self.after(now),
        }
    }

    /// Whether `date` is too long ago to start anything.
    pub(crate) fn is_late(&self, date: Timestamp, now: Timestamp) -> bool {
        self.late.is_some_and(|late| now.duration_since(date) > late)
    }

    /// What expressions see as `trigger` at `date`, with its neighbours.
    pub(crate) fn variables(
        &self,
        date: Timestamp,
        next: Option<Timestamp>,
        previous: Option<Timestamp>,
    ) -> Map {
        let dates = [("date", Some(date)), ("next", next), ("previous", previous)];
        dates
            .into_iter()
            .filter_map(|(name, date)| {
                Some((name.to_owned(), json!(iso(&date?.to_zoned(self.zone.clone())))))
            })
            .collect()
    }
}

/// ISO-8601 with the offset and without the name of the zone, as other readers take it.
fn iso(date: &Zoned) -> String {
    date.timestamp().display_with_offset(date.offset()).to_string()
}

fn text<'p>(properties: &'p Map, name: &str) -> Option<&'p str> {
    properties.get(name)?.as_str()
}

fn zone(properties: &Map) -> Result<TimeZone, SetupError> {
    let Some(name) = text(properties, "timezone") else { return Ok(TimeZone::system()) };
    time_zone(name).ok_or_else(|| SetupError::property("timezone", format!("`{name}` is not a time zone")))
}

/// `Europe/Paris`, `Z`, `+02:00`, `GMT+2`.
pub(crate) fn time_zone(name: &str) -> Option<TimeZone> {
    let offset = name.strip_prefix("UTC").or_else(|| name.strip_prefix("GMT")).unwrap_or(name);
    if offset.is_empty() || name == "Z" {
        return Some(TimeZone::UTC);
    }
    // `+2` is meant as `+02`.
    let padded = match offset.as_bytes() {
        [sign @ (b'+' | b'-'), digit] => format!("{}0{}", *sign as char, *digit as char),
        _ => offset.to_owned(),
    };
    PARSER.parse_time_zone(name).or_else(|_| PARSER.parse_time_zone(padded)).ok()
}

/// A date with its own offset, or else meant in `zone`.
pub(crate) fn date_in(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(zoned) = PARSER.parse_zoned(text) {
        return Some(zoned.timestamp());
    }
    if let Ok(timestamp) = PARSER.parse_timestamp(text) {
        return Some(timestamp);
    }
    Some(PARSER.parse_datetime(text).ok()?.to_zoned(zone.clone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn map(value: Value) -> Map {
        value.as_object().cloned().unwrap()
    }

    fn schedule(properties: Value) -> Schedule {
        Schedule::cron(&map(properties)).unwrap()
    }

    #[test]
    fn dates_of_cron_expressions() {
        for (properties, from, next, previous) in [
            (
                json!({"cron": "*/15 * * * *", "timezone": "UTC"}),
                "2026-01-01T10:07:00Z",
                "2026-01-01T10:15:00Z",
                "2026-01-01T10:00:00Z",
            ),
            (
                json!({"cron": "0 9 * * MON-FRI", "timezone": "Europe/Paris"}),
                "2026-01-02T08:00:00Z",
                "2026-01-05T08:00:00Z",
                "2026-01-01T08:00:00Z",
            ),
            (
                json!({"cron": "@midnight", "timezone": "+02:00"}),
                "2026-01-01T00:00:00Z",
                "2026-01-01T22:00:00Z",
                "2025-12-31T22:00:00Z",
            ),
            (
                json!({"cron": "30 0 12 * * *", "withSeconds": true, "timezone": "UTC"}),
                "2026-01-01T12:00:30Z",
                "2026-01-02T12:00:30Z",
                "2025-12-31T12:00:30Z",
            ),
            // The last day of the month.
            (
                json!({"cron": "0 0 L * ?", "timezone": "UTC"}),
                "2026-02-01T00:00:00Z",
                "2026-02-28T00:00:00Z",
                "2026-01-31T00:00:00Z",
            ),
        ] {
            let schedule = schedule(properties.clone());
            assert_eq!(schedule.after(at(from)), Some(at(next)), "{properties}");
            assert_eq!(schedule.before(at(from)), Some(at(previous)), "{properties}");
        }
    }

    #[test]
    fn an_hour_that_is_there_twice_or_not_at_all() {
        // At 2:00 on March 29 the clocks of Paris go to 3:00; at 3:00 on October 25 they go back to 2:00.
        let daily = schedule(json!({"cron": "30 2 * * *", "timezone": "Europe/Paris"}));
        let spring = daily.after(at("2026-03-28T12:00:00Z")).unwrap();
        assert!(spring >= at("2026-03-29T01:00:00Z") && spring < at("2026-03-30T00:00:00Z"), "{spring}");
        let autumn = daily.after(at("2026-10-24T12:00:00Z")).unwrap();
        assert_eq!(autumn, at("2026-10-25T00:30:00Z"));
        assert_eq!(daily.after(autumn), Some(at("2026-10-26T01:30:00Z")), "once that night");
    }

    #[test]
    fn missed_dates_are_made_up_for_as_asked() {
        let (next, now) = (Some(at("2026-01-01T10:00:00Z")), at("2026-01-01T13:30:00Z"));
        for (missed, expected) in [
            ("ALL", "2026-01-01T10:00:00Z"),
            ("LAST", "2026-01-01T13:00:00Z"),
            ("NONE", "2026-01-01T14:00:00Z"),
        ] {
            let schedule =
                schedule(json!({"cron": "0 * * * *", "timezone": "UTC", "recoverMissedSchedules": missed}));
            assert_eq!(schedule.first(next, now), Some(at(expected)), "{missed}");
            assert_eq!(
                schedule.first(None, now),
                Some(at("2026-01-01T14:00:00Z")),
                "{missed}, never watched"
            );
        }
    }

    #[test]
    fn a_changed_expression_is_obeyed_at_once() {
        let now = at("2026-01-01T13:30:00Z");
        let new_year = Some(at("2027-01-01T00:00:00Z"));
        for (cron, expected) in [("0 0 1 1 *", "2027-01-01T00:00:00Z"), ("0 * * * *", "2026-01-01T14:00:00Z")]
        {
            let schedule = schedule(json!({"cron": cron, "timezone": "UTC"}));
            assert_eq!(schedule.first(new_year, now), Some(at(expected)), "{cron}");
        }
    }

    #[test]
    fn lists_of_dates() {
        let dates = json!({"dates": ["2026-01-02T10:00:00+02:00", "2026-01-01T10:00:00"], "timezone": "UTC"});
        let schedule = Schedule::dates(&map(dates)).unwrap();
        let first = schedule.after(at("2025-01-01T00:00:00Z")).unwrap();
        assert_eq!(first, at("2026-01-01T10:00:00Z"));
        assert_eq!(schedule.after(first), Some(at("2026-01-02T08:00:00Z")));
        assert_eq!(schedule.after(at("2026-01-02T08:00:00Z")), None);
        assert!(Schedule::dates(&map(json!({"dates": ["tomorrow"]}))).is_err());
    }

    #[test]
    fn variables_have_the_offset_of_the_zone() {
        let schedule = schedule(json!({"cron": "0 9 * * *", "timezone": "Europe/Paris"}));
        let variables =
            schedule.variables(at("2026-07-01T07:00:00Z"), None, Some(at("2026-06-30T07:00:00Z")));
        assert_eq!(
            Value::Object(variables),
            json!({"date": "2026-07-01T09:00:00+02:00", "previous": "2026-06-30T09:00:00+02:00"})
        );
    }

    #[test]
    fn zones_have_many_names() {
        for (name, known) in [
            ("Z", true),
            ("UTC", true),
            ("GMT+2", true),
            ("+02:00", true),
            ("-0330", true),
            ("Nowhere", false),
        ] {
            assert_eq!(time_zone(name).is_some(), known, "{name}");
        }
    }
}
