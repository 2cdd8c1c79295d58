//! Engines that are stopped in the middle: by a person, and by SIGKILL.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Sandbox, wait_until};
use crate::scripts::assert_nothing_writes;

/// A flow whose task says that it is alive, through a child in a session of its own.
fn endless(sandbox: &Sandbox) -> std::path::PathBuf {
    let marker = sandbox.home().join("alive");
    sandbox.file(
        "flow.yaml",
        format!(
            "
id: endless
namespace: tests
tasks:
  - id: before
    type: io.kestra.plugin.core.debug.Return
    format: done
  - id: forever
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - setsid sh -c 'while true; do date > {}; sleep 0.1; done' > /dev/null 2>&1 &
      - sleep 600
",
            marker.display()
        ),
    );
    marker
}

fn start(sandbox: &Sandbox) -> Child {
    sandbox
        .command()
        .args(["run", "flow.yaml", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn sigint_ends_everything_and_says_so() {
    let sandbox = Sandbox::new();
    let marker = endless(&sandbox);
    let child = start(&sandbox);
    wait_until("the task to run", || marker.exists());
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["state"]["current"], "KILLED");
    assert_eq!(json["taskRunList"][1]["state"]["current"], "KILLED");
    assert_nothing_writes(&marker);
}

#[test]
fn sigint_ends_subflows_that_nobody_waits_for() {
    let sandbox = Sandbox::new();
    let marker = endless(&sandbox);
    sandbox.file(
        "caller.yaml",
        "id: caller\nnamespace: tests\ntasks:\n  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: tests, flowId: endless, wait: false}\n",
    );
    let child = sandbox.command().args(["run", "caller.yaml", "--quiet"]).spawn().unwrap();
    wait_until("the subflow to run", || marker.exists());
    signal(&child, Signal::INT);
    // The caller itself had ended well before.
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    assert_nothing_writes(&marker);
    let list = sandbox.weft(["executions", "list", "--flow", "endless", "--json"]).expect(0);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list[0]["state"], "KILLED", "{list:#}");
}

#[test]
fn after_sigkill_the_next_start_ends_what_was_left() {
    let sandbox = Sandbox::new();
    let marker = endless(&sandbox);
    let mut child = start(&sandbox);
    wait_until("the task to run", || marker.exists());
    signal(&child, Signal::KILL);
    child.wait().unwrap();

    let list = sandbox.weft(["executions", "list", "--json"]).expect(0);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list[0]["state"], "KILLED", "{list:#}");
    assert_nothing_writes(&marker);
    let shown = sandbox.weft(["executions", "show", "last"]).expect(0);
    assert!(shown.stdout.contains("the engine that ran this execution was killed"), "{}", shown.stdout);
    // What had been done is still there, and working directories are not.
    let outputs = sandbox.weft(["executions", "outputs", "last", "before"]).expect(0);
    assert!(outputs.stdout.contains("done"), "{}", outputs.stdout);
    assert_eq!(std::fs::read_dir(sandbox.data().join("tmp")).unwrap().count(), 0);
}
