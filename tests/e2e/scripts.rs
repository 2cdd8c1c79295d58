//! What script tasks do: exit codes, streams, files, time limits, and that nothing of them is left.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Sandbox, finish, wait_until};

/// One shell task with these commands and further properties.
fn shell(commands: &[&str], more: &str) -> String {
    let commands: String = commands
        .iter()
        .map(|command| format!("      - {}\n", serde_json::to_string(command).unwrap()))
        .collect();
    format!(
        "id: scripts\nnamespace: tests\ntasks:\n  - id: task\n    type: io.kestra.plugin.scripts.shell.Commands\n    \
         runner: PROCESS\n{more}    commands:\n{commands}"
    )
}

#[test]
fn a_script_sees_what_is_documented_of_the_environment_and_what_is_named() {
    const ENGINE: [&str; 12] = [
        "SECRET_TOKEN",
        "WEFT_GRANT",
        "AWS_SECRET_ACCESS_KEY",
        "DOCKER_HOST",
        "SSH_AUTH_SOCK",
        "GITHUB_TOKEN",
        "ENV_STAGE",
        "LC_ALL",
        "https_proxy",
        "VIRTUAL_ENV",
        "APP_A",
        "JAVA_OPTS",
    ];
    let names = |sandbox: &Sandbox| -> Vec<String> {
        sandbox.file("flow.yaml", shell(&["env"], "    env:\n      MINE: 'yes'\n"));
        let mut command = sandbox.command();
        for name in ENGINE {
            command.env(name, if name == "WEFT_GRANT" { "nobody:kv" } else { "c2Vlbg==" });
        }
        finish(command.args(["run", "flow.yaml"])).expect(0);
        let logs = sandbox.weft(["executions", "logs", "last"]).expect(0).stdout;
        let entries = logs.lines().filter_map(|line| line.split_once(" task ")?.1.split_once('='));
        entries.map(|(name, _)| name.to_owned()).collect()
    };
    for (config, seen) in [
        ("", &["LC_ALL", "https_proxy", "VIRTUAL_ENV"][..]),
        (
            "environment:\n  pass: [JAVA_OPTS, APP_*]\n  set: {STAGE: test}\n",
            &["LC_ALL", "https_proxy", "VIRTUAL_ENV", "APP_A", "JAVA_OPTS", "STAGE"],
        ),
        ("environment:\n  pass: [SECRET_TOKEN]\n", &["LC_ALL", "https_proxy", "VIRTUAL_ENV", "SECRET_TOKEN"]),
    ] {
        let sandbox = Sandbox::new();
        sandbox.file("data/config.yaml", config);
        let names = names(&sandbox);
        for name in ["PATH", "HOME", "TZ", "MINE", "WORKING_DIR"].iter().chain(seen) {
            assert!(names.iter().any(|seen| seen == name), "{config}: no {name} in {names:?}");
        }
        for name in
            ENGINE.iter().filter(|name| !seen.contains(name)).chain(&["WEFT_DATA_DIR", "WEFT_CACHE_DIR"])
        {
            assert!(!names.iter().any(|seen| seen == name), "{config}: {name} in {names:?}");
        }
    }
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", "environment:\n  pass: ['*_TOKEN']\n");
    let refused = sandbox.weft(["executions", "list"]).expect(2);
    assert!(refused.stderr.contains("`*_TOKEN` is no name of a variable"), "{}", refused.stderr);
}

