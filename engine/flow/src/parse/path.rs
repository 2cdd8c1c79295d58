//! Where a value stands in a flow, as text only when somebody asks.

use std::borrow::Cow;
use std::fmt;

/// `tasks[2].commands[0]`. Lives on the stack beside the recursion that walks the flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    segment: Segment<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Segment<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    /// The flow itself.
    pub(crate) const ROOT: Path<'static> = Path { parent: None, segment: Segment::Root };

    /// A value of a map.
    pub(crate) fn key(&'p self, key: &'p str) -> Path<'p> {
        Path { parent: Some(self), segment: Segment::Key(key) }
    }

    /// An item of a list.
    pub(crate) fn index(&'p self, index: usize) -> Path<'p> {
        Path { parent: Some(self), segment: Segment::Index(index) }
    }
}

/// Characters of a key that are shown: each mistake below it has its own copy of the path.
const LONGEST_KEY: usize = 60;

/// A key as paths show it.
pub(crate) fn shown(key: &str) -> Cow<'_, str> {
    match key.char_indices().nth(LONGEST_KEY) {
        Some((end, _)) => Cow::Owned(format!("{}...", &key[..end])),
        None => Cow::Borrowed(key),
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::Key(key) if !is_word(key) => write!(f, "['{}']", shown(key)),
            Segment::Key(key) if self.parent.is_some_and(|parent| parent.parent.is_some()) => {
                write!(f, ".{}", shown(key))
            }
            Segment::Key(key) => f.write_str(&shown(key)),
        }
    }
}

fn is_word(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_expressions() {
        let root = Path::ROOT;
        assert_eq!(root.to_string(), "");
        let tasks = root.key("tasks");
        let task = tasks.index(2);
        let env = task.key("env");
        assert_eq!(env.key("A.B").to_string(), "tasks[2].env['A.B']");
        assert_eq!(env.key("A-B").to_string(), "tasks[2].env.A-B");
        let long = "é".repeat(5_000);
        assert_eq!(env.key(&long).to_string(), format!("tasks[2].env['{}...']", "é".repeat(LONGEST_KEY)));
    }
}
