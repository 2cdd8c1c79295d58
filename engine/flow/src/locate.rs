//! Where in a flow's source something stands that failed while it ran: a task's property, and a part of its text.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::ops::{ControlFlow, Range};

use crate::span::Lines;
use crate::yaml::{self, Kind, Locator, Map, Node};
use crate::{ParseOptions, Span};

/// Finds what failed in the source that a flow was read from.
pub trait Places: Debug + Send + Sync {
    /// `flow.yaml:12:14` for a property of a task and some bytes of its text.
    fn place(&self, task_id: &str, property: &str, bytes: Option<Range<usize>>) -> Option<String>;
}

/// Of a flow whose source nobody kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPlaces;

impl Places for NoPlaces {
    fn place(&self, _: &str, _: &str, _: Option<Range<usize>>) -> Option<String> {
        None
    }
}

/// Where `property` of a task stands: `message`, `env.KEY`, `commands[2]`. With `bytes`, the part of its text that these
/// bytes of the value are. Where the property is not the task's own (a plugin default), the task itself.
///
/// `None` where the source cannot be read or has no such task. The source is read each time: for many questions see
/// [`Tasks`].
pub fn locate(source: &str, task_id: &str, property: &str, bytes: Option<Range<usize>>) -> Option<Span> {
    let lines = Lines::new(source);
    let root = yaml::parse(&lines, &ParseOptions::default(), &mut Vec::new())?;
    place(&lines, find_task(&root, task_id)?, property, bytes)
}

fn place(lines: &Lines<'_>, task: &Map, property: &str, bytes: Option<Range<usize>>) -> Option<Span> {
    let Some(node) = member(task, property) else {
        return task.get("id").map(|entry| entry.value.span);
    };
    let span = match (bytes, Locator::new(lines, node)) {
        (Some(bytes), Some(mut locator)) => locator.span(bytes),
        _ => node.span,
    };
    Some(span)
}

/// The tasks of a source by their ids: finding one costs no search.
pub(crate) struct Tasks<'n> {
    lines: &'n Lines<'n>,
    by_id: HashMap<&'n str, &'n Map>,
}

impl<'n> Tasks<'n> {
    /// Those below a node. Of two with one id, the first is found.
    pub(crate) fn of(lines: &'n Lines<'n>, root: &'n Node) -> Self {
        let mut by_id = HashMap::new();
        let all = visit_tasks(root, &mut |id, task| {
            by_id.entry(id).or_insert(task);
            ControlFlow::<Infallible>::Continue(())
        });
        debug_assert!(all.is_continue(), "nothing ends the visit before the last task");
        Self { lines, by_id }
    }

    /// As [`locate`], for a property as a whole.
    pub(crate) fn locate(&self, task_id: &str, property: &str) -> Option<Span> {
        place(self.lines, self.by_id.get(task_id)?, property, None)
    }

    /// Where the values of a property stand that is a map, by key.
    pub(crate) fn members(&self, task_id: &str, property: &str) -> HashMap<&'n str, Span> {
        let map = self.by_id.get(task_id).and_then(|task| task.get(property)?.value.as_map());
        let entries = map.map_or(&[][..], |map| &map.entries);
        entries.iter().map(|entry| (entry.key.as_str(), entry.value.span)).collect()
    }
}

/// The map with this `id` and a `type`, wherever it nests.
fn find_task<'n>(node: &'n Node, wanted: &str) -> Option<&'n Map> {
    let found = visit_tasks(node, &mut |id, task| match id == wanted {
        true => ControlFlow::Break(task),
        false => ControlFlow::Continue(()),
    });
    found.break_value()
}

/// Shows every map with an `id` and a `type`, wherever it nests, outer ones before inner ones.
fn visit_tasks<'n, B>(
    node: &'n Node,
    visit: &mut impl FnMut(&'n str, &'n Map) -> ControlFlow<B>,
) -> ControlFlow<B> {
    match &node.kind {
        Kind::List(items) => items.iter().try_for_each(|item| visit_tasks(item, visit)),
        Kind::Map(map) => {
            if map.get("type").is_some()
                && let Some(id) = map.get("id").and_then(|entry| entry.value.as_str())
            {
                visit(id, map)?;
            }
            // Inputs and triggers have ids and types too.
            let within = |key: &str| !matches!(key, "inputs" | "triggers" | "outputs" | "pluginDefaults");
            let mut entries = map.entries.iter().filter(|entry| within(&entry.key));
            entries.try_for_each(|entry| visit_tasks(&entry.value, visit))
        }
        _ => ControlFlow::Continue(()),
    }
}

/// The value at a path in a map. Keys may have dots themselves, so the longest key that fits is taken.
fn member<'n>(map: &'n Map, path: &str) -> Option<&'n Node> {
    let entry = map
        .entries
        .iter()
        .filter(|entry| {
            path.strip_prefix(entry.key.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
        .max_by_key(|entry| entry.key.len())?;
    follow(&entry.value, &path[entry.key.len()..])
}

fn follow<'n>(node: &'n Node, rest: &str) -> Option<&'n Node> {
    if rest.is_empty() {
        return Some(node);
    }
    if let Some(rest) = rest.strip_prefix('.') {
        return member(node.as_map()?, rest);
    }
    let (index, rest) = rest.strip_prefix('[')?.split_once(']')?;
    follow(node.as_list()?.get(index.parse::<usize>().ok()?)?, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: &str = "id: f
namespace: n
inputs:
  - id: a
    type: STRING
tasks:
  - id: box
    type: Sequential
    tasks:
      - id: a
        type: T
        message: \"one {{ two }}\"
        env:
          KEY.X: é {{ three }}
        commands:
          - |
            first
            {{ second }}
";

    #[test]
    fn places_are_found() {
        for (task, property, bytes, expected) in [
            ("a", "message", None, Some("12:18")),
            ("a", "message", Some(7..10), Some("12:26")),
            ("a", "env.KEY.X", Some(6..11), Some("14:23")),
            ("a", "commands[0]", Some(9..15), Some("18:16")),
            ("a", "commands[4]", None, Some("10:13")),
            ("a", "level", None, Some("10:13")),
            ("box", "tasks", None, Some("10:7")),
            ("c", "message", None, None),
        ] {
            let span = locate(FLOW, task, property, bytes);
            let place = span.map(|span| format!("{}:{}", span.start.line, span.start.column));
            assert_eq!(place.as_deref(), expected, "{task} {property}");
        }
        assert_eq!(locate("a: [", "a", "b", None), None);
    }
}
