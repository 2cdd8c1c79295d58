//! How tasks in containers end, and that nothing of them is left.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{Daemon, shell, task};
use crate::harness::{Sandbox, wait_until};

#[test]
fn exit_codes_and_states() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    for (commands, state, code, exit_code) in [
        (&["true"][..], "SUCCESS", None, json!(0)),
        (&["exit 66", "echo never"], "FAILED", Some("process.exit-code"), json!(66)),
        (&["nosuchcommand"], "FAILED", Some("process.exit-code"), json!(127)),
        (&["kill -SEGV $$"], "FAILED", Some("process.exit-code"), json!(139)),
        (&["echo oops >&2"], "WARNING", None, json!(0)),
    ] {
        let execution = sandbox.run_flow(&shell(commands, "", ""));
        assert_eq!(execution.state(), state, "{commands:?} {}", execution.run.stderr);
        assert_eq!(execution.outputs("task")["exitCode"], exit_code, "{commands:?}");
        if let Some(code) = code {
            assert_eq!(execution.failure("task")["code"], code, "{commands:?}");
        }
    }
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn out_of_memory_is_told_apart() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let commands = ["x=$(head -c 300000000 /dev/zero | tr '\\0' x)"];
    let execution = sandbox
        .run_flow(&shell(&commands, "", "memory:\n  memory: 32MB\n  memorySwap: 32MB"))
        .expect("FAILED");
    let failure = execution.failure("task");
    assert_eq!(failure["code"], "container.out-of-memory", "{failure}");
    assert!(failure["message"].as_str().unwrap().contains("memory: 32MB"), "{failure}");
    assert!(execution.outputs("task")["exitCode"].as_i64().unwrap() > 0);
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn a_missing_interpreter_is_named() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    for (image, interpreter) in
        [("busybox", "[pwsh, -c]"), ("busybox", "[/bin/nosuch, -c]"), ("noshell", "[/bin/sh, -c]")]
    {
        let flow = task("shell.Commands", image, &["true"], &format!("interpreter: {interpreter}"), "");
        let execution = sandbox.run_flow(&flow).expect("FAILED");
        let failure = execution.failure("task");
        assert_eq!(failure["code"], "container.interpreter", "{interpreter} {failure}");
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(&format!("weft-test/{image}:1")), "{message}");
    }
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn an_image_without_a_shell_runs_its_program() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let flow = task("shell.Commands", "noshell", &["/busybox", "echo", "a  b"], "interpreter: []", "");
    let execution = sandbox.run_flow(&flow).expect("SUCCESS");
    assert_eq!(execution.log(&sandbox), ["INFO a  b"]);
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn a_timeout_ends_also_who_ignores_it() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    for (commands, grace, signal) in [
        // Ends when asked to, although it is the first process of its container.
        (&["sleep 600"][..], "PT20S", 15),
        (&["trap '' TERM; while true; do sleep 1; done"], "PT1S", 9),
    ] {
        let flow = shell(commands, "timeout: PT2S", &format!("killGracePeriod: {grace}"));
        let execution = sandbox.run_flow(&flow).expect("FAILED");
        assert_eq!(execution.failure("task")["code"], "task.timeout");
        assert_eq!(execution.outputs("task")["exitCode"], 128 + signal, "{commands:?}");
    }
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn last_words_are_heard() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let commands = ["trap 'echo last words; exit 3' TERM", "echo ready", "while true; do sleep 0.1; done"];
    sandbox.file("flow.yaml", shell(&commands, "", ""));
    let child = start(&daemon, &sandbox);
    let log = || sandbox.weft(["executions", "logs", "last"]).stdout;
    wait_until("the script", || log().contains("ready"));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    child.wait_with_output().unwrap();
    assert!(log().contains("last words"), "{}", log());
    daemon.expect_nothing_left(&sandbox);
}

