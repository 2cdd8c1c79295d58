//! Where in a flow's source something stands that failed while it ran: a task's property, and a part of its text.

use std::fmt::Debug;
use std::ops::Range;

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
/// `None` where the source cannot be read or has no such task.
pub fn locate(source: &str, task_id: &str, property: &str, bytes: Option<Range<usize>>) -> Option<Span> {
    let lines = Lines::new(source);
    let root = yaml::parse(&lines, &ParseOptions::default(), &mut Vec::new())?;
    let task = find_task(&root, task_id)?;
    let Some(node) = member(task, property) else {
        return task.get("id").map(|entry| entry.value.span);
    };
    let span = match (bytes, Locator::new(&lines, node)) {
        (Some(bytes), Some(mut locator)) => locator.span(bytes),
        _ => node.span,
    };
    Some(span)
}

/// The map with this `id` and a `type`, wherever it nests.
fn find_task<'n>(node: &'n Node, id: &str) -> Option<&'n Map> {
    match &node.kind {
        Kind::List(items) => items.iter().find_map(|item| find_task(item, id)),
        Kind::Map(map) => {
            let is_it = map.get("type").is_some()
                && map.get("id").is_some_and(|entry| entry.value.as_str().is_some_and(|text| text == id));
            if is_it {
                return Some(map);
            }
            // Inputs and triggers have ids and types too.
            let within = |key: &str| !matches!(key, "inputs" | "triggers" | "outputs" | "pluginDefaults");
            let entries = map.entries.iter().filter(|entry| within(&entry.key));
            entries.map(|entry| &entry.value).find_map(|value| find_task(value, id))
        }
        _ => None,
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
