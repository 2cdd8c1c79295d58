//! What a script puts out while it runs: outputs merged, metrics added up, both with a bound.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use weft_model::{Map, Metric, MetricKind};

use crate::protocol::{Message, ScriptMetric};
use crate::records::LogSource;

/// Bytes of JSON that the outputs of one attempt may have. Larger data belongs in files.
pub const MAX_OUTPUT_BYTES: usize = 16 << 20;
/// Different metrics (name, type, tags) of one attempt.
pub const MAX_METRICS: usize = 10_000;

/// Outputs and metrics of one attempt so far.
#[derive(Debug, Default)]
pub struct Collected {
    vars: Option<Map>,
    vars_bytes: usize,
    metrics: BTreeMap<MetricKey, (f64, Timestamp)>,
}

/// Bytes of JSON.
fn size(key: &str, value: &Value) -> usize {
    key.len() + value.to_string().len()
}

/// Name, type and tags: metrics in which these are the same are one.
type MetricKey = (String, MetricKind, BTreeMap<String, String>);

impl Collected {
    /// Takes what a script said. The result says what had to be dropped.
    pub fn add(&mut self, message: Message) -> Vec<String> {
        let mut problems = message.problems;
        for (key, value) in message.outputs {
            let bytes = size(&key, &value);
            let before = self.vars.as_ref().and_then(|vars| vars.get(&key));
            let before = before.map_or(0, |before| size(&key, before));
            if self.vars_bytes - before + bytes > MAX_OUTPUT_BYTES {
                problems.push(format!(
                    "output `{key}` of {bytes} bytes is dropped: the outputs of a task may have \
                     {MAX_OUTPUT_BYTES} bytes in all\nhint: write it to a file and list that in `outputFiles`"
                ));
                continue;
            }
            self.vars_bytes = self.vars_bytes - before + bytes;
            self.vars.get_or_insert_default().insert(key, value);
        }
        for metric in message.metrics {
            if let Err(problem) = self.add_metric(metric) {
                problems.push(problem);
            }
        }
        problems
    }

    /// Takes one metric; the same name, type and tags are added up, except that a gauge keeps the last value.
    pub fn add_metric(&mut self, metric: ScriptMetric) -> Result<(), String> {
        let key = (metric.name, metric.kind, metric.tags);
        if self.metrics.len() >= MAX_METRICS && !self.metrics.contains_key(&key) {
            return Err(format!("metric `{}` is dropped: a task may have {MAX_METRICS} metrics", key.0));
        }
        let (value, _) = self.metrics.entry(key).or_insert((0.0, Timestamp::now()));
        *value = if metric.kind == MetricKind::Gauge { metric.value } else { *value + metric.value };
        Ok(())
    }

    /// What scripts put out: an object, or null if there was nothing.
    pub fn vars(&self) -> Value {
        self.vars.clone().map_or(Value::Null, Value::Object)
    }

    /// The metrics, in the order of their names.
    pub fn metrics(&self, source: &LogSource) -> Vec<Metric> {
        let metric = |((name, kind, tags), (value, timestamp)): (&MetricKey, &(f64, Timestamp))| Metric {
            task_id: source.task_id.clone(),
            task_run_id: source.task_run_id.clone(),
            name: name.clone(),
            kind: *kind,
            value: *value,
            tags: tags.clone(),
            timestamp: *timestamp,
        };
        self.metrics.iter().map(metric).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outputs(value: Value) -> Message {
        Message { outputs: value.as_object().cloned().unwrap_or_default(), ..Message::default() }
    }

    #[test]
    fn later_outputs_win_and_null_is_kept() {
        let mut collected = Collected::default();
        assert_eq!(collected.vars(), Value::Null);
        collected.add(outputs(json!({"a": 1, "b": {"x": 1}})));
        collected.add(outputs(json!({"b": {"y": 2}, "c": null})));
        assert_eq!(collected.vars(), json!({"a": 1, "b": {"y": 2}, "c": null}));
    }

    #[test]
    fn outputs_over_the_bound_are_dropped_with_a_word() {
        let mut collected = Collected::default();
        let problems = collected.add(outputs(json!({"big": "x".repeat(MAX_OUTPUT_BYTES), "small": 1})));
        assert!(problems.len() == 1 && problems[0].contains("output `big`"), "{problems:?}");
        assert_eq!(collected.vars(), json!({"small": 1}));
    }

    #[test]
    fn an_output_that_is_put_out_again_counts_once() {
        let mut collected = Collected::default();
        let text = "x".repeat(MAX_OUTPUT_BYTES / 4);
        for round in 0..20 {
            let problems = collected.add(outputs(json!({"state": format!("{round}{text}")})));
            assert!(problems.is_empty(), "{problems:?}");
        }
        assert!(collected.vars()["state"].as_str().unwrap().starts_with("19x"));
    }

    #[test]
    fn counters_and_timers_add_up_and_gauges_do_not() {
        let mut collected = Collected::default();
        let tags = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
        for (kind, tags, value) in [
            (MetricKind::Counter, BTreeMap::new(), 1.0),
            (MetricKind::Counter, BTreeMap::new(), 2.0),
            (MetricKind::Counter, tags, 5.0),
            (MetricKind::Timer, BTreeMap::new(), 10.0),
            (MetricKind::Timer, BTreeMap::new(), -4.0),
            (MetricKind::Gauge, BTreeMap::new(), 3.0),
            (MetricKind::Gauge, BTreeMap::new(), 1.0),
        ] {
            collected.add_metric(ScriptMetric { name: "m".into(), kind, value, tags }).unwrap();
        }
        let source = LogSource { task_id: "t".into(), task_run_id: "r".into(), attempt: 0 };
        let seen: Vec<_> =
            collected.metrics(&source).into_iter().map(|m| (m.kind, m.tags.len(), m.value)).collect();
        assert_eq!(
            seen,
            [
                (MetricKind::Counter, 0, 3.0),
                (MetricKind::Counter, 1, 5.0),
                (MetricKind::Timer, 0, 6.0),
                (MetricKind::Gauge, 0, 1.0)
            ]
        );
    }
}
