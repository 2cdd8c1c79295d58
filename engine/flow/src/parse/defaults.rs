//! `pluginDefaults`: values for all tasks and triggers of a type or a package, merged in before anything is read.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;

use super::Reader;
use super::path::Path;
use crate::aliases::canonical;
use crate::codes::{NO_EFFECT, YAML_LIMIT};
use crate::yaml::{Entry, Kind, Map, Node};
use crate::{Catalogue, Diagnostic, Span, suggest};

/// Values that are merged into the tasks of a flow: a few lines of defaults for many tasks must not mean gigabytes.
const MOST_VALUES: usize = 10_000_000;

/// Bytes of a type's name beyond which no default is for it.
const LONGEST_TYPE: usize = 1_000;

/// The defaults of a flow, the most specific first.
#[derive(Default)]
pub(crate) struct Defaults<'a> {
    entries: Vec<PluginDefault<'a>>,
    /// Which of them are for a type, or a package, as written.
    by_pattern: HashMap<&'a str, Vec<usize>>,
    /// Which are for a type, under whatever name.
    by_canonical: HashMap<String, Vec<usize>>,
    /// How many values were merged so far.
    merged: Cell<usize>,
}

/// One of them.
struct PluginDefault<'a> {
    /// The type or package as written, without a trailing dot.
    pattern: &'a str,
    /// The name to which the pattern's type is an alias; the pattern itself for a package.
    canonical: String,
    /// Whether it wins over what the task says.
    forced: bool,
    values: &'a Map,
    /// How many values these are.
    weight: usize,
    /// Whether it was merged into anything.
    used: Cell<bool>,
    /// Where its type stands.
    span: Span,
    path: String,
}

/// A type and the packages that it lies in.
fn with_packages(type_name: &str) -> impl Iterator<Item = &str> {
    type_name.match_indices('.').map(|(dot, _)| &type_name[..dot]).chain([type_name])
}

/// How many values there are in one, itself included; of long texts, as many as they are worth.
fn weight(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::List(items) => items.iter().map(weight).sum(),
        Kind::Map(map) => map.entries.iter().map(|entry| weight(&entry.value)).sum(),
        Kind::String(text) => text.value.len() / 64,
        _ => 0,
    }
}

impl Defaults<'_> {
    /// Which defaults are for a type, the most specific first.
    fn matching(&self, written: &str, catalogue: &dyn Catalogue) -> Vec<usize> {
        let canonical = canonical(written, catalogue);
        if written.len().max(canonical.len()) > LONGEST_TYPE {
            return Vec::new();
        }
        let patterns = with_packages(written).chain(with_packages(canonical));
        let found = patterns.filter_map(|pattern| self.by_pattern.get(pattern));
        let mut found: Vec<usize> =
            found.chain(self.by_canonical.get(canonical)).flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether another merge of so many values is within what a flow may have.
    fn spend(&self, values: usize) -> bool {
        let merged = self.merged.get().saturating_add(values);
        self.merged.set(merged);
        merged <= MOST_VALUES
    }

    /// A map with the defaults of its type, and of the types of maps in it, merged in. A map whose `type` no default
    /// is for is not copied.
    pub(crate) fn apply<'m>(&self, map: &'m Map, catalogue: &dyn Catalogue) -> Cow<'m, Map> {
        if self.entries.is_empty() || !self.touches(map, catalogue) {
            return Cow::Borrowed(map);
        }
        let mut merged = map.clone();
        self.merge_into(&mut merged, catalogue);
        Cow::Owned(merged)
    }

    /// Whether any default applies to the map or to one in it. Lists are left alone: those of a flowable are tasks,
    /// which get their defaults when they are read.
    fn touches(&self, map: &Map, catalogue: &dyn Catalogue) -> bool {
        let own = type_of(map).is_some_and(|written| !self.matching(written, catalogue).is_empty());
        own || map
            .entries
            .iter()
            .filter_map(|entry| entry.value.as_map())
            .any(|inner| self.touches(inner, catalogue))
    }

    fn merge_into(&self, map: &mut Map, catalogue: &dyn Catalogue) {
        if let Some(written) = type_of(map).map(str::to_owned) {
            let matching = self.matching(&written, catalogue);
            let matching = || matching.iter().map(|&index| &self.entries[index]);
            let add = |map: &mut Map, default: &PluginDefault<'_>| {
                default.used.set(true);
                // Each key is looked for among those that are there.
                if self.spend(default.weight + default.values.entries.len() * map.entries.len() / 8) {
                    merge(map, default.values, default.forced);
                }
            };
            matching().filter(|default| !default.forced).for_each(|default| add(map, default));
            // The most specific one is last and wins.
            matching().filter(|default| default.forced).rev().for_each(|default| add(map, default));
        }
        for entry in &mut map.entries {
            if let Kind::Map(inner) = &mut entry.value.kind {
                self.merge_into(inner, catalogue);
            }
        }
    }
}

