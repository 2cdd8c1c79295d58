//! `conditions` of a trigger: what must hold as well before anything is started.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};
use serde_json::Value;
use weft_expr::{Environment, Template, is_true};

use crate::SetupError;
use crate::schedule::date_in;

/// Where the names of condition types begin, oldest last.
const PREFIXES: [&str; 2] = ["io.kestra.plugin.core.condition.", "io.kestra.core.models.conditions.types."];

/// One condition.
#[derive(Debug)]
pub(crate) enum Condition {
    Fixed(bool),
    /// Renders to a true text.
    Expression(Template),
    /// No one of them holds.
    Not(Vec<Condition>),
    /// One of them holds.
    Or(Vec<Condition>),
    /// All of them hold.
    And(Vec<Condition>),
    /// A date passes a test.
    Date {
        date: Template,
        test: DateTest,
    },
}

#[derive(Debug)]
pub(crate) enum DateTest {
    Between { after: Option<Template>, before: Option<Template> },
    TimeBetween { after: Option<Template>, before: Option<Template> },
    Weekend,
    Weekday(Template),
    WeekdayInMonth { day: Template, place: Template },
}

/// Why a condition cannot be evaluated.
pub(crate) type Problem = String;

/// Reads a list of conditions; `at` is its place.
pub(crate) fn read_all(list: &Value, at: &str) -> Result<Vec<Condition>, SetupError> {
    let items = match list {
        Value::Null => return Ok(Vec::new()),
        Value::Array(items) => items,
        _ => return Err(SetupError::property(at, "expected a list of conditions")),
    };
    items.iter().enumerate().map(|(index, item)| read(item, &format!("{at}[{index}]"))).collect()
}

fn read(item: &Value, at: &str) -> Result<Condition, SetupError> {
    let fields = Fields { item, at };
    let type_name = item["type"].as_str().unwrap_or_default();
    let short = PREFIXES.iter().find_map(|prefix| type_name.strip_prefix(prefix)).unwrap_or("");
    // `FlowCondition` keeps its end: without it, it would be another word.
    let short = short.strip_suffix("Condition").filter(|short| !short.is_empty()).unwrap_or(short);
    let date = || {
        let date = item.get("date").and_then(Value::as_str).unwrap_or("{{ trigger.date ?? now() }}");
        fields.parse("date", date)
    };
    let nested = || read_all(&item["conditions"], &format!("{at}.conditions"));
    Ok(match short {
        "Expression" | "Variable" => Condition::Expression(fields.required("expression")?),
        "Not" => Condition::Not(nested()?),
        "Or" => Condition::Or(nested()?),
        "And" => Condition::And(nested()?),
        "DateTimeBetween" => {
            let (after, before) = fields.bounds()?;
            Condition::Date { date: date()?, test: DateTest::Between { after, before } }
        }
        "TimeBetween" => {
            let (after, before) = fields.bounds()?;
            Condition::Date { date: date()?, test: DateTest::TimeBetween { after, before } }
        }
        "Weekend" => Condition::Date { date: date()?, test: DateTest::Weekend },
        "DayWeek" => {
            Condition::Date { date: date()?, test: DateTest::Weekday(fields.required("dayOfWeek")?) }
        }
        "DayWeekInMonth" => {
            let (day, place) = (fields.required("dayOfWeek")?, fields.required("dayInMonth")?);
            Condition::Date { date: date()?, test: DateTest::WeekdayInMonth { day, place } }
        }
        "PublicHoliday" => {
            return Err(fields.problem("type", "public holidays are not known here"));
        }
        "ExecutionFlow" | "ExecutionLabels" | "ExecutionNamespace" | "ExecutionOutputs"
        | "ExecutionStatus" | "HasRetryAttempt" | "Flow" | "FlowNamespace" | "Multiple" => {
            return Err(
                fields.problem("type", "it is about the end of another execution, which only a server sees")
            );
        }
        _ => {
            let known = "expected `Expression`, `Not`, `Or`, `And`, `DateTimeBetween`, `TimeBetween`, `Weekend`, `DayWeek` \
                         or `DayWeekInMonth` of `io.kestra.plugin.core.condition`";
            return Err(fields.problem("type", format!("`{type_name}` is not known: {known}")));
        }
    })
}

/// The fields of one condition.
struct Fields<'a> {
    item: &'a Value,
    at: &'a str,
}

impl Fields<'_> {
    fn problem(&self, name: &str, problem: impl Into<String>) -> SetupError {
        SetupError::property(format!("{}.{name}", self.at), problem)
    }

    fn parse(&self, name: &str, text: &str) -> Result<Template, SetupError> {
        Template::parse(text).map_err(|error| self.problem(name, error.to_string()))
    }

    fn optional(&self, name: &str) -> Result<Option<Template>, SetupError> {
        match &self.item[name] {
            Value::Null => Ok(None),
            Value::String(text) => self.parse(name, text).map(Some),
            other => self.parse(name, &other.to_string()).map(Some),
        }
    }

    fn required(&self, name: &str) -> Result<Template, SetupError> {
        self.optional(name)?.ok_or_else(|| self.problem(name, "it is required"))
    }

    /// `after` and `before`, of which there must be one.
    fn bounds(&self) -> Result<(Option<Template>, Option<Template>), SetupError> {
        match (self.optional("after")?, self.optional("before")?) {
            (None, None) => Err(self.problem("after", "expected `after`, `before` or both")),
            bounds => Ok(bounds),
        }
    }
}

