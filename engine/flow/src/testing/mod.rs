//! Test files of flows: what one says, what is wrong with it, and how editors complete it.
//!
//! A file is read in two steps, because the flow under test is another file: [`Validator::parse_tests`] looks at the
//! test file alone, [`check_tests`] at what it says about the flow. Whether an execution is what a case expects is the
//! business of `weft-testing`.

mod assertions;
mod check;
mod fixtures;
mod model;
mod schema;
mod suite;

use crate::codes::EMPTY_FLOW;
use crate::yaml::Node;
use crate::{Diagnostic, ParseOptions, Validator};

pub use check::{TestFiles, check_tests, tasks_of_type, unknown_flow};
pub use fixtures::{FileSource, file_source};
pub use model::*;
pub use schema::tests_schema;

/// Whether a text is a test file: it has `testCases`, which no flow has, in whatever case it is written. Cheap enough for
/// every file of a folder.
pub fn is_test_file(source: &str) -> bool {
    const KEY: &str = "testCases";
    source.lines().any(|line| {
        let line = line.trim_start_matches('\u{feff}');
        let quoted = line.strip_prefix(['"', '\'']);
        let rest = quoted.unwrap_or(line).split_at_checked(KEY.len());
        rest.is_some_and(|(key, rest)| {
            key.eq_ignore_ascii_case(KEY)
                && rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':')
        })
    })
}

impl Validator<'_> {
    /// Reads a test file. There may be tests in spite of mistakes, so that more can be found with [`check_tests`]; they are
    /// not to be run then.
    pub fn parse_tests(&self, source: &str, options: &ParseOptions) -> (Option<FlowTests>, Vec<Diagnostic>) {
        let (tests, mut diagnostics) =
            self.read_what_is_there(source, options, |reader, root: &Node| reader.flow_tests(root));
        for diagnostic in diagnostics.iter_mut().filter(|diagnostic| diagnostic.code == EMPTY_FLOW) {
            diagnostic.message = "there are no tests in this file".to_owned();
            diagnostic.hint =
                Some("a test file needs at least `id`, `namespace`, `flowId` and `testCases`".to_owned());
        }
        (tests, diagnostics)
    }
}

#[cfg(test)]
mod tests {
    use super::is_test_file;

    #[test]
    fn test_files_are_known_by_their_cases() {
        for (source, expected) in [
            ("id: a\ntestCases:\n  - id: b\n", true),
            ("\u{feff}testCases: []\n", true),
            ("\"testCases\" : []\n", true),
            ("id: a\ntestcases:\n  - id: b\n", true),
            ("id: a\ntasks:\n  - id: testCases\n", false),
            ("id: a\nvariables:\n  testCases: 1\n", false),
            ("# testCases: none\n", false),
        ] {
            assert_eq!(is_test_file(source), expected, "{source:?}");
        }
    }
}