#[test]
fn exit_codes_and_states() {
    for (commands, more, state, exit_code) in [
        (&["true"][..], "", "SUCCESS", json!(0)),
        (&["exit 66", "echo never"], "", "FAILED", json!(66)),
        (&["nosuchcommand", "echo never"], "", "FAILED", json!(127)),
        (&["nosuchcommand", "echo on"], "    failFast: false\n", "WARNING", json!(0)),
        (&["echo oops >&2"], "", "WARNING", json!(0)),
        (&["echo oops >&2"], "    warningOnStdErr: false\n", "SUCCESS", json!(0)),
        (&["exit 3"], "    allowFailure: true\n", "WARNING", json!(3)),
        (&["x=1", "cd /", "test $x = 1", "test $PWD = /"], "", "SUCCESS", json!(0)),
    ] {
        let sandbox = Sandbox::new();
        let execution = sandbox.run_flow(&shell(commands, more));
        assert_eq!(execution.state(), state, "{commands:?}");
        assert_eq!(execution.outputs("task")["exitCode"], exit_code, "{commands:?}");
        assert_eq!(execution.run.status, i32::from(state == "FAILED"), "{commands:?}");
    }
}

#[test]
fn both_eras_of_properties() {
    for runner in [
        "runner: PROCESS",
        "taskRunner:\n      type: io.kestra.plugin.core.runner.Process\n    containerImage: ubuntu",
        "runner: PROCESS\n    docker:\n      image: ubuntu",
    ] {
        let sandbox = Sandbox::new();
        let flow = shell(&["echo $GREETING"], "    env:\n      GREETING: \"hello {{ flow.id }}\"\n")
            .replace("runner: PROCESS", runner);
        let execution = sandbox.run_flow(&flow).expect("SUCCESS");
        assert_eq!(execution.log(&sandbox), ["INFO hello scripts"], "{runner}");
    }
}

#[test]
fn output_lines_keep_their_order_and_level() {
    let sandbox = Sandbox::new();
    let commands = ["echo one; echo; printf 'two\\r\\nthree'", "echo wrong >&2"];
    let execution = sandbox.run_flow(&shell(&commands, "")).expect("WARNING");
    let log = execution.log(&sandbox);
    let info: Vec<_> = log.iter().filter(|line| line.starts_with("INFO")).collect();
    assert_eq!(info, ["INFO one", "INFO ", "INFO two", "INFO three"]);
    assert!(log.contains(&"WARN wrong".to_owned()), "{log:?}");
}

#[test]
fn outputs_come_from_both_streams_and_are_not_logged() {
    let sandbox = Sandbox::new();
    let commands = [
        r#"echo '::{"outputs":{"a":1,"b":{"x":1}}}::'"#,
        r#"echo '::{"outputs":{"b":2}}::'"#,
        // The order of the two streams to each other is not known, so this has a key of its own.
        r#"echo '::{"outputs":{"c":null}}::' >&2"#,
        r#"echo '::{"metrics":[{"name":"n","type":"counter","value":1},{"name":"n","type":"counter","value":2}]}::'"#,
        r#"echo '::{"outputs":{oops}}::'"#,
        r#"printf '::{\n"outputs": {"block": true}\n}::\n'"#,
    ];
    let execution = sandbox.run_flow(&shell(&commands, "    warningOnStdErr: false\n")).expect("SUCCESS");
    assert_eq!(execution.outputs("task")["vars"], json!({"a": 1, "b": 2, "c": null, "block": true}));
    assert_eq!(execution.metrics(), ["n counter 3.0 {}"]);
    let log = execution.log(&sandbox);
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].starts_with("WARN invalid outputs: "), "{log:?}");
}