/// Starts `weft run` and waits until its task runs in a container.
fn start(daemon: &Daemon, sandbox: &Sandbox) -> std::process::Child {
    let child = sandbox
        .command()
        .args(["run", "flow.yaml", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the container to run", || daemon.census(sandbox).iter().any(|line| line.contains(" Up ")));
    child
}

#[test]
fn sigint_ends_the_container() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", shell(&["sleep 600"], "", ""));
    let child = start(&daemon, &sandbox);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["state"]["current"], "KILLED", "{json:#}");
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn after_sigkill_the_next_start_removes_what_was_left() {
    let Some(daemon) = Daemon::find() else { return };
    for flow in [
        shell(&["sleep 600"], "", ""),
        super::directory(&[super::one("task", "shell.Commands", "busybox", &["sleep 600"], "", "")]),
    ] {
        let sandbox = Sandbox::new();
        sandbox.file("flow.yaml", flow);
        let mut child = start(&daemon, &sandbox);
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
        assert_eq!(daemon.census(&sandbox).len(), 1);

        // Another engine of the same daemon has no business with it.
        let other = Sandbox::new();
        other.run_flow(&shell(&["true"], "", "")).expect("SUCCESS");
        assert_eq!(daemon.census(&sandbox).len(), 1);

        sandbox.weft(["executions", "list"]).expect(0);
        daemon.expect_nothing_left(&sandbox);
    }
}

#[test]
fn what_others_do_to_a_container_is_told() {
    let Some(daemon) = Daemon::find() else { return };
    for (action, code) in [("kill", "process.exit-code"), ("rm", "container.removed")] {
        let sandbox = Sandbox::new();
        sandbox.file("flow.yaml", shell(&["sleep 600"], "", ""));
        let child = start(&daemon, &sandbox);
        let id = daemon.census(&sandbox)[0].split(' ').next().unwrap().to_owned();
        let force = if action == "rm" { "--force" } else { "--signal=KILL" };
        daemon.docker(&[action, force, &id]);
        let output = child.wait_with_output().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let failure = &json["taskRunList"][0]["attempts"][0]["failure"];
        assert_eq!(failure["code"], code, "{action}: {failure}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr.contains("ended by SIGKILL"), action == "kill", "{stderr}");
        daemon.expect_nothing_left(&sandbox);
    }
}

#[test]
fn a_container_may_outlive_its_task() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    sandbox.run_flow(&shell(&["sleep 600"], "", "wait: false")).expect("SUCCESS");
    // Also after the next start.
    sandbox.weft(["executions", "list"]).expect(0);
    let census = daemon.census(&sandbox);
    assert!(census.len() == 1 && census[0].contains(" Up "), "{census:?}");
    daemon.docker(&["kill", census[0].split(' ').next().unwrap()]);
    wait_until("the daemon to remove it", || daemon.census(&sandbox).is_empty());

    sandbox.run_flow(&shell(&["exit 3"], "", "delete: false")).expect("FAILED");
    let census = daemon.census(&sandbox);
    assert!(census.len() == 1 && census[0].contains("Exited (3)"), "{census:?}");
    daemon.docker(&["rm", census[0].split(' ').next().unwrap()]);
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn no_daemon_is_said_with_what_to_do() {
    let sandbox = Sandbox::new();
    let path = sandbox.file("flow.yaml", shell(&["true"], "", ""));
    let mut command = sandbox.command();
    command.args(["run", path.to_str().unwrap(), "--json"]).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let run = crate::harness::finish(&mut command).expect(1);
    for part in ["container.unreachable", "unix:///nowhere/docker.sock", "--runner process"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
}

#[test]
fn more_containers_than_may_run_wait() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", "docker:\n  maxContainers: 3\n");
    let tasks: String = (0..20)
        .map(|n| super::one(&format!("t{n}"), "shell.Commands", "busybox", &[&format!("echo {n}")], "", ""))
        .map(|task| super::indented("      ", &task))
        .collect();
    let flow = format!(
        "id: many\nnamespace: tests\ntasks:\n  - id: all\n    type: io.kestra.plugin.core.flow.Parallel\n    tasks:\n{tasks}"
    );
    let execution = sandbox.run_flow(&flow).expect("SUCCESS");
    let mut lines: Vec<_> =
        execution.log(&sandbox).into_iter().filter(|line| !line.contains("waiting")).collect();
    lines.sort_by_key(|line| line[5..].parse::<u32>().unwrap());
    assert_eq!(lines, (0..20).map(|n| format!("INFO {n}")).collect::<Vec<_>>());
    daemon.expect_nothing_left(&sandbox);
}
