//! What one rendering may use. Meeting a limit is an error that names it; nothing is cut silently.

/// Bounds of one rendering, taken from [`Environment::limits`](crate::Environment::limits).
///
/// How deep a template's own syntax nests is bounded by the parser and is not configurable: it protects the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep lists and maps that a template makes may nest.
    pub depth: usize,
    /// Rounds of all loops together. Calls, elements of lists and every kilobyte of text count as rounds too.
    pub iterations: usize,
    /// Bytes of what is rendered, and of any single text made on the way.
    pub output_bytes: usize,
    /// How many templates `render()` may find in templates, and how often it renders its own result again.
    pub recursion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 100, iterations: 1_000_000, output_bytes: 64 * 1024 * 1024, recursion: 100 }
    }
}
