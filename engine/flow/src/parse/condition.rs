//! `conditions` of triggers: the types that there are (compat.md §2.8), under the names of all eras.

use super::Reader;
use super::path::Path;
use crate::Diagnostic;
use crate::codes::{MISSING_PROPERTY, UNKNOWN_TYPE};
use crate::suggest;
use crate::yaml::Node;

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
