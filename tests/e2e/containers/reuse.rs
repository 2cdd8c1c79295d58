//! Tasks of one `WorkingDirectory` that share a container.

use serde_json::json;

use super::{Daemon, directory, one};
use crate::harness::Sandbox;

fn script(id: &str, commands: &[&str], more: &str, docker: &str) -> String {
    one(id, "shell.Commands", "busybox", commands, more, docker)
}

/// Puts out the container that a task ran in.
const WHERE: &str = r#"echo "::{\"outputs\":{\"host\":\"$(hostname)\"}}::""#;

#[test]
fn consecutive_tasks_run_in_one_container() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let flow = directory(&[
        script(
            "a",
            &[WHERE, "echo from a > file", "echo $X", "touch /in-container"],
            "env:\n  X: one\n  ONLY_A: 'yes'",
            "",
        ),
        script(
            "b",
            &[WHERE, "cat file", "echo \"$X ${ONLY_A:-unset}\"", "test -e /in-container"],
            "env:\n  X: two",
            "",
        ),
        script("c", &[WHERE, "echo ${X:-unset}", "pwd", "exit 7"], "allowFailure: true", ""),
        script("d", &[WHERE], "", "reuse: false"),
        script("e", &[WHERE], "", "networkMode: none"),
        script("f", &[WHERE], "", ""),
    ]);
    let execution = sandbox.run_flow(&flow).expect("WARNING");
    let host = |task: &str| execution.outputs(task)["vars"]["host"].as_str().unwrap().to_owned();
    for same in ["b", "c", "f"] {
        assert_eq!(host(same), host("a"), "{same}");
    }
    for other in ["d", "e"] {
        assert_ne!(host(other), host("a"), "{other}");
    }
    assert_eq!(execution.outputs("c")["exitCode"], 7);
    let log = execution.log(&sandbox);
    for line in ["INFO one", "INFO from a", "INFO two unset", "INFO unset"] {
        assert!(log.contains(&line.to_owned()), "{line}: {log:?}");
    }
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn a_setting_turns_it_off() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", "docker:\n  reuse: false\n");
    let execution = sandbox
        .run_flow(&directory(&[script("a", &[WHERE], "", ""), script("b", &[WHERE], "", "")]))
        .expect("SUCCESS");
    assert_ne!(execution.outputs("a")["vars"]["host"], execution.outputs("b")["vars"]["host"]);
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn nothing_of_a_task_lives_on_in_the_next() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    // In a session of its own, without the environment, holding the output open, and writing on.
    let stray = "setsid env -i sh -c 'while true; do date > alive; echo stray; sleep 0.1; done' & sleep 0.5";
    let flow = directory(&[
        script("first", &[WHERE, stray], "", ""),
        script("second", &[WHERE, "rm alive; sleep 1; test ! -e alive", stray], "", ""),
        script("third", &[WHERE, "rm alive; sleep 1; test ! -e alive"], "", ""),
    ]);
    let execution = sandbox.run_flow(&flow).expect("SUCCESS");
    assert_eq!(execution.outputs("first")["vars"], execution.outputs("third")["vars"]);
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn a_timeout_is_that_of_one_task() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let flow = directory(&[
        script(
            "slow_first",
            &["trap 'echo asked; exit 1' TERM", "while true; do sleep 0.1; done"],
            "timeout: PT12S\nallowFailure: true",
            "",
        ),
        script("between", &["echo still here"], "", ""),
        script("slow_later", &["sleep 600"], "timeout: PT2S\nallowFailure: true", ""),
        script(
            "stubborn",
            &["trap '' TERM; while true; do sleep 0.1; done"],
            "timeout: PT2S\nallowFailure: true",
            "killGracePeriod: PT1S",
        ),
        script("after", &["echo the end"], "", ""),
    ]);
    let execution = sandbox.run_flow(&flow).expect("WARNING");
    for task in ["slow_first", "slow_later", "stubborn"] {
        assert_eq!(execution.failure(task)["code"], "task.timeout", "{task}");
    }
    let log = execution.log(&sandbox);
    for line in ["INFO asked", "INFO still here", "INFO the end"] {
        assert!(log.contains(&line.to_owned()), "{line}: {log:?}");
    }
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn a_missing_interpreter_is_named_in_a_shared_container_too() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let flow = directory(&[
        script("first", &["true"], "interpreter: [nosuch, -c]\nallowFailure: true", ""),
        script("later", &["true"], "interpreter: [/bin/nosuch]\nallowFailure: true", ""),
        one("noshell", "shell.Commands", "noshell", &["/busybox", "true"], "interpreter: []", ""),
        one("noshell_again", "shell.Commands", "noshell", &["/busybox", "true"], "interpreter: []", ""),
    ]);
    let execution = sandbox.run_flow(&flow).expect("WARNING");
    for task in ["first", "later"] {
        assert_eq!(execution.failure(task)["code"], "container.interpreter", "{task}");
    }
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn outputs_lines_and_warnings_are_each_tasks_own() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let flow = directory(&[
        script("quiet", &["printf 'no end'"], "", ""),
        script("loud", &["echo oops >&2", "printf 'no end either'"], "", ""),
        script("many", &["seq 1 50000", r#"echo '::{"outputs":{"last":true}}::'"#], "", ""),
    ]);
    let execution = sandbox.run_flow(&flow).expect("WARNING");
    assert_eq!(execution.states(), ["wdir=WARNING", "quiet=SUCCESS", "loud=WARNING", "many=SUCCESS"]);
    assert_eq!(execution.outputs("many")["vars"], json!({"last": true}));
    let log = execution.log(&sandbox);
    assert_eq!(log.iter().filter(|line| line.starts_with("INFO")).count(), 50_002, "{:?}", &log[..5]);
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn names_that_no_shell_takes_are_variables_all_the_same() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let flow =
        directory(&[script("a", &["/bin/busybox", "env"], "env:\n  my.name: dotted\ninterpreter: []", "")]);
    let execution = sandbox.run_flow(&flow).expect("SUCCESS");
    assert!(execution.log(&sandbox).contains(&"INFO my.name=dotted".to_owned()));
    daemon.expect_nothing_left(&sandbox);
}
