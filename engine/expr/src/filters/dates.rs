//! Filters on dates. A date is a text in ISO 8601 (or in `existingFormat`) or a number of seconds since 1970; what is
//! written is a text in `format`, in `timeZone` or the environment's.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use super::Filter;
use crate::Value;
use crate::arguments::Args;
use crate::engine::{Engine, wrong_input};
use crate::error::Fault;
use crate::java_time::{Format, Language, Moment, print, read, read_iso, time_zone};
use crate::values::{self, Number};

pub(super) const FILTERS: &[Filter] = &[
    Filter::new("date", &["format", "timeZone", "existingFormat", "locale"], 0, |input, args, engine| {
        let zone = zone(args, 1, engine)?;
        let date = parse(input, &zone, args, 2)?;
        formatted(&date, zone, args, 0, 3, engine)
    }),
    Filter::new(
        "dateAdd",
        &["amount", "unit", "format", "timeZone", "existingFormat", "locale"],
        2,
        |input, args, engine| {
            let zone = zone(args, 3, engine)?;
            let date = parse(input, &zone, args, 4)?;
            let date = add(&date, args.integer(0)?, &args.text(1)?)?;
            formatted(&date, zone, args, 2, 5, engine)
        },
    ),
    Filter::new("timestamp", &["timeZone", "existingFormat"], 0, |input, args, engine| {
        Ok(Value::from(instant(input, args, engine)?.as_second()))
    }),
    Filter::new("timestampMicro", &["timeZone", "existingFormat"], 0, |input, args, engine| {
        engine.text(instant(input, args, engine)?.as_microsecond().to_string())
    }),
    Filter::new("timestampMilli", &["timeZone", "existingFormat"], 0, |input, args, engine| {
        engine.text(instant(input, args, engine)?.as_millisecond().to_string())
    }),
    Filter::new("timestampNano", &["timeZone", "existingFormat"], 0, |input, args, engine| {
        engine.text(instant(input, args, engine)?.as_nanosecond().to_string())
    }),
];

/// `now(format, timeZone, existingFormat, locale)`.
pub(crate) fn now(args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let zone = zone(args, 1, engine)?;
    formatted(&engine.env.now()?, zone, args, 0, 3, engine)
}

fn zone(args: &Args<'_>, index: usize, engine: &Engine<'_>) -> Result<TimeZone, Fault> {
    match args.opt_text(index)? {
        Some(name) => time_zone(&name),
        None => Ok(engine.env.time_zone()),
    }
}

fn parse(input: &Value, zone: &TimeZone, args: &Args<'_>, existing: usize) -> Result<Zoned, Fault> {
    if let Some(number) = Number::of(input) {
        let beyond = || Fault::new("the number of seconds is beyond all dates");
        let timestamp = match number {
            Number::Integer(seconds) => Timestamp::from_second(seconds).map_err(|_| beyond()),
            Number::Float(seconds) => jiff::SignedDuration::try_from_secs_f64(seconds)
                .and_then(Timestamp::from_duration)
                .map_err(|_| beyond()),
        }?;
        return Ok(timestamp.to_zoned(zone.clone()));
    }
    let Some(text) = input.as_str() else {
        return Err(wrong_input(args.signature.name, "a date as a text or a number of seconds", input));
    };
    let moment = match args.opt_text(existing)? {
        Some(format) => read(&Format::parse(&format)?, text)?,
        None => read_iso(text)?,
    };
    moment.zoned(zone)
}

fn instant(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Timestamp, Fault> {
    let zone = zone(args, 0, engine)?;
    Ok(parse(input, &zone, args, 1)?.timestamp())
}

fn formatted(
    date: &Zoned,
    zone: TimeZone,
    args: &Args<'_>,
    format: usize,
    locale: usize,
    engine: &Engine<'_>,
) -> Result<Value, Fault> {
    let language = Language::of(&args.opt_text(locale)?.unwrap_or("en".into()))?;
    let format = args.opt_text(format)?.unwrap_or("iso".into());
    if matches!(&*format, "full" | "long" | "medium" | "short") && !language.is_english() {
        return Err(Fault::new(format!("the format `{format}` is available in English only"))
            .with_hint("write a pattern as `EEEE d MMMM yyyy`"));
    }
    engine.text(print(&Format::parse(&format)?, &date.with_time_zone(zone), language))
}

fn add(date: &Zoned, amount: i64, unit: &str) -> Result<Zoned, Fault> {
    let times = |factor: i64| amount.checked_mul(factor).ok_or(());
    let span = Span::new();
    let span = match unit.to_uppercase().as_str() {
        "NANOS" => span.try_nanoseconds(amount).map_err(|_| ()),
        "MICROS" => span.try_microseconds(amount).map_err(|_| ()),
        "MILLIS" => span.try_milliseconds(amount).map_err(|_| ()),
        "SECONDS" => span.try_seconds(amount).map_err(|_| ()),
        "MINUTES" => span.try_minutes(amount).map_err(|_| ()),
        "HOURS" => span.try_hours(amount).map_err(|_| ()),
        "HALF_DAYS" => times(12).and_then(|hours| span.try_hours(hours).map_err(|_| ())),
        "DAYS" => span.try_days(amount).map_err(|_| ()),
        "WEEKS" => span.try_weeks(amount).map_err(|_| ()),
        "MONTHS" => span.try_months(amount).map_err(|_| ()),
        "YEARS" => span.try_years(amount).map_err(|_| ()),
        "DECADES" => times(10).and_then(|years| span.try_years(years).map_err(|_| ())),
        "CENTURIES" => times(100).and_then(|years| span.try_years(years).map_err(|_| ())),
        "MILLENNIA" => times(1000).and_then(|years| span.try_years(years).map_err(|_| ())),
        _ => {
            return Err(Fault::new(format!("`dateAdd` knows no unit `{unit}`")).with_hint(
                "units are SECONDS, MINUTES, HOURS, DAYS, WEEKS, MONTHS, YEARS and smaller and larger ones",
            ));
        }
    };
    let sum = span.and_then(|span| date.checked_add(span).map_err(|_| ()));
    sum.map_err(|()| Fault::new(format!("{amount} {unit} from the date is beyond all dates")))
}

/// A date as written in a text, without regard to its time zone: for functions that ask for its parts.
pub(crate) struct Civil {
    pub date: Date,
    pub time: Option<Time>,
}

/// The first argument as a date in ISO 8601.
pub(crate) fn from_iso(args: &Args<'_>) -> Result<Civil, Fault> {
    let value = args.required(0)?;
    if values::is_list(value) || values::is_map(value) {
        return Err(wrong_input(args.signature.name, "a date", value));
    }
    let Moment { date, time, .. } = read_iso(&args.text(0)?)?;
    Ok(Civil { date, time })
}
