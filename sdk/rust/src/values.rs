//! JSON as text.

use serde_json::Value;

/// A value as JSON text. `Value::to_string` would do the same, through a second serializer that then has to be linked.
pub(crate) fn json_text(value: &Value) -> String {
    // Keys are text and a writer into memory does not fail, so neither does this.
    serde_json::to_string(value).unwrap_or_default()
}
