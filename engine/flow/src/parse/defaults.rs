//! `pluginDefaults`: values for all tasks and triggers of a type or a package, merged in before anything is read.

use std::borrow::Cow;
use std::cell::Cell;

use super::Reader;
use super::path::Path;
use crate::aliases::canonical;
use crate::codes::NO_EFFECT;
use crate::yaml::{Entry, Kind, Map, Node};
use crate::{Catalogue, Diagnostic, Span, suggest};

/// The defaults of a flow, the most specific first.
#[derive(Default)]
pub(crate) struct Defaults<'a> {
    entries: Vec<PluginDefault<'a>>,
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
    /// Whether it was merged into anything.
    used: Cell<bool>,
    /// Where its type stands.
    span: Span,
    path: String,
}

impl PluginDefault<'_> {
    fn applies_to(&self, written: &str, canonical: &str) -> bool {
        self.canonical == canonical || is_in(written, self.pattern) || is_in(canonical, self.pattern)
    }
}

/// Whether a type is, or lies in the package, `pattern`.
fn is_in(type_name: &str, pattern: &str) -> bool {
    type_name.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Defaults<'_> {
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
        let own = type_of(map).is_some_and(|written| {
            let canonical = canonical(written, catalogue);
            self.entries.iter().any(|default| default.applies_to(written, canonical))
        });
        own || map
            .entries
            .iter()
            .filter_map(|entry| entry.value.as_map())
            .any(|inner| self.touches(inner, catalogue))
    }

    fn merge_into(&self, map: &mut Map, catalogue: &dyn Catalogue) {
        if let Some(written) = type_of(map).map(str::to_owned) {
            let canonical = canonical(&written, catalogue);
            let matching = || self.entries.iter().filter(|default| default.applies_to(&written, canonical));
            for default in matching().filter(|default| !default.forced) {
                default.used.set(true);
                merge(map, default.values, false);
            }
            // The most specific one is last and wins.
            for default in matching().filter(|default| default.forced).rev() {
                default.used.set(true);
                merge(map, default.values, true);
            }
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
        self.defaults.entries.sort_by_key(|default| std::cmp::Reverse(default.pattern.len()));
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
        self.defaults.entries.push(PluginDefault { pattern, canonical, forced, values, used, span, path });
    }

    /// Reports defaults for types that the flow does not use.
    pub(crate) fn check_defaults_used(&mut self) {
        let defaults = std::mem::take(&mut self.defaults);
        let catalogue = self.catalogue;
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
                    suggest::package_hint(pattern, &catalogue.type_names())
                }
                None => self.type_hint(pattern, || catalogue.type_names()),
            };
            let diagnostic = Diagnostic::warning(NO_EFFECT, default.span, message);
            self.push(diagnostic.at(&default.path).maybe_hint(hint));
        }
    }
}
