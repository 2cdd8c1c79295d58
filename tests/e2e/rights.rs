//! What a plugin of a third party may reach, with and without grants, and what a flow may reach of others' files.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::harness::{Execution, Sandbox};

/// A plugin that tries whatever the flow says: the tests of the host have it as well.
static TRIES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/tests/guests");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--package", "behaviours", "--target", "wasm32-wasip2"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(source)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .unwrap();
    assert!(built.success());
    std::fs::read(target.join("wasm32-wasip2/release/behaviours.wasm")).unwrap()
});

/// A sandbox with the plugin as `guest`, and what another namespace has: a file of an execution, a file, a value. The
/// address of the first.
fn with_others() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.file("others/guest.wasm", &*TRIES);
    sandbox.file("shared.txt", "shared by others");
    let put = ["namespace", "files", "put", "other.ns", "shared.txt"];
    sandbox.weft(put).expect(0);
    sandbox.weft(["namespace", "kv", "set", "other.ns", "k", "of others"]).expect(0);
    let execution = sandbox.run_flow(&writes("other.ns", "theirs")).expect("SUCCESS");
    let uri = file_of(&execution);
    (sandbox, uri)
}

/// A flow that puts out a file.
fn writes(namespace: &str, text: &str) -> String {
    format!(
        "
id: writes
namespace: {namespace}
tasks:
  - id: write
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    outputFiles: [out.txt]
    commands: [printf {text} > out.txt]
outputs:
  - id: file
    type: STRING
    value: \"{{{{ outputs.write.outputFiles['out.txt'] }}}}\"
"
    )
}

fn file_of(execution: &Execution) -> String {
    execution.outputs("write")["outputFiles"]["out.txt"].as_str().unwrap().to_owned()
}

/// What comes of calls that the plugin makes in a flow of the namespace `tests`, with these arguments.
fn tries(sandbox: &Sandbox, calls: &Value, note: &str, args: &[&str]) -> Vec<Value> {
    let flow = format!(
        "
id: tries
namespace: tests
tasks:
  - id: try
    type: test.Tries
    calls: {calls}
    note: {}
",
        json!(note)
    );
    let all: Vec<&str> = ["--plugins", "others"].into_iter().chain(args.iter().copied()).collect();
    let execution = sandbox.run_flow_with(&flow, &all).expect("SUCCESS");
    execution.outputs("try")["results"].as_array().unwrap().clone()
}

/// The URI as a plugin has it that made it up: so it does not stand in the flow.
fn made_up(uri: &str) -> String {
    uri.replacen("kestra:///", "kestra|", 1)
}

#[track_caller]
fn is_denied(result: &Value, grant: &str) {
    assert_eq!(result["code"], "capability.denied", "{result}");
    let message = result["message"].as_str().unwrap();
    assert!(message.contains(&format!("`--grant guest:{grant}`")), "{grant}: {message}");
}

