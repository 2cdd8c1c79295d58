//! Many runs side by side in one data directory.

use std::process::Stdio;

use crate::harness::{Run, Sandbox, wait_until};

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

fn limited(limit: u32, behavior: &str) -> String {
    format!(
        "
id: limited
namespace: tests
concurrency:
  limit: {limit}
  behavior: {behavior}
tasks:
  - id: work
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - echo start >> log; ls running-* 2>/dev/null | wc -l >> beside; touch running-$$
      - sleep 0.2
      - rm running-$$
"
    )
    // Scripts run in a directory of their own; what they leave is to be seen by the others.
    .replace("commands:\n", "commands:\n      - cd $HOME\n")
}

#[test]
fn executions_of_one_process_queue_too() {
    let sandbox = Sandbox::new();
    sandbox.file("limited.yaml", limited(1, "QUEUE"));
    let call = |n: usize| {
        format!(
            "      - id: call{n}\n        type: io.kestra.plugin.core.flow.Subflow\n        namespace: tests\n        flowId: limited\n        wait: true\n        transmitFailed: true\n"
        )
    };
    let calls: String = (0..8).map(call).collect();
    let parent = format!(
        "id: parent\nnamespace: tests\ntasks:\n  - id: all\n    type: io.kestra.plugin.core.flow.Parallel\n    tasks:\n{calls}"
    );
    sandbox.run_flow(&parent).expect("SUCCESS");
    let beside = std::fs::read_to_string(sandbox.home().join("beside")).unwrap();
    assert_eq!(beside.lines().map(str::trim).collect::<Vec<_>>(), ["0"; 8]);
}

fn state(run: &Run) -> String {
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"));
    json["state"]["current"].as_str().unwrap().to_owned()
}

fn start(sandbox: &Sandbox) -> std::process::Child {
    let mut command = sandbox.command();
    command.args(["run", "flow.yaml", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn ended(child: std::process::Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn states(sandbox: &Sandbox) -> Vec<String> {
    let list = sandbox.weft(["executions", "list", "-n", "100", "--json"]).expect(0);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    list.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_limit_holds_between_processes_and_the_others_queue() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", limited(3, "QUEUE"));
    let children: Vec<_> = (0..20).map(|_| start(&sandbox)).collect();
    wait_until("some to be queued", || states(&sandbox).iter().any(|state| state == "QUEUED"));
    for child in children {
        let run = ended(child).expect(0);
        assert_eq!(state(&run), "SUCCESS");
    }
    let beside = std::fs::read_to_string(sandbox.home().join("beside")).unwrap();
    let beside: Vec<u32> = beside.lines().map(|line| line.trim().parse().unwrap()).collect();
    assert_eq!(beside.len(), 20);
    assert!(beside.iter().all(|others| *others < 3), "{beside:?}");
}

#[test]
fn over_the_limit_executions_are_cancelled_or_fail() {
    for (behavior, expected) in [("CANCEL", "CANCELLED"), ("FAIL", "FAILED")] {
        let sandbox = Sandbox::new();
        sandbox.file("flow.yaml", limited(1, behavior).replace("sleep 0.2", "sleep 30"));
        let mut running = start(&sandbox);
        wait_until("the first to work", || sandbox.home().join("log").exists());
        let second = sandbox.weft(["run", "flow.yaml", "--json"]).expect(1);
        assert_eq!(state(&second), expected);
        assert!(second.stderr.contains("runs at most 1 execution at a time"), "{}", second.stderr);
        running.kill().unwrap();
        running.wait().unwrap();
        // The slot went with its holder.
        sandbox.file("flow.yaml", limited(1, behavior));
        assert_eq!(state(&sandbox.weft(["run", "flow.yaml", "--json"]).expect(0)), "SUCCESS");
    }
}

#[test]
fn the_queue_moves_on_when_the_running_and_the_next_are_killed() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", limited(1, "QUEUE").replace("sleep 0.2", "test -e quick || sleep 30"));
    let mut running = start(&sandbox);
    wait_until("the first to work", || sandbox.home().join("log").exists());
    let mut next = start(&sandbox);
    wait_until("the next to be queued", || states(&sandbox).contains(&"QUEUED".to_owned()));
    let last = start(&sandbox);
    wait_until("the last to be queued", || {
        states(&sandbox).iter().filter(|state| *state == "QUEUED").count() == 2
    });
    sandbox.file("quick", "");
    next.kill().unwrap();
    next.wait().unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(state(&ended(last).expect(0)), "SUCCESS");
    let states = states(&sandbox);
    assert_eq!(states.iter().filter(|state| *state == "KILLED").count(), 2, "{states:?}");
}

#[test]
fn one_that_waits_can_be_interrupted() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", limited(1, "QUEUE").replace("sleep 0.2", "sleep 30"));
    let mut running = start(&sandbox);
    wait_until("the first to work", || sandbox.home().join("log").exists());
    let waiting = start(&sandbox);
    wait_until("the second to be queued", || states(&sandbox).contains(&"QUEUED".to_owned()));
    let pid = rustix::process::Pid::from_raw(waiting.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(state(&ended(waiting).expect(1)), "KILLED");
    running.kill().unwrap();
    running.wait().unwrap();
}
