//! Hides secrets in text that leaves the engine.

mod forms;
mod lines;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;

pub use lines::LineMasker;

use forms::forms;
use lines::Fragments;

/// What stands in a log for a secret. Of fixed length, so that it does not tell the secret's.
pub const MASK: &str = "******";

/// The secrets that an execution has resolved so far. Clones share them: a secret is hidden from the moment it is known.
#[derive(Debug, Clone, Default)]
pub struct Masker {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    patterns: BTreeSet<String>,
    search: Option<Search>,
}

#[derive(Debug)]
struct Search {
    whole: AhoCorasick,
    /// Pieces of secrets that were cut by the end of a line.
    fragments: Option<Fragments>,
    masks: Vec<&'static str>,
}

impl Masker {
    /// Hides `secret` from now on: as it is, each line of it, and in the encodings that scripts put it into.
    pub fn add(&self, secret: &str) {
        let forms = forms(secret);
        if forms.iter().all(|form| self.read().patterns.contains(form)) {
            return;
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.patterns.extend(forms);
        // Longest first, so that a secret that contains another is hidden as a whole.
        let whole = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&inner.patterns);
        inner.search = whole.ok().map(|whole| Search {
            whole,
            fragments: Fragments::new(&inner.patterns),
            masks: vec![MASK; inner.patterns.len()],
        });
    }

    /// Whether there is nothing to hide: the common case, checked once per batch of lines.
    pub fn is_empty(&self) -> bool {
        self.read().search.is_none()
    }

    /// `text` with every secret replaced by [`MASK`].
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.read().search {
            Some(search) if search.whole.is_match(text) => {
                Cow::Owned(search.whole.replace_all(text, &search.masks))
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// Every text in `value` masked, keys too.
    pub fn mask_json(&self, value: &mut Value) {
        if !self.is_empty() {
            self.mask_all(value);
        }
    }

    fn mask_all(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.mask(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_all(item)),
            Value::Object(members) => {
                let keys_are_clean = members.keys().all(|key| matches!(self.mask(key), Cow::Borrowed(_)));
                if !keys_are_clean {
                    let masked = std::mem::take(members).into_iter();
                    members.extend(masked.map(|(key, value)| (self.mask(&key).into_owned(), value)));
                }
                members.iter_mut().for_each(|(_, member)| self.mask_all(member));
            }
            _ => {}
        }
    }

    /// For the lines of one stream of text, one after the other.
    pub fn lines(&self) -> LineMasker {
        LineMasker::new(self.clone())
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_in_every_form() {
        let masker = Masker::default();
        assert!(masker.is_empty());
        masker.add("s3cret");
        masker.add("s3cret-and-more");
        masker.add("-----BEGIN\nkey line\n");
        masker.add("p\"a ss/wörd");
        masker.add("");
        masker.add("ab");
        for (text, expected) in [
            ("password is s3cret!", "password is ******!"),
            ("s3cret-and-more", "******"),
            ("in base64: czNjcmV0", "in base64: ******"),
            ("a key line here", "a ****** here"),
            ("{\"x\": \"p\\\"a ss/wörd\"}", "{\"x\": \"******\"}"),
            ("?p=p%22a%20ss%2Fw%C3%B6rd&q", "?p=******&q"),
            ("ab is too short to hide", "ab is too short to hide"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(masker.mask(text), expected, "{text}");
        }
    }

    #[test]
    fn json_is_masked_in_its_texts() {
        let masker = Masker::default();
        masker.add("s3cret");
        let mut value = json!({"a": ["x s3cret", 1], "s3cret": {"b": "czNjcmV0"}, "c": null});
        masker.mask_json(&mut value);
        assert_eq!(value, json!({"a": ["x ******", 1], "c": null, "******": {"b": "******"}}));
    }
}
