//! What one attempt may hand to the engine, by a plugin and by scripts.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::harness::{Execution, Sandbox};

/// A plugin that hands over as much as it is told to.
static GUEST: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let target = engine.join("../target/guests");
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--target",
            "wasm32-wasip2",
            "--package",
            "behaviours",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(engine.join("host/tests/guests"))
        // Flags for the host's code are not for the guest's.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the guest does not build; is the target wasm32-wasip2 installed?");
    std::fs::read(target.join("wasm32-wasip2/release/behaviours.wasm")).unwrap()
});

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("plugins/behaviours.wasm", &*GUEST);
    sandbox
}

/// Runs a task that hands over `bytes` bytes so many times, and does not mind being refused where it is stubborn.
fn give(sandbox: &Sandbox, what: &str, times: usize, bytes: usize, stubborn: bool) -> Execution {
    let properties = json!({"what": what, "times": times, "bytes": bytes, "stubborn": stubborn});
    let mut task = json!({"id": "give", "type": "test.Give"});
    task.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
    let flow = json!({"id": "budget", "namespace": "tests", "tasks": [task]});
    let args = ["--plugins", "plugins", "--grant", "behaviours:execution"];
    sandbox.run_flow_with(&flow.to_string(), &args)
}

#[track_caller]
fn expect_bound(execution: &Execution, task: &str, bound: &str) {
    assert_eq!(execution.state(), "FAILED", "{:#}", execution.json);
    let failure = execution.failure(task);
    assert_eq!(
        (&failure["code"], &failure["detail"]["bound"]),
        (&json!("task.budget"), &json!(bound)),
        "{failure}"
    );
    assert!(failure["message"].as_str().unwrap().contains("\nhint: "), "{failure}");
}

#[test]
fn a_plugin_that_hands_over_too_much_fails_and_the_bound_is_named() {
    let sandbox = sandbox();
    for (what, times, bytes, bound) in [
        // 16 MiB are four times 4 MB, and not five times.
        ("output", 5, 4_000_000, "outputBytes"),
        ("variable", 5, 4_000_000, "outputBytes"),
        ("ones", 5, 1_900_000, "outputNodes"),
        ("unset", 2, 600_000, "outputNodes"),
        ("key", 1, 1_025, "keyBytes"),
        ("metric", 1, 1_025, "keyBytes"),
        ("label", 1, 1_025, "keyBytes"),
        ("tag", 45, 100_000, "metricBytes"),
        ("tag", 10_001, 1, "metrics"),
        ("label", 1_001, 1, "updates"),
        ("labels", 1, 101, "labels"),
    ] {
        for stubborn in [false, true] {
            let execution = give(&sandbox, what, times, bytes, stubborn);
            expect_bound(&execution, "give", bound);
        }
    }
}

#[test]
fn what_is_within_the_bounds_is_kept() {
    let sandbox = sandbox();
    for (what, times, bytes) in [
        ("output", 4, 4_000_000),
        // Counted once.
        ("output again", 20, 4_000_000),
        ("label", 1_000, 1),
        ("labels", 1, 100),
        ("key", 1, 1_024),
        ("variable", 3, 5_000_000),
        ("tag", 10_000, 1),
    ] {
        give(&sandbox, what, times, bytes, false).expect("SUCCESS");
    }
}

#[test]
fn a_plugin_sets_no_labels_of_the_engine() {
    let sandbox = sandbox();
    let execution = give(&sandbox, "system label", 1, 0, false).expect("FAILED");
    let failure = execution.failure("give");
    assert_eq!(failure["code"], "plugin.bad-output");
    assert!(
        failure["message"].as_str().unwrap().contains("only the engine sets labels of `system.`"),
        "{failure}"
    );
    let execution = give(&sandbox, "system label", 1, 0, true).expect("SUCCESS");
    let labels = execution.json["labels"].as_array().unwrap();
    assert!(labels.iter().all(|label| label["key"] != "system.username"), "{labels:?}");
}

