//! (being written)
pub use minijinja::Value;
