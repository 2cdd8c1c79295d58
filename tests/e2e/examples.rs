//! The examples of this repository: a newcomer runs them first.

use std::path::Path;

use serde_json::json;

use crate::harness::{Sandbox, example_plugin};

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn etl_keeps_a_report() {
    let sandbox = Sandbox::new();
    let execution = sandbox.run_flow(&example("etl/flow.yaml")).expect("SUCCESS");
    assert_eq!(
        execution.states(),
        [
            "wdir=SUCCESS",
            "data=SUCCESS",
            "read=SUCCESS",
            "count=SUCCESS",
            "report=SUCCESS",
            "summary=SUCCESS",
            "show=SUCCESS"
        ]
    );
    assert_eq!(execution.outputs("read")["vars"], json!({"rows": 4, "products": ["apple", "pear", "plum"]}));
    assert_eq!(execution.json["outputs"]["gross"], json!(8.27));
    let metrics = execution.metrics();
    assert!(metrics.contains(&"rows counter 4.0 {file:orders.csv}".to_owned()), "{metrics:?}");
    assert!(metrics.iter().any(|metric| metric.starts_with("reading timer ")), "{metrics:?}");

    let id = execution.json["id"].as_str().unwrap();
    let report = sandbox.weft(["executions", "files", id, "report/totals.json"]).expect(0);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["totals"]["plum"], json!(2.4));
}

#[test]
fn etl_takes_a_file_and_a_number() {
    let sandbox = Sandbox::new();
    sandbox.file("mine.csv", "product,quantity,price\nnut,2,10\n");
    let execution = sandbox
        .run_flow_with(&example("etl/flow.yaml"), &["-i", "orders=@mine.csv", "-i", "vat=0.5"])
        .expect("SUCCESS");
    assert_eq!(execution.json["outputs"]["gross"], json!(30.0));
    let uri = execution.json["inputs"]["orders"].as_str().unwrap();
    assert!(uri.starts_with("kestra:///examples/etl/etl/executions/") && uri.ends_with("/mine.csv"), "{uri}");
}

#[test]
fn etl_has_tests() {
    let sandbox = Sandbox::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/etl");
    let run = sandbox.weft(["test", folder.to_str().unwrap()]).expect(0);
    assert!(run.stdout.contains("5 passed"), "{}", run.stdout);
}

#[test]
fn seed_flows_without_network() {
    let sandbox = Sandbox::new();
    let run = |name: &str| {
        sandbox
            .run_flow_with(&example(&format!("seeds/{name}.yaml")), &["--runner", "process"])
            .expect("SUCCESS")
    };
    let execution = run("outputTest");
    assert!(
        execution.outputs("myPython")["outputFiles"]["myfile.txt"]
            .as_str()
            .unwrap()
            .starts_with("kestra:///dev/")
    );
    assert!(execution.log(&sandbox).contains(&"INFO Hi, this is output from a script 👋".to_owned()));

    let execution = run("outputsInputs");
    assert_eq!(execution.outputs("takeInput")["value"], "data from previous task - hello world!");

    let execution = run("requirements");
    assert!(execution.log(&sandbox).contains(&"INFO packages: ['kestra', 'requests']".to_owned()));

    let execution = run("outputsMetricsShell");
    assert_eq!(
        execution.outputs("shell")["vars"],
        json!({"test": "value", "int": 2, "bool": true, "float": 3.65})
    );
    assert_eq!(
        execution.metrics(),
        ["count counter 1.0 {tag1:i,tag2:win}", "time timer 2120.0 {tag1:i,tag2:destroy}"]
    );
}

/// A third party's plugin, built with nothing but cargo and dropped into a directory.
#[test]
fn third_party_plugin_is_built_dropped_in_and_used() {
    let sandbox = Sandbox::new();
    sandbox.file("plugins/hello.wasm", example_plugin("hello"));
    sandbox.weft(["trust", "plugins"]).expect(0);
    let listed = sandbox.weft(["plugins", "list"]).expect(0);
    assert!(listed.stdout.contains("examples.hello"), "{}", listed.stdout);
    let execution = sandbox
        .run_flow(
            "
id: greet
namespace: demo
tasks:
  - id: hello
    type: examples.hello
    name: \"{{ flow.id }}\"
  - id: length
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ outputs.hello.length }}\"
",
        )
        .expect("SUCCESS");
    assert_eq!(execution.outputs("length")["value"], "5");
    assert!(execution.log(&sandbox).contains(&"INFO hello greet".to_owned()));
}