#[test]
fn a_plugin_without_grants_reaches_nothing_of_others() {
    let (sandbox, theirs) = with_others();
    let (theirs, shared) = (made_up(&theirs), "kestra|other/ns/_files/shared.txt");
    let own = sandbox.run_flow(&writes("tests", "mine")).expect("SUCCESS");
    let earlier = made_up(&file_of(&own));
    let calls = json!([
        {"call": "get", "uri": theirs},
        {"call": "size", "uri": theirs},
        {"call": "delete", "uri": theirs},
        {"call": "get", "uri": shared},
        {"call": "delete", "uri": shared},
        {"call": "get", "uri": "kestra|other/ns/%5Ffiles/shared%2Etxt"},
        {"call": "get", "uri": earlier},
        {"call": "get", "uri": "kestra|tests/_files/mine.txt"},
        {"call": "get", "uri": "kestra|nowhere"},
        {"call": "get", "uri": "kestra|tests/../other/ns/_files/shared.txt"},
        {"call": "get", "uri": "kestra|tests/%2e%2e/other"},
        {"call": "get", "uri": "nsfile|other.ns/shared.txt"},
        {"call": "get", "uri": "file:///etc/hostname"},
        {"call": "kv", "key": "k"},
        {"call": "kv", "namespace": "other.ns", "key": "k"},
        {"call": "kvSet", "namespace": "other.ns", "key": "k"},
        {"call": "secret", "name": "DB_PASSWORD"},
        {"call": "variable", "name": "WEFT_TEST_X"},
        {"call": "spawn", "argv": ["true"]},
        {"call": "container", "image": "busybox"},
        {"call": "http", "url": "http://127.0.0.1:9/"},
        {"call": "connect", "host": "127.0.0.1", "port": 9},
        {"call": "clone", "url": "https://127.0.0.1:9/a/b"},
        // What it may do.
        {"call": "putAndDelete", "name": "draft.txt"},
        {"call": "put", "name": "kept.txt"},
        {"call": "label", "key": "from"},
    ]);
    let results = tries(&sandbox, &calls, "", &[]);
    for (at, grant) in [
        (0, "storage=other.ns"),
        (1, "storage=other.ns"),
        (2, "storage=other.ns"),
        (3, "storage=other.ns"),
        (4, "storage=other.ns"),
        (5, "storage=other.ns"),
        // Another execution of its own namespace, and a file of it.
        (6, "storage=tests"),
        (7, "storage"),
        (8, "storage"),
        (13, "kv"),
        (14, "kv=other.ns"),
        (15, "kv=other.ns"),
        (16, "secrets=DB_PASSWORD"),
        (17, "environment=WEFT_TEST_X"),
        (18, "process=true"),
        (19, "container=busybox"),
        (20, "http"),
        (21, "tcp"),
        (22, "git"),
    ] {
        assert_eq!(results[at]["code"], "capability.denied", "call {at}: {}", results[at]);
        is_denied(&results[at], grant);
    }
    for result in &results[9..=12] {
        assert_eq!(result["code"], "storage.invalid-uri", "{result}");
    }
    assert_eq!(results[23]["value"], json!({"size": 5, "deleted": true}));
    assert!(results[24]["value"].as_str().unwrap().ends_with("/kept.txt"), "{}", results[24]);
    assert_eq!(results[25]["value"], "set");

    let shared = sandbox.weft(["namespace", "files", "get", "other.ns", "shared.txt"]).expect(0);
    assert_eq!(shared.stdout, "shared by others", "nothing was removed");
    let value = sandbox.weft(["namespace", "kv", "get", "other.ns", "k"]).expect(0);
    assert!(value.stdout.contains("of others"), "{}", value.stdout);
}

