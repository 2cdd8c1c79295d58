//! Finds many texts at once, also while more of them become known.
//!
//! An automaton cannot grow, only be built anew, and to build one of all texts for each new one would be quadratic: an
//! execution that starts thousands of others learns a token of each. So there are several, and one that is smaller than
//! what comes is built anew together with it: each text is in few builds, and there are few automatons to look through.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};

use super::lines::Fragments;

/// Up to so many texts, there is one automaton: then to build it costs less than to look through a second one.
const ONE: usize = 500;

/// Automatons, the largest first. Copies share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Searches {
    parts: Vec<Arc<Part>>,
    known: HashSet<Arc<str>>,
    /// Changes whenever texts are added.
    generation: u64,
}

/// An automaton and what it looks for.
#[derive(Debug)]
pub(super) struct Part {
    patterns: Vec<Arc<str>>,
    whole: AhoCorasick,
    /// Pieces of secrets that were cut by the end of a line.
    pub(super) fragments: Option<Fragments>,
}

impl Searches {
    /// Looks for these texts, too.
    pub(super) fn add(&mut self, texts: BTreeSet<String>) {
        let mut new: Vec<Arc<str>> = Vec::new();
        for text in texts {
            let text: Arc<str> = text.into();
            if self.known.insert(Arc::clone(&text)) {
                new.push(text);
            }
        }
        if new.is_empty() {
            return;
        }
        self.generation += 1;
        while let Some(last) =
            self.parts.pop_if(|last| last.patterns.len() <= new.len() || self.known.len() <= ONE)
        {
            new.extend(last.patterns.iter().cloned());
        }
        self.parts.extend(Part::new(new).map(Arc::new));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Where in `text` something is found. The ranges may overlap.
    pub(super) fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let found =
            |part: &Arc<Part>| part.whole.find_iter(text).map(|found| found.range()).collect::<Vec<_>>();
        self.parts.iter().flat_map(found).collect()
    }

    pub(super) fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }
}

impl Part {
    /// None if there are too many texts for an automaton: gigabytes of them.
    fn new(patterns: Vec<Arc<str>>) -> Option<Self> {
        // Longest first, so that a secret that contains another is hidden as a whole.
        let whole = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns.iter().map(|pattern| pattern.as_bytes()))
            .ok()?;
        let fragments = Fragments::new(&patterns);
        Some(Self { patterns, whole, fragments })
    }
}
