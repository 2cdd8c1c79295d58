//! Cron expressions: five fields, six with seconds, or a name such as `@daily`.

use std::ops::Range;

/// What is wrong with a cron expression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CronError {
    pub(crate) message: String,
    /// Bytes of the expression that are meant.
    pub(crate) span: Range<usize>,
}

struct Field {
    name: &'static str,
    least: u32,
    greatest: u32,
    /// Names for the numbers from `least`.
    names: &'static [&'static str],
}

const SECOND: Field = Field { name: "second", least: 0, greatest: 59, names: &[] };
const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, greatest: 59, names: &[] },
    Field { name: "hour", least: 0, greatest: 23, names: &[] },
    Field { name: "day of the month", least: 1, greatest: 31, names: &[] },
    Field {
        name: "month",
        least: 1,
        greatest: 12,
        names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    },
    // 0 and 7 are Sunday.
    Field {
        name: "day of the week",
        least: 0,
        greatest: 7,
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    },
];

const NAMED: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Checks a cron expression without computing any date.
pub(crate) fn check_cron(text: &str, with_seconds: bool) -> Result<(), CronError> {
    let whole = |message: String| CronError { message, span: 0..text.len() };
    if text.trim_start().starts_with('@') {
        return if NAMED.contains(&text.trim()) {
            Ok(())
        } else {
            Err(whole(format!("`{}` is not one of {}", text.trim(), crate::suggest::enumerate(NAMED, "or"))))
        };
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let expected = if with_seconds { 6 } else { 5 };
    if words.len() != expected {
        let extra = if !with_seconds && words.len() == 6 { "; set `withSeconds: true` for six" } else { "" };
        return Err(whole(format!(
            "a cron expression has {expected} fields (minute, hour, day of the month, month, day of the week), \
             found {}{extra}",
            words.len()
        )));
    }
    let fields = std::iter::once(&SECOND).filter(|_| with_seconds).chain(&FIELDS);
    let mut start = 0;
    for (field, word) in fields.zip(words) {
        start += text[start..].find(word).unwrap_or(0);
        let end = start + word.len();
        check_field(field, word).map_err(|message| CronError { message, span: start..end })?;
        start = end;
    }
    Ok(())
}

/// Why a valid cron expression never comes due: `0 9 31 2 *` waits for the 31st of February.
pub(crate) fn never_due(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [.., days, months, weekdays] = words.as_slice() else { return None };
    // A day of the week is enough, whatever the day of the month.
    if !matches!(*weekdays, "*" | "?") {
        return None;
    }
    let (days, months) = (numbers(&FIELDS[2], days)?, numbers(&FIELDS[3], months)?);
    let longest = months.iter().map(|month| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    });
    let (first, longest) = (days.into_iter().min()?, longest.max()?);
    (first > longest).then(|| format!("this never comes due: there is no day {first} in any of its months"))
}

/// The numbers that a field lists one by one or as ranges; none where it says something else.
fn numbers(field: &Field, word: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in word.split(',') {
        match part.split_once('-') {
            Some((low, high)) => all.extend(number(field, low).ok()?..=number(field, high).ok()?),
            None => all.push(number(field, part).ok()?),
        }
    }
    Some(all)
}

fn check_field(field: &Field, word: &str) -> Result<(), String> {
    word.split(',').try_for_each(|part| check_part(field, part))
}

/// `*`, `5`, `1-5`, `*/10`, `MON-FRI`, `L`, `15W`, `5#2`.
fn check_part(field: &Field, part: &str) -> Result<(), String> {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    if let Some(step) = step
        && !step.parse::<u32>().is_ok_and(|step| step > 0)
    {
        return Err(format!("the step `{step}` of the {} must be a number from 1", field.name));
    }
    match range {
        "*" => return Ok(()),
        "?" | "L" | "LW" if field.name.starts_with("day") => return Ok(()),
        _ => {}
    }
    let number = |text: &str| number(field, text);
    if let Some((low, high)) = range.split_once('-') {
        let (low, high) = (number(low)?, number(high)?);
        // `FRI-SUN` ends with the Sunday that is 0.
        let wraps = field.greatest == 7 && high == 0;
        return if low <= high || wraps {
            Ok(())
        } else {
            Err(format!("the range `{range}` of the {} ends before it begins", field.name))
        };
    }
    if field.name == "day of the week"
        && let Some((day, week)) = range.split_once('#')
    {
        number(day)?;
        return if week.parse::<u32>().is_ok_and(|week| (1..=5).contains(&week)) {
            Ok(())
        } else {
            Err(format!("`{week}` after `#` must be a number from 1 to 5"))
        };
    }
    let suffix: &[char] = match field.name {
        "day of the month" => &['W'],
        "day of the week" => &['L'],
        _ => &[],
    };
    number(range.strip_suffix(suffix).unwrap_or(range)).map(|_| ())
}

fn number(field: &Field, text: &str) -> Result<u32, String> {
    if let Some(index) = field.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return Ok(index as u32 + field.least);
    }
    match text.parse() {
        Ok(number) if (field.least..=field.greatest).contains(&number) => Ok(number),
        _ => Err(format!("`{text}` is not a valid {} ({} to {})", field.name, field.least, field.greatest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_expressions() {
        for (text, with_seconds) in [
            ("* * * * *", false),
            ("*/5 0-6,12 1 JAN-mar MON-FRI", false),
            ("0 9 * * 1#2", false),
            ("0 0 L * ?", false),
            ("0 0 15W * 5L", false),
            ("0 0 * * FRI-SUN", false),
            ("@daily", false),
            ("0 */5 * * * *", true),
        ] {
            assert_eq!(check_cron(text, with_seconds), Ok(()), "{text}");
        }
    }

    #[test]
    fn dates_that_do_not_exist() {
        for (text, never) in [
            ("0 9 31 2 *", true),
            ("0 9 30-31 FEB *", true),
            ("0 9 31 4,6 ?", true),
            ("0 9 29 2 *", false),
            ("0 9 31 2 MON", false),
            ("0 9 31 2,3 *", false),
            ("0 9 * 2 *", false),
            ("0 9 L 2 *", false),
            ("@daily", false),
        ] {
            assert_eq!(never_due(text).is_some(), never, "{text}");
        }
    }

    #[test]
    fn texts_that_are_none() {
        for (text, message, span) in [
            ("0 25 * * *", "`25` is not a valid hour (0 to 23)", 2..4),
            ("61 * * * *", "`61` is not a valid minute (0 to 59)", 0..2),
            ("0 0 0 * *", "`0` is not a valid day of the month (1 to 31)", 4..5),
            ("*/0 * * * *", "the step `0` of the minute must be a number from 1", 0..3),
            ("0 12-9 * * *", "the range `12-9` of the hour ends before it begins", 2..6),
            ("0 0 * * 1#6", "`6` after `#` must be a number from 1 to 5", 8..11),
            ("0 0 * FOO *", "`FOO` is not a valid month (1 to 12)", 6..9),
        ] {
            assert_eq!(
                check_cron(text, false),
                Err(CronError { message: message.to_owned(), span }),
                "{text}"
            );
        }
        for text in ["", "* * * *", "0 * * * * *", "@never"] {
            assert!(check_cron(text, false).is_err(), "{text}");
        }
    }
}
