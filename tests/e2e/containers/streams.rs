//! Output of containers: every line, in order, each stream for itself.

use serde_json::json;

use super::{Daemon, shell};
use crate::harness::Sandbox;

#[test]
fn lines_are_joined_and_streams_kept_apart() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let commands = ["printf 'pa'; sleep 0.3; printf 'rt\\r\\nnext\\n'", "echo wrong >&2", "printf 'no end'"];
    let execution = sandbox.run_flow(&shell(&commands, "", "")).expect("WARNING");
    let log = execution.log(&sandbox);
    let of = |level: &str| {
        log.iter().filter(|line| line.starts_with(level)).map(String::as_str).collect::<Vec<_>>()
    };
    assert_eq!(of("INFO"), ["INFO part", "INFO next", "INFO no end"]);
    assert_eq!(of("WARN"), ["WARN wrong"]);
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn outputs_and_metrics_come_through() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let commands = [
        r#"echo '::{"outputs":{"a":1}}::'"#,
        r#"echo '::{"outputs":{"b":[true]}}::' >&2"#,
        r#"echo '::{"metrics":[{"name":"n","type":"counter","value":2}]}::'"#,
    ];
    let execution = sandbox.run_flow(&shell(&commands, "warningOnStdErr: false", "")).expect("SUCCESS");
    assert_eq!(execution.outputs("task")["vars"], json!({"a": 1, "b": [true]}));
    assert_eq!(execution.metrics(), ["n counter 2.0 {}"]);
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn no_line_is_lost() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    // Both streams at full speed, and the end comes right after the last line.
    let commands = ["seq 1 200000 & seq 1 100000 >&2; wait"];
    let execution = sandbox.run_flow(&shell(&commands, "warningOnStdErr: false", "")).expect("SUCCESS");
    let log = execution.log(&sandbox);
    for (level, last) in [("INFO", 200_000), ("WARN", 100_000)] {
        let mut expected = 1;
        for number in log.iter().filter_map(|line| line.strip_prefix(level)) {
            assert_eq!(number.trim(), expected.to_string(), "{level}");
            expected += 1;
        }
        assert_eq!(expected, last + 1, "{level}");
    }
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn lines_are_seen_as_they_come() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let execution =
        sandbox.run_flow(&shell(&["echo one", "sleep 1.5", "echo two"], "", "")).expect("SUCCESS");
    let id = execution.json["id"].as_str().unwrap();
    let logs = sandbox.weft(["executions", "logs", id, "--json"]).expect(0);
    let times: Vec<String> = logs
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|entry| entry["timestamp"].as_str().unwrap().to_owned())
        .collect();
    let second = |time: &String| {
        let time: jiff::Timestamp = time.parse().unwrap();
        time.as_millisecond()
    };
    assert!(second(&times[1]) - second(&times[0]) > 1_000, "{times:?}");
    daemon.expect_nothing_left(&sandbox);
}
