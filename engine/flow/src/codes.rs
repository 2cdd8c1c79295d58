//! The codes of diagnostics. Each is documented on a page of its own, so none is ever reused for something else.

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        $($(#[doc = $doc])+ pub(crate) const $name: &str = $text;)+

        /// Every code that a [`Diagnostic`](crate::Diagnostic) can have, with its meaning.
        pub const CODES: &[(&str, &str)] = &[$(($text, concat!($($doc),+))),+];
    };
}

codes! {
    /// The text is not YAML.
    YAML_SYNTAX = "yaml-syntax";
    /// A TAB is used for indentation.
    YAML_TAB = "yaml-tab";
    /// A key is in a map twice.
    DUPLICATE_KEY = "duplicate-key";
    /// An alias or a merge key that cannot be followed.
    YAML_ALIAS = "yaml-alias";
    /// The source is larger or deeper than the limits allow.
    YAML_LIMIT = "yaml-limit";
    /// The file has more than one YAML document.
    MULTIPLE_DOCUMENTS = "multiple-documents";
    /// An expression at the start of a value is not quoted, so YAML takes it for a map.
    UNQUOTED_EXPRESSION = "unquoted-expression";
    /// The file has no flow in it.
    EMPTY_FLOW = "empty-flow";
    /// A value has another type than its property needs.
    WRONG_TYPE = "wrong-type";
    /// A value has the right type, but not one of the values that are allowed.
    INVALID_VALUE = "invalid-value";
    /// A property that does not exist.
    UNKNOWN_PROPERTY = "unknown-property";
    /// A property that must be there is not.
    MISSING_PROPERTY = "missing-property";
    /// An id or a namespace with characters that are not allowed.
    INVALID_ID = "invalid-id";
    /// Two tasks, triggers, inputs or outputs with the same id.
    DUPLICATE_ID = "duplicate-id";
    /// No plugin has a task or trigger of this type.
    UNKNOWN_TYPE = "unknown-type";
    /// A task that is not allowed at its place.
    MISPLACED_TASK = "misplaced-task";
    /// Something that another property or type has replaced.
    DEPRECATED = "deprecated";
    /// Something that is accepted and has no effect.
    NO_EFFECT = "no-effect";
    /// A label that only the system may set.
    SYSTEM_LABEL = "system-label";
    /// An expression that cannot be parsed.
    EXPRESSION_SYNTAX = "expression-syntax";
    /// An expression reads, or a caller gives, an input that the flow does not have.
    UNDEFINED_INPUT = "undefined-input";
    /// An expression reads outputs that will not exist at that time.
    UNDEFINED_OUTPUT = "undefined-output";
    /// An expression reads a variable that does not exist.
    UNDEFINED_VARIABLE = "undefined-variable";
    /// Tasks of a Dag, or inputs, depend on each other.
    DEPENDENCY_CYCLE = "dependency-cycle";
    /// A task of a Dag depends on one that is not in the Dag, or an input on one that does not exist.
    UNKNOWN_DEPENDENCY = "unknown-dependency";
    /// A flow starts itself as a subflow.
    RECURSIVE_SUBFLOW = "recursive-subflow";
    /// A text that is not an ISO-8601 duration.
    INVALID_DURATION = "invalid-duration";
    /// A text that is not a cron expression.
    INVALID_CRON = "invalid-cron";
    /// A text that is not a regular expression.
    INVALID_REGEX = "invalid-regex";
    /// A text that is not the name of a time zone.
    INVALID_TIME_ZONE = "invalid-time-zone";
    /// A test file names a task that its flow does not have.
    UNKNOWN_TASK = "unknown-task";
    /// A flow that a test file or another flow names cannot be found, or cannot be run.
    UNKNOWN_FLOW = "unknown-flow";
    /// A test file names a file that cannot be read.
    MISSING_FILE = "missing-file";
    /// There are more mistakes in a file than are told one by one.
    MORE_MISTAKES = "more-mistakes";
    /// A plugin describes itself with a JSON Schema that cannot be used.
    PLUGIN_SCHEMA = "plugin-schema";
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_kebab_case_and_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for (code, meaning) in super::CODES {
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{code}");
            assert!(meaning.trim().ends_with('.'), "{code}");
            assert!(seen.insert(code), "{code}");
        }
    }
}
