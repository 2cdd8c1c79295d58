//! The client packages that scripts use, as their authors publish them.

use serde_json::json;

use crate::harness::{Sandbox, peer};

#[test]
fn python_client_from_pypi() {
    let Some(python) = peer("WEFT_PEER_PYTHON") else { return };
    let sandbox = Sandbox::new();
    let flow = r#"
id: client
namespace: tests
tasks:
  - id: py
    type: io.kestra.plugin.scripts.python.Commands
    runner: PROCESS
    warningOnStdErr: false
    inputFiles:
      main.py: |
        from kestra import Kestra
        Kestra.outputs({"data": "d", "nr": 42, "none": None, "list": [1, 2]})
        Kestra.counter("rows", 10, tags={"file": "a.csv"})
        Kestra.counter("rows", 5, tags={"file": "a.csv"})
        Kestra.timer("took", 2.12, {"file": "a.csv"})
        logger = Kestra.logger()
        logger.info("to info")
        logger.warning("to warn")
    commands:
      - PYTHON main.py
"#;
    let execution = sandbox.run_flow(&flow.replace("PYTHON", python.to_str().unwrap())).expect("SUCCESS");
    assert_eq!(execution.outputs("py")["vars"], json!({"data": "d", "nr": 42, "none": null, "list": [1, 2]}));
    assert_eq!(execution.metrics(), ["rows counter 15.0 {file:a.csv}", "took timer 2120.0 {file:a.csv}"]);
    let log = execution.log(&sandbox);
    assert!(log.iter().any(|line| line.starts_with("INFO ") && line.ends_with("to info")), "{log:?}");
    assert!(log.iter().any(|line| line.starts_with("WARN ") && line.ends_with("to warn")), "{log:?}");
}

#[test]
fn node_client_from_npm() {
    let Some(modules) = peer("WEFT_PEER_NODE_PATH") else { return };
    let sandbox = Sandbox::new();
    let flow = r#"
id: client
namespace: tests
tasks:
  - id: js
    type: io.kestra.plugin.scripts.node.Script
    runner: PROCESS
    env:
      NODE_PATH: MODULES
    script: |
      const client = require("@kestra-io/libs");
      const Kestra = client.default ?? client;
      Kestra.outputs({data: "data", nr: 42, mybool: true, myfloat: 3.65});
      Kestra.counter("metric_name", 100, {partition: "file1"});
      Kestra.timer("timer2", 2.12, {tag1: "from", tag2: "kestra"});
"#;
    let execution = sandbox.run_flow(&flow.replace("MODULES", modules.to_str().unwrap())).expect("SUCCESS");
    assert_eq!(
        execution.outputs("js")["vars"],
        json!({"data": "data", "nr": 42, "mybool": true, "myfloat": 3.65})
    );
    assert_eq!(
        execution.metrics(),
        ["metric_name counter 100.0 {partition:file1}", "timer2 timer 2120.0 {tag1:from,tag2:kestra}"]
    );
}

#[test]
fn r_script() {
    if peer("WEFT_PEER_RSCRIPT").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let execution = sandbox
        .run_flow(
            r#"
id: r
namespace: tests
tasks:
  - id: cars
    type: io.kestra.plugin.scripts.r.Script
    runner: PROCESS
    script: |
      write.csv(head(mtcars, 2), "cars.csv")
      cat('::{"outputs":{"rows":', nrow(mtcars), '}}::\n', sep = "")
    outputFiles:
      - "*.csv"
"#,
        )
        .expect("SUCCESS");
    assert_eq!(execution.outputs("cars")["vars"], json!({"rows": 32}));
    assert!(execution.outputs("cars")["outputFiles"]["cars.csv"].is_string());
}
