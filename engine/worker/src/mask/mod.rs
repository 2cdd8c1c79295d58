//! Hides secrets in text that leaves the engine.

mod forms;
mod leaves;
mod lines;
mod search;
mod shown;

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use serde_json::Value;

pub use lines::LineMasker;

use forms::forms;
use leaves::leaves;
use search::Searches;

/// What stands in a log for a secret. Of fixed length, so that it does not tell the secret's.
pub const MASK: &str = "******";

/// The secrets that an execution has resolved so far. Clones share them: a secret is hidden from the moment it is known.
#[derive(Debug, Clone, Default)]
pub struct Masker {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Clone, Default)]
struct Inner {
    /// What was hidden, in the order in which it became known.
    texts: Vec<Arc<str>>,
    known: HashSet<Arc<str>>,
    searches: Searches,
}

impl Masker {
    /// Hides `secret` from now on: as it is, each line of it, in the spellings and encodings that filters and scripts
    /// put it into, and the values in it where it is JSON.
    pub fn add(&self, secret: &str) {
        if self.read().known.contains(secret) {
            return;
        }
        let mut found = forms(secret);
        for leaf in leaves(secret) {
            found.append(&mut forms(&leaf));
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let text: Arc<str> = secret.into();
        if !inner.known.insert(Arc::clone(&text)) {
            return;
        }
        // What is too short to be hidden is nothing to remember.
        if !found.is_empty() {
            inner.texts.push(text);
            inner.searches.add(found);
        }
    }

    /// Hides what another has hidden so far, too.
    pub fn add_all<'t>(&self, secrets: impl IntoIterator<Item = &'t str>) {
        secrets.into_iter().for_each(|secret| self.add(secret));
    }

    /// A masker that begins with what this one has hidden so far, and shares nothing with it afterwards.
    #[must_use]
    pub fn branch(&self) -> Self {
        Self { inner: Arc::new(RwLock::new(self.read().clone())) }
    }

    /// How many secrets there are.
    pub fn count(&self) -> usize {
        self.read().texts.len()
    }

    /// The secrets, in the order in which they became known, without the first `count`: for whoever keeps them sealed.
    pub fn since(&self, count: usize) -> Vec<Arc<str>> {
        self.read().texts.get(count..).map(<[_]>::to_vec).unwrap_or_default()
    }

    /// Those secrets that a map has in it, in whatever form.
    pub fn found_in(&self, map: &weft_model::Map) -> Vec<Arc<str>> {
        if self.is_empty() || !self.hides_in_members(map) {
            return Vec::new();
        }
        let is_in = |text: &Arc<str>| {
            let alone = Self::default();
            alone.add(text);
            alone.hides_in_members(map)
        };
        self.since(0).into_iter().filter(is_in).collect()
    }

    /// Whether there is nothing to hide: the common case, checked once per batch of lines.
    pub fn is_empty(&self) -> bool {
        self.read().searches.is_empty()
    }

    /// `text` with every secret replaced by [`MASK`].
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let ranges = self.read().searches.find(text.as_bytes());
        if ranges.is_empty() {
            return Cow::Borrowed(text);
        }
        let masked = replaced(text.as_bytes(), ranges);
        // What is looked for is text itself, so a match begins and ends where characters do.
        Cow::Owned(
            String::from_utf8(masked)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    }

    /// Masks a text in its place.
    pub fn mask_text(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.mask(text) {
            *text = masked;
        }
    }

    /// Every text and every number in `value` masked, keys too.
    pub fn mask_json(&self, value: &mut Value) {
        if !self.is_empty() {
            self.mask_all(value);
        }
    }

    /// The same for the members of a map.
    pub fn mask_map(&self, map: &mut weft_model::Map) {
        if !self.is_empty() {
            self.mask_members(map);
        }
    }

