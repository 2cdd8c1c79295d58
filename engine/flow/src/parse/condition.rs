//! `conditions` of triggers: the types that there are (compat.md §2.8), under the names of all eras.

use super::Reader;
use super::{is_dynamic, path::Path};
use crate::codes::{INVALID_VALUE, MISSING_PROPERTY, UNKNOWN_PROPERTY, UNKNOWN_TYPE};
use crate::suggest;
use crate::yaml::{Map, Node};
use crate::{Diagnostic, engine_triggers};

const PACKAGE: &str = "io.kestra.plugin.core.condition.";
const OLD_PACKAGE: &str = "io.kestra.core.models.conditions.types.";
const OLD_SUFFIX: &str = "Condition";

/// Names without package and, for all but the last three, without the old suffix.
const NAMES: [&str; 18] = [
    "DateTimeBetween",
    "DayWeek",
    "DayWeekInMonth",
    "ExecutionFlow",
    "ExecutionLabels",
    "ExecutionNamespace",
    "ExecutionOutputs",
    "ExecutionStatus",
    "Expression",
    "HasRetryAttempt",
    "Not",
    "Or",
    "PublicHoliday",
    "TimeBetween",
    "Weekend",
    "FlowCondition",
    "FlowNamespaceCondition",
    "MultipleCondition",
];

/// Old names whose newer one is another word.
const RENAMED: [&str; 1] = ["VariableCondition"];

fn is_known(type_name: &str) -> bool {
    let Some(name) = type_name.strip_prefix(PACKAGE).or_else(|| type_name.strip_prefix(OLD_PACKAGE)) else {
        return false;
    };
    let short = name.strip_suffix(OLD_SUFFIX).unwrap_or(name);
    NAMES.contains(&name) || NAMES.contains(&short) || RENAMED.contains(&name)
}

impl Reader<'_> {
    /// Checks the types of conditions, and of those in them.
    pub(crate) fn check_conditions(&mut self, node: &Node, path: &Path<'_>) {
        let Some(items) = self.list(node, path, "conditions") else { return };
        for (index, item) in items.iter().enumerate() {
            self.check_condition(item, &path.index(index));
        }
    }

    fn check_condition(&mut self, node: &Node, path: &Path<'_>) {
        let Some(map) = self.map(node, path) else { return };
        match map.get("type").map(|entry| (entry.value.as_str(), entry.value.span)) {
            None => {
                let message = "this condition has no property `type`";
                let hint = format!("add `type: {PACKAGE}Expression` or another");
                let span = self.head(node);
                self.push(Diagnostic::error(MISSING_PROPERTY, span, message).at(path).hint(hint));
            }
            Some((Some(type_name), span)) if !is_known(type_name) => {
                let name = type_name.rsplit('.').next().unwrap_or_default();
                let short = name.strip_suffix(OLD_SUFFIX).unwrap_or(name);
                let hint = suggest::nearest(short, NAMES).map_or_else(
                    || format!("there are {}", suggest::enumerate(NAMES, "and")),
                    |nearest| format!("did you mean `{PACKAGE}{nearest}`?"),
                );
                let message = format!("unknown condition type `{type_name}`");
                self.push(Diagnostic::error(UNKNOWN_TYPE, span, message).at(path.key("type")).hint(hint));
            }
            Some((Some(type_name), _)) => self.check_condition_fields(type_name, map, node, path),
            Some(_) => {}
        }
        if let Some(inner) = map.get("conditions") {
            // `MultipleCondition` names its own.
            if inner.value.as_list().is_some() {
                self.check_conditions(&inner.value, &path.key("conditions"));
            }
        }
    }
}

