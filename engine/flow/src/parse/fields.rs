//! Takes the properties of a map one by one; what is left at the end is unknown.

use super::Reader;
use super::path::Path;
use crate::codes::{MISSING_PROPERTY, UNKNOWN_PROPERTY};
use crate::suggest;
use crate::yaml::{Entry, Map, Node};
use crate::{Diagnostic, Span};

/// Up to this many names, a hint lists all that are allowed.
const FEW: usize = 12;

/// A map whose properties are being read.
pub(crate) struct Fields<'n> {
    map: &'n Map,
    /// Where the map stands.
    span: Span,
    taken: Vec<bool>,
    /// Every name that was asked for: those are the ones that exist.
    known: Vec<&'static str>,
    /// How many of them everything of this kind has: a hint that lists names leaves them out.
    common: usize,
    /// What was reported as missing, with the index of the diagnostic.
    missing: Vec<(&'static str, usize)>,
    /// What its `type` can look like; a type of the catalogue where nobody says so.
    example_type: &'static str,
}

impl<'n> Fields<'n> {
    pub(crate) fn new(map: &'n Map, span: Span) -> Self {
        Self {
            map,
            span,
            taken: vec![false; map.entries.len()],
            known: Vec::with_capacity(24),
            common: 0,
            missing: Vec::new(),
            example_type: ANY_TASK,
        }
    }

    /// Says what its `type` can look like.
    pub(crate) fn set_example_type(&mut self, example: &'static str) {
        self.example_type = example;
    }

    /// What the value of a property can look like.
    fn example(&self, key: &str) -> &'static str {
        if key == "type" { self.example_type } else { example(key) }
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

    /// Takes the property that is meant to have this name and has a typing mistake in it.
    fn take_misspelt(&mut self, key: &'static str) -> Option<&'n Entry> {
        let is_meant = |entry: &Entry| suggest::nearest(&entry.key, [key]).is_some();
        let entries = self.map.entries.iter().zip(&self.taken);
        let index = entries.enumerate().find(|(_, (entry, taken))| !**taken && is_meant(entry))?.0;
        self.taken[index] = true;
        Some(&self.map.entries[index])
    }

    /// Takes a property that does not exist, so that it can be reported in words of its own.
    pub(crate) fn take_unknown(&mut self, key: &str) -> Option<&'n Entry> {
        let index = self.map.entries.iter().position(|entry| entry.key == key)?;
        self.taken[index] = true;
        Some(&self.map.entries[index])
    }

    /// What nobody asked for, in the order of the source.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &'n Entry> + '_ {
        self.map.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken).map(|(entry, _)| entry)
    }

    /// Every name that was asked for so far.
    pub(crate) fn known(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.known.iter().copied()
    }

    /// Says that what was asked for so far is what everything of this kind has.
    pub(crate) fn end_common(&mut self) {
        self.common = self.known.len();
    }

    /// Names that everything of this kind has.
    pub(crate) fn common(&self) -> &[&'static str] {
        &self.known[..self.common]
    }

    /// Where the value of a property stands.
    pub(crate) fn span_of(&self, key: &str) -> Option<Span> {
        self.map.get(key).map(|entry| entry.value.span)
    }

    /// Where to point for something that is not there: the first property, if it is short.
    pub(crate) fn head(&self) -> Span {
        let Some(first) = self.map.entries.first() else { return self.span };
        let one_line = first.key_span.start.line == first.value.span.end.line;
        Span::new(first.key_span.start, if one_line { first.value.span.end } else { first.key_span.end })
    }
}

/// Properties without which little else of a map can be checked: a typing mistake in their names is looked through.
const LEADING: [&str; 2] = ["type", "tasks"];

/// What the type of a task can look like.
const ANY_TASK: &str =
    "...` with a type that `weft plugins list` shows, as in `type: io.kestra.plugin.core.log.Log";

/// What the value of a property of the engine, but for `type`, can look like.
fn example(key: &str) -> &'static str {
    match key {
        "id" => "a-unique-name",
        "namespace" => "company.team",
        "tasks" | "then" => "` and, indented below it, a list of tasks that begin with `- id:",
        "task" => "` and, indented below it, the task with its `id` and `type",
        "itemType" => "STRING",
        "condition" => "\"{{ ... }}\"",
        "value" => "\"{{ outputs.a_task.value }}\"",
        "values" => "[a, b]",
        "flowId" => "a-flow",
        "interval" | "minInterval" => "PT10S",
        "maxInterval" | "duration" => "PT5M",
        "limit" => "1",
        "patterns" => "[\"node_modules/**\"]",
        "items" => "\"{{ outputs.a_task.uri }}\"",
        "cases" => "` and, indented below it, a list of tasks for each value",
        _ => "...",
    }
}

