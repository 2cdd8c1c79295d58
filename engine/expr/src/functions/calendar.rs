//! Functions that ask for parts of a date. They take it as written, without regard to its time zone.

use jiff::civil::{Date, Weekday};

use super::Function;
use crate::Value;
use crate::arguments::Args;
use crate::error::Fault;
use crate::filters::from_iso;
use crate::text::quote;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("dayOfMonth", &["date"], 1, |_, args| {
        Ok(Value::from(i64::from(from_iso(args)?.date.day())))
    }),
    Function::new("dayOfWeek", &["date"], 1, |_, args| Ok(Value::from(name(from_iso(args)?.date.weekday())))),
    Function::new("hourOfDay", &["date"], 1, |_, args| match from_iso(args)?.time {
        Some(time) => Ok(Value::from(i64::from(time.hour()))),
        None => Err(Fault::new("`hourOfDay` needs a date with a time")),
    }),
    Function::new("isDayWeekInMonth", &["date", "dayOfWeek", "position"], 3, is_day_week_in_month),
    Function::new("isLastWorkingDay", &["date", "workingDays"], 1, is_last_working_day),
    Function::new("isPublicHoliday", &["date", "countryCode", "subDivision"], 2, |_, _| {
        Err(Fault::new("`isPublicHoliday` is not available: there is no calendar of public holidays here")
            .with_hint("ask a script or a service, and put its answer into an output"))
    }),
    Function::new("isWeekend", &["date"], 1, |_, args| {
        Ok(Value::from(matches!(from_iso(args)?.date.weekday(), Weekday::Saturday | Weekday::Sunday)))
    }),
    Function::new("monthOfYear", &["date"], 1, |_, args| {
        Ok(Value::from(i64::from(from_iso(args)?.date.month())))
    }),
];

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("MONDAY", Weekday::Monday),
    ("TUESDAY", Weekday::Tuesday),
    ("WEDNESDAY", Weekday::Wednesday),
    ("THURSDAY", Weekday::Thursday),
    ("FRIDAY", Weekday::Friday),
    ("SATURDAY", Weekday::Saturday),
    ("SUNDAY", Weekday::Sunday),
];

fn name(weekday: Weekday) -> &'static str {
    WEEKDAYS.iter().find(|(_, known)| *known == weekday).map_or("", |(name, _)| name)
}

fn weekday(text: &str) -> Result<Weekday, Fault> {
    let found = WEEKDAYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, weekday)| *weekday).ok_or_else(|| {
        Fault::new(format!("{} is not a day of the week", quote(text)))
            .with_hint("write it in English, as `MONDAY`")
    })
}

/// Whether a date is, say, the second Tuesday of its month.
fn is_day_week_in_month(_: &mut crate::eval::Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
    let date = from_iso(args)?.date;
    let wanted = weekday(&args.text(1)?)?;
    let position = args.text(2)?.to_uppercase();
    let nth = match position.as_str() {
        "FIRST" => 1,
        "SECOND" => 2,
        "THIRD" => 3,
        "FOURTH" => 4,
        "LAST" => -1,
        _ => {
            return Err(Fault::new(format!("{} is not a position in a month", quote(&position)))
                .with_hint("positions are FIRST, SECOND, THIRD, FOURTH and LAST"));
        }
    };
    Ok(Value::from(date.nth_weekday_of_month(nth, wanted).is_ok_and(|found| found == date)))
}

/// Whether a date is the last working day of its month: Monday to Friday, unless other days are named.
fn is_last_working_day(_: &mut crate::eval::Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
    let date = from_iso(args)?.date;
    let named = args.opt_text(1)?.unwrap_or_default();
    let named: Vec<Weekday> = named
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|day| !day.is_empty())
        .map(weekday)
        .collect::<Result<_, _>>()?;
    let works = |date: Date| match named.as_slice() {
        [] => !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday),
        days => days.contains(&date.weekday()),
    };
    let mut last = date.last_of_month();
    while !works(last) {
        last = last.yesterday().map_err(|_| Fault::new("the date is beyond all dates"))?;
    }
    Ok(Value::from(last == date))
}