#[test]
fn files_go_in_and_out() {
    let sandbox = Sandbox::new();
    let flow = r#"
id: files
namespace: tests
tasks:
  - id: make
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    inputFiles:
      in/data.txt: "from {{ task.id }}\n"
    outputFiles:
      - "*.txt"
      - "sub/**"
    commands:
      - cp in/data.txt top.txt
      - mkdir -p sub/deep && echo 1 > sub/deep/a.csv && echo 2 > sub/.hidden
      - mkdir -p {{ outputDir }}/d && echo 3 > {{ outputDir }}/d/x.bin
      - test "$OUTPUT_DIR" = {{ outputDir }} && test "$WORKING_DIR" = {{ workingDir }} && test "$PWD" = {{ workingDir }}
  - id: use
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    inputFiles:
      copy.txt: "{{ outputs.make.outputFiles['top.txt'] }}"
    commands:
      - cat copy.txt
      - cat {{ outputs.make.outputFiles['d/x.bin'] }}
"#;
    let execution = sandbox.run_flow(flow).expect("SUCCESS");
    let files = execution.outputs("make")["outputFiles"].as_object().unwrap();
    let mut names: Vec<_> = files.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["d/x.bin", "sub/.hidden", "sub/deep/a.csv", "top.txt"]);
    assert_eq!(execution.log(&sandbox), ["INFO from make", "INFO 3"]);
    // Working directories are gone.
    let left = std::fs::read_dir(sandbox.data().join("tmp")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}

#[test]
fn files_are_kept_after_a_failure() {
    let sandbox = Sandbox::new();
    let more = "    outputFiles:\n      - \"*.txt\"\n";
    let execution = sandbox.run_flow(&shell(&["echo 1 > kept.txt", "exit 9"], more)).expect("FAILED");
    assert!(execution.outputs("task")["outputFiles"]["kept.txt"].is_string());
    assert_eq!(execution.failure("task")["code"], "process.exit-code");
}

#[test]
fn globs_cannot_leave_the_directory() {
    for (commands, glob) in [(&["true"][..], "../*"), (&["ln -s /etc/passwd stolen.txt"], "*.txt")] {
        let sandbox = Sandbox::new();
        let more = format!("    outputFiles:\n      - \"{glob}\"\n");
        let execution = sandbox.run_flow(&shell(commands, &more));
        let files = &execution.outputs("task")["outputFiles"];
        assert_eq!(files, &json!({}), "{glob}");
        assert_eq!(execution.state(), "FAILED", "{glob}: {:#}", execution.json);
        let message = execution.failure("task")["message"].as_str().unwrap();
        assert!(message.contains("outputFiles"), "{glob}: {message}");
    }
}

#[test]
fn a_timeout_ends_the_whole_tree() {
    let sandbox = Sandbox::new();
    let marker = sandbox.home().join("alive");
    // A child in a session of its own, with a clean environment, that would report that it is still alive.
    let survivor = format!(
        "setsid env -i sh -c 'while true; do date > {}; sleep 0.1; done' > /dev/null 2>&1 &",
        marker.display()
    );
    let execution =
        sandbox.run_flow(&shell(&[&survivor, "sleep 60"], "    timeout: PT1S\n")).expect("FAILED");
    assert_eq!(execution.failure("task")["code"], "task.timeout");
    assert!(
        execution.failure("task")["message"].as_str().unwrap().contains("timeout"),
        "{:#}",
        execution.json
    );
    assert_nothing_writes(&marker);
}

#[test]
fn what_a_task_leaves_running_ends_with_it() {
    let sandbox = Sandbox::new();
    let marker = sandbox.home().join("alive");
    let left = format!("(while true; do date > {}; sleep 0.1; done) > /dev/null 2>&1 &", marker.display());
    let wait = format!("until test -e {}; do sleep 0.05; done", marker.display());
    sandbox.run_flow(&shell(&[&left, &wait], "")).expect("SUCCESS");
    assert_nothing_writes(&marker);
}

/// Panics if somebody still writes the file.
#[track_caller]
pub fn assert_nothing_writes(marker: &std::path::Path) {
    wait_until("the survivor to have been there", || marker.exists());
    std::fs::remove_file(marker).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(!marker.exists(), "something still runs");
}

#[test]
fn invalid_utf8_is_replaced() {
    let sandbox = Sandbox::new();
    let execution = sandbox.run_flow(&shell(&[r"printf 'a\377b\n'"], "")).expect("SUCCESS");
    assert_eq!(execution.log(&sandbox), ["INFO a\u{fffd}b"]);
}

