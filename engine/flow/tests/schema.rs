//! The editor's schema against the parser: what one takes, the other must take too.

mod common;

use serde_json::Value;
use weft_flow::{ParseOptions, flow_schema};

fn to_json(source: &str) -> Value {
    weft_flow::yaml_to_json(source, &ParseOptions::default()).expect("YAML")
}

#[test]
fn the_schema_agrees_with_the_parser() {
    let schema = flow_schema(&common::Plugins::new());
    let validator = jsonschema::draft7::new(&schema).expect("a schema of draft-07");
    let head = "id: f\nnamespace: n\ntasks:\n";
    for (tasks, valid) in [
        ("  - {id: a, type: org.example.log.Log, message: m}\n", true),
        ("  - {id: a, type: org.example.old.Log, message: [m], level: \"{{ x ?? 'INFO' }}\"}\n", true),
        ("  - {id: a, type: org.example.log.Log, mesage: m}\n", false),
        ("  - {id: a, type: org.example.log.Log, message: m, level: LOUD}\n", false),
        ("  - {id: a, type: org.example.nothing}\n", false),
        ("  - {id: a b, type: org.example.debug.Return}\n", false),
        (
            "  - {id: a, type: org.example.debug.Return, retry: {type: constant, interval: PT1S}, timeout: pt5m}\n",
            true,
        ),
        ("  - {id: a, type: org.example.debug.Return, retry: {type: never}}\n", false),
        ("  - {id: a, type: org.example.shell.Commands, commands: [ls], docker: {image: i}}\n", true),
        ("  - {id: a, type: org.example.shell.Commands, commands: [ls], docker: {img: i}}\n", false),
        ("  - {id: a, type: org.example.shell.Commands, commands: [ls], runner: \"{{ x }}\"}\n", false),
        (
            "  - {id: a, type: io.kestra.core.tasks.flows.Worker, tasks: [{id: b, type: org.example.debug.Return}]}\n",
            true,
        ),
        (
            "  - {id: a, type: io.kestra.plugin.core.flow.ForEach, values: [1], concurrencyLimit: 0, tasks: [{id: b, type: org.example.debug.Return}]}\n",
            true,
        ),
        (
            "  - {id: a, type: io.kestra.plugin.core.flow.ForEach, tasks: [{id: b, type: org.example.debug.Return}]}\n",
            false,
        ),
        (
            "  - {id: a, type: io.kestra.plugin.core.flow.If, condition: \"{{ true }}\", then: [{id: b, type: org.example.nothing}]}\n",
            false,
        ),
    ] {
        let source = format!("{head}{tasks}");
        let outcome = common::parse(&source);
        assert_eq!(!outcome.has_errors(), valid, "the parser: {tasks}{}", common::lines(&outcome));
        let errors: Vec<String> =
            validator.iter_errors(&to_json(&source)).map(|error| error.to_string()).collect();
        assert_eq!(errors.is_empty(), valid, "the schema: {tasks}{errors:?}");
    }
    let triggers = "tasks: [{id: a, type: org.example.debug.Return}]\ninputs: [{id: i, type: INT, min: 1}]\ntriggers:\n  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: '* * * * *', inputs: {i: 2}}\n  - {id: u, type: org.example.files.Trigger, path: p}\n";
    assert!(validator.is_valid(&to_json(&format!("id: f\nnamespace: n\n{triggers}"))));
}

#[test]
fn every_type_is_offered() {
    let schema = flow_schema(&common::Plugins::new());
    let offered = |what: &str| {
        let types =
            schema["definitions"][what]["properties"]["type"]["anyOf"].as_array().expect("types").clone();
        types.iter().filter_map(|option| option["const"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let (tasks, triggers) = (offered("task"), offered("trigger"));
    for name in [
        "org.example.log.Log",
        "io.kestra.plugin.core.flow.ForEach",
        "io.kestra.plugin.core.flow.WorkingDirectory",
    ] {
        assert!(tasks.iter().any(|task| task == name), "{name}");
    }
    for name in ["org.example.files.Trigger", "io.kestra.plugin.core.trigger.Schedule"] {
        assert!(triggers.iter().any(|trigger| trigger == name), "{name}");
    }
}
