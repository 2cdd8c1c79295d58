//! Differences between texts, line by line.

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// Lines around a difference that are shown.
const CONTEXT: usize = 3;
/// Lines of a difference that are shown.
const MAX_LINES: usize = 200;

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffLine {
    /// `-` expected and not there, `+` there and not expected, ` ` the same, `.` lines are left out.
    pub sign: char,
    /// The line.
    pub text: String,
}

/// What has to change in `expected` to become `actual`. Nothing if both are single lines: those are compared at a glance.
pub(crate) fn lines(expected: &str, actual: &str) -> Vec<DiffLine> {
    if !expected.trim_end().contains('\n') && !actual.trim_end().contains('\n') {
        return Vec::new();
    }
    let diff = TextDiff::from_lines(expected, actual);
    let mut lines = Vec::new();
    let left_out = || DiffLine { sign: '.', text: String::new() };
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            lines.push(left_out());
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            if lines.len() >= MAX_LINES {
                lines.push(left_out());
                return lines;
            }
            let text = change.value().trim_end_matches(['\n', '\r']).to_owned();
            lines.push(DiffLine { sign, text });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(expected: &str, actual: &str) -> Vec<String> {
        lines(expected, actual).iter().map(|line| format!("{}{}", line.sign, line.text)).collect()
    }

    #[test]
    fn differences_are_shown_with_what_is_around_them() {
        assert!(drawn("a", "b").is_empty(), "single lines need none");
        assert_eq!(drawn("a\nb\nc\n", "a\nx\nc\n"), [" a", "-b", "+x", " c"]);
        let long: String = (0..20).map(|number| format!("{number}\n")).collect();
        let other = long.replace("3\n", "x\n").replace("16\n", "y\n");
        let shown = drawn(&long, &other);
        assert!(shown.contains(&".".to_owned()) && shown.len() < 24, "{shown:?}");
    }

    #[test]
    fn endless_differences_end() {
        let (a, b): (String, String) = ("a\n".repeat(1_000), "b\n".repeat(1_000));
        assert_eq!(lines(&a, &b).len(), MAX_LINES + 1);
    }
}
