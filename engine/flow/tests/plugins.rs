//! Properties of plugins against their schemas, and defaults.

mod common;

use common::{check, check_tasks, flow, with_tasks};
use serde_json::json;
use weft_flow::{Flow, TaskKind};

fn properties(flow: &Flow, task: usize) -> serde_json::Value {
    match &flow.tasks[task].kind {
        TaskKind::Run { properties } => serde_json::Value::Object(properties.clone()),
        TaskKind::Flowable(_) => panic!("a plugin's task"),
    }
}

#[test]
fn wrong_properties() {
    let task = "  - id: a\n    type: org.example.shell.Commands\n    ";
    let more = "commands: [ls]\n    ";
    for (properties, expected) in [
        ("env: {A: b}\n", "4:5 missing-property task `a` has no property `commands`"),
        ("commands:\n", "4:5 missing-property task `a` has no property `commands`"),
        ("commands: ls\n", "6:15 wrong-type expected a list of strings, found a string"),
        ("commands: [[ls]]\n", "6:16 wrong-type expected a string, found a list"),
        ("commands: []\n", "6:15 invalid-value expected at least one item, found an empty list"),
        ("comands: [ls]\n", "6:5 unknown-property unknown property `comands` of task `a`"),
        (&format!("{more}env: {{A: [b]}}\n"), "7:14 wrong-type expected a string, found a list"),
        (&format!("{more}env: [A]\n"), "7:10 wrong-type expected a map of strings, found a list"),
        (&format!("{more}failFast: maybe\n"), "7:15 wrong-type expected `true` or `false`, found a string"),
        (&format!("{more}exitCode: -1\n"), "7:15 invalid-value must be at least 0, found -1"),
        (
            &format!("{more}exitCode: 1.5\n"),
            "7:15 wrong-type expected a whole number, found a decimal number",
        ),
        (&format!("{more}wait: 5\n"), "7:11 invalid-duration `5` is not a duration such as `PT30S` or `P1D`"),
        (
            &format!("{more}runner: DOKER\n"),
            "7:13 invalid-value expected `DOCKER` or `PROCESS`, found `DOKER`",
        ),
        (
            &format!("{more}runner: \"{{{{ r }}}}\"\n"),
            "7:13 wrong-type `runner` is not rendered, so an expression is not allowed here",
        ),
        (
            &format!("{more}docker: {{volumes: [a], img: b}}\n"),
            "7:13 missing-property `tasks[0].docker` has no property `image`\n7:28 unknown-property unknown property `img` of `tasks[0].docker`",
        ),
        (&format!("{more}docker: x\n"), "7:13 wrong-type expected a map, found a string"),
        (
            &format!("{more}taskRunner: {{type: org.example.runner.Docker, image: [a]}}\n"),
            "7:58 wrong-type expected a string, found a list",
        ),
        (
            &format!("{more}taskRunner: {{type: org.example.runner.Process, image: a}}\n"),
            "7:52 unknown-property unknown property `image` of `tasks[0].taskRunner`",
        ),
        (&format!("{more}taskRunner: x\n"), "7:17 wrong-type expected a map, found a string"),
    ] {
        check_tasks(&[(&format!("{task}{properties}"), expected)]);
    }
    check_tasks(&[
        (
            "  - {id: a, type: org.example.log.Log, message: {a: b}}\n",
            "4:49 wrong-type expected a string or a list of strings, found a map",
        ),
        (
            "  - {id: a, type: org.example.log.Log, message: [a, {b: c}]}\n",
            "4:53 wrong-type expected a string, found a map",
        ),
        (
            "  - {id: a, type: org.example.debug.Echo, format: a}\n",
            "~4:19 deprecated the task type `org.example.debug.Echo` is deprecated",
        ),
    ]);
}

#[test]
fn a_schema_that_cannot_be_used_is_a_warning() {
    let outcome = common::parse(&with_tasks("  - {id: a, type: org.example.Broken, x: 1}\n"));
    assert_eq!(outcome.diagnostics.len(), 1);
    assert_eq!(outcome.diagnostics[0].code, "plugin-schema");
    assert!(outcome.flow.is_some());
}