#[test]
fn a_grant_reaches_as_far_as_its_scope() {
    let (sandbox, theirs) = with_others();
    let theirs = made_up(&theirs);
    let calls = json!([
        {"call": "get", "uri": theirs},
        {"call": "get", "uri": "kestra|other/ns/_files/shared.txt"},
        {"call": "kv", "namespace": "other.ns", "key": "k"},
        {"call": "kv", "key": "k"},
        {"call": "spawn", "argv": ["true"]},
        {"call": "spawn", "argv": ["id"]},
        {"call": "http", "url": "http://127.0.0.1:9/"},
        {"call": "http", "url": "http://localhost:9/"},
    ]);
    let right = "guest:storage=other.*,kv=other.ns,process=true,http=127.0.0.1:9";
    let results = tries(&sandbox, &calls, "", &["--grant", right]);
    assert_eq!(results[0]["value"], "theirs");
    assert_eq!(results[1]["value"], "shared by others");
    assert_eq!(results[2]["value"], "of others");
    is_denied(&results[3], "kv");
    assert_eq!(results[4]["value"], 0);
    is_denied(&results[5], "process=id");
    assert_eq!(results[6]["code"], "network.connect", "{}", results[6]);
    // One of its addresses is allowed.
    assert_eq!(results[7]["code"], "network.connect", "{}", results[7]);

    // The same in the configuration, with the wrong scopes.
    sandbox.file(
        "data/config.yaml",
        "plugins:\n  grants:\n    guest: [{storage: [others.ns]}, {kv: [other]}, {process: [tru]}, {http: [\"10.0.0.0/8\"]}]\n",
    );
    let results = tries(&sandbox, &calls, "", &[]);
    for (at, grant) in [
        (0, "storage=other.ns"),
        (1, "storage=other.ns"),
        (2, "kv=other.ns"),
        (4, "process=true"),
        (6, "http=127.0.0.1"),
        (7, "http=localhost"),
    ] {
        is_denied(&results[at], grant);
    }

    let shown = sandbox.weft(["plugins", "show", "test.Modest", "--plugins", "others"]).expect(0);
    for part in [
        "needs secrets=MODEST_*, kv, process=git",
        "granted execution, kv=other, storage=others.ns, process=tru, http=10.0.0.0/8",
    ] {
        assert!(shown.stdout.contains(part), "{part}\n{}", shown.stdout);
    }
    let wrong = sandbox.weft(["plugins", "list", "--grant", "guest:http=https://a.example"]).expect(2);
    assert!(wrong.stderr.contains("`https://a.example` is no scope of `http`"), "{}", wrong.stderr);
}

#[test]
fn what_the_flow_hands_over_may_be_read_and_no_more() {
    let sandbox = Sandbox::new();
    sandbox.file("others/guest.wasm", &*TRIES);
    let earlier = file_of(&sandbox.run_flow(&writes("tests", "mine")).expect("SUCCESS"));
    sandbox.file("note.txt", "a note");
    sandbox.weft(["namespace", "files", "put", "tests", "note.txt"]).expect(0);
    let made_up = made_up(&earlier);
    let calls = json!([
        {"call": "get", "uri": made_up},
        {"call": "delete", "uri": made_up},
        {"call": "get", "uri": "kestra|tests/_files/note.txt"},
        {"call": "size", "uri": "kestra|tests/_files/other.txt"},
    ]);
    let results = tries(&sandbox, &calls, &format!("the file: {earlier} and nsfile:///note.txt"), &[]);
    assert_eq!(results[0]["value"], "mine");
    is_denied(&results[1], "storage=tests");
    assert_eq!(results[2]["value"], "a note", "{}", results[2]);
    is_denied(&results[3], "storage");
}

