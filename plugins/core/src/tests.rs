//! What the simple tasks do, as the engine calls them.

use serde_json::{Value, json};
use weft_sdk::testing::{Harness, Run};
use weft_sdk::{Error, Level};

use crate::WeftPlugin;

fn call(type_name: &str, properties: &Value) -> Run {
    Harness::new().call::<WeftPlugin>(&format!("io.kestra.plugin.core.{type_name}"), properties)
}

#[test]
fn outputs_and_failures() {
    for (type_name, properties, expected) in [
        ("debug.Return", json!({"format": "hé"}), Ok(json!({"value": "hé"}))),
        ("debug.Return", json!({"format": 42}), Ok(json!({"value": "42"}))),
        ("debug.Return", json!({"format": null}), Ok(json!({"value": null}))),
        ("debug.Return", json!({}), Ok(json!({"value": null}))),
        ("execution.Fail", json!({}), Err(("task.fail", "Task failure"))),
        ("execution.Fail", json!({"errorMessage": "no"}), Err(("task.fail", "no"))),
        ("execution.Fail", json!({"condition": "false"}), Ok(json!({}))),
        ("execution.Fail", json!({"condition": false}), Ok(json!({}))),
        ("execution.Fail", json!({"condition": ""}), Ok(json!({}))),
        ("execution.Fail", json!({"condition": "false\n"}), Ok(json!({}))),
        ("execution.Fail", json!({"condition": "yes"}), Err(("task.fail", "Task failure"))),
        ("execution.Assert", json!({"conditions": ["true", 1]}), Ok(json!({}))),
        (
            "execution.Assert",
            json!({"conditions": ["true", "0", "false"], "errorMessage": "count"}),
            Err(("task.assert", "2 of 3 conditions do not hold\ncount")),
        ),
        (
            "output.OutputValues",
            json!({"values": {"b": 1, "a": [null]}}),
            Ok(json!({"values": {"b": 1, "a": [null]}})),
        ),
        ("flow.Sleep", json!({"duration": "PT0.01S"}), Ok(json!({}))),
        ("storage.LocalFiles", json!({"outputs": ["*"]}), Ok(json!({"uris": {}}))),
        (
            "storage.Size",
            json!({"uri": "kestra:///none"}),
            Err(("storage.not-found", "there is no file `kestra:///none`")),
        ),
        (
            "storage.Delete",
            json!({"uri": "kestra:///none"}),
            Ok(json!({"uri": "kestra:///none", "deleted": false})),
        ),
        (
            "storage.Delete",
            json!({"uri": "kestra:///none", "errorOnMissing": true}),
            Err(("storage.not-found", "there is no file `kestra:///none`")),
        ),
    ] {
        let run = call(type_name, &properties);
        let result = run.result.as_ref().map_err(|error: &Error| (error.code(), error.message())).cloned();
        assert_eq!(result, expected, "{type_name} {properties}");
    }
}

#[test]
fn logs() {
    for (type_name, properties, expected) in [
        ("debug.Return", json!({"format": "a"}), vec![(Level::Debug, "a")]),
        ("debug.Return", json!({}), vec![]),
        ("debug.Echo", json!({"format": "a", "level": "WARN"}), vec![(Level::Warn, "a")]),
        ("log.Log", json!({"message": "a"}), vec![(Level::Info, "a")]),
        ("log.Log", json!({"message": 1.5, "level": "ERROR"}), vec![(Level::Error, "1.5")]),
        (
            "log.Log",
            json!({"message": ["a", true, "b\nc"], "level": "DEBUG"}),
            vec![(Level::Debug, "a"), (Level::Debug, "true"), (Level::Debug, "b\nc")],
        ),
        (
            "execution.Assert",
            json!({"conditions": ["1", "0"]}),
            vec![(Level::Error, "condition 2 of 2 is `0`")],
        ),
    ] {
        let run = call(type_name, &properties);
        let lines: Vec<(Level, &str)> =
            run.logs.iter().map(|line| (line.level, line.message.as_str())).collect();
        assert_eq!(lines, expected, "{type_name} {properties}");
    }
}

