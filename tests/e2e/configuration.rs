//! The configuration file, as a run meets it.

use crate::harness::Sandbox;

const FLOW: &str = "
id: configured
namespace: tests
tasks:
  - id: grouped
    type: io.kestra.plugin.scripts.shell.Commands
    commands: [\"true\"]
    workerGroup:
      key: gpu
";

#[test]
fn a_run_takes_what_the_file_says() {
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", "runner: process\nworkerGroups: [gpu]\n");
    sandbox.run_flow(FLOW).expect("SUCCESS");
    let other = sandbox.file("other.yaml", "runner: process\n");
    sandbox.run_flow_with(FLOW, &["--config", other.to_str().unwrap()]).expect("FAILED");
}

#[test]
fn a_mistake_in_the_file_ends_the_command_with_its_place() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", FLOW);
    sandbox.file("data/config.yaml", "# mine\nworkerGroup: [gpu]\n");
    let run = sandbox.weft(["run", "flow.yaml"]).expect(2);
    assert!(run.stderr.contains("config.yaml:2:1: unknown field `workerGroup`"), "{}", run.stderr);
    let run = sandbox.weft(["run", "flow.yaml", "--config", "nosuch.yaml"]).expect(2);
    assert!(run.stderr.contains("cannot read the configuration `nosuch.yaml`"), "{}", run.stderr);
}
