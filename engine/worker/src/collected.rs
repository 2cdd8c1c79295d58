//! What a script puts out while it runs: outputs merged, metrics added up, both drawn from the attempt's budget.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use weft_model::{Failure, Map, Metric, MetricKind};

use crate::budget::{Budget, Origin};
use crate::protocol::{Message, ScriptMetric};
use crate::records::LogSource;

/// Outputs and metrics of one attempt so far.
#[derive(Debug, Default)]
pub struct Collected {
    budget: Arc<Budget>,
    vars: Option<Map>,
    metrics: BTreeMap<MetricKey, (f64, Timestamp)>,
}

/// Name, type and tags: metrics in which these are the same are one.
type MetricKey = (String, MetricKind, BTreeMap<String, String>);

impl Collected {
    /// Nothing yet.
    pub fn new(budget: Arc<Budget>) -> Self {
        Self { budget, vars: None, metrics: BTreeMap::new() }
    }

    /// Takes what a script said. The result says which parts of it cannot be read. What is beyond the budget is not taken
    /// and not said: then the attempt fails, and that names the bound.
    pub fn add(&mut self, message: Message) -> Vec<String> {
        if self.budget.is_exceeded() {
            return Vec::new();
        }
        for (key, value) in message.outputs {
            let before = self.vars.as_ref().and_then(|vars| vars.get(&key));
            if self.budget.output(Origin::Script, &key, before, &value).is_ok() {
                self.vars.get_or_insert_default().insert(key, value);
            }
        }
        for metric in message.metrics {
            // The budget remembers what was too much.
            let _ = self.add_metric(metric);
        }
        message.problems
    }

    /// The script said something that is too long to be read.
    pub fn miss(&self, failure: Failure) {
        self.budget.exceed(failure);
    }

    /// Takes one metric; the same name, type and tags are added up, except that a gauge keeps the last value.
    pub fn add_metric(&mut self, metric: ScriptMetric) -> Result<(), Failure> {
        let key = (metric.name, metric.kind, metric.tags);
        if !self.metrics.contains_key(&key) {
            let tags = key.2.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            self.budget.metric(&key.0, tags)?;
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
    use weft_model::AttemptLimits;

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
    fn what_is_beyond_the_budget_is_not_kept_and_fails_the_attempt() {
        let limits = AttemptLimits { output_bytes: 100, metrics: 1, ..AttemptLimits::default() };
        let counter = |tag: &str| ScriptMetric {
            name: "rows".into(),
            kind: MetricKind::Counter,
            value: 1.0,
            tags: BTreeMap::from([("tag".to_owned(), tag.to_owned())]),
        };
        let metrics = |tags: &[&str]| Message {
            metrics: tags.iter().map(|tag| counter(tag)).collect(),
            ..Message::default()
        };
        for (message, expected, part) in [
            (
                outputs(json!({"big": "x".repeat(100), "small": 1})),
                (json!({"before": 1, "small": 1}), 0),
                "output `big`: outputs and changes to the execution would have 112 bytes",
            ),
            (
                metrics(&["a", "a", "b"]),
                (json!({"before": 1}), 1),
                "metric `rows`: one attempt may have 1 metrics",
            ),
        ] {
            let budget = Arc::new(Budget::new(limits));
            let mut collected = Collected::new(Arc::clone(&budget));
            collected.add(outputs(json!({"before": 1})));
            assert_eq!(budget.exceeded(), None);
            assert_eq!(collected.add(message), [""; 0]);
            let failure = budget.exceeded().unwrap();
            assert!(failure.message.contains(part), "{}", failure.message);
            collected.add(outputs(json!({"after": 1})));
            let kept =
                collected.metrics(&LogSource { task_id: "t".into(), task_run_id: "r".into(), attempt: 0 });
            assert_eq!((collected.vars(), kept.len()), expected);
        }
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