#[test]
fn scalars_are_taken_as_they_are_written() {
    let flow = flow(&with_tasks(
        "  - id: a
    type: org.example.shell.Commands
    commands: [1.10, true, 0x10, ls]
    env: {VERSION: 1.10, DEBUG: true, MODE: 0755, EMPTY: ''}
    failFast: \"false\"
    exitCode: \"3\"
    taskRunner: {type: org.example.runner.Docker, image: 3.10, cpus: \"0.5\"}
  - id: b
    type: org.example.log.Log
    message: 1.50
",
    ));
    assert_eq!(
        properties(&flow, 0),
        json!({
            "commands": ["1.10", "true", "0x10", "ls"],
            "env": {"VERSION": "1.10", "DEBUG": "true", "MODE": "0755", "EMPTY": ""},
            "failFast": false,
            "exitCode": 3,
            "taskRunner": {"type": "org.example.runner.Docker", "image": "3.10", "cpus": 0.5},
        })
    );
    assert_eq!(properties(&flow, 1), json!({"message": "1.50"}));
}

#[test]
fn expressions_are_taken_for_anything() {
    flow(&with_tasks(
        "  - id: a
    type: org.example.shell.Commands
    commands: \"{{ outputs.b ?? [] }}\"
    env: \"{{ {'A': 'b'} }}\"
    failFast: \"{{ true }}\"
    exitCode: \"{{ 1 }}\"
    wait: \"{{ 'PT1S' }}\"
    docker: {image: \"{{ 'x' }}\", volumes: \"{{ [] }}\"}
    taskRunner: \"{{ {} }}\"
",
    ));
}

const DEFAULTS: &str = "id: f
namespace: n
pluginDefaults:
  - type: org.example.shell
    values:
      env: {A: package, B: package}
      failFast: true
  - type: org.example.shell.Commands
    values:
      env: {A: exact}
  - type: org.example.shell.Commands
    forced: true
    values:
      exitCode: 7
  - type: org.example.old.Log
    values: {level: WARN}
  - type: org.example.runner.Docker
    values: {image: default}
  - type: io.kestra.core.tasks.flows.Parallel
    values: {concurrent: 3}
tasks:
  - id: a
    type: org.example.shell.Commands
    commands: [ls]
    exitCode: 1
    env: {B: own}
    taskRunner: {type: org.example.runner.Docker}
  - id: b
    type: org.example.log.Log
    message: m
  - id: c
    type: io.kestra.plugin.core.flow.Parallel
    tasks:
      - id: d
        type: org.example.log.Log
        message: m
        level: INFO
";

#[test]
fn defaults_are_merged() {
    let flow = flow(DEFAULTS);
    assert_eq!(
        properties(&flow, 0),
        json!({
            "commands": ["ls"],
            "exitCode": 7,
            "env": {"B": "own", "A": "exact"},
            "failFast": true,
            "taskRunner": {"type": "org.example.runner.Docker", "image": "default"},
        })
    );
    assert_eq!(properties(&flow, 1), json!({"message": "m", "level": "WARN"}));
    let TaskKind::Flowable(parallel) = &flow.tasks[2].kind else { panic!("a flowable") };
    let weft_flow::Shape::Parallel { tasks, concurrent } = &parallel.shape else { panic!("a Parallel") };
    assert_eq!(*concurrent, 3);
    let TaskKind::Run { properties } = &tasks[0].kind else { panic!("a plugin's task") };
    assert_eq!(properties["level"], "INFO");
}

#[test]
fn wrong_defaults_are_reported_once_and_where_they_stand() {
    let tasks = "tasks:
  - {id: a, type: org.example.log.Log, message: m}
  - {id: b, type: org.example.log.Log, message: m}
";
    for (defaults, expected) in [
        (
            "  - {type: org.example.log.Log, values: {level: LOUD}}\n",
            "4:49 invalid-value expected `TRACE`, `DEBUG`, `INFO`, `WARN` or `ERROR`, found `LOUD`",
        ),
        ("  - {type: org.example.log.Log, values: {message: '{{ x | nil }}'}}\n", "4:59 expression-syntax"),
        (
            "  - {type: org.exmaple.log, values: {}}\n",
            "~4:12 no-effect nothing in the flow is, or is in, `org.exmaple.log`, so this default has no effect",
        ),
        ("  - {values: {}}\n", "4:6 missing-property this default has no property `type`"),
        (
            "  - {type: org.example, forced: x}\n",
            "4:6 missing-property this default has no property `values`\n4:33 wrong-type expected `true` or `false`, found a string",
        ),
    ] {
        check(&[(&format!("id: f\nnamespace: n\ntaskDefaults:\n{defaults}{tasks}"), expected)]);
    }
}
