//! Ids that are there twice.

use std::collections::HashMap;

use crate::codes::DUPLICATE_ID;
use crate::parse::Path;
use crate::{Diagnostic, Span};

/// Reports an id that is there for the second time. `what` is the kind of thing: "task".
pub(crate) fn duplicate(
    what: &str,
    (id, span, path): (&str, Span, &Path<'_>),
    (first, first_path): (Span, &str),
) -> Diagnostic {
    Diagnostic::error(DUPLICATE_ID, span, format!("two {what}s have the id `{id}`"))
        .at(path)
        .hint(format!("rename one of the two; ids of {what}s are unique in the whole flow"))
        .related(first, format!("the other is `{first_path}`"))
}

/// The ids of one kind of thing, with where each was first seen.
#[derive(Debug)]
pub(crate) struct Ids {
    what: &'static str,
    seen: HashMap<String, (Span, String)>,
}

impl Ids {
    /// For one kind of thing: "input".
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, seen: HashMap::new() }
    }

    /// Remembers an id; a diagnostic if it was there before.
    pub(crate) fn add(&mut self, id: &str, span: Span, path: &Path<'_>) -> Option<Diagnostic> {
        if let Some((first, first_path)) = self.seen.get(id) {
            return Some(duplicate(self.what, (id, span, path), (*first, first_path)));
        }
        self.seen.insert(id.to_owned(), (span, path.to_string()));
        None
    }
}
