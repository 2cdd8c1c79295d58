use proptest::prelude::*;
use serde_json::json;
use weft_model::{Label, Map, State};

use super::*;

/// Small enough that a few steps meet every bound.
const LIMITS: AttemptLimits = AttemptLimits {
    output_bytes: 100,
    output_nodes: 20,
    key_bytes: 4,
    updates: 3,
    labels: 2,
    metrics: 3,
    metric_bytes: 60,
    secrets: 2,
    secret_bytes: 10,
    kv_bytes: 50,
    log_bytes: 0,
    events: 0,
};

fn bound(result: Result<(), Failure>) -> Option<String> {
    let failure = result.err()?;
    assert_eq!(failure.code, "task.budget");
    let bound = failure.detail.unwrap()["bound"].as_str().unwrap().to_owned();
    assert!(failure.message.contains(&format!("`limits.{bound}`")), "{}", failure.message);
    Some(bound)
}

fn labels(labels: &[(&str, &str)]) -> ExecutionUpdate {
    let label = |&(key, value): &(&str, &str)| Label { key: key.into(), value: value.into() };
    ExecutionUpdate::Labels(labels.iter().map(label).collect())
}

/// How many secrets have been drawn.
fn secrets(budget: &Budget) -> usize {
    budget.lock().drawn.secrets.len()
}

#[test]
fn the_bound_itself_passes_and_one_more_fails() {
    type Draw = fn(&Budget) -> Result<(), Failure>;
    let output =
        |budget: &Budget, length: usize| budget.output(Origin::Plugin, "k", None, &json!("x".repeat(length)));
    let budget = Budget::new(LIMITS);
    // One byte for the key and two quotes.
    assert_eq!(bound(output(&budget, 98)), Some("outputBytes".into()));
    assert_eq!(bound(output(&budget, 97)), None);

    let budget = Budget::new(LIMITS);
    let list = |length: usize| json!(vec![1; length]);
    assert_eq!(bound(budget.output(Origin::Script, "k", None, &list(19))), Some("outputNodes".into()));
    assert_eq!(bound(budget.output(Origin::Script, "k", None, &list(18))), None);

    for (times, expected, draw) in [
        (3, "updates", (|budget| budget.update(&ExecutionUpdate::Exit(State::Success))) as Draw),
        (1, "labels", |budget| {
            let is_first = budget.lock().drawn.labels.is_empty();
            let key = if is_first { "a" } else { "c" };
            budget.update(&labels(&[(key, "x"), ("b", "x")]))
        }),
        (3, "metrics", |budget| budget.metric("m", [].into_iter())),
        (2, "metricBytes", |budget| budget.metric("m", [("tag", "0123456789012345678")].into_iter())),
        (2, "secrets", |budget| budget.secret(["a", "b", "c"][secrets(budget)])),
        (1, "secretBytes", |budget| budget.secret(["123456", "12345"][secrets(budget)])),
        (10, "kvBytes", |budget| budget.stored("k", &json!("ab"))),
    ] {
        let budget = Budget::new(LIMITS);
        for time in 0..times {
            assert_eq!(bound(draw(&budget)), None, "{expected}, time {time}");
            assert!(!budget.is_exceeded());
        }
        assert_eq!(bound(draw(&budget)), Some(expected.to_owned()));
        assert_eq!(budget.exceeded().map(|failure| failure.code), Some("task.budget".into()));
    }
}

#[test]
fn every_name_is_measured() {
    let variables = |name: &str| Map::from_iter([(name.to_owned(), json!(1))]);
    for (long, draw) in [
        (
            false,
            Box::new(|b: &Budget| b.output(Origin::Plugin, "1234", None, &json!(1)))
                as Box<dyn Fn(&Budget) -> _>,
        ),
        (true, Box::new(|b: &Budget| b.output(Origin::Plugin, "12345", None, &json!(1)))),
        (true, Box::new(|b: &Budget| b.output(Origin::Script, "12345", None, &json!(1)))),
        (true, Box::new(|b: &Budget| b.metric("12345", [].into_iter()))),
        (false, Box::new(|b: &Budget| b.update(&labels(&[("1234", "1234")])))),
        (true, Box::new(|b: &Budget| b.update(&labels(&[("12345", "")])))),
        (true, Box::new(|b: &Budget| b.update(&labels(&[("a", "12345")])))),
        (true, Box::new(move |b: &Budget| b.update(&ExecutionUpdate::SetVariables(variables("12345"))))),
    ] {
        assert_eq!(bound(draw(&Budget::new(LIMITS))), long.then(|| "keyBytes".into()));
    }
}

