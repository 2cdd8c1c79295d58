//! Takes the properties of a map one by one; what is left at the end is unknown.

use super::Reader;
use super::path::Path;
use crate::codes::{MISSING_PROPERTY, UNKNOWN_PROPERTY};
use crate::suggest;
use crate::yaml::{Entry, Map};
use crate::{Diagnostic, Span};

/// Up to this many names, a hint lists all that are allowed.
const FEW: usize = 12;

/// A map whose properties are being read.
pub(crate) struct Fields<'n> {
    map: &'n Map,
    taken: Vec<bool>,
    /// Every name that was asked for: those are the ones that exist.
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    pub(crate) fn new(map: &'n Map) -> Self {
        Self { map, taken: vec![false; map.entries.len()], known: Vec::with_capacity(24) }
    }

    /// The property with this name; `key:` without a value counts as absent.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'n Entry> {
        self.take_even_null(key).filter(|entry| !entry.value.is_null())
    }

    /// The property with this name, with or without a value.
    pub(crate) fn take_even_null(&mut self, key: &'static str) -> Option<&'n Entry> {
        self.known.push(key);
        let index = self.map.entries.iter().position(|entry| entry.key == key)?;
        self.taken[index] = true;
        Some(&self.map.entries[index])
    }

    /// What nobody asked for, in the order of the source.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &'n Entry> + '_ {
        self.map.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken).map(|(entry, _)| entry)
    }

    /// The names that exist.
    pub(crate) fn known(&self) -> &[&'static str] {
        &self.known
    }

    /// Where the value of a property stands.
    pub(crate) fn span_of(&self, key: &str) -> Option<Span> {
        self.map.get(key).map(|entry| entry.value.span)
    }

    /// Where to point for something that is not there: the first property, if it is short.
    pub(crate) fn head(&self) -> Option<Span> {
        let first = self.map.entries.first()?;
        let one_line = first.key_span.start.line == first.value.span.end.line;
        Some(Span::new(first.key_span.start, if one_line { first.value.span.end } else { first.key_span.end }))
    }
}

impl Reader<'_> {
    /// Reports what nobody asked for. `what` is what the map describes: "task `hello`".
    pub(crate) fn finish(&mut self, fields: Fields<'_>, path: &Path<'_>, what: &str) {
        for entry in fields.rest() {
            self.unknown_property(entry, path, what, fields.known());
        }
    }

    /// Reports a property that does not exist.
    pub(crate) fn unknown_property(&mut self, entry: &Entry, path: &Path<'_>, what: &str, known: &[&str]) {
        let hint = self.did_you_mean(&entry.key, known.iter().copied()).or_else(|| match known.len() {
            0 => Some("there are no properties to set".to_owned()),
            1..=FEW => {
                let mut names = known.to_vec();
                names.sort_unstable();
                Some(format!("allowed: {}", suggest::enumerate(names, "and")))
            }
            _ => None,
        });
        let message = format!("unknown property `{}` of {what}", entry.key);
        self.push(
            Diagnostic::error(UNKNOWN_PROPERTY, entry.key_span, message)
                .at(path.key(&entry.key))
                .maybe_hint(hint),
        );
    }

    /// A property that may be absent.
    pub(crate) fn optional<'n, T>(
        &mut self,
        fields: &mut Fields<'n>,
        key: &'static str,
        path: &Path<'_>,
        read: impl FnOnce(&mut Self, &'n crate::yaml::Node, &Path<'_>) -> Option<T>,
    ) -> Option<T> {
        let entry = fields.take(key)?;
        read(self, &entry.value, &path.key(key))
    }

    /// A property that must be there. `what` is what the map describes.
    pub(crate) fn required<'n, T>(
        &mut self,
        fields: &mut Fields<'n>,
        key: &'static str,
        (path, what): (&Path<'_>, &str),
        read: impl FnOnce(&mut Self, &'n crate::yaml::Node, &Path<'_>) -> Option<T>,
    ) -> Option<T> {
        match fields.take_even_null(key) {
            Some(entry) if !entry.value.is_null() => read(self, &entry.value, &path.key(key)),
            Some(entry) => {
                let message = format!("property `{key}` of {what} has no value");
                self.push(Diagnostic::error(MISSING_PROPERTY, entry.key_span, message).at(path.key(key)));
                None
            }
            None => {
                self.missing(fields, key, (path, what));
                None
            }
        }
    }

    /// Reports that a property is not there.
    pub(crate) fn missing(&mut self, fields: &Fields<'_>, key: &str, (path, what): (&Path<'_>, &str)) {
        let message = format!("{what} has no property `{key}`");
        let span = fields.head().unwrap_or(self.place);
        self.push(Diagnostic::error(MISSING_PROPERTY, span, message).at(path));
    }
}