#[test]
fn a_failure_is_told_however_long_it_is() {
    let sandbox = sandbox();
    let execution = give(&sandbox, "message", 1, 1 << 20, false).expect("FAILED");
    let message = execution.failure("give")["message"].as_str().unwrap();
    assert!(message.ends_with("x... (983040 more bytes are cut)"), "{}", &message[message.len() - 100..]);
    give(&sandbox, "warning", 1, 1 << 20, false).expect("WARNING");
}

fn script(sandbox: &Sandbox, script: &str) -> Execution {
    let task = json!({
        "id": "script",
        "type": "io.kestra.plugin.scripts.shell.Script",
        "runner": "PROCESS",
        "script": script,
    });
    sandbox.run_flow(&json!({"id": "scripts", "namespace": "tests", "tasks": [task]}).to_string())
}

const LIMITS: &str = "limits: {outputBytes: 20000, outputNodes: 1000, metrics: 50, keyBytes: 100}";

#[test]
fn a_script_that_says_too_much_runs_to_its_end_and_fails() {
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", LIMITS);
    for (text, bound) in [
        (r#"seq 1 600 | sed 's/.*/::{"outputs":{"k&":1}}::/'"#, "outputNodes"),
        (r#"seq 10000 10030 | sed "s/.*/::{\"outputs\":{\"k&\":\"$(printf %0999d 1)\"}}::/""#, "outputBytes"),
        (r#"printf '::{"outputs":{"%0101d":1}}::\n' 1"#, "keyBytes"),
        (
            r#"seq 1 51 | sed 's/.*/::{"metrics":[{"name":"m","type":"counter","value":1,"tags":{"n":"&"}}]}::/'"#,
            "metrics",
        ),
        (r#"printf '::{"outputs":{"k":"%01100000d"}}::\n' 1"#, "line"),
    ] {
        let execution =
            script(&sandbox, &format!("echo '::{{\"outputs\":{{\"first\":1}}}}::'\n{text}\necho at the end"));
        expect_bound(&execution, "script", bound);
        // What came before is kept, and the script was let to its end.
        assert_eq!(execution.outputs("script")["vars"]["first"], 1, "{bound}");
        let log = execution.log(&sandbox);
        assert!(log.contains(&"INFO at the end".to_owned()), "{bound}: {log:?}");
        assert!(log.len() < 10, "one message is enough: {log:?}");
    }
}

#[test]
fn what_else_went_wrong_is_told_beside_the_bound() {
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", LIMITS);
    let execution = script(&sandbox, "printf '::{\"outputs\":{\"%0101d\":1}}::\\n' 1\nexit 3");
    expect_bound(&execution, "script", "keyBytes");
    assert_eq!(execution.outputs("script")["exitCode"], 3);
    let log = execution.log(&sandbox);
    assert!(log.iter().any(|line| line.starts_with("ERROR command failed with exit code 3")), "{log:?}");
}

#[test]
fn a_script_within_the_bounds_is_as_before() {
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", LIMITS);
    // Said again and again, and passed on by the plugin: counted once.
    let again = r#"for n in 1 2 3 4 5; do printf '::{"outputs":{"state":"%015000d"}}::\n' $n; done"#;
    let execution = script(&sandbox, again).expect("SUCCESS");
    assert!(execution.outputs("script")["vars"]["state"].as_str().unwrap().ends_with("05"));
    let execution = script(&sandbox, &format!("{again}\nexit 1")).expect("FAILED");
    assert_eq!(execution.failure("script")["code"], "process.exit-code");
    assert!(execution.outputs("script")["vars"]["state"].as_str().unwrap().ends_with("05"));
}

#[test]
fn what_all_tasks_set_together_has_a_bound() {
    let sandbox = Sandbox::new();
    let labels = |n: usize| {
        let labels: serde_json::Map<String, Value> =
            (0..99).map(|label| (format!("l{n}-{label}"), json!("x"))).collect();
        json!({"id": format!("t{n}"), "type": "io.kestra.plugin.core.execution.Labels", "labels": labels})
    };
    let flow =
        json!({"id": "labels", "namespace": "tests", "tasks": (0..11).map(labels).collect::<Vec<_>>()});
    let execution = sandbox.run_flow(&flow.to_string());
    expect_bound(&execution, "t10", "labels");
    assert_eq!(execution.json["labels"].as_array().unwrap().len(), 991);
}