#[test]
fn what_a_plugin_passes_on_of_its_script_counts_once() {
    let budget = Budget::new(LIMITS);
    let text = json!("x".repeat(70));
    assert_eq!(bound(budget.output(Origin::Script, "a", None, &text)), None);
    assert_eq!(bound(budget.output(Origin::Plugin, "vars", None, &json!({"a": text}))), None);
    let more = json!("x".repeat(100 + AROUND_SCRIPTS.bytes as usize));
    assert_eq!(bound(budget.output(Origin::Plugin, "more", None, &more)), Some("outputBytes".into()));

    // A script may fill its bound, and what its plugin puts around that has room all the same.
    let budget = Budget::new(LIMITS);
    let (text, list) = (json!("x".repeat(66)), json!(vec![1; 14]));
    assert_eq!(bound(budget.output(Origin::Script, "a", None, &list)), None);
    assert_eq!(bound(budget.output(Origin::Script, "b", None, &text)), None);
    assert_eq!(bound(budget.output(Origin::Script, "c", None, &json!(""))), Some("outputBytes".into()));
    assert_eq!(bound(budget.output(Origin::Plugin, "exit", None, &json!(0))), None);
    assert_eq!(bound(budget.output(Origin::Plugin, "vars", None, &json!({"a": list, "b": text}))), None);
}

#[test]
fn an_output_that_is_put_out_again_and_a_label_that_is_set_again_count_once() {
    let budget = Budget::new(AttemptLimits { updates: 1000, output_nodes: 1000, ..LIMITS });
    let mut before = None;
    for round in 0..100 {
        let value = json!(format!("{round:80}"));
        assert_eq!(bound(budget.output(Origin::Script, "k", before.as_ref(), &value)), None);
        before = Some(value);
    }
    let budget =
        Budget::new(AttemptLimits { updates: 1000, output_bytes: 10_000, output_nodes: 1000, ..LIMITS });
    for round in 0..100 {
        assert_eq!(bound(budget.update(&labels(&[("step", &format!("{round}")), ("of", "100")]))), None);
    }
    assert_eq!(bound(budget.secret("again")), None);
    for _ in 0..100 {
        assert_eq!(bound(budget.secret("again")), None);
    }
}

#[test]
fn the_first_bound_that_was_met_is_told() {
    let budget = Budget::new(LIMITS);
    assert!(budget.metric("12345", [].into_iter()).is_err());
    assert!(budget.secret("too long a secret").is_err());
    assert_eq!(budget.exceeded().unwrap().detail.unwrap()["bound"], "keyBytes");
    budget.exceed(Failure::new("task.budget", "another"));
    assert_eq!(budget.exceeded().unwrap().detail.unwrap()["bound"], "keyBytes");
}

/// One thing that an attempt does.
#[derive(Debug, Clone)]
enum Step {
    Output(Origin, usize, Amount),
    Change(Amount, Vec<u8>),
    Metric(u64),
    Secret(u64, u64),
    Stored(u64),
}

/// Mostly small, sometimes as large as can be said.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..40_u64, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn amount() -> impl Strategy<Value = Amount> {
    (number(), number()).prop_map(|(bytes, nodes)| Amount { bytes, nodes })
}

