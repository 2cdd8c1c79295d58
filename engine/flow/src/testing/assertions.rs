//! `assertions`: what must hold at the end of an execution.

use fancy_regex::Regex;
use serde_json::Value;

use super::model::{Assertion, Check, Operator, Subject};
use crate::codes::{INVALID_REGEX, INVALID_VALUE};
use crate::parse::{Fields, Path, Reader, is_dynamic};
use crate::yaml::{Entry, Kind, Node};
use crate::{Diagnostic, Span, suggest};

const WHAT: &str = "this assertion";

/// Properties that make an assertion one about facts.
const FACTS: [&str; 4] = ["state", "attempts", "runs", "error"];

impl Reader<'_> {
    /// A list of assertions.
    pub(super) fn assertions(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<Assertion>> {
        let items = self.list(node, path, "assertions")?;
        let read = |(index, item): (usize, &Node)| self.assertion(item, &path.index(index));
        Some(items.iter().enumerate().filter_map(read).collect())
    }

    fn assertion(&mut self, node: &Node, path: &Path<'_>) -> Option<Assertion> {
        let mut fields = self.fields(node, path)?;
        let subjects = ["value", "metric", "log"].into_iter().chain(FACTS);
        let found: Vec<(&str, Span)> = subjects.filter_map(|key| Some((key, fields.span_of(key)?))).collect();
        let description = self.optional(&mut fields, "description", path, Self::text);
        let error_message = self.optional(&mut fields, "errorMessage", path, Self::text);
        let task_id = self.optional(&mut fields, "taskId", path, Self::reference);
        let value = fields.take_even_null("value");
        let metric = self.optional(&mut fields, "metric", path, Self::text);
        let log = fields.take("log");
        let facts = self.facts(&mut fields, path, task_id.is_some());
        let tags = self.belonging(&mut fields, "tags", path, ("metric", metric.is_some()), Self::tags);
        let level = self.belonging(&mut fields, "level", path, ("log", log.is_some()), Self::level);
        let times =
            self.belonging(&mut fields, "times", path, ("log", log.is_some()), |reader, node, path| {
                reader.count(node, path, 0)
            });
        let operators: Vec<&Entry> =
            Operator::ALL.iter().filter_map(|(name, _)| fields.take_even_null(name)).collect();
        let checks = self.checks(&operators, path);

        // Several facts are one subject.
        let mut kinds = found.clone();
        kinds.dedup_by_key(|(key, _)| if FACTS.contains(key) { "state" } else { *key });
        let single = self.one_of(&kinds, path, "an assertion");
        let subject = match (value, metric, log, facts) {
            (Some(entry), ..) => {
                self.some_operator(&fields, path, "value", operators.is_empty());
                self.check_expressions(&entry.value, &path.key("value"));
                Some(Subject::Value { value: entry.value.to_json(), checks })
            }
            (_, Some(name), ..) => {
                self.some_operator(&fields, path, "metric", operators.is_empty());
                Some(Subject::Metric { name, tags: tags.unwrap_or_default(), checks })
            }
            (_, _, Some(entry), _) => {
                self.no_operators(&operators, path, "log");
                let checks = self.lines(&entry.value, &path.key("log"));
                Some(Subject::Log { checks: checks.unwrap_or_default(), level, times })
            }
            (.., Some(facts)) => {
                self.no_operators(&operators, path, "state");
                Some(facts)
            }
            _ if found.is_empty() => {
                let hint = "write `value` with an operator such as `equalTo`, or `metric`, `log` or `state`";
                self.missing_any(&fields, path, "this assertion looks at nothing", hint);
                None
            }
            _ => None,
        };
        self.finish(fields, path, WHAT);
        let span = self.head(node);
        let assertion = Assertion {
            description,
            error_message,
            task_id,
            subject: subject?,
            span,
            path: path.to_string(),
        };
        single.then_some(assertion)
    }

    fn facts(&mut self, fields: &mut Fields<'_>, path: &Path<'_>, of_task: bool) -> Option<Subject> {
        let count = |reader: &mut Self, node: &Node, path: &Path<'_>| reader.count(node, path, 0);
        let states = self.optional(fields, "state", path, Self::end_states);
        let task = ("taskId", of_task);
        let attempts = self.belonging(fields, "attempts", path, task, count);
        let runs = self.belonging(fields, "runs", path, task, count);
        let error = self.optional(fields, "error", path, Self::lines);
        let some = states.is_some() || attempts.is_some() || runs.is_some() || error.is_some();
        some.then_some(Subject::Facts { states, attempts, runs, error })
    }

    /// A property that means nothing without another one.
    fn belonging<T>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        path: &Path<'_>,
        (other, there): (&str, bool),
        read: impl FnOnce(&mut Self, &Node, &Path<'_>) -> Option<T>,
    ) -> Option<T> {
        let entry = fields.take(key)?;
        let at = path.key(key);
        if !there {
            let message = format!("`{key}` says nothing without `{other}`");
            let diagnostic = Diagnostic::error(INVALID_VALUE, entry.key_span, message);
            self.push(diagnostic.at(at).hint(format!("add `{other}`, or remove `{key}`")));
        }
        read(self, &entry.value, &at)
    }

    fn some_operator(&mut self, fields: &Fields<'_>, path: &Path<'_>, subject: &str, none: bool) {
        if none {
            let names = Operator::ALL.iter().map(|(name, _)| *name);
            let hint = format!("add one of {}", suggest::enumerate(names, "and"));
            self.missing_any(fields, path, format!("nothing is expected of `{subject}`"), hint);
        }
    }

    fn no_operators(&mut self, operators: &[&Entry], path: &Path<'_>, subject: &str) {
        for entry in operators {
            let message = format!("`{}` does not go with `{subject}`", entry.key);
            let hint = match subject {
                "log" => format!("write it below: `log: {{{}: ...}}`", entry.key),
                _ => "make another assertion of it, with `value`".to_owned(),
            };
            let diagnostic = Diagnostic::error(INVALID_VALUE, entry.key_span, message);
            self.push(diagnostic.at(path.key(&entry.key)).hint(hint));
        }
    }

    /// What must hold for a line: a text that it contains, or operators.
    fn lines(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<Check>> {
        let Some(map) = node.as_map() else {
            let text = self.text(node, path)?;
            self.check_expressions(node, path);
            return Some(vec![Check { operator: Operator::Contains, expected: Value::String(text) }]);
        };
        let mut fields = Fields::new(map, node.span);
        let operators: Vec<&Entry> =
            Operator::ALL.iter().filter_map(|(name, _)| fields.take_even_null(name)).collect();
        let checks = self.checks(&operators, path);
        if operators.is_empty() {
            let message = "no operator says what the text must be like";
            self.missing_any(&fields, path, message, "write `contains`, `matches`, `equalTo`, ...");
        }
        self.finish(fields, path, "this condition");
        Some(checks)
    }

    fn checks(&mut self, operators: &[&Entry], path: &Path<'_>) -> Vec<Check> {
        let mut checks = Vec::with_capacity(operators.len());
        for entry in operators {
            let named = Operator::ALL.iter().find(|(name, _)| *name == entry.key);
            if let Some((_, operator)) = named
                && self.operand(*operator, &entry.value, &path.key(&entry.key)).is_some()
            {
                checks.push(Check { operator: *operator, expected: entry.value.to_json() });
            }
        }
        checks
    }

    /// Checks what an operator compares to, as far as it is known now.
    fn operand(&mut self, operator: Operator, node: &Node, path: &Path<'_>) -> Option<()> {
        self.check_expressions(node, path);
        let fixed = node.as_str().is_none_or(|text| !is_dynamic(text));
        match operator {
            _ if operator.is_predicate() => self.boolean(node, path).map(drop),
            Operator::EqualTo | Operator::NotEqualTo => Some(()),
            _ if node.is_null() => {
                let message = format!("`{}` needs a value to compare to", operator.name());
                self.invalid(node, path, message);
                None
            }
            Operator::In | Operator::NotIn if fixed => self.list(node, path, "values").map(drop),
            Operator::Matches if fixed => {
                let pattern = self.text(node, path)?;
                if let Err(error) = Regex::new(&pattern) {
                    let message = format!("not a regular expression: {error}");
                    self.push(Diagnostic::error(INVALID_REGEX, self.head(node), message).at(path));
                    return None;
                }
                Some(())
            }
            Operator::StartsWith | Operator::EndsWith => self.text(node, path).map(drop),
            Operator::GreaterThan
            | Operator::GreaterThanOrEqualTo
            | Operator::LessThan
            | Operator::LessThanOrEqualTo
                if matches!(node.kind, Kind::List(_) | Kind::Map(_) | Kind::Bool(_)) =>
            {
                self.wrong_type(node, path, "a number or a text");
                None
            }
            _ => Some(()),
        }
    }
}
