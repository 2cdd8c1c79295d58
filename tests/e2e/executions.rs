//! What can be seen of executions afterwards.

use crate::assert_seen;
use crate::harness::{Sandbox, regex_escape};

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
    let run = sandbox.weft(["executions", "outputs", "last", "mak"]).expect(1);
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
