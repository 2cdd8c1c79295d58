//! Dates -> texts.

use std::fmt::Write as _;

use jiff::Zoned;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use super::language::{ENGLISH, Language};
use super::{Format, Item, Standard, offset_parts};

/// Writes a date in its own time zone.
pub(crate) fn print(format: &Format, date: &Zoned, language: &Language) -> String {
    let mut out = String::new();
    match format {
        Format::Standard(standard) => standard_form(*standard, date, &mut out),
        Format::Pattern(items) => {
            for item in items {
                match item {
                    Item::Literal(text) => out.push_str(text),
                    Item::Field(letter, count) => field(*letter, *count, date, language, &mut out),
                    // What is optional to read is always written.
                    Item::OptionalStart | Item::OptionalEnd => {}
                }
            }
        }
    }
    out
}

fn standard_form(standard: Standard, date: &Zoned, out: &mut String) {
    let day = date.date();
    match standard {
        Standard::ZonedDateTime => {
            let _ = write!(out, "{day}T");
            time(date.time(), out);
            offset(date.offset(), ":", true, out);
            if let Some(name) = date.time_zone().iana_name().filter(|name| *name != "UTC") {
                let _ = write!(out, "[{name}]");
            }
        }
        Standard::LocalDateTime => {
            let _ = write!(out, "{day}T");
            time(date.time(), out);
        }
        Standard::Time => {
            time(date.time(), out);
            offset(date.offset(), ":", true, out);
        }
        Standard::LocalTime => time(date.time(), out),
        Standard::Instant => {
            let utc = date.with_time_zone(jiff::tz::TimeZone::UTC);
            let _ = write!(out, "{}T{:02}:{:02}:{:02}", utc.date(), utc.hour(), utc.minute(), utc.second());
            // An instant's fraction has 0, 3, 6 or 9 digits.
            let nanos = utc.subsec_nanosecond();
            match (nanos, nanos % 1_000_000, nanos % 1_000) {
                (0, ..) => {}
                (_, 0, _) => _ = write!(out, ".{:03}", nanos / 1_000_000),
                (_, _, 0) => _ = write!(out, ".{:06}", nanos / 1_000),
                _ => _ = write!(out, ".{nanos:09}"),
            }
            out.push('Z');
        }
        Standard::WeekDate => {
            let week = day.iso_week_date();
            let weekday = week.weekday().to_monday_one_offset();
            let _ = write!(out, "{:04}-W{:02}-{weekday}", week.year(), week.week());
            offset(date.offset(), ":", true, out);
        }
        Standard::Rfc1123 => {
            let weekday = ENGLISH.weekday(day, 3);
            let month = ENGLISH.month(day, 3);
            let _ = write!(out, "{weekday}, {} {month} {} ", day.day(), day.year());
            let _ = write!(out, "{:02}:{:02}:{:02} ", date.hour(), date.minute(), date.second());
            if date.offset() == Offset::UTC {
                out.push_str("GMT")
            } else {
                offset(date.offset(), "", false, out)
            }
        }
    }
}

