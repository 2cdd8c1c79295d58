//! Many runs side by side in one data directory.

use std::process::Stdio;

use crate::harness::Sandbox;

#[test]
fn fifty_runs_side_by_side() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "flow.yaml",
        "
id: many
namespace: tests
inputs:
  - id: n
    type: INT
tasks:
  - id: work
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    outputFiles: [\"*.txt\"]
    commands:
      - echo {{ inputs.n }} > {{ inputs.n }}.txt
      - echo '::{\"outputs\":{\"n\":{{ inputs.n }}}}::'
",
    );
    let children: Vec<_> = (0..50)
        .map(|n| {
            sandbox
                .command()
                .args(["run", "flow.yaml", "--json", "-i", &format!("n={n}")])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for (n, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "run {n}: {stderr}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["taskRunList"][0]["outputs"]["vars"]["n"], n);
        assert!(json["taskRunList"][0]["outputs"]["outputFiles"][format!("{n}.txt")].is_string());
    }
    let list = sandbox.weft(["executions", "list", "-n", "100", "--json"]).expect(0);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 50);
    assert!(list.as_array().unwrap().iter().all(|execution| execution["state"] == "SUCCESS"), "{list:#}");
}
