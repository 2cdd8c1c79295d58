//! Whether what an execution left is what a case expects.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use weft_expr::{Environment, Template, Value, render_json};
use weft_flow::testing::{Assertion, Check, Operator, Subject, TestCase};
use weft_model::{Level, LogEntry, MetricKind, State, TaskRun};

use crate::evidence::failure;
use crate::operators::holds;
use crate::{Evidence, Shortfall, diff};

/// Characters of a value that are shown in one line.
const SHOWN: usize = 500;
/// How many of many things are named.
const NAMED: usize = 5;

/// Everything that is not as the case expects.
pub fn judge(case: &TestCase, evidence: &Arc<Evidence>, env: &dyn Environment) -> Vec<Shortfall> {
    let judge = Judge { evidence, context: evidence.roots(), env };
    let mut found: Vec<Shortfall> = judge.end(case).into_iter().collect();
    for assertion in &case.assertions {
        let label = |mut shortfall: Shortfall| {
            shortfall.description.clone_from(&assertion.description);
            shortfall.message.clone_from(&assertion.error_message);
            shortfall
        };
        found.extend(judge.assertion(assertion).into_iter().map(label));
    }
    found
}

struct Judge<'j> {
    evidence: &'j Evidence,
    context: Value,
    env: &'j dyn Environment,
}

/// What an expression gave.
enum Actual {
    Value(Json),
    /// A name in it does not exist; the text says which.
    Missing(String),
}