#[test]
fn a_line_without_end_is_cut() {
    let sandbox = Sandbox::new();
    let execution =
        sandbox.run_flow(&shell(&["head -c 100000000 /dev/zero | tr '\\0' x"], "")).expect("SUCCESS");
    let log = execution.log(&sandbox);
    assert_eq!(log.len(), 2, "{:?}", log.iter().map(String::len).collect::<Vec<_>>());
    assert!(log[0].len() <= 2 << 20, "{}", log[0].len());
    assert!(log[1].contains("100000000 bytes"), "{}", log[1]);
}

#[test]
fn a_flood_of_output_is_bounded_and_said() {
    let sandbox = Sandbox::new();
    let flood = "yes 0123456789012345678901234567890123456789 | head -c 400000000";
    let execution = sandbox.run_flow_with(&shell(&[flood], ""), &["--quiet"]).expect("SUCCESS");
    let id = execution.json["id"].as_str().unwrap();
    let size =
        std::fs::metadata(sandbox.data().join("executions").join(id).join("logs.jsonl")).unwrap().len();
    assert!(size < 1 << 30, "{size}");
    let last = sandbox.weft(["executions", "logs", id, "-n", "1"]).expect(0).stdout;
    assert!(last.contains("WARN"), "{last}");
}

#[test]
fn logs_have_a_least_level_and_can_be_a_file() {
    let sandbox = Sandbox::new();
    let execution = sandbox
        .run_flow(
            "
id: logs
namespace: tests
tasks:
  - id: quiet
    type: io.kestra.plugin.core.log.Log
    message: not kept
    level: DEBUG
    logLevel: INFO
  - id: kept
    type: io.kestra.plugin.core.log.Log
    message: [one, two]
    logToFile: true
",
        )
        .expect("SUCCESS");
    assert_eq!(execution.log(&sandbox), ["INFO one", "INFO two"]);
    let uri = execution.task_run("kept")["attempts"][0]["logFile"].as_str().unwrap();
    let file = sandbox.weft(["executions", "files", "last", uri]).expect(0).stdout;
    assert!(file.contains("INFO one") && file.contains("INFO two"), "{file}");
}

#[test]
fn secrets_are_masked_in_logs_and_errors() {
    let sandbox = Sandbox::new();
    let flow = shell(&["echo {{ secret('my_key') }}", "echo aHVudGVyMg==", "exit 1"], "");
    let path = sandbox.file("flow.yaml", flow);
    // "hunter2" in base64.
    let run = finish(
        sandbox
            .command()
            .args(["run", path.to_str().unwrap(), "--json"])
            .env("SECRET_MY_KEY", "aHVudGVyMg=="),
    );
    let logs = sandbox.weft(["executions", "logs", "last"]).expect(0).stdout;
    assert!(logs.contains("******"), "{logs}");
    for text in [&run.stdout, &run.stderr, &logs] {
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
    }
}

#[test]
fn powershell_is_called_as_documented() {
    // PowerShell cannot be had on the machines that run the tests: a stand-in checks how it is called.
    let sandbox = Sandbox::new();
    let stand_in = sandbox.file("bin/pwsh", "#!/bin/sh\nfor a in \"$@\"; do printf '[%s]\\n' \"$a\"; done\n");
    std::fs::set_permissions(&stand_in, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let execution = sandbox
        .run_flow(&format!(
            "
id: powershell
namespace: tests
tasks:
  - id: task
    type: io.kestra.plugin.scripts.powershell.Commands
    runner: PROCESS
    env:
      PATH: \"{}:/usr/bin:/bin\"
    commands:
      - Write-Output hello
",
            sandbox.home().join("bin").display()
        ))
        .expect("SUCCESS");
    let log = execution.log(&sandbox).join("\n").replace("INFO ", "");
    assert_eq!(
        log,
        "[-NoProfile]\n[-NonInteractive]\n[-Command]\n[$ErrorActionPreference = 'Stop'\nWrite-Output hello]"
    );
}