#[test]
fn metrics_of_return() {
    let run = call("debug.Return", &json!({"format": "h😀"}));
    let seen: Vec<_> =
        run.metrics.iter().map(|m| (m.name.as_str(), m.kind.as_str(), m.tags["format"].as_str())).collect();
    assert_eq!(seen, [("length", "counter", "h😀"), ("duration", "timer", "h😀")]);
    assert_eq!(run.metrics[0].value, 3.0);
}

#[test]
fn changes_of_the_execution() {
    let labels = |entries: Value| Ok(json!({"labels": entries}));
    for (type_name, properties, expected) in [
        (
            "Labels",
            json!({"labels": {"a": "x", "b": 1}}),
            labels(json!([{"key": "a", "value": "x"}, {"key": "b", "value": "1"}])),
        ),
        (
            "Labels",
            json!({"labels": [{"key": "a", "value": true}]}),
            labels(json!([{"key": "a", "value": "true"}])),
        ),
        ("Labels", json!({"labels": "{\"a\": \"x\"}"}), labels(json!([{"key": "a", "value": "x"}]))),
        ("Labels", json!({"labels": "a=x"}), Err("property.invalid")),
        ("Labels", json!({"labels": [{"key": "a"}]}), Err("property.invalid")),
        ("Labels", json!({"labels": {"system.user": "x"}}), Err("property.invalid")),
        ("Exit", json!({}), Ok(json!({"exit": "SUCCESS"}))),
        ("Exit", json!({"state": "CANCELED"}), Ok(json!({"exit": "CANCELLED"}))),
        ("Exit", json!({"state": "KILLED"}), Ok(json!({"exit": "KILLED"}))),
        ("SetVariables", json!({"variables": {"a": {"b": 1}}}), Ok(json!({"setVariables": {"a": {"b": 1}}}))),
        ("UnsetVariables", json!({"variables": ["a", "b"]}), Ok(json!({"unsetVariables": ["a", "b"]}))),
    ] {
        let run = call(&format!("execution.{type_name}"), &properties);
        let result = run.result.as_ref().map_err(Error::code).map(|_| run.updates[0].clone());
        assert_eq!(result, expected, "{type_name} {properties}");
    }
}

#[test]
fn sleep_gives_up_when_cancelled() {
    let host = Harness::new().cancel_after(1);
    let run = host.call::<WeftPlugin>("io.kestra.plugin.core.flow.Sleep", &json!({"duration": "PT1H"}));
    assert_eq!(run.code(), Some("task.killed"));
}

#[test]
fn files_of_storage() {
    for (type_name, properties, expected) in [
        ("Write", json!({"content": "a\nb", "extension": ".txt"}), "a\nb"),
        ("Concat", json!({"files": ["kestra:///a", "kestra:///b"]}), "1\n2\n3"),
        ("Concat", json!({"files": "[\"kestra:///b\", \"kestra:///a\"]", "separator": "-"}), "3-1\n2\n-"),
        ("Reverse", json!({"from": "kestra:///a"}), "2\n1\n"),
        ("Reverse", json!({"from": "kestra:///a", "separator": ","}), "2,1,"),
    ] {
        let host = Harness::new().stored("kestra:///a", "1\n2\n").stored("kestra:///b", "3");
        let run = host.call::<WeftPlugin>(&format!("io.kestra.plugin.core.storage.{type_name}"), &properties);
        let uri = run.output("uri").as_str().unwrap_or_else(|| panic!("{type_name}: {:?}", run.result));
        assert_eq!(host.stored_text(uri).as_deref(), Some(expected), "{type_name} {properties}");
        assert_eq!(std::fs::read_dir(host.directory()).unwrap().count(), 0, "{type_name} leaves files");
    }
}

#[test]
fn old_names_are_the_same_tasks() {
    for (name, properties) in [
        ("debugs.Return", json!({"format": "a"})),
        ("debugs.Echo", json!({"format": "a"})),
        ("log.Log", json!({"message": "a"})),
        ("executions.Labels", json!({"labels": {}})),
        ("storages.LocalFiles", json!({})),
    ] {
        let run = Harness::new().call::<WeftPlugin>(&format!("io.kestra.core.tasks.{name}"), &properties);
        assert!(run.result.is_ok(), "{name}: {:?}", run.result);
    }
}