    fn mask_all(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.mask_text(text),
            Value::Number(number) => {
                if let Cow::Owned(masked) = self.mask(&number.to_string()) {
                    *value = Value::String(masked);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_all(item)),
            Value::Object(members) => self.mask_members(members),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn mask_members(&self, members: &mut weft_model::Map) {
        let keys_are_clean = members.keys().all(|key| matches!(self.mask(key), Cow::Borrowed(_)));
        if !keys_are_clean {
            let masked = std::mem::take(members).into_iter();
            members.extend(masked.map(|(key, value)| (self.mask(&key).into_owned(), value)));
        }
        members.iter_mut().for_each(|(_, member)| self.mask_all(member));
    }

    fn hides_in(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => matches!(self.mask(text), Cow::Owned(_)),
            Value::Number(number) => matches!(self.mask(&number.to_string()), Cow::Owned(_)),
            Value::Array(items) => items.iter().any(|item| self.hides_in(item)),
            Value::Object(members) => self.hides_in_members(members),
            Value::Null | Value::Bool(_) => false,
        }
    }

    fn hides_in_members(&self, members: &weft_model::Map) -> bool {
        members.iter().any(|(key, member)| matches!(self.mask(key), Cow::Owned(_)) || self.hides_in(member))
    }

    /// For the lines of one stream of text, one after the other.
    pub fn lines(&self) -> LineMasker {
        LineMasker::new(self.clone())
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `text` with the ranges, which may overlap, replaced.
fn replaced(text: &[u8], mut ranges: Vec<Range<usize>>) -> Vec<u8> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut masked = Vec::with_capacity(text.len());
    let mut end = 0;
    for range in ranges {
        if range.start >= end {
            masked.extend_from_slice(&text[end..range.start]);
            masked.extend_from_slice(MASK.as_bytes());
        }
        end = end.max(range.end);
    }
    masked.extend_from_slice(&text[end..]);
    masked
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
        masker.add("it's *mine*");
        masker.add("  padded-text ");
        masker.add("aW5uZXIgc2VjcmV0");
        masker.add("");
        masker.add("ab");
        for (text, expected) in [
            ("password is s3cret!", "password is ******!"),
            ("s3cret-and-more", "******"),
            ("in base64: czNjcmV0", "in base64: ******"),
            ("in hex: 733363726574, 7033", "in hex: ******, 7033"),
            ("a key line here", "a ****** here"),
            ("{\"x\": \"p\\\"a ss/wörd\"}", "{\"x\": \"******\"}"),
            ("?p=p%22a%20ss%2Fw%C3%B6rd&q", "?p=******&q"),
            ("S3CRET and S3cret-and-more", "****** and ******"),
            ("P\"A SS/WÖRD", "******"),
            ("as a form: it%27s+*mine*", "as a form: ******"),
            ("'it'\\''s *mine*'", "'******'"),
            ("padded-text", "******"),
            ("decoded: inner secret", "decoded: ******"),
            ("ab is too short to hide", "ab is too short to hide"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(masker.mask(text), expected, "{text}");
        }
    }

    #[test]
    fn the_values_in_a_secret_that_is_json_are_hidden_with_it() {
        let masker = Masker::default();
        let secret = json!({"user": "app", "password": "peony-4411", "pin": 772_211, "port": 5432,
            "nested": [{"token": "deep\nsecret"}, true, null, "id"]});
        masker.add(&secret.to_string());
        for (text, expected) in [
            ("password peony-4411", "password ******"),
            ("PEONY-4411", "******"),
            ("pin 772211", "pin ******"),
            ("deep\\nsecret", "******"),
            // Too short and too common to be a secret of its own.
            ("the app listens on 5432: true, id", "the app listens on 5432: true, id"),
        ] {
            assert_eq!(masker.mask(text), expected, "{text}");
        }
        assert_eq!(masker.mask(&secret.to_string()), MASK);
        assert_eq!(masker.count(), 1);
    }

    #[test]
    fn json_is_masked_in_its_texts_and_numbers() {
        let masker = Masker::default();
        masker.add("s3cret");
        masker.add("8844221");
        let mut value = json!({"a": ["x s3cret", 1, 8844221], "s3cret": {"b": "czNjcmV0"}, "c": null});
        masker.mask_json(&mut value);
        assert_eq!(value, json!({"a": ["x ******", 1, "******"], "c": null, "******": {"b": "******"}}));
    }

    #[test]
    fn a_branch_begins_with_what_is_known_and_goes_its_own_way() {
        let parent = Masker::default();
        parent.add("of the parent");
        let child = parent.branch();
        child.add_all(["of the child", "of the child"]);
        assert_eq!(child.mask("of the parent, of the child"), "******, ******");
        assert_eq!(parent.mask("of the child"), "of the child");
        assert_eq!(child.since(1), ["of the child".into()]);
        assert_eq!(child.since(2), []);
        for (handed_up, found) in [
            (json!({"x": ["b2YgdGhlIGNoaWxk"]}), &["of the child"][..]),
            (json!({"of the parent": 1, "x": "OF THE CHILD"}), &["of the parent", "of the child"]),
            (json!({"x": "else"}), &[]),
        ] {
            let in_map = child.found_in(handed_up.as_object().unwrap());
            assert_eq!(in_map.iter().map(|text| &**text).collect::<Vec<_>>(), found, "{handed_up}");
        }
    }

    #[test]
    fn hundreds_of_secrets_are_all_hidden() {
        let masker = Masker::default();
        let secret = |number: u32| format!("token-{:08x}-{number}", number.wrapping_mul(2_654_435_761));
        for number in 0..300 {
            masker.add(&secret(number));
            assert_eq!(masker.mask(&secret(number / 2)), MASK, "{number}");
        }
    }
}
