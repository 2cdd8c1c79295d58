//! What the crate must know of plugins. It never knows a task type by name: whoever has the plugins tells it.

use serde_json::Value;

/// The task and trigger types that can be used, as the plugins describe themselves.
pub trait Catalogue: Send + Sync {
    /// The task type with this name or alias.
    fn task(&self, type_name: &str) -> Option<&TypeInfo>;

    /// The trigger type with this name or alias.
    fn trigger(&self, type_name: &str) -> Option<&TypeInfo>;

    /// The names of all task and trigger types, without aliases.
    fn type_names(&self) -> Vec<&str>;

    /// Where types may be that were not looked for, and what to do about it.
    fn not_looked_at(&self) -> Option<Elsewhere> {
        None
    }
}

/// A place that may have a type which is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// What was not looked at, and why: follows on a message.
    pub why: String,
    /// What to do.
    pub hint: String,
}

/// A task or trigger type.
///
/// `properties` may use these keywords beside those of JSON Schema, each on the schema of one property:
/// `x-weft-static: true` (never rendered, so an expression is not accepted in place of another type) and
/// `x-weft-role: "set-variables"` (the keys of the given map become variables that later tasks see as `vars`).
#[derive(Debug, Clone, Default)]
pub struct TypeInfo {
    /// The name that plugin defaults, suggestions and documentation use.
    pub type_name: String,
    /// Other names of the same type.
    pub aliases: Vec<String>,
    /// JSON Schema (2020-12) of the properties, without those that every task has.
    pub properties: Value,
    /// JSON Schema of the outputs, or null if nothing is known of them.
    pub outputs: Value,
    /// One line about it.
    pub title: String,
    /// What to use instead, where it is not to be used any more.
    pub deprecated: Option<String>,
}