fn type_of(map: &Map) -> Option<&str> {
    map.get("type")?.value.as_str()
}

/// Adds what is not there; where both have a map, inside it. `forced` replaces what is there.
fn merge(map: &mut Map, values: &Map, forced: bool) {
    for entry in &values.entries {
        match map.entries.iter_mut().find(|own| own.key == entry.key) {
            None => map.entries.push(entry.clone()),
            Some(Entry { value: Node { kind: Kind::Map(own), .. }, .. })
                if entry.value.as_map().is_some() =>
            {
                if let Some(other) = entry.value.as_map() {
                    merge(own, other, forced);
                }
            }
            Some(own) if forced => own.value = entry.value.clone(),
            Some(_) => {}
        }
    }
}

impl<'a> Reader<'a> {
    /// Reads `pluginDefaults` (or `taskDefaults`).
    pub(crate) fn read_defaults(&mut self, node: &'a Node, path: &Path<'_>) -> Option<()> {
        let items = self.list(node, path, "defaults")?;
        for (index, item) in items.iter().enumerate() {
            self.read_default(item, &path.index(index));
        }
        // Longer patterns are more specific; of two equals the first counts.
        let Defaults { entries, by_pattern, by_canonical, .. } = &mut self.defaults;
        entries.sort_by_key(|default| std::cmp::Reverse(default.pattern.len()));
        (*by_pattern, *by_canonical) = (HashMap::new(), HashMap::new());
        for (index, default) in entries.iter().enumerate() {
            by_pattern.entry(default.pattern).or_default().push(index);
            by_canonical.entry(default.canonical.clone()).or_default().push(index);
        }
        Some(())
    }

    fn read_default(&mut self, item: &'a Node, path: &Path<'_>) {
        let what = "this default";
        let Some(mut fields) = self.fields(item, path) else { return };
        fields.set_example_type("io.kestra.plugin.core.log.Log");
        let pattern = self.required(&mut fields, "type", (path, what), |reader, node, path| {
            if node.as_str().is_none() {
                reader.wrong_type(node, path, "a task type or a package");
            }
            node.as_str().map(|text| (text, node.span))
        });
        let forced = self.optional(&mut fields, "forced", path, Self::boolean).unwrap_or(false);
        let values = self.required(&mut fields, "values", (path, what), |reader, node, path| {
            reader.check_expressions(node, path);
            reader.map(node, path)
        });
        self.finish(fields, path, what);
        let (Some((pattern, span)), Some(values)) = (pattern, values) else { return };
        let pattern = pattern.trim_end_matches('.');
        let canonical = canonical(pattern, self.catalogue).to_owned();
        let (used, path) = (Cell::new(false), path.key("type").to_string());
        let weight = values.entries.iter().map(|entry| weight(&entry.value)).sum();
        self.defaults.entries.push(PluginDefault {
            pattern,
            canonical,
            forced,
            values,
            weight,
            used,
            span,
            path,
        });
    }

    /// Reports defaults for types that the flow does not use.
    pub(crate) fn check_defaults_used(&mut self) {
        let defaults = std::mem::take(&mut self.defaults);
        let catalogue = self.catalogue;
        if defaults.merged.get() > MOST_VALUES
            && let Some(first) = defaults.entries.first()
        {
            let message =
                format!("the defaults of this flow come to more than {MOST_VALUES} values in its tasks");
            let hint = "give fewer values to fewer tasks";
            self.push(Diagnostic::error(YAML_LIMIT, first.span, message).at(&first.path).hint(hint));
        }
        for default in defaults.entries.iter().filter(|default| !default.used.get()) {
            let pattern = default.pattern;
            let message =
                format!("nothing in the flow is, or is in, `{pattern}`, so this default has no effect");
            let hint = match catalogue.task(pattern).or_else(|| catalogue.trigger(pattern)) {
                Some(_) => None,
                // Types begin with a capital letter, packages do not.
                None if pattern
                    .rsplit('.')
                    .next()
                    .is_some_and(|name| name.starts_with(char::is_lowercase)) =>
                {
                    let names = catalogue.type_names();
                    self.suggestions
                        .take(names.len())
                        .then(|| suggest::package_hint(pattern, &names))
                        .flatten()
                }
                None => self.type_hint(pattern, || catalogue.type_names()),
            };
            let diagnostic = Diagnostic::warning(NO_EFFECT, default.span, message);
            self.push(diagnostic.at(&default.path).maybe_hint(hint));
        }
    }
}