impl Reader<'_> {
    /// The properties of a map.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, path: &Path<'_>) -> Option<Fields<'n>> {
        self.map(node, path).map(|map| Fields::new(map, node.span))
    }

    /// Reports what nobody asked for. `what` is what the map describes: "task `hello`".
    pub(crate) fn finish(&mut self, fields: Fields<'_>, path: &Path<'_>, what: &str) {
        let (common, own) = fields.known.split_at(fields.common);
        for entry in fields.rest() {
            self.unknown_property(entry, (path, what), own, common);
        }
        // A name with a typing mistake is one mistake: the property is not missing on top.
        for &(key, index) in fields.missing.iter().rev() {
            if fields
                .rest()
                .any(|entry| suggest::nearest(&entry.key, fields.known.iter().copied()) == Some(key))
            {
                self.diagnostics.remove(index);
            }
        }
    }

    /// Reports a property that does not exist. The names in `common` exist too, but go without saying.
    pub(crate) fn unknown_property(
        &mut self,
        entry: &Entry,
        (path, what): (&Path<'_>, &str),
        own: &[&str],
        common: &[&str],
    ) {
        let hint = self.unknown_property_hint(&entry.key, own, common);
        self.push_unknown_property(entry, (path, what), hint);
    }

    /// What to write in place of a property that does not exist.
    pub(crate) fn unknown_property_hint(&self, key: &str, own: &[&str], common: &[&str]) -> Option<String> {
        let names = own.iter().chain(common).copied();
        let longer = || {
            let begins = |name: &&&str| key.len() >= suggest::SHORTEST_PART && name.starts_with(key);
            own.iter().find(begins).map(|name| format!("did you mean `{name}`?"))
        };
        self.did_you_mean(key, names).or_else(longer).or_else(|| match own.len() {
            1..=FEW => {
                let mut names = own.to_vec();
                names.sort_unstable();
                let more = if common.is_empty() { "" } else { ", and what all of its kind have" };
                Some(format!("it can have {}{more}", suggest::enumerate(names, "and")))
            }
            _ => None,
        })
    }

    pub(crate) fn push_unknown_property(
        &mut self,
        entry: &Entry,
        (path, what): (&Path<'_>, &str),
        hint: Option<String>,
    ) {
        let message = format!("unknown property `{}` of {what}", entry.key);
        let diagnostic = Diagnostic::error(UNKNOWN_PROPERTY, entry.key_span, message);
        self.push(diagnostic.at(path.key(&entry.key)).maybe_hint(hint));
    }

    /// A property that may be absent.
    pub(crate) fn optional<'n, T>(
        &mut self,
        fields: &mut Fields<'n>,
        key: &'static str,
        path: &Path<'_>,
        read: impl FnOnce(&mut Self, &'n Node, &Path<'_>) -> Option<T>,
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
        read: impl FnOnce(&mut Self, &'n Node, &Path<'_>) -> Option<T>,
    ) -> Option<T> {
        match fields.take_even_null(key) {
            Some(entry) if !entry.value.is_null() => read(self, &entry.value, &path.key(key)),
            Some(entry) => {
                let message = format!("property `{key}` of {what} has no value");
                let hint = format!("write `{key}: {}`", fields.example(key));
                let diagnostic = Diagnostic::error(MISSING_PROPERTY, entry.key_span, message);
                self.push(diagnostic.at(path.key(key)).hint(hint));
                None
            }
            None => {
                match LEADING.contains(&key).then(|| self.misspelt(fields, key, (path, what))).flatten() {
                    Some(entry) => read(self, &entry.value, &path.key(key)),
                    None => {
                        self.missing(fields, key, (path, what));
                        None
                    }
                }
            }
        }
    }

    /// A property that is there under a name with a typing mistake: it is reported, and can be read all the same.
    pub(crate) fn misspelt<'n>(
        &mut self,
        fields: &mut Fields<'n>,
        key: &'static str,
        at: (&Path<'_>, &str),
    ) -> Option<&'n Entry> {
        let entry = fields.take_misspelt(key)?;
        self.push_unknown_property(entry, at, Some(format!("did you mean `{key}`?")));
        Some(entry).filter(|entry| !entry.value.is_null())
    }

    /// Reports that a property is not there.
    pub(crate) fn missing(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        (path, what): (&Path<'_>, &str),
    ) {
        fields.missing.push((key, self.diagnostics.len()));
        let message = format!("{what} has no property `{key}`");
        let hint = format!("add `{key}: {}`", fields.example(key));
        self.push(Diagnostic::error(MISSING_PROPERTY, fields.head(), message).at(path).hint(hint));
    }
}