/// A flow in the namespace `tests` with one task after the other that is allowed to fail.
fn of_tests(tasks: &[String]) -> String {
    let tasks: String = tasks
        .iter()
        .enumerate()
        .map(|(at, task)| format!("  - id: t{at}\n    allowFailure: true\n{}", indented(task)))
        .collect();
    format!("id: reads\nnamespace: tests\ntasks:\n{tasks}")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

#[test]
fn a_flow_does_not_reach_executions_of_other_namespaces() {
    let (sandbox, theirs) = with_others();
    let own = file_of(&sandbox.run_flow(&writes("tests", "mine")).expect("SUCCESS"));
    sandbox.file("reads.yaml", READS);
    let ways = |uri: &str| {
        vec![
            format!("type: io.kestra.plugin.core.debug.Return\nformat: \"{{{{ read('{uri}') }}}}\""),
            format!("type: io.kestra.plugin.core.debug.Return\nformat: \"{{{{ fileSize('{uri}') }}}}\""),
            format!("type: io.kestra.plugin.core.storage.Size\nuri: {uri}"),
            format!("type: io.kestra.plugin.core.storage.Concat\nfiles: [{uri}]"),
            format!(
                "type: io.kestra.plugin.scripts.shell.Commands\nrunner: PROCESS\ninputFiles:\n  a.txt: {uri}\ncommands: [cat a.txt]"
            ),
            format!(
                "type: io.kestra.plugin.scripts.shell.Commands\nrunner: PROCESS\ncommands: [\"cat {uri}\"]"
            ),
            format!("type: io.kestra.plugin.core.storage.Delete\nuri: {uri}"),
        ]
    };
    // Of its own namespace, other executions are as good as itself.
    let execution = sandbox.run_flow(&of_tests(&ways(&own))).expect("SUCCESS");
    assert_eq!(execution.outputs("t0")["value"], "mine");

    let execution = sandbox.run_flow(&of_tests(&ways(&theirs))).expect("WARNING");
    for at in 0..7 {
        let failure = execution.failure(&format!("t{at}"));
        let code = if at < 2 { "expression.failed" } else { "storage.not-allowed" };
        assert_eq!(failure["code"], code, "t{at}: {failure}");
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains("it belongs to the execution `"), "t{at}: {message}");
    }
    // A flow cannot have it read by another one that it starts.
    let hand_over = format!(
        "type: io.kestra.plugin.core.flow.Subflow\nnamespace: third.ns\nflowId: reads\nwait: true\ntransmitFailed: true\ninputs:\n  file: {theirs}"
    );
    sandbox.run_flow(&of_tests(std::slice::from_ref(&hand_over))).expect("WARNING");
    // The one before was removed at its end.
    let own = file_of(&sandbox.run_flow(&writes("tests", "mine")).expect("SUCCESS"));
    sandbox.run_flow(&of_tests(&[hand_over.replace(&theirs, &own)])).expect("SUCCESS");
    // Files that a namespace shares may be read, and removed by nobody else.
    let shared = ways("nsfile://other.ns/shared.txt");
    let execution = sandbox.run_flow(&of_tests(&[shared[0].clone(), shared[4].clone()])).expect("SUCCESS");
    assert_eq!(execution.outputs("t0")["value"], "shared by others");
    let remove =
        "type: io.kestra.plugin.core.storage.Delete\nuri: kestra:///other/ns/_files/shared.txt".to_owned();
    let execution = sandbox.run_flow(&of_tests(&[remove])).expect("WARNING");
    assert_eq!(execution.failure("t0")["code"], "storage.not-allowed");
}

/// A flow of a third namespace that reads the file which it is handed.
const READS: &str = "
id: reads
namespace: third.ns
inputs:
  - id: file
    type: STRING
tasks:
  - id: read
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ read(inputs.file) }}\"
  - id: size
    type: io.kestra.plugin.core.storage.Size
    uri: \"{{ inputs.file }}\"
outputs:
  - id: text
    type: STRING
    value: \"{{ outputs.read.value }} {{ outputs.size.size }}\"
";

#[test]
fn executions_that_start_each_other_share_their_files_across_namespaces() {
    let sandbox = Sandbox::new();
    sandbox.file("writes.yaml", writes("other.ns", "of-the-child"));
    sandbox.file("reads.yaml", READS);
    let execution = sandbox
        .run_flow(
            "
id: parent
namespace: tests
tasks:
  - id: child
    type: io.kestra.plugin.core.flow.Subflow
    namespace: other.ns
    flowId: writes
    wait: true
  - id: read
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ read(outputs.child.outputs.file) }}\"
  - id: script
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - cat {{ outputs.child.outputs.file }}
  - id: sibling
    type: io.kestra.plugin.core.flow.Subflow
    namespace: third.ns
    flowId: reads
    wait: true
    inputs:
      file: \"{{ outputs.child.outputs.file }}\"
",
        )
        .expect("SUCCESS");
    assert_eq!(execution.outputs("read")["value"], "of-the-child");
    assert_eq!(execution.outputs("sibling")["outputs"]["text"], "of-the-child 12");
    // Whoever starts a flow may hand it any file.
    let file = execution.outputs("child")["outputs"]["file"].as_str().unwrap();
    let given = sandbox.weft(["run", "reads.yaml", "--json", "-i", &format!("file={file}")]).expect(0);
    assert!(given.stdout.contains("of-the-child 12"), "{}", given.stdout);
}
