//! What the operator bounds.

use serde::Deserialize;

/// How much one attempt may hand to the engine; the operator can set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a map")]
pub struct AttemptLimits {
    /// Bytes of JSON of outputs and of changes to the execution together.
    pub output_bytes: u64,
    /// Values in them, and names of members of objects.
    pub output_nodes: u64,
    /// Bytes of one name (of an output, a variable, a metric, a label), and of the value of a label.
    pub key_bytes: u64,
    /// Changes to the execution.
    pub updates: u64,
    /// Labels that are set, by key.
    pub labels: u64,
    /// Metrics that differ in name, type or tags.
    pub metrics: u64,
    /// Bytes of their names and tags.
    pub metric_bytes: u64,
    /// Secrets that are hidden from then on, each counted once.
    pub secrets: u64,
    /// Their bytes.
    pub secret_bytes: u64,
    /// Bytes of JSON written into key-value stores.
    pub kv_bytes: u64,
    /// Bytes of log that are kept; what follows is counted.
    pub log_bytes: u64,
    /// Events of one poll of a trigger.
    pub events: u64,
}

impl AttemptLimits {
    /// Bytes of log that are kept of an attempt, unless the operator says otherwise.
    pub const LOG_BYTES: u64 = 100 << 20;
}

impl Default for AttemptLimits {
    fn default() -> Self {
        Self {
            output_bytes: 16 << 20,
            output_nodes: 1_000_000,
            key_bytes: 1 << 10,
            updates: 1_000,
            labels: 100,
            metrics: 10_000,
            metric_bytes: 4 << 20,
            // Each new one costs time that grows with all before: what is searched for is built anew.
            secrets: 100,
            secret_bytes: 256 << 10,
            kv_bytes: 64 << 20,
            log_bytes: Self::LOG_BYTES,
            events: 1_000,
        }
    }
}