impl Judge<'_> {
    /// How the execution ended. A case that says nothing expects it to end well.
    fn end(&self, case: &TestCase) -> Option<Shortfall> {
        let state = self.evidence.execution.current();
        let expected: &[State] = match &case.states {
            Some(states) => states,
            None if case.assertions.iter().any(is_about_the_end) => return None,
            None => &[State::Success, State::Warning],
        };
        (!expected.contains(&state))
            .then(|| Shortfall::new(case.span, "state of the execution", one_of(expected), self.why(state)))
    }

    /// The execution's state and, if it failed, why.
    fn why(&self, state: State) -> String {
        let failed = self.evidence.runs(None).filter(|run| run.current().is_failed());
        let reasons = failed.filter_map(|run| {
            failure(run).map(|failure| format!("task `{}`: {}", run.task_id, failure.message))
        });
        let of_execution = self.evidence.execution.error.iter().map(|error| error.message.clone());
        let waiting = self.evidence.runs(None).filter(|run| run.current() == State::Paused);
        let waiting = waiting.map(|run| {
            format!("task `{}` waits for somebody to resume it; a fixture can stand in for it", run.task_id)
        });
        let mut reasons: Vec<String> = of_execution.chain(reasons).chain(waiting).collect();
        let more = reasons.len().saturating_sub(NAMED);
        reasons.truncate(NAMED);
        if more > 0 {
            reasons.push(format!("and {more} more"));
        }
        std::iter::once(state.to_string()).chain(reasons).collect::<Vec<_>>().join("\n")
    }

    fn assertion(&self, assertion: &Assertion) -> Vec<Shortfall> {
        let task_id = assertion.task_id.as_ref().map(|(id, _)| id.as_str());
        match &assertion.subject {
            Subject::Value { value, checks } => {
                let subject = match value {
                    Json::String(source) => source.clone(),
                    other => other.to_string(),
                };
                self.value(assertion, &subject, self.render(value), checks)
            }
            Subject::Metric { name, tags, checks } => {
                let subject = format!("metric `{name}`{}", of_task(task_id));
                let actual = match self.metric(name, task_id, tags) {
                    Some(value) => Ok(Actual::Value(value)),
                    None => Ok(Actual::Missing(self.no_metric(task_id))),
                };
                self.value(assertion, &subject, actual, checks)
            }
            Subject::Log { checks, level, times } => {
                self.log(assertion, task_id, (checks, *level, *times)).into_iter().collect()
            }
            Subject::Facts { states, attempts, runs, error } => {
                let mut found = Vec::new();
                found.extend(states.as_ref().and_then(|states| self.states(assertion, task_id, states)));
                found.extend(runs.and_then(|runs| self.runs(assertion, task_id, runs)));
                found.extend(attempts.and_then(|attempts| self.attempts(assertion, task_id, attempts)));
                found.extend(error.as_ref().and_then(|checks| self.error(assertion, task_id, checks)));
                found
            }
        }
    }

    fn value(
        &self,
        assertion: &Assertion,
        subject: &str,
        actual: Result<Actual, String>,
        checks: &[Check],
    ) -> Vec<Shortfall> {
        let actual = match actual {
            Ok(actual) => actual,
            Err(message) => {
                let expected = "a value";
                return vec![Shortfall::new(
                    assertion.span,
                    subject,
                    expected,
                    format!("an error: {message}"),
                )];
            }
        };
        checks.iter().filter_map(|check| self.check(assertion, subject, &actual, check)).collect()
    }

    fn check(
        &self,
        assertion: &Assertion,
        subject: &str,
        actual: &Actual,
        check: &Check,
    ) -> Option<Shortfall> {
        let short = |expected: String, actual: String| {
            Some(Shortfall::new(assertion.span, subject, expected, actual))
        };
        let expected = match self.render(&check.expected) {
            Ok(Actual::Value(value)) => value,
            Ok(Actual::Missing(message)) | Err(message) => {
                let name = check.operator.name();
                return short(format!("{name} {}", shown(&check.expected)), format!("an error: {message}"));
            }
        };
        let wanted = || match check.operator.is_predicate() {
            true if expected == Json::Bool(true) => check.operator.name().to_owned(),
            _ => format!("{} {}", check.operator.name(), shown(&expected)),
        };
        let value = match actual {
            Actual::Value(value) => value,
            // What does not exist is null, where that is the question.
            Actual::Missing(_) if matches!(check.operator, Operator::IsNull | Operator::IsNotNull) => {
                &Json::Null
            }
            Actual::Missing(message) => return short(wanted(), message.clone()),
        };
        match holds(check.operator, value, &expected) {
            Ok(true) => None,
            Ok(false) => {
                let diff = match check.operator {
                    Operator::EqualTo => differing(&expected, value),
                    _ => Vec::new(),
                };
                short(wanted(), shown(value)).map(|shortfall| Shortfall { diff, ..shortfall })
            }
            Err(problem) => short(wanted(), format!("{} ({problem})", shown(value))),
        }
    }

    fn render(&self, value: &Json) -> Result<Actual, String> {
        let rendered = match value {
            Json::String(source) => {
                let template = Template::parse(source).map_err(|error| error.to_string())?;
                // Only values made of what has a JSON form are in the context.
                let to_json = |value: Value| serde_json::to_value(&value).unwrap_or(Json::Null);
                template.render_typed(&self.context, self.env).map(to_json)
            }
            value => render_json(value, &self.context, self.env),
        };
        match rendered {
            Ok(value) => Ok(Actual::Value(value)),
            Err(error) if error.undefined => {
                let hint = error.hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"));
                Ok(Actual::Missing(format!("nothing: {}{hint}", error.message)))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The sum of counters and timers, the last value of gauges.
    fn metric(&self, name: &str, task_id: Option<&str>, tags: &BTreeMap<String, String>) -> Option<Json> {
        let fitting = self.evidence.metrics.iter().filter(|metric| {
            metric.name == name
                && task_id.is_none_or(|id| metric.task_id == id)
                && tags.iter().all(|(key, value)| metric.tags.get(key) == Some(value))
        });
        let value = fitting.fold(None, |sum: Option<f64>, metric| match metric.kind {
            MetricKind::Gauge => Some(metric.value),
            MetricKind::Counter | MetricKind::Timer => Some(sum.unwrap_or(0.0) + metric.value),
        });
        value.map(Json::from)
    }

    fn no_metric(&self, task_id: Option<&str>) -> String {
        let of_task = |metric: &&weft_model::Metric| task_id.is_none_or(|id| metric.task_id == id);
        let mut names: Vec<&str> =
            self.evidence.metrics.iter().filter(of_task).map(|metric| metric.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        match names.as_slice() {
            [] => "nothing: there are no metrics".to_owned(),
            names => format!("nothing: there are {}", list(names.iter().copied())),
        }
    }

    fn log(
        &self,
        assertion: &Assertion,
        task_id: Option<&str>,
        (checks, level, times): (&[Check], Option<Level>, Option<u32>),
    ) -> Option<Shortfall> {
        let lines: Vec<&LogEntry> = self
            .evidence
            .logs
            .iter()
            .filter(|entry| level.is_none_or(|level| entry.level >= level))
            .filter(|entry| task_id.is_none_or(|id| entry.task_id.as_deref() == Some(id)))
            .collect();
        let (wanted, checks) = match self.rendered(checks) {
            Ok(rendered) => rendered,
            Err(message) => {
                return Some(Shortfall::new(assertion.span, "log", "a text", format!("an error: {message}")));
            }
        };
        let count = lines.iter().filter(|entry| all_hold(&checks, &entry.message)).count();
        if times.map_or(count > 0, |times| count == times as usize) {
            return None;
        }
        let level = level.map_or_else(String::new, |level| format!(" at {} or above", level.as_str()));
        let expected = match times {
            None => format!("a line: {wanted}"),
            Some(0) => format!("no line: {wanted}"),
            Some(1) => format!("1 line: {wanted}"),
            Some(times) => format!("{times} lines: {wanted}"),
        };
        let actual = match (count, lines.len()) {
            (0, 0) => "no line at all".to_owned(),
            (0, 1) => "not in the only line".to_owned(),
            (0, all) => format!("in none of {all} lines"),
            (1, _) => "in 1 line".to_owned(),
            (count, _) => format!("in {count} lines"),
        };
        let subject = format!("log{}{level}", of_task(task_id));
        Some(Shortfall::new(assertion.span, subject, expected, actual))
    }

    fn states(&self, assertion: &Assertion, task_id: Option<&str>, states: &[State]) -> Option<Shortfall> {
        let short = |actual: String| {
            let subject =
                task_id.map_or_else(|| "state of the execution".to_owned(), |id| format!("state of `{id}`"));
            Some(Shortfall::new(assertion.span, subject, one_of(states), actual))
        };
        let Some(id) = task_id else {
            let state = self.evidence.execution.current();
            return if states.contains(&state) { None } else { short(self.why(state)) };
        };
        if self.evidence.runs(Some(id)).next().is_none() {
            return short("it did not run".to_owned());
        }
        let others = self.evidence.runs(Some(id)).filter(|run| !states.contains(&run.current()));
        let others: Vec<String> = others
            .map(|run| match failure(run) {
                Some(failure) => format!("{}{}: {}", run.current(), of_loop(run), failure.message),
                None => format!("{}{}", run.current(), of_loop(run)),
            })
            .collect();
        if others.is_empty() { None } else { short(some(&others, "\n")) }
    }

    fn runs(&self, assertion: &Assertion, task_id: Option<&str>, runs: u32) -> Option<Shortfall> {
        let found = self.evidence.runs(task_id).count();
        (found != runs as usize).then(|| {
            let subject = format!("runs{}", of_task(task_id));
            Shortfall::new(assertion.span, subject, runs.to_string(), found.to_string())
        })
    }

    fn attempts(&self, assertion: &Assertion, task_id: Option<&str>, attempts: u32) -> Option<Shortfall> {
        let subject = format!("attempts{}", of_task(task_id));
        let short =
            |actual: String| Some(Shortfall::new(assertion.span, subject, attempts.to_string(), actual));
        if self.evidence.runs(task_id).next().is_none() {
            return if attempts == 0 { None } else { short("it did not run".to_owned()) };
        }
        let others = self.evidence.runs(task_id).filter(|run| run.attempts.len() != attempts as usize);
        let others: Vec<String> =
            others.map(|run| format!("{}{}", run.attempts.len(), of_loop(run))).collect();
        if others.is_empty() { None } else { short(some(&others, ", ")) }
    }

    fn error(&self, assertion: &Assertion, task_id: Option<&str>, checks: &[Check]) -> Option<Shortfall> {
        let subject = format!("error{}", of_task(task_id));
        let (wanted, checks) = match self.rendered(checks) {
            Ok(rendered) => rendered,
            Err(message) => {
                let actual = format!("an error: {message}");
                return Some(Shortfall::new(assertion.span, subject, "a text", actual));
            }
        };
        // Every attempt: a task that failed and was tried again had an error, too.
        let of_runs = self
            .evidence
            .runs(task_id)
            .flat_map(|run| &run.attempts)
            .filter_map(|attempt| attempt.failure.as_ref().map(|failure| failure.message.as_str()));
        let own = self.evidence.execution.error.iter().filter(|_| task_id.is_none());
        let messages: Vec<&str> = own.map(|error| error.message.as_str()).chain(of_runs).collect();
        if messages.iter().any(|message| all_hold(&checks, message)) {
            return None;
        }
        let actual = match messages.as_slice() {
            [] => "there was none".to_owned(),
            messages => {
                let quoted: Vec<String> = messages.iter().map(|message| format!("{message:?}")).collect();
                some(&quoted, "\n")
            }
        };
        Some(Shortfall::new(assertion.span, subject, format!("a message: {wanted}"), actual))
    }

    /// Operators with what they compare to, rendered, and in words.
    fn rendered(&self, checks: &[Check]) -> Result<(String, Vec<(Operator, Json)>), String> {
        let mut rendered = Vec::with_capacity(checks.len());
        for check in checks {
            match self.render(&check.expected)? {
                Actual::Value(value) => rendered.push((check.operator, value)),
                Actual::Missing(message) => return Err(message),
            }
        }
        let words = rendered.iter().map(|(operator, value)| format!("{} {}", operator.name(), shown(value)));
        Ok((words.collect::<Vec<_>>().join(" and "), rendered))
    }
}

/// Whether an assertion says how the execution must end, so that a failure is not news.
fn is_about_the_end(assertion: &Assertion) -> bool {
    match &assertion.subject {
        Subject::Facts { states, .. } => states.is_some() && assertion.task_id.is_none(),
        Subject::Value { value: Json::String(source), .. } => Template::parse(source).is_ok_and(|template| {
            let references = template.references();
            references.iter().any(|found| found.path.iter().map(String::as_str).eq(["execution", "state"]))
        }),
        _ => false,
    }
}

fn all_hold(checks: &[(Operator, Json)], text: &str) -> bool {
    let text = Json::from(text);
    checks.iter().all(|(operator, expected)| holds(*operator, &text, expected) == Ok(true))
}

fn of_task(task_id: Option<&str>) -> String {
    task_id.map_or_else(String::new, |id| format!(" of `{id}`"))
}

fn of_loop(run: &TaskRun) -> String {
    run.value.as_ref().map_or_else(String::new, |value| format!(" for the value `{value}`"))
}

fn one_of(states: &[State]) -> String {
    states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(" or ")
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    some(&names, ", ")
}

/// The first few, and how many there are besides.
fn some(texts: &[String], joint: &str) -> String {
    let shown = texts[..texts.len().min(NAMED)].join(joint);
    match texts.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown}{joint}and {more} more"),
    }
}

/// A value in one line.
fn shown(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The lines in which two values differ.
fn differing(expected: &Json, actual: &Json) -> Vec<diff::DiffLine> {
    let structured = |value: &Json| value.is_array() || value.is_object();
    let lines = |value: &Json| match value {
        // JSON text that is compared with a map is shown as one.
        Json::String(text) if structured(expected) || structured(actual) => {
            let read = serde_json::from_str::<Json>(text).ok().filter(structured);
            read.map_or_else(|| text.clone(), |read| format!("{read:#}"))
        }
        Json::String(text) => text.clone(),
        other => format!("{other:#}"),
    };
    diff::lines(&lines(expected), &lines(actual))
}
