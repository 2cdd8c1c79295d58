//! Texts -> dates.

use jiff::Zoned;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::{Offset, TimeZone};

use super::{Format, Item, MONTHS, SHORT, Standard, WEEKDAYS, time_zone};
use crate::error::Fault;
use crate::text::quote;

/// What a text says of a date.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub date: Date,
    pub time: Option<Time>,
    /// The offset written in the text, if any.
    pub offset: Option<Offset>,
    /// The time zone named in the text, if any.
    pub zone: Option<TimeZone>,
}

impl Moment {
    /// In its own time zone, else in `zone`; without a time it is the start of the day.
    pub fn zoned(&self, zone: &TimeZone) -> Result<Zoned, Fault> {
        let local = DateTime::from_parts(self.date, self.time.unwrap_or(Time::midnight()));
        let own = self.zone.clone().or_else(|| self.offset.map(TimeZone::fixed));
        let beyond = |error: jiff::Error| Fault::new(format!("the date is out of range: {error}"));
        match (self.offset, own) {
            (Some(offset), Some(zone)) => Ok(offset.to_timestamp(local).map_err(beyond)?.to_zoned(zone)),
            (None, Some(zone)) => zone.to_zoned(local).map_err(beyond),
            _ => zone.to_zoned(local).map_err(beyond),
        }
    }
}

/// Reads ISO 8601: a date, with a time, with an offset or time zone.
pub(crate) fn read_iso(text: &str) -> Result<Moment, Fault> {
    const PARSER: DateTimeParser = DateTimeParser::new();
    let wrong = || {
        Fault::new(format!("{} is not a date in ISO 8601", quote(text))).with_hint(
            "say how it is written with the argument `existingFormat`, as `existingFormat='dd.MM.yyyy'`",
        )
    };
    let pieces = PARSER.parse_pieces(text).map_err(|_| wrong())?;
    Ok(Moment {
        date: pieces.date(),
        time: pieces.time(),
        offset: pieces.to_numeric_offset(),
        zone: pieces.to_time_zone().map_err(|_| wrong())?,
    })
}

/// Reads a text in a format.
pub(crate) fn read(format: &Format, text: &str) -> Result<Moment, Fault> {
    let items = match format {
        Format::Pattern(items) => items.as_slice(),
        Format::Standard(Standard::Rfc1123) => return rfc_1123(text),
        Format::Standard(_) => return read_iso(text),
    };
    let mut fields = Fields::default();
    let wrong =
        || Fault::new(format!("{} is not a date of the format given by `existingFormat`", quote(text)));
    match sequence(items, text, &mut fields) {
        Some("") => fields.moment().ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

fn rfc_1123(text: &str) -> Result<Moment, Fault> {
    let parse = || {
        let mut fields = Fields::default();
        // The weekday may be left out.
        let rest = text.split_once(", ").map_or(text, |(_, rest)| rest);
        let pattern = [
            Item::Field('d', 1),
            Item::Literal(" ".to_string()),
            Item::Field('M', 3),
            Item::Literal(" ".to_string()),
            Item::Field('y', 4),
            Item::Literal(" ".to_string()),
            Item::Field('H', 2),
            Item::Literal(":".to_string()),
            Item::Field('m', 2),
            Item::OptionalStart,
            Item::Literal(":".to_string()),
            Item::Field('s', 2),
            Item::OptionalEnd,
            Item::Literal(" ".to_string()),
            Item::Field('z', 1),
        ];
        sequence(&pattern, rest, &mut fields)?.is_empty().then_some(())?;
        fields.moment()
    };
    parse()
        .ok_or_else(|| Fault::new(format!("{} is not a date as `Tue, 8 Feb 2022 19:38:26 GMT`", quote(text))))
}

/// What has been read so far.
#[derive(Default, Clone)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    /// An hour of a half day, from 0.
    half_hour: Option<i64>,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    nanosecond: Option<i64>,
    offset: Option<Offset>,
    zone: Option<TimeZone>,
}

impl Fields {
    fn moment(self) -> Option<Moment> {
        let year = i16::try_from(self.year?).ok()?;
        let small = |value: i64| i8::try_from(value).ok();
        let date = match self.day_of_year {
            Some(day) => {
                Date::new(year, 1, 1).ok()?.with().day_of_year(i16::try_from(day).ok()?).build().ok()?
            }
            None => Date::new(year, small(self.month?)?, small(self.day.unwrap_or(1))?).ok()?,
        };
        let hour = match (self.hour, self.half_hour) {
            (Some(hour), _) => Some(hour),
            (None, Some(hour)) => Some(hour + if self.afternoon.unwrap_or(false) { 12 } else { 0 }),
            (None, None) => None,
        };
        let time = match hour {
            None => None,
            Some(hour) => {
                let (minute, second) = (self.minute.unwrap_or(0), self.second.unwrap_or(0));
                let nanosecond = i32::try_from(self.nanosecond.unwrap_or(0)).ok()?;
                Some(Time::new(small(hour)?, small(minute)?, small(second)?, nanosecond).ok()?)
            }
        };
        Some(Moment { date, time, offset: self.offset, zone: self.zone })
    }
}

/// Reads items from the beginning of a text and hands back what follows.
fn sequence<'t>(items: &[Item], mut text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    let mut index = 0;
    while let Some(item) = items.get(index) {
        index += 1;
        match item {
            Item::Literal(literal) => text = text.strip_prefix(literal.as_str())?,
            Item::Field(letter, count) => {
                let next_is_number = matches!(items.get(index), Some(Item::Field(letter, count)) if is_number(*letter, *count));
                text = field(*letter, *count, next_is_number, text, fields)?;
            }
            Item::OptionalStart => {
                let length = section(&items[index..]);
                let mut attempt = fields.clone();
                if let Some(rest) = sequence(&items[index..index + length], text, &mut attempt) {
                    (text, *fields) = (rest, attempt);
                }
                index += length;
            }
            Item::OptionalEnd => {}
        }
    }
    Some(text)
}

