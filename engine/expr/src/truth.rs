//! What a rendered condition comes to.

/// Whether a rendered text counts as true: all but `false`, `0`, `-0` and the empty text do. White space around it does
/// not count, for a condition in a YAML block ends with a line break.
pub fn is_true(text: &str) -> bool {
    !matches!(text.trim(), "" | "false" | "0" | "-0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_texts() {
        for (text, expected) in [
            ("", false),
            ("false", false),
            ("0", false),
            ("-0", false),
            (" ", false),
            ("false\n", false),
            ("\n  0 \n", false),
            ("-0\r\n", false),
            ("False", true),
            ("0.0", true),
            ("null", true),
            ("1", true),
            ("true\n", true),
            ("false false", true),
        ] {
            assert_eq!(is_true(text), expected, "{text:?}");
        }
    }
}
