//! Hides secrets in text that leaves the engine.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

/// What stands in a log for a secret. Of fixed length, so that it does not tell the secret's.
pub const MASK: &str = "******";

/// The shortest text that is hidden: shorter ones would hide every second word.
const MIN_LENGTH: usize = 3;

/// The secrets that an execution has resolved so far. Clones share them: a secret is hidden from the moment it is known.
#[derive(Debug, Clone, Default)]
pub struct Masker {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    patterns: BTreeSet<String>,
    automaton: Option<AhoCorasick>,
}

impl Masker {
    /// Hides `secret` from now on: as it is, each line of it, and encoded in base64.
    pub fn add(&self, secret: &str) {
        let mut inner = self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = inner.patterns.len();
        let encoded = BASE64_STANDARD_NO_PAD.encode(secret.trim_end_matches(['\r', '\n']));
        let forms = std::iter::once(secret).chain(secret.lines()).chain(std::iter::once(encoded.as_str()));
        inner.patterns.extend(forms.filter(|form| form.trim().len() >= MIN_LENGTH).map(str::to_owned));
        if inner.patterns.len() > before {
            // Longest first, so that a secret that contains another is hidden as a whole.
            inner.automaton =
                AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&inner.patterns).ok();
        }
    }

    /// Whether there is nothing to hide: the common case, checked once per batch of lines.
    pub fn is_empty(&self) -> bool {
        self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner).automaton.is_none()
    }

    /// `text` with every secret replaced by [`MASK`].
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let inner = self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &inner.automaton {
            Some(automaton) if automaton.is_match(text) => {
                let masks = vec![MASK; inner.patterns.len()];
                Cow::Owned(automaton.replace_all(text, &masks))
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// The same for bytes that need not be UTF-8.
    pub fn mask_bytes<'t>(&self, bytes: &'t [u8]) -> Cow<'t, [u8]> {
        let inner = self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &inner.automaton {
            Some(automaton) if automaton.is_match(bytes) => {
                let masks = vec![MASK; inner.patterns.len()];
                Cow::Owned(automaton.replace_all_bytes(bytes, &masks))
            }
            _ => Cow::Borrowed(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_in_every_form() {
        let masker = Masker::default();
        assert!(masker.is_empty());
        masker.add("s3cret");
        masker.add("s3cret-and-more");
        masker.add("-----BEGIN\nkey line\n");
        masker.add("");
        masker.add("ab");
        for (text, expected) in [
            ("password is s3cret!", "password is ******!"),
            ("s3cret-and-more", "******"),
            ("in base64: czNjcmV0", "in base64: ******"),
            ("a key line here", "a ****** here"),
            ("ab is too short to hide", "ab is too short to hide"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(masker.mask(text), expected, "{text}");
            assert_eq!(masker.mask_bytes(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }
}
