//! What can be seen of executions afterwards.

use std::process::Stdio;

use crate::assert_seen;
use crate::harness::{Sandbox, finish, wait_until};

const FLOW: &str = "
id: seen
namespace: tests
tasks:
  - id: make
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    outputFiles: [\"*.txt\"]
    commands:
      - echo content > a.txt
      - echo one
      - echo '::{\"outputs\":{\"n\":1}}::'
  - id: fails
    type: io.kestra.plugin.core.execution.Fail
    errorMessage: on purpose
";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run_flow(FLOW).expect("FAILED");
    sandbox
}

#[test]
fn list() {
    let sandbox = sandbox();
    assert_seen!(sandbox, sandbox.weft(["executions", "list"]), @"
    status: 0
    --- stdout
    ID  FLOW  STATE  STARTED  TOOK
    [ID]  tests.seen  FAILED  [DATE]  [TOOK]
    --- stderr
    ");
    assert_eq!(sandbox.weft(["executions", "list", "--flow", "other"]).expect(0).stdout.lines().count(), 1);
    assert_eq!(sandbox.weft(["executions", "list", "--state", "failed"]).expect(0).stdout.lines().count(), 2);
}

#[test]
fn show() {
    let sandbox = sandbox();
    assert_seen!(sandbox, sandbox.weft(["executions", "show", "last"]), @"
    status: 0
    --- stdout
    [ID] of tests.seen (revision 1)
    FAILED [TOOK], started [DATE]

    TASK  STATE  ATTEMPTS  TOOK  ID
    make  SUCCESS  1  [TOOK]  [ID]
    fails  FAILED  1  [TOOK]  [ID]

    error[task.fail]: task `fails`: on purpose
    --- stderr
    ");
}

#[test]
fn logs() {
    let sandbox = sandbox();
    assert_seen!(sandbox, sandbox.weft(["executions", "logs", "last"]), @"
    status: 0
    --- stdout
    [TIME] INFO  make one
    [TIME] ERROR fails on purpose
    --- stderr
    ");
    let run = sandbox.weft(["executions", "logs", "last", "--task", "make", "--level", "info"]).expect(0);
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
}

#[test]
fn outputs() {
    let sandbox = sandbox();
    let run = sandbox.weft(["executions", "outputs", "last", "make"]).expect(0);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["vars"]["n"], 1);
    let run = sandbox.weft(["executions", "outputs", "last", "mak"]).expect(2);
    assert!(run.stderr.contains("`make`"), "{}", run.stderr);
}

#[test]
fn files_are_listed_and_fetched() {
    let sandbox = sandbox();
    let run = sandbox.weft(["executions", "files", "last", "--json"]).expect(0);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json[0]["name"], "a.txt");
    assert_eq!(json[0]["size"], 8);
    assert_eq!(sandbox.weft(["executions", "files", "last", "a.txt"]).expect(0).stdout, "content\n");
    sandbox.weft(["executions", "files", "last", "a.txt", "-o", "copy.txt"]).expect(0);
    assert_eq!(std::fs::read_to_string(sandbox.home().join("copy.txt")).unwrap(), "content\n");
    let run = sandbox.weft(["executions", "files", "last", "b.txt"]).expect(1);
    assert!(run.stderr.contains("a.txt"), "{}", run.stderr);
}

#[test]
fn an_unknown_id_is_said() {
    let sandbox = sandbox();
    let run = sandbox.weft(["executions", "show", "zzz"]).expect(1);
    assert!(run.stderr.contains("zzz"), "{}", run.stderr);
}

#[test]
fn deleting_leaves_nothing() {
    let sandbox = sandbox();
    sandbox.weft(["executions", "delete", "last"]).expect(0);
    assert_eq!(sandbox.weft(["executions", "list", "--json"]).expect(0).stdout.trim(), "[]");
    let files = walk(&sandbox.data().join("storage"));
    assert!(files.is_empty(), "{files:?}");
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

#[test]
fn the_store_goes_to_a_file_and_comes_back() {
    let first = sandbox();
    first.weft(["store", "export", "all.jsonl"]).expect(0);
    let second = Sandbox::new();
    let all = first.home().join("all.jsonl");
    second.weft(["store", "import", all.to_str().unwrap()]).expect(0);
    let show = |sandbox: &Sandbox| sandbox.weft(["executions", "show", "last", "--json"]).expect(0).stdout;
    assert_eq!(show(&first), show(&second));
    let logs = |sandbox: &Sandbox| sandbox.weft(["executions", "logs", "last"]).expect(0).stdout;
    assert_eq!(logs(&first), logs(&second));
}

const REPLAYED: &str = "
id: replayed
namespace: tests
inputs:
  - id: fail
    type: BOOL
    defaults: true
tasks:
  - id: first
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ execution.id }}\"
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [a, b]
    tasks:
      - id: inner
        type: io.kestra.plugin.core.debug.Return
        format: \"{{ taskrun.value }}\"
  - id: last
    type: io.kestra.plugin.core.execution.Fail
    condition: \"{{ inputs.fail }}\"