/// What a type of condition needs, and what it may have. Values are checked where there is a list of them.
struct ConditionFields {
    /// Without package and old suffix.
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

const fn fields(
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
) -> ConditionFields {
    ConditionFields { name, required, optional }
}

const FIELDS: [ConditionFields; 9] = [
    fields("DayWeek", &["dayOfWeek"], &["date"]),
    fields("DayWeekInMonth", &["dayOfWeek", "dayInMonth"], &["date"]),
    fields("DateTimeBetween", &[], &["date", "after", "before"]),
    fields("TimeBetween", &[], &["date", "after", "before"]),
    fields("Expression", &["expression"], &[]),
    fields("ExecutionFlow", &["namespace", "flowId"], &[]),
    fields("ExecutionNamespace", &["namespace"], &["comparison", "prefix"]),
    fields("ExecutionStatus", &[], &["in", "notIn"]),
    fields("Not", &["conditions"], &[]),
];

const DAYS: [&str; 7] = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
const PLACES: [&str; 5] = ["FIRST", "SECOND", "THIRD", "FOURTH", "LAST"];

impl Reader<'_> {
    /// Properties of a condition. All of it matters only to whoever watches triggers.
    fn check_condition_fields(&mut self, type_name: &str, map: &Map, node: &Node, path: &Path<'_>) {
        let name = type_name.rsplit('.').next().unwrap_or_default();
        let name = name.strip_suffix(OLD_SUFFIX).unwrap_or(name);
        let Some(wanted) = FIELDS.iter().find(|fields| fields.name == name) else { return };
        let known = || wanted.required.iter().chain(wanted.optional).copied();
        let mut misspelt = Vec::new();
        for entry in
            map.entries.iter().filter(|entry| entry.key != "type" && !known().any(|key| key == entry.key))
        {
            let Some(meant) = suggest::nearest(&entry.key, known()) else { continue };
            misspelt.push(meant);
            let message = format!("unknown property `{}` of this condition", entry.key);
            let diagnostic =
                Diagnostic::error(UNKNOWN_PROPERTY, entry.key_span, message).at(path.key(&entry.key));
            self.push(diagnostic.hint(format!("did you mean `{meant}`?")).at_runtime());
        }
        let is_there = |key: &str| map.get(key).is_some_and(|entry| !entry.value.is_null());
        for key in wanted.required.iter().filter(|key| !is_there(key) && !misspelt.contains(*key)) {
            let message = format!("this condition has no property `{key}`");
            let diagnostic = Diagnostic::error(MISSING_PROPERTY, self.head(node), message).at(path);
            self.push(diagnostic.hint(format!("add `{key}: ...`")).at_runtime());
        }
        for entry in &map.entries {
            let at = path.key(&entry.key);
            match entry.key.as_str() {
                "dayOfWeek" => self.check_word(&entry.value, &at, &DAYS),
                "dayInMonth" => self.check_word(&entry.value, &at, &PLACES),
                "in" | "notIn" if name == "ExecutionStatus" => {
                    for (index, item) in entry.value.as_list().unwrap_or_default().iter().enumerate() {
                        self.check_word(item, &at.index(index), &engine_triggers::STATES);
                    }
                }
                "after" | "before" if name == "TimeBetween" => self.check_time(&entry.value, &at),
                _ => {}
            }
        }
    }

    /// One of some words, in any case.
    fn check_word(&mut self, node: &Node, path: &Path<'_>, words: &[&'static str]) {
        let Some(text) = node.as_str().filter(|text| !is_dynamic(text)) else { return };
        if words.iter().any(|word| word.eq_ignore_ascii_case(text)) {
            return;
        }
        let beginning =
            || words.iter().find(|word| text.len() >= 3 && word.starts_with(&text.to_ascii_uppercase()));
        let hint = suggest::nearest(text, words.iter().copied())
            .or_else(|| beginning().copied())
            .map(|word| format!("did you mean `{word}`?"));
        let message =
            format!("expected one of {}, found `{text}`", suggest::enumerate(words.iter().copied(), "or"));
        let diagnostic = Diagnostic::error(INVALID_VALUE, node.span, message).at(path);
        self.push(diagnostic.maybe_hint(hint).at_runtime());
    }

    /// A time of day with its offset.
    fn check_time(&mut self, node: &Node, path: &Path<'_>) {
        let Some(text) = node.as_str().filter(|text| !is_dynamic(text)) else { return };
        let time = text.split(['Z', '+', '-']).next().unwrap_or_default();
        if time.parse::<jiff::civil::Time>().is_err() {
            let message = format!("`{text}` is not a time of day");
            let hint = "write it with its offset, as in `16:00:00Z` or `16:00:00+02:00`";
            let diagnostic = Diagnostic::error(INVALID_VALUE, node.span, message).at(path);
            self.push(diagnostic.hint(hint).at_runtime());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_eras_are_known() {
        for (name, expected) in [
            ("io.kestra.plugin.core.condition.DayWeek", true),
            ("io.kestra.plugin.core.condition.DayWeekCondition", true),
            ("io.kestra.core.models.conditions.types.DayWeekCondition", true),
            ("io.kestra.core.models.conditions.types.VariableCondition", true),
            ("io.kestra.plugin.core.condition.Expression", true),
            ("io.kestra.plugin.core.condition.MultipleCondition", true),
            ("io.kestra.plugin.core.condition.ExecutionStatusCondition", true),
            ("io.kestra.plugin.core.condition.DayWek", false),
            ("DayWeek", false),
        ] {
            assert_eq!(is_known(name), expected, "{name}");
        }
    }
}
