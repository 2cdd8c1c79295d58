//! The one shape of an error that a task run can end with.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Amount;

/// Why a task run failed. Codes are an open, documented namespace (`docs/errors/`), one page each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{message}")]
pub struct Failure {
    /// Kebab-case with a dot between area and reason: `process.exit-code`, `plugin.trap`.
    pub code: String,
    /// What happened, what was expected and what to do, for a person.
    pub message: String,
    /// Whether trying again, with nothing changed, may help.
    #[serde(default)]
    pub retryable: bool,
    /// Facts for a program: an exit code, a property path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

/// How long the text of a failure may be, in bytes.
const MAX_MESSAGE: usize = 64 << 10;
/// How many bytes of JSON its facts may have.
const MAX_DETAIL: u64 = 64 << 10;
/// How long its code may be, in bytes.
const MAX_CODE: usize = 128;

impl Failure {
    /// Cuts what is longer than anybody reads, and says so in the message: a failure must be told, so it cannot fail.
    pub fn cut(&mut self) {
        cut(&mut self.code, MAX_CODE);
        if let Some(more) = cut(&mut self.message, MAX_MESSAGE) {
            self.message.push_str(&format!("... ({more} more bytes are cut)"));
        }
        if let Some(bytes) = self.detail.as_ref().map(|detail| Amount::of(detail).bytes)
            && bytes > MAX_DETAIL
        {
            self.detail = None;
            self.message.push_str(&format!("\n(its detail of {bytes} bytes is left out)"));
        }
    }

    /// The facts that a text of JSON holds. One that is no JSON is still worth showing; of one that is too long only its
    /// length is kept.
    pub fn detail_from(text: String) -> serde_json::Value {
        if text.len() as u64 > MAX_DETAIL {
            return format!("({} bytes, left out)", text.len()).into();
        }
        serde_json::from_str(&text).unwrap_or_else(|_| text.into())
    }

    /// A failure that trying again will not mend.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: false, detail: None }
    }

    /// The same, marked as worth another try.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// The same, with facts for a program.
    #[must_use]
    pub fn with_detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// The beginning of a text that somebody else chose the length of, to be named in a message.
pub fn abridged(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 100;
    if text.len() <= LONGEST {
        return text.into();
    }
    format!("{}...", &text[..text.floor_char_boundary(LONGEST)]).into()
}

/// Cuts a text at a character; how many bytes it had more.
fn cut(text: &mut String, limit: usize) -> Option<usize> {
    let more = text.len().checked_sub(limit).filter(|&more| more > 0)?;
    let end = text.floor_char_boundary(limit);
    text.truncate(end);
    text.shrink_to_fit();
    Some(more + limit - end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_longer_than_the_bounds_is_cut_and_said() {
        let cut = |mut failure: Failure| {
            failure.cut();
            failure
        };
        let whole = Failure::new("a.b", "x".repeat(MAX_MESSAGE)).with_detail(json!({"a": 1}));
        assert_eq!(cut(whole.clone()), whole);
        let long = cut(Failure::new("c".repeat(200), "é".repeat(MAX_MESSAGE)));
        assert_eq!(long.code.len(), MAX_CODE);
        assert_eq!(long.message, format!("{}... (65536 more bytes are cut)", "é".repeat(MAX_MESSAGE / 2)));
        let large = cut(Failure::new("a.b", "text").with_detail(json!("x".repeat(MAX_DETAIL as usize))));
        assert_eq!((large.detail, &*large.message), (None, "text\n(its detail of 65538 bytes is left out)"));
    }

    #[test]
    fn details_are_read_within_bounds() {
        for (text, expected) in [
            ("{\"a\": 1}".to_owned(), json!({"a": 1})),
            ("no JSON".to_owned(), json!("no JSON")),
            ("[".to_owned() + &"1,".repeat(50_000) + "1]", json!("(100003 bytes, left out)")),
        ] {
            assert_eq!(Failure::detail_from(text), expected);
        }
    }
}
