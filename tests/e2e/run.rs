//! What `weft run` does and says.

use serde_json::json;

use crate::assert_seen;
use crate::harness::Sandbox;

const HELLO: &str = "
id: hello
namespace: tests
inputs:
  - id: name
    type: STRING
    defaults: world
tasks:
  - id: say
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - echo hello {{ inputs.name }}
";

#[test]
fn lines_without_a_terminal() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", HELLO);
    let run = sandbox.weft(["run", "flow.yaml", "-i", "name=Ada"]);
    assert_seen!(sandbox, run, @"
    status: 0
    --- stdout
    --- stderr
    [TIME] INFO  say hello Ada
    [TIME] ✓  say SUCCESS [TOOK]
    ✓ tests.hello SUCCESS [TOOK] [ID]
    ");
}

#[test]
fn nothing_but_the_end_when_quiet() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", HELLO);
    let run = sandbox.weft(["run", "flow.yaml", "--quiet"]);
    assert_eq!((run.status, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
}

#[test]
fn json_is_exactly_one_document_in_the_documented_shape() {
    let sandbox = Sandbox::new();
    let execution = sandbox.run_flow(HELLO).expect("SUCCESS");
    let json = &execution.json;
    for key in
        ["id", "namespace", "flowId", "flowRevision", "taskRunList", "inputs", "labels", "state", "metadata"]
    {
        assert!(!json[key].is_null(), "{key}: {json:#}");
    }
    assert_eq!(json["inputs"], json!({"name": "world"}));
    let run = execution.task_run("say");
    assert_eq!(run["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(run["state"]["histories"].as_array().unwrap().last().unwrap()["state"], "SUCCESS");
    assert_eq!(json["metrics"], json!([]));
}

#[test]
fn a_flow_from_standard_input() {
    let sandbox = Sandbox::new();
    let path = sandbox.file("flow.yaml", HELLO);
    let run = crate::harness::finish(
        sandbox.command().args(["run", "-", "--json"]).stdin(std::fs::File::open(path).unwrap()),
    )
    .expect(0);
    assert!(run.stdout.contains("\"SUCCESS\""));
}

#[test]
fn errors_branch_runs_and_the_execution_fails() {
    let sandbox = Sandbox::new();
    let execution = sandbox
        .run_flow(
            "
id: branch
namespace: tests
tasks:
  - id: fails
    type: io.kestra.plugin.core.execution.Fail
    errorMessage: on purpose
  - id: never
    type: io.kestra.plugin.core.log.Log
    message: never
errors:
  - id: handler
    type: io.kestra.plugin.core.log.Log
    message: \"{% for log in errorLogs() %}{{ log.taskId }}: {{ log.message }}{% endfor %}\"
",
        )
        .expect("FAILED");
    assert_eq!(execution.states(), ["fails=FAILED", "handler=SUCCESS"]);
    assert!(
        execution.log(&sandbox).contains(&"INFO fails: on purpose".to_owned()),
        "{:?}",
        execution.log(&sandbox)
    );
}

#[test]
fn disabled_tasks_have_no_run_and_allowed_failures_warn() {
    let sandbox = Sandbox::new();
    let execution = sandbox
        .run_flow(
            "
id: common
namespace: tests
tasks:
  - id: off
    type: io.kestra.plugin.core.log.Log
    message: off
    disabled: true
  - id: allowed
    type: io.kestra.plugin.core.execution.Fail
    allowFailure: true
  - id: last
    type: io.kestra.plugin.core.debug.Return
    format: done
",
        )
        .expect("WARNING");
    assert_eq!(execution.states(), ["allowed=WARNING", "last=SUCCESS"]);
    assert_eq!(execution.run.status, 0);
}

#[test]
fn a_working_directory_is_shared_and_its_failure_stops_it() {
    let sandbox = Sandbox::new();
    let flow = "
id: shared
namespace: tests
inputs:
  - id: code
    type: INT
    defaults: 0
tasks:
  - id: wdir
    type: io.kestra.plugin.core.flow.WorkingDirectory
    inputFiles:
      seed.txt: seed
    outputFiles:
      - out.txt
    tasks:
      - id: write
        type: io.kestra.plugin.scripts.shell.Commands
        runner: PROCESS
        commands:
          - cat seed.txt > out.txt
          - echo written >> out.txt
          - exit {{ inputs.code }}
      - id: read
        type: io.kestra.plugin.core.storage.LocalFiles
        outputs:
          - out.txt
    errors:
      - id: handler
        type: io.kestra.plugin.core.debug.Return
        format: handled
";
    let execution = sandbox.run_flow(flow).expect("SUCCESS");
    assert_eq!(execution.states(), ["wdir=SUCCESS", "write=SUCCESS", "read=SUCCESS"]);
    assert!(execution.outputs("wdir")["outputFiles"]["out.txt"].is_string());
    assert!(execution.outputs("read")["uris"]["out.txt"].is_string());

    let execution = sandbox.run_flow_with(flow, &["-i", "code=4"]).expect("FAILED");
    assert_eq!(execution.states(), ["wdir=FAILED", "write=FAILED", "handler=SUCCESS"]);
    assert!(execution.outputs("wdir")["outputFiles"]["out.txt"].is_string(), "kept after a failure");
}

#[test]
fn worker_groups_are_asked_for() {
    let sandbox = Sandbox::new();
    let flow = "
id: groups
namespace: tests
tasks:
  - id: train
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands: [echo trained]
    workerGroup:
      key: gpu
";
    let execution = sandbox.run_flow(flow).expect("FAILED");
    let message = execution.failure("train")["message"].as_str().unwrap();
    assert!(message.contains("--worker-group gpu"), "{message}");
    sandbox.run_flow_with(flow, &["--worker-group", "gpu"]).expect("SUCCESS");
}

#[test]
fn input_types() {
    let sandbox = Sandbox::new();
    let flow = "
id: inputs
namespace: tests
inputs:
  - id: text
    type: STRING
    validator: \"a+\"
  - id: int
    type: INT
    min: 1
  - id: float
    type: FLOAT
    defaults: 1.5
  - id: flag
    type: BOOLEAN
    defaults: true
  - id: json
    type: JSON
    required: false
  - id: list
    type: ARRAY
    itemType: INT
    defaults: [1, 2]
  - id: choice
    type: SELECT
    values: [red, green]
    defaults: red
  - id: nested.key
    type: STRING
    defaults: \"{{ inputs.text }}!\"
tasks:
  - id: show
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ inputs.nested.key }} {{ inputs.int + 1 }} {{ inputs.list[1] }} {{ inputs.json.a ?? 'none' }}\"
";
    let execution = sandbox
        .run_flow_with(flow, &["-i", "text=aaa", "-i", "int=41", "-i", "json={\"a\": \"j\"}"])
        .expect("SUCCESS");
    assert_eq!(execution.outputs("show")["value"], "aaa! 42 2 j");

    for (args, part) in [
        (&["-i", "int=5"][..], "text"),
        (&["-i", "text=abc", "-i", "int=5"], "must match the pattern"),
        (&["-i", "text=a", "-i", "int=0"], "int"),
        (&["-i", "text=a", "-i", "int=x"], "int"),
        (&["-i", "text=a", "-i", "int=5", "-i", "choice=blue"], "choice"),
        (&["-i", "text=a", "-i", "int=5", "-i", "colour=blue"], "colour"),
        (&["-i", "text"], "key=value"),
    ] {
        let mut all = vec!["run", "flow.yaml"];
        all.extend(args);
        let run = sandbox.weft(all).expect(2);
        assert!(run.stderr.contains(part), "{args:?}: {}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    // None of these is kept: there is only the one that ran.
    let list = sandbox.weft(["executions", "list", "--json"]).expect(0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&list.stdout).unwrap().as_array().unwrap().len(), 1);
}

/// The timer of the first pause has sent its event and not quite ended when the second pause begins.
#[test]
fn a_pause_for_a_person_right_after_a_timed_one_ends_the_run() {
    let sandbox = Sandbox::new();
    let flow = "
id: pauses
namespace: tests
tasks:
  - {id: timed, type: io.kestra.plugin.core.flow.Pause, delay: PT0.01S}
  - {id: person, type: io.kestra.plugin.core.flow.Pause}
";
    for _ in 0..5 {
        sandbox.run_flow(flow).expect("PAUSED");
    }
}