fn step() -> impl Strategy<Value = Step> {
    let origin = prop_oneof![Just(Origin::Script), Just(Origin::Plugin)];
    prop_oneof![
        (origin, 0..3_usize, amount()).prop_map(|(origin, key, amount)| Step::Output(origin, key, amount)),
        (amount(), proptest::collection::vec(0..4_u8, 0..4))
            .prop_map(|(amount, keys)| Step::Change(amount, keys)),
        number().prop_map(Step::Metric),
        (0..4_u64, number()).prop_map(|(hash, bytes)| Step::Secret(hash, bytes)),
        number().prop_map(Step::Stored),
    ]
}

proptest! {
    /// Whatever happens in whichever order: what is kept never exceeds a bound, and what is refused would have.
    #[test]
    fn no_sum_exceeds_its_bound(steps in proptest::collection::vec(step(), 0..60)) {
        const KEYS: [&str; 4] = ["a", "b", "c", "d"];
        let mut drawn = Drawn::default();
        let (mut kept, mut changes) = ([[Amount::default(); 3]; 2], Amount::default());
        let (mut updates, mut labels) = (0, HashSet::new());
        let (mut metrics, mut secrets, mut stored) = (Vec::new(), std::collections::HashMap::new(), Vec::new());
        let sum = |amounts: &[Amount]| amounts.iter().fold(Amount::default(), |sum, amount| sum + *amount);
        let fits = |kept: &[[Amount; 3]; 2], changes: Amount| {
            let (scripts, plugin) = (sum(&kept[0]), sum(&kept[1]));
            let around = if scripts == Amount::default() { Amount::default() } else { AROUND_SCRIPTS };
            [(scripts, Amount::default()), (plugin, around)].into_iter().all(|(outputs, around)| {
                outputs.bytes.saturating_add(changes.bytes) <= LIMITS.output_bytes + around.bytes
                    && outputs.nodes.saturating_add(changes.nodes) <= LIMITS.output_nodes + around.nodes
            })
        };
        let total = |numbers: &[u64]| numbers.iter().fold(0_u64, |sum, number| sum.saturating_add(*number));
        for step in steps {
            match step {
                Step::Output(origin, key, amount) => {
                    let mut new = kept;
                    let slot = &mut new[usize::from(origin == Origin::Plugin)][key];
                    let before = std::mem::replace(slot, amount);
                    let taken = drawn.replace_output(&LIMITS, origin, before, amount).is_ok();
                    prop_assert_eq!(taken, fits(&new, changes));
                    kept = if taken { new } else { kept };
                }
                Step::Change(amount, keys) => {
                    let mut new = labels.clone();
                    new.extend(keys.iter().map(|&key| KEYS[usize::from(key)]));
                    let taken = drawn.change(&LIMITS, amount, keys.iter().map(|&key| KEYS[usize::from(key)])).is_ok();
                    let may = updates < LIMITS.updates
                        && fits(&kept, changes + amount)
                        && new.len() as u64 <= LIMITS.labels;
                    prop_assert_eq!(taken, may);
                    if taken {
                        (updates, changes, labels) = (updates + 1, changes + amount, new);
                    }
                }
                Step::Metric(bytes) => {
                    let taken = drawn.metric(&LIMITS, bytes).is_ok();
                    let may = (metrics.len() as u64) < LIMITS.metrics
                        && total(&metrics).saturating_add(bytes) <= LIMITS.metric_bytes;
                    prop_assert_eq!(taken, may);
                    metrics.extend(taken.then_some(bytes));
                }
                Step::Secret(hash, bytes) => {
                    let taken = drawn.secret(&LIMITS, hash, bytes).is_ok();
                    let lengths: Vec<u64> = secrets.values().copied().collect();
                    let may = secrets.contains_key(&hash)
                        || (lengths.len() as u64) < LIMITS.secrets
                            && total(&lengths).saturating_add(bytes) <= LIMITS.secret_bytes;
                    prop_assert_eq!(taken, may);
                    if taken {
                        secrets.entry(hash).or_insert(bytes);
                    }
                }
                Step::Stored(bytes) => {
                    let taken = drawn.stored(&LIMITS, bytes).is_ok();
                    prop_assert_eq!(taken, total(&stored).saturating_add(bytes) <= LIMITS.kv_bytes);
                    stored.extend(taken.then_some(bytes));
                }
            }
        }
    }
}