";

#[test]
fn a_replay_is_a_new_execution_from_the_start_or_from_a_task() {
    let sandbox = Sandbox::new();
    let original = sandbox.run_flow(REPLAYED).expect("FAILED");
    let id = original.json["id"].as_str().unwrap();
    let replay = |arguments: &[&str], status: i32| -> serde_json::Value {
        let mut all = vec!["executions", "replay", id, "--json"];
        all.extend(arguments);
        serde_json::from_str(&sandbox.weft(all).expect(status).stdout).unwrap()
    };
    let again = replay(&[], 1);
    assert_ne!(again["id"], original.json["id"]);
    assert_eq!(again["originalId"], original.json["id"]);
    assert_eq!(again["taskRunList"][0]["outputs"]["value"], again["id"], "the first task ran again");

    // From a task on, by another revision; what came before is taken over.
    let fixed = sandbox.file("fixed.yaml", REPLAYED.replace("{{ inputs.fail }}", "false"));
    let from_last = replay(&["--from", "last", "--flow", fixed.to_str().unwrap()], 0);
    assert_eq!(from_last["state"]["current"], "SUCCESS");
    assert_eq!(from_last["taskRunList"][0]["outputs"]["value"], original.json["id"]);
    let runs = from_last["taskRunList"].as_array().unwrap();
    assert!(runs.iter().all(|run| run["executionId"] == from_last["id"]), "{from_last:#}");

    // A task of a loop is named by its task run.
    let ambiguous = sandbox.weft(["executions", "replay", id, "--from", "inner"]).expect(2);
    assert!(ambiguous.stderr.contains("has run 2 times"), "{}", ambiguous.stderr);
    let runs = original.json["taskRunList"].as_array().unwrap();
    let inner = runs.iter().rfind(|run| run["taskId"] == "inner").unwrap()["id"].as_str().unwrap();
    let from_inner = replay(&["--from", inner], 1);
    assert_eq!(from_inner["taskRunList"].as_array().unwrap().len(), 5, "{from_inner:#}");

    let unknown = sandbox.weft(["executions", "replay", id, "--from", "nope"]).expect(2);
    assert!(unknown.stderr.contains("there are `each`, `first`, `inner`, `last`"), "{}", unknown.stderr);
}

#[test]
fn a_replay_shows_no_secret() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "flow.yaml",
        "id: told\nnamespace: tests\ntasks:\n  - id: a\n    type: io.kestra.plugin.core.debug.Return\n    format: \"{{ secret('KEY') }}\"\n",
    );
    // `very hidden`
    let mut run = sandbox.command();
    finish(run.args(["run", "flow.yaml"]).env("SECRET_KEY", "dmVyeSBoaWRkZW4=")).expect(0);
    let mut replay = sandbox.command();
    let shown =
        finish(replay.args(["executions", "replay", "last", "--json"]).env("SECRET_KEY", "dmVyeSBoaWRkZW4="))
            .expect(0);
    assert!(!shown.stdout.contains("very hidden") && shown.stdout.contains("******"), "{}", shown.stdout);
}

#[test]
fn a_caller_waits_for_a_subflow_that_waits_for_a_person() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "child.yaml",
        "id: child\nnamespace: tests\ntasks:\n  - {id: wait, type: io.kestra.plugin.core.flow.Pause}\noutputs:\n  - {id: said, type: STRING, value: done}\n",
    );
    sandbox.file(
        "parent.yaml",
        "id: parent\nnamespace: tests\ntasks:\n  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: tests, flowId: child, wait: true, transmitFailed: true}\n",
    );
    let parent = sandbox
        .command()
        .args(["run", "parent.yaml", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let paused = || {
        let run = sandbox.weft(["executions", "list", "--state", "paused", "--json"]).expect(0);
        let list: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        list[0]["id"].as_str().map(str::to_owned)
    };
    wait_until("the child is paused", || paused().is_some());
    sandbox.weft(["executions", "resume", &paused().unwrap()]).expect(0);
    let ended = parent.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && stderr.contains("weft executions resume"), "{stderr}");
    let parent: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(parent["taskRunList"][0]["outputs"]["outputs"]["said"], "done", "{parent:#}");
}