/// Whether all conditions hold.
pub(crate) fn all_hold(
    conditions: &[Condition],
    context: &weft_expr::Value,
    env: &dyn Environment,
) -> Result<bool, Problem> {
    for condition in conditions {
        if !condition.holds(context, env)? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Condition {
    fn holds(&self, context: &weft_expr::Value, env: &dyn Environment) -> Result<bool, Problem> {
        let any = |conditions: &[Self]| -> Result<bool, Problem> {
            for condition in conditions {
                if condition.holds(context, env)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        match self {
            Self::Fixed(holds) => Ok(*holds),
            Self::Expression(template) => Ok(is_true(&render(template, context, env)?)),
            Self::Not(conditions) => Ok(!any(conditions)?),
            Self::Or(conditions) => any(conditions),
            Self::And(conditions) => all_hold(conditions, context, env),
            Self::Date { date, test } => {
                let text = render(date, context, env)?;
                let date = zoned(&text, env)?;
                test.passes(&date, |template| render(template, context, env), env)
            }
        }
    }
}

impl DateTest {
    fn passes(
        &self,
        date: &Zoned,
        render: impl Fn(&Template) -> Result<String, Problem>,
        env: &dyn Environment,
    ) -> Result<bool, Problem> {
        Ok(match self {
            Self::Between { after, before } => {
                let bound = |bound: &Option<Template>| -> Result<Option<Zoned>, Problem> {
                    bound.as_ref().map(|bound| zoned(&render(bound)?, env)).transpose()
                };
                bound(after)?.is_none_or(|after| *date > after)
                    && bound(before)?.is_none_or(|before| *date < before)
            }
            Self::TimeBetween { after, before } => {
                let now =
                    instant_of_day(date.time(), SignedDuration::from_secs(date.offset().seconds().into()));
                let bound = |bound: &Option<Template>| -> Result<Option<SignedDuration>, Problem> {
                    bound.as_ref().map(|bound| time_of_day(&render(bound)?, date)).transpose()
                };
                bound(after)?.is_none_or(|after| now > after)
                    && bound(before)?.is_none_or(|before| now < before)
            }
            Self::Weekend => matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday),
            Self::Weekday(day) => date.weekday() == weekday(&render(day)?)?,
            Self::WeekdayInMonth { day, place } => {
                let day = weekday(&render(day)?)?;
                let place = render(place)?;
                let nth = match place.trim() {
                    "FIRST" => 1,
                    "SECOND" => 2,
                    "THIRD" => 3,
                    "FOURTH" => 4,
                    "LAST" => -1,
                    _ => {
                        return Err(format!(
                            "expected `FIRST`, `SECOND`, `THIRD`, `FOURTH` or `LAST`, found `{place}`"
                        ));
                    }
                };
                date.date().nth_weekday_of_month(nth, day).is_ok_and(|found| found == date.date())
            }
        })
    }
}

fn render(template: &Template, context: &weft_expr::Value, env: &dyn Environment) -> Result<String, Problem> {
    template.render(context, env).map_err(|error| error.to_string())
}

/// A date in its own offset, or in the zone of the engine.
fn zoned(text: &str, env: &dyn Environment) -> Result<Zoned, Problem> {
    let zone = env.time_zone();
    let timestamp = date_in(text, &zone).ok_or_else(|| format!("`{text}` is not a date with a time"))?;
    Ok(timestamp.to_zoned(offset_of(text).unwrap_or(zone)))
}

/// The offset at the end of a date, as a zone.
fn offset_of(text: &str) -> Option<TimeZone> {
    let start = text.find('T')?;
    let from = text[start..].find(['+', '-', 'Z'])? + start;
    crate::schedule::time_zone(text[from..].split('[').next()?)
}

/// Times with an offset are compared as instants of one day.
fn instant_of_day(time: Time, offset: SignedDuration) -> SignedDuration {
    time.duration_since(Time::midnight()) - offset
}

/// `16:00:00+02:00`; without an offset, that of `date` is meant.
fn time_of_day(text: &str, date: &Zoned) -> Result<SignedDuration, Problem> {
    let wrong = || format!("`{text}` is not a time such as `16:00:00+02:00`");
    let text = text.trim();
    let (time, offset) = match text.find(['+', '-', 'Z']) {
        Some(start) => {
            let zone = crate::schedule::time_zone(&text[start..]).ok_or_else(wrong)?;
            (&text[..start], zone.to_offset(date.timestamp()))
        }
        None => (text, date.offset()),
    };
    let time: Time = time.parse().map_err(|_| wrong())?;
    Ok(instant_of_day(time, SignedDuration::from_secs(offset.seconds().into())))
}

fn weekday(text: &str) -> Result<Weekday, Problem> {
    Ok(match text.trim().to_ascii_uppercase().as_str() {
        "MONDAY" => Weekday::Monday,
        "TUESDAY" => Weekday::Tuesday,
        "WEDNESDAY" => Weekday::Wednesday,
        "THURSDAY" => Weekday::Thursday,
        "FRIDAY" => Weekday::Friday,
        "SATURDAY" => Weekday::Saturday,
        "SUNDAY" => Weekday::Sunday,
        _ => return Err(format!("expected a day such as `MONDAY`, found `{text}`")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weft_expr::{NoEnvironment, Serde};

    use super::*;

    fn holds(condition: Value, date: &str) -> Result<bool, String> {
        let conditions = read_all(&json!([condition]), "conditions").map_err(|error| error.to_string())?;
        let context = weft_expr::Value::from(Serde(json!({"trigger": {"date": date}, "vars": {"on": true}})));
        all_hold(&conditions, &context, &NoEnvironment)
    }

    fn condition(short: &str, mut fields: Value) -> Value {
        fields["type"] = json!(format!("{}{short}", PREFIXES[0]));
        fields
    }

    #[test]
    fn conditions_hold_or_do_not() {
        // A Friday, the first of May 2026 being one too.
        let date = "2026-05-15T18:30:00+02:00";
        for (short, fields, expected) in [
            ("Expression", json!({"expression": "{{ vars.on }}"}), true),
            ("Expression", json!({"expression": "{{ trigger.date is null }}"}), false),
            ("DayWeek", json!({"dayOfWeek": "FRIDAY"}), true),
            ("DayWeek", json!({"dayOfWeek": "SUNDAY"}), false),
            ("DayWeek", json!({"dayOfWeek": "MONDAY", "date": "2026-05-18T00:00:00Z"}), true),
            ("Weekend", json!({}), false),
            ("Weekend", json!({"date": "2026-05-16T00:00:00Z"}), true),
            ("DayWeekInMonth", json!({"dayOfWeek": "FRIDAY", "dayInMonth": "THIRD"}), true),
            ("DayWeekInMonth", json!({"dayOfWeek": "FRIDAY", "dayInMonth": "LAST"}), false),
            ("TimeBetween", json!({"after": "16:00:00+02:00", "before": "20:00:00+02:00"}), true),
            ("TimeBetween", json!({"after": "16:00:00Z", "before": "16:20:00Z"}), false),
            ("TimeBetween", json!({"before": "18:31:00"}), true),
            ("DateTimeBetween", json!({"after": "2026-05-15T16:00:00Z"}), true),
            ("DateTimeBetween", json!({"before": "2026-05-15T16:00:00Z"}), false),
            ("Not", json!({"conditions": [condition("Weekend", json!({}))]}), true),
            (
                "Or",
                json!({"conditions": [condition("Weekend", json!({})), condition("DayWeek", json!({"dayOfWeek": "FRIDAY"}))]}),
                true,
            ),
            (
                "And",
                json!({"conditions": [condition("Weekend", json!({})), condition("DayWeek", json!({"dayOfWeek": "FRIDAY"}))]}),
                false,
            ),
        ] {
            let condition = condition(short, fields);
            assert_eq!(holds(condition.clone(), date), Ok(expected), "{condition}");
        }
    }

    #[test]
    fn old_names_mean_the_same() {
        let date = "2026-05-16T10:00:00Z";
        for (type_name, fields) in [
            ("io.kestra.core.models.conditions.types.WeekendCondition", json!({})),
            ("io.kestra.plugin.core.condition.WeekendCondition", json!({})),
            (
                "io.kestra.core.models.conditions.types.VariableCondition",
                json!({"expression": "{{ vars.on }}"}),
            ),
        ] {
            let mut condition = fields;
            condition["type"] = json!(type_name);
            assert_eq!(holds(condition, date), Ok(true), "{type_name}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        for (condition, expected) in [
            (json!({}), "property `conditions[0].type`: `` is not known: expected `Expression`"),
            (condition("PublicHoliday", json!({})), "property `conditions[0].type`: public holidays"),
            (condition("ExecutionFlow", json!({})), "which only a server sees"),
            (condition("DayWeek", json!({})), "property `conditions[0].dayOfWeek`: it is required"),
            (
                condition("TimeBetween", json!({})),
                "property `conditions[0].after`: expected `after`, `before` or both",
            ),
            (condition("Expression", json!({"expression": "{{ a"})), "property `conditions[0].expression`: "),
            (
                condition("Not", json!({"conditions": [condition("DayWeek", json!({}))]})),
                "property `conditions[0].conditions[0].dayOfWeek`: ",
            ),
            (
                condition("DayWeek", json!({"dayOfWeek": "SOMEDAY"})),
                "expected a day such as `MONDAY`, found `SOMEDAY`",
            ),
            (condition("Weekend", json!({"date": "soon"})), "`soon` is not a date with a time"),
        ] {
            let problem = holds(condition, "2026-05-15T18:30:00+02:00").unwrap_err();
            assert!(problem.contains(expected), "{problem}\n{expected}");
        }
    }
}
