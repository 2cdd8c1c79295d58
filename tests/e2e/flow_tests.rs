//! What `weft test` does and says.

mod cases;
mod command;

use serde_json::Value;

use crate::harness::{Run, Sandbox};

/// Reads rows, loads each into a table, and says how many there are.
const FLOW: &str = "
id: orders
namespace: company.team
inputs:
  - id: country
    type: STRING
    defaults: FR
    validator: \"[A-Z]{2}\"
  - id: file
    type: FILE
    required: false
tasks:
  - id: extract
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - echo extracting from {{ inputs.country }}
      - 'echo \"::{\\\"outputs\\\":{\\\"rows\\\":[1,2,3]},\\\"metrics\\\":[{\\\"name\\\":\\\"rows\\\",\\\"type\\\":\\\"counter\\\",\\\"value\\\":3}]}::\"'
    retry:
      type: constant
      interval: PT1H
      maxAttempts: 3
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [a, b]
    tasks:
      - id: load
        type: io.kestra.plugin.core.debug.Return
        format: \"{{ taskrun.value }}{{ outputs.extract.vars.rows | length }}\"
  - id: total
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ outputs.extract.vars.rows | jq('add') | first }}\"
errors:
  - id: alert
    type: io.kestra.plugin.core.log.Log
    message: \"{% for log in errorLogs() %}{{ log.taskId }} {{ log.message }}{% endfor %}\"
outputs:
  - id: total
    type: INT
    value: \"{{ outputs.total.value }}\"
";

fn sandbox(cases: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("orders.yaml", FLOW);
    sandbox.file(
        "orders.test.yaml",
        format!("id: tests_of_orders\nnamespace: company.team\nflowId: orders\ntestCases:\n{cases}"),
    );
    sandbox
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("no JSON on stdout ({error}): {run:?}"))
}

/// Runs one case and expects it to pass.
#[track_caller]
fn passes(lines: &str) {
    let sandbox = sandbox(&format!("  - id: case\n{lines}"));
    sandbox.weft(["test"]).expect(0);
}
