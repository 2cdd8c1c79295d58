//! What one rendering may use. Meeting a limit is an error that names it; nothing is cut silently.

/// Bounds of one rendering, taken from [`Environment::limits`](crate::Environment::limits).
///
/// The depth of an expression's own syntax is bounded by the parser and is not configurable: it protects the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep values built by a template (lists in lists, maps in maps) may nest, and macros may call macros.
    pub depth: usize,
    /// Rounds of all loops, and elements that functions and filters make, of one rendering.
    pub iterations: usize,
    /// Bytes of text that one rendering may write, and of any single text made on the way.
    pub output_bytes: usize,
    /// How often `render()` may find another template in what it rendered.
    pub recursion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 128, iterations: 1_000_000, output_bytes: 64 * 1024 * 1024, recursion: 16 }
    }
}