/// How many items an optional section has; one that is not closed has all.
fn section(items: &[Item]) -> usize {
    let mut open = 1;
    for (index, item) in items.iter().enumerate() {
        match item {
            Item::OptionalStart => open += 1,
            Item::OptionalEnd => open -= 1,
            _ => {}
        }
        if open == 0 {
            return index;
        }
    }
    items.len()
}

fn is_number(letter: char, count: usize) -> bool {
    matches!(letter, 'y' | 'u' | 'd' | 'D' | 'H' | 'h' | 'K' | 'k' | 'm' | 's' | 'S' | 'n')
        || (matches!(letter, 'M' | 'L') && count <= 2)
}

/// Digits: just as many as letters, or, where a single letter leaves it open, as many as there are.
fn number(text: &str, count: usize, next_is_number: bool) -> Option<(i64, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let width = if count > 1 || next_is_number { count } else { digits };
    if width == 0 || width > digits {
        return None;
    }
    let (number, rest) = text.split_at(width);
    Some((number.parse().ok()?, rest))
}

/// One of some names, in full or by its first letters, in any case.
fn named<'t>(names: &[&str], full: bool, text: &'t str) -> Option<(i64, &'t str)> {
    (1..).zip(names).find_map(|(position, name)| {
        let name = if full { name } else { &name[..SHORT] };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| (position, &text[name.len()..]))
    })
}

fn field<'t>(
    letter: char,
    count: usize,
    next_is_number: bool,
    text: &'t str,
    fields: &mut Fields,
) -> Option<&'t str> {
    let digits = |count| number(text, count, next_is_number);
    let (slot, (value, rest)) = match letter {
        'y' | 'u' => {
            let (year, rest) = digits(count)?;
            (&mut fields.year, (if count == 2 { 2000 + year } else { year }, rest))
        }
        'M' | 'L' if count > 2 => (&mut fields.month, named(&MONTHS, count == 4, text)?),
        'M' | 'L' => (&mut fields.month, digits(count)?),
        'd' => (&mut fields.day, digits(count)?),
        'D' => (&mut fields.day_of_year, digits(count)?),
        'H' => (&mut fields.hour, digits(count)?),
        'k' => {
            let (hour, rest) = digits(count)?;
            (&mut fields.hour, (hour % 24, rest))
        }
        'h' => {
            let (hour, rest) = digits(count)?;
            (&mut fields.half_hour, (hour % 12, rest))
        }
        'K' => (&mut fields.half_hour, digits(count)?),
        'm' => (&mut fields.minute, digits(count)?),
        's' => (&mut fields.second, digits(count)?),
        'n' => (&mut fields.nanosecond, digits(count)?),
        'S' => {
            let (fraction, rest) = number(text, count, true)?;
            let missing = u32::try_from(9usize.checked_sub(count)?).ok()?;
            (&mut fields.nanosecond, (fraction * 10i64.pow(missing), rest))
        }
        'a' => {
            let (half, rest) = named(&["AM ", "PM "].map(|half| &half[..2]), true, text)?;
            fields.afternoon = Some(half == 2);
            return Some(rest);
        }
        // The weekday follows from the date.
        'E' | 'e' | 'c' => return named(&WEEKDAYS, count == 4, text).map(|(_, rest)| rest),
        'G' => return text.strip_prefix("AD"),
        'X' | 'x' | 'Z' | 'O' | 'z' | 'V' | 'v' => return zone(text, fields),
        // Weeks and quarters do not say which day it is.
        _ => return None,
    };
    *slot = Some(value);
    Some(rest)
}

/// An offset, `Z`, or a time zone's name.
fn zone<'t>(text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    if let Some((found, rest)) =
        offset(text.strip_prefix("GMT").filter(|rest| rest.starts_with(['+', '-'])).unwrap_or(text))
    {
        fields.offset = Some(found);
        return Some(rest);
    }
    let length = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+')));
    let (name, rest) = text.split_at(length.unwrap_or(text.len()));
    fields.zone = Some(time_zone(name).ok()?);
    Some(rest)
}

/// `Z`, `+2`, `+02`, `+0200`, `+02:00`, `+02:00:30`.
pub(super) fn offset(text: &str) -> Option<(Offset, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((Offset::UTC, rest));
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let mut rest = &text[1..];
    let mut parts = [0i32; 3];
    for (index, part) in parts.iter_mut().enumerate() {
        let digits = if index == 0 { rest } else { rest.strip_prefix(':').unwrap_or(rest) };
        let length = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let width = match (index, length) {
            (0, 1) => 1,
            (_, 2..) => 2,
            (0, _) => return None,
            _ => break,
        };
        *part = digits[..width].parse().ok()?;
        rest = &digits[width..];
    }
    let [hours, minutes, seconds] = parts;
    let seconds = hours * 3600 + minutes * 60 + seconds;
    Offset::from_seconds(sign * seconds).ok().map(|offset| (offset, rest))
}
