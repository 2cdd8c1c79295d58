//! Formats of dates as Java's `DateTimeFormatter` has them: patterns (`yyyy-MM-dd HH:mm`) and the names Kestra gives to
//! some (`iso`, `sql`, `rfc_1123_date_time`, ...). Names are English where none
//! other language is asked for.

mod language;
mod print;
mod read;

use jiff::tz::{Offset, TimeZone};

use crate::error::Fault;
use crate::text::quote;

pub(crate) use language::Language;
pub(crate) use print::print;
pub(crate) use read::{Moment, read, read_iso};

/// Characters of the longest pattern.
const MAX_PATTERN: usize = 200;
/// Most letters in a row that mean anything.
const MAX_COUNT: usize = 19;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// Letters of an abbreviated month or weekday.
const SHORT: usize = 3;

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Literal(String),
    /// A letter and how often it stands there.
    Field(char, usize),
    OptionalStart,
    OptionalEnd,
}

/// How a date is written.
#[derive(Debug)]
pub(crate) enum Format {
    Pattern(Vec<Item>),
    Standard(Standard),
}

/// Formats whose parts depend on the value, which no pattern can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standard {
    /// With a fraction as long as needed, and the time zone's name in brackets.
    ZonedDateTime,
    LocalDateTime,
    Time,
    LocalTime,
    Instant,
    WeekDate,
    Rfc1123,
}

impl Format {
    pub fn parse(format: &str) -> Result<Self, Fault> {
        let pattern = match format {
            "iso" => "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
            "iso_sec" => "yyyy-MM-dd'T'HH:mm:ssXXX",
            "sql" => "yyyy-MM-dd HH:mm:ss.SSSSSS",
            "sql_seq" => "yyyy-MM-dd HH:mm:ss",
            "iso_date" => "yyyy-MM-ddXXX",
            "iso_local_date" => "yyyy-MM-dd",
            "iso_ordinal_date" => "yyyy-DDDXXX",
            "iso_date_time" | "iso_zoned_date_time" => return Ok(Self::Standard(Standard::ZonedDateTime)),
            "iso_local_date_time" => return Ok(Self::Standard(Standard::LocalDateTime)),
            "iso_time" | "iso_offset_time" => return Ok(Self::Standard(Standard::Time)),
            "iso_local_time" => return Ok(Self::Standard(Standard::LocalTime)),
            "iso_instant" => return Ok(Self::Standard(Standard::Instant)),
            "iso_week_date" => return Ok(Self::Standard(Standard::WeekDate)),
            "rfc_1123_date_time" => return Ok(Self::Standard(Standard::Rfc1123)),
            "full" => "EEEE, MMMM d, y 'at' h:mm:ss a zzzz",
            "long" => "MMMM d, y 'at' h:mm:ss a z",
            "medium" => "MMM d, y, h:mm:ss a",
            "short" => "M/d/yy, h:mm a",
            pattern => pattern,
        };
        items(pattern).map(Self::Pattern)
    }
}

fn items(pattern: &str) -> Result<Vec<Item>, Fault> {
    let wrong = |why: String| {
        Fault::new(format!("{} is not a format of a date: {why}", quote(pattern))).with_hint(
            "write a pattern as `yyyy-MM-dd HH:mm:ss`, other letters in single quotes, or a name as `iso`",
        )
    };
    if pattern.chars().count() > MAX_PATTERN {
        return Err(wrong(format!("it has more than {MAX_PATTERN} characters")));
    }
    let mut items = Vec::new();
    let mut open = 0usize;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let mut literal = String::new();
                loop {
                    match chars.next() {
                        Some('\'') if chars.next_if_eq(&'\'').is_some() => literal.push('\''),
                        Some('\'') => break,
                        Some(c) => literal.push(c),
                        None => return Err(wrong("a single quote is not closed".to_string())),
                    }
                }
                // Two quotes are one quote.
                items.push(Item::Literal(if literal.is_empty() { "'".to_string() } else { literal }));
            }
            '[' => {
                open += 1;
                items.push(Item::OptionalStart);
            }
            ']' if open > 0 => {
                open -= 1;
                items.push(Item::OptionalEnd);
            }
            ']' => return Err(wrong("`]` closes nothing".to_string())),
            '{' | '}' | '#' => return Err(wrong(format!("`{c}` is reserved"))),
            letter if letter.is_ascii_alphabetic() => {
                let mut count = 1;
                while chars.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                let most = most_letters(letter)
                    .ok_or_else(|| wrong(format!("the letter `{letter}` means nothing")))?;
                if count > most || (letter == 'V' && count != 2) || (letter == 'O' && !matches!(count, 1 | 4))
                {
                    return Err(wrong(format!("`{letter}` cannot be repeated {count} times")));
                }
                items.push(Item::Field(letter, count));
            }
            c => match items.last_mut() {
                Some(Item::Literal(literal)) => literal.push(c),
                _ => items.push(Item::Literal(c.to_string())),
            },
        }
    }
    Ok(items)
}

/// How often a letter can stand in a row; `None` for letters without a meaning.
fn most_letters(letter: char) -> Option<usize> {
    Some(match letter {
        'y' | 'u' | 'Y' | 'A' | 'n' | 'N' => MAX_COUNT,
        'S' => 9,
        'G' | 'M' | 'L' | 'Q' | 'q' | 'E' | 'e' | 'c' | 'X' | 'x' | 'Z' => 5,
        'z' | 'v' | 'O' => 4,
        'D' => 3,
        'd' | 'H' | 'h' | 'K' | 'k' | 'm' | 's' | 'w' | 'V' => 2,
        'a' | 'W' | 'F' => 1,
        _ => return None,
    })
}

/// A time zone by what Java calls it: `Europe/Paris`, `UTC`, `Z`, `+02:00`, `GMT+2`.
pub(crate) fn time_zone(name: &str) -> Result<TimeZone, Fault> {
    let offset = ["UTC", "GMT", "UT"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    if offset.is_empty() || offset == "Z" {
        return Ok(TimeZone::UTC);
    }
    if offset.starts_with(['+', '-'])
        && let Some((offset, "")) = read::offset(offset)
    {
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|_| {
        Fault::new(format!("{} is not a time zone", quote(name)))
            .with_hint("write a name as `Europe/Paris`, or an offset as `+02:00`")
    })
}

/// The parts of an offset without sign: hours, minutes, seconds.
fn offset_parts(offset: Offset) -> (char, i32, i32, i32) {
    let seconds = offset.seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.abs();
    (sign, seconds / 3600, seconds / 60 % 60, seconds % 60)
}
