//! Ids and namespaces: which characters they may have.

use super::Reader;
use super::path::Path;
use crate::codes::INVALID_ID;
use crate::yaml::Node;
use crate::{Diagnostic, Span};

/// What an id names, which decides what it may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdKind {
    Flow,
    Namespace,
    /// Tasks, triggers and worker groups.
    Task,
    /// Inputs and outputs; a dot makes a map.
    Input,
}

impl IdKind {
    fn max_length(self) -> usize {
        match self {
            IdKind::Flow => 100,
            IdKind::Namespace => 150,
            IdKind::Task | IdKind::Input => 256,
        }
    }

    fn what(self) -> &'static str {
        match self {
            IdKind::Flow => "flow id",
            IdKind::Namespace => "namespace",
            IdKind::Task => "id",
            IdKind::Input => "name",
        }
    }

    fn allows(self, c: char, first: bool) -> bool {
        let alphanumeric = match self {
            IdKind::Namespace => c.is_ascii_lowercase() || c.is_ascii_digit(),
            _ => c.is_ascii_alphanumeric(),
        };
        alphanumeric || (!first && (matches!(c, '_' | '-') || (c == '.' && self != IdKind::Task)))
    }

    fn alphabet(self) -> &'static str {
        match self {
            IdKind::Namespace => "lower-case letters, digits, `.`, `_` and `-`",
            IdKind::Flow | IdKind::Input => "letters, digits, `.`, `_` and `-`",
            IdKind::Task => "letters, digits, `_` and `-`",
        }
    }

    /// The id with everything that is not allowed replaced, if that leaves one.
    fn mended(self, text: &str) -> Option<String> {
        let text = if self == IdKind::Namespace { text.to_lowercase() } else { text.to_owned() };
        let mended: String = text.chars().map(|c| if self.allows(c, false) { c } else { '-' }).collect();
        let mended = mended.trim_start_matches(['-', '_', '.']).trim_end_matches('-');
        (!mended.is_empty() && mended.len() <= self.max_length()).then(|| mended.to_owned())
    }
}

impl Reader<'_> {
    /// An id with its place; also one that is not valid, so that references to it are not reported on top. None for one
    /// that is too long to be quoted in messages.
    pub(crate) fn id(&mut self, node: &Node, path: &Path<'_>, kind: IdKind) -> Option<(String, Span)> {
        let text = self.text(node, path)?;
        let bad = text.chars().enumerate().find(|&(index, c)| !kind.allows(c, index == 0));
        let too_long = text.len() > kind.max_length();
        let message = match bad {
            _ if text.is_empty() => format!("a {} cannot be empty", kind.what()),
            _ if too_long => {
                format!(
                    "this {} has {} characters, {} are allowed",
                    kind.what(),
                    text.len(),
                    kind.max_length()
                )
            }
            Some((0, c)) if kind.allows(c, false) => {
                format!("`{text}` is not a valid {}: it cannot begin with `{c}`", kind.what())
            }
            Some((_, c)) => format!("`{text}` is not a valid {}: it cannot have `{c}`", kind.what()),
            None => return Some((text, node.span)),
        };
        let hint = match kind.mended(&text).filter(|mended| *mended != text) {
            Some(mended) => format!("use {}, as in `{mended}`", kind.alphabet()),
            None => format!("use {}", kind.alphabet()),
        };
        self.push(Diagnostic::error(INVALID_ID, self.head(node), message).at(path).hint(hint));
        // Each message about what has the id quotes it.
        (!too_long).then_some((text, node.span))
    }
}