#[test]
fn a_task_run_is_given_another_state_and_the_execution_goes_on() {
    let sandbox = Sandbox::new();
    let flow = REPLAYED.to_owned()
        + "  - id: after\n    type: io.kestra.plugin.core.debug.Return\n    format: \"{{ tasks.last.state }}\"\n";
    let failed = sandbox.run_flow(&flow).expect("FAILED");
    let id = failed.json["id"].as_str().unwrap();
    let change = ["executions", "change-status", id, "--task", "last", "--state", "warning", "--json"];
    let changed: serde_json::Value = serde_json::from_str(&sandbox.weft(change).expect(0).stdout).unwrap();
    assert_eq!(changed["id"], failed.json["id"]);
    assert_eq!(changed["state"]["current"], "WARNING");
    let last = changed["taskRunList"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["taskId"], &last["outputs"]["value"]), (&"after".into(), &"WARNING".into()));

    for (arguments, part) in [
        (["--task", "last", "--state", "fine"], "possible values: SUCCESS"),
        (["--task", "last", "--state", "running"], "invalid value 'running'"),
        (["--task", "nope", "--state", "success"], "no task `nope` has run"),
    ] {
        let run = sandbox.weft(["executions", "change-status", id].iter().chain(&arguments)).expect(2);
        assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn an_expression_that_fails_says_where_it_stands() {
    let sandbox = Sandbox::new();
    for (flow, place) in [
        (
            "id: places\nnamespace: tests\ntasks:\n  - id: t\n    type: io.kestra.plugin.core.debug.Return\n    \
             format: \"{{ vars[flow.id] }}\"\n",
            "6:17",
        ),
        (
            "id: places\nnamespace: tests\ntasks:\n  - id: t\n    type: io.kestra.plugin.core.flow.If\n    \
             condition: \"a {{ outputs[flow.id].x }}\"\n    then:\n      - id: u\n        \
             type: io.kestra.plugin.core.debug.Return\n",
            "6:22",
        ),
        (
            "id: places\nnamespace: tests\ntasks:\n  - id: t\n    type: io.kestra.plugin.core.debug.Return\n    \
             runIf: \"{{ vars[flow.id] }}\"\n",
            "6:16",
        ),
        (
            "id: places\nnamespace: tests\ntasks:\n  - id: t\n    type: io.kestra.plugin.scripts.shell.Commands\n    \
             runner: PROCESS\n    commands:\n      - |\n        one\n        two {{ vars[flow.id] }}\n",
            "10:16",
        ),
    ] {
        let execution = sandbox.run_flow(flow).expect("FAILED");
        let place = format!("flow.yaml:{place}");
        let log = execution.log(&sandbox);
        assert!(
            log.iter().any(|line| line.starts_with("ERROR") && line.contains(&place)),
            "{place}: {log:?}"
        );
    }
}

/// The deepest value that a script can put out, which is deeper in the record of its task run.
#[test]
fn what_a_script_puts_out_is_seen_later_however_deep_it_nests() {
    for levels in [100, 123, 125] {
        let sandbox = Sandbox::new();
        let value = ["[".repeat(levels), "]".repeat(levels)].concat();
        let flow = format!(
            "
id: deep
namespace: tests
tasks:
  - id: make
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - echo '::{{\"outputs\":{{\"deep\":{value}}}}}::'
"
        );
        let file = sandbox.file("flow.yaml", &flow);
        sandbox.weft(["run", file.to_str().unwrap()]).expect(0);
        let shown = sandbox.weft(["executions", "show", "last"]).expect(0).stdout;
        assert!(shown.contains("SUCCESS") && !shown.contains("RUNNING"), "{levels}: {shown}");
        let outputs = sandbox.weft(["executions", "outputs", "last", "make"]).expect(0).stdout;
        let bare: String = outputs.split_whitespace().collect();
        assert!(bare.contains(&value), "{levels}: {outputs}");
    }
}