/// A time with seconds, and a fraction only as long as needed.
fn time(time: Time, out: &mut String) {
    let _ = write!(out, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    let nanos = time.subsec_nanosecond();
    if nanos != 0 {
        let fraction = format!("{nanos:09}");
        let _ = write!(out, ".{}", fraction.trim_end_matches('0'));
    }
}

fn number(value: i64, width: usize, out: &mut String) {
    let _ = write!(out, "{value:0width$}");
}

fn year(year: i64, count: usize, out: &mut String) {
    match count {
        2 => number(year.rem_euclid(100), 2, out),
        width => number(year, width, out),
    }
}

fn field(letter: char, count: usize, date: &Zoned, language: &Language, out: &mut String) {
    let day = date.date();
    let time = date.time();
    let hour = i64::from(time.hour());
    let quarter = (i64::from(day.month()) + 2) / 3;
    match letter {
        'y' | 'u' => year(i64::from(day.year()), count, out),
        'Y' => year(i64::from(day.iso_week_date().year()), count, out),
        'M' | 'L' if count > 2 => out.push_str(&language.month(day, count)),
        'M' | 'L' => number(i64::from(day.month()), count, out),
        'd' => number(i64::from(day.day()), count, out),
        'D' => number(i64::from(day.day_of_year()), count, out),
        'Q' | 'q' => match count {
            3 => _ = write!(out, "Q{quarter}"),
            4 => out.push_str(["1st", "2nd", "3rd", "4th"][(quarter - 1).clamp(0, 3) as usize]),
            count => number(quarter, count.min(2), out),
        },
        'w' => number(i64::from(day.iso_week_date().week()), count, out),
        'W' => number((i64::from(day.day()) + first_weekday(day) + 6) / 7, count, out),
        'F' => number((i64::from(day.day()) - 1) / 7 + 1, count, out),
        'E' => out.push_str(language.weekday(day, count)),
        'e' | 'c' if count > 2 => out.push_str(language.weekday(day, count)),
        'e' | 'c' => number(i64::from(day.weekday().to_monday_one_offset()), count, out),
        'a' => out.push_str(language.half_of_day(hour)),
        'h' => number((hour + 11) % 12 + 1, count, out),
        'K' => number(hour % 12, count, out),
        'k' => number((hour + 23) % 24 + 1, count, out),
        'H' => number(hour, count, out),
        'm' => number(i64::from(time.minute()), count, out),
        's' => number(i64::from(time.second()), count, out),
        'S' => {
            let fraction = format!("{:09}", time.subsec_nanosecond());
            out.push_str(&fraction[..count.min(fraction.len())]);
        }
        'A' => number(nanos_of_day(time) / 1_000_000, count, out),
        'n' => number(i64::from(time.subsec_nanosecond()), count, out),
        'N' => number(nanos_of_day(time), count, out),
        'G' => out.push_str(match count {
            4 => "Anno Domini",
            5 => "A",
            _ => "AD",
        }),
        'V' => match date.time_zone().iana_name() {
            Some(name) => out.push_str(name),
            None => offset(date.offset(), ":", true, out),
        },
        'z' | 'v' => out.push_str(date.time_zone().to_offset_info(date.timestamp()).abbreviation()),
        'O' => localized_offset(date.offset(), count == 4, out),
        'X' | 'x' => short_offset(date.offset(), count, letter == 'X', out),
        'Z' => match count {
            4 => localized_offset(date.offset(), true, out),
            5 => offset(date.offset(), ":", true, out),
            _ => offset(date.offset(), "", false, out),
        },
        // The pattern has been checked: there are no other letters.
        _ => {}
    }
}

/// The weekday of the month's first day, Monday being 0.
fn first_weekday(date: Date) -> i64 {
    i64::from(date.first_of_month().weekday().to_monday_zero_offset())
}

fn nanos_of_day(time: Time) -> i64 {
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    seconds * 1_000_000_000 + i64::from(time.subsec_nanosecond())
}

/// `+02:00`, with seconds if there are any; `Z` for none at all, if wanted.
fn offset(offset: Offset, separator: &str, z: bool, out: &mut String) {
    if z && offset == Offset::UTC {
        out.push('Z');
        return;
    }
    let (sign, hours, minutes, seconds) = offset_parts(offset);
    let _ = write!(out, "{sign}{hours:02}{separator}{minutes:02}");
    if seconds != 0 {
        let _ = write!(out, "{separator}{seconds:02}");
    }
}

/// `X` is hours with minutes if there are any, `XX` and `XXX` are both always, more are seconds too if there are any.
fn short_offset(value: Offset, count: usize, z: bool, out: &mut String) {
    let (sign, hours, minutes, _) = offset_parts(value);
    match count {
        1 if minutes == 0 && !(z && value == Offset::UTC) => _ = write!(out, "{sign}{hours:02}"),
        2 | 4 | 1 => offset(value, "", z, out),
        _ => offset(value, ":", z, out),
    }
}

/// `GMT`, `GMT+2`, `GMT+02:00`.
fn localized_offset(value: Offset, full: bool, out: &mut String) {
    out.push_str("GMT");
    if value == Offset::UTC {
        return;
    }
    if full {
        return offset(value, ":", false, out);
    }
    let (sign, hours, minutes, _) = offset_parts(value);
    let _ = write!(out, "{sign}{hours}");
    if minutes != 0 {
        let _ = write!(out, ":{minutes:02}");
    }
}
