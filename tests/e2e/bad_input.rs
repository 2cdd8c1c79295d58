//! Wrong flows and what is said about them: the place, what was expected, what to do.

use crate::harness::{Sandbox, SmallDisk};

/// A flow with one task of these lines.
fn flow(task: &str) -> String {
    format!("id: bad\nnamespace: tests\ntasks:\n  - id: task\n{task}")
}

#[test]
fn mistakes_are_placed_and_explained() {
    let log = "    type: io.kestra.plugin.core.log.Log\n";
    let shell = "    type: io.kestra.plugin.scripts.shell.Commands\n";
    for (source, place, parts) in [
        ("id: a\nnamespace: b\ntasks:\n\t- id: x\n".to_owned(), "4:1", &["TAB", "spaces"][..]),
        (flow(&format!("{log}    message: a\n    message: b\n")), "7:5", &["message", "6"]),
        (flow(&format!("{log}    mesage: a\n")), "6:5", &["mesage", "message"]),
        (
            flow("    type: io.kestra.plugin.core.log.Lg\n    message: a\n"),
            "5:11",
            &["io.kestra.plugin.core.log.Log"],
        ),
        (flow(&format!("{shell}    commands: 12\n")), "6:15", &["commands"]),
        (flow(&format!("{log}    message: \"{{{{ 1 + }}}}\"\n")), "6:", &["expression"]),
        (flow(&format!("{log}    message: \"{{{{ inputs.nosuch }}}}\"\n")), "6:", &["nosuch"]),
        ("id: a\nnamespace: b\n".to_owned(), "1:1", &["tasks"]),
        ("id: \"a b\"\nnamespace: b\ntasks: []\n".to_owned(), "1:5", &["a b"]),
    ] {
        let sandbox = Sandbox::new();
        sandbox.file("flow.yaml", &source);
        let run = sandbox.weft(["validate", "flow.yaml"]).expect(2);
        assert!(run.stderr.contains(&format!("flow.yaml:{place}")), "{source}\n{}", run.stderr);
        for part in parts {
            assert!(run.stderr.contains(part), "{source}\nno `{part}` in {}", run.stderr);
        }
    }
}

#[test]
fn several_mistakes_at_once_for_machines_too() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", flow("    type: io.kestra.plugin.core.log.Log\n    mesage: a\n    levle: b\n"));
    let run = sandbox.weft(["validate", "flow.yaml", "--json"]).expect(2);
    let found: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let codes: Vec<_> = found.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert!(codes.iter().filter(|&&code| code == "unknown-property").count() == 2, "{found:#}");
    assert!(found[0]["line"].is_u64() && found[0]["hint"].is_string(), "{found:#}");
}

#[test]
fn flows_that_are_called_are_looked_up() {
    let child = "id: child\nnamespace: tests\ninputs:\n  - id: day\n    type: STRING\n  - id: note\n    type: STRING\n    \
                 required: false\ntasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n    message: x\n";
    let caller = |id: &str, more: &str| {
        flow(&format!(
            "    type: io.kestra.plugin.core.flow.Subflow\n    namespace: tests\n    flowId: {id}\n{more}"
        ))
    };
    for (call, expected) in [
        (caller("child", "    inputs: {day: monday}\n"), ""),
        (caller("'{{ flow.id }}'", ""), ""),
        (caller("broken", ""), ""),
        (caller("chlid", ""), "7:13 warning unknown-flow did you mean `tests.child`?"),
        (caller("elsewhere", ""), "7:13 warning unknown-flow run this one with `--flows DIR`"),
        (caller("child", ""), "7:13 error missing-property add `day: ...`"),
        (
            caller("child", "    inputs:\n      day: monday\n      nots: x\n"),
            "10:13 error undefined-input did you mean `note`?",
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.file("flow.yaml", &call);
        sandbox.file("flows/child.yaml", child);
        sandbox.file("flows/broken.yaml", "id: broken\nnamespace: tests\ntasks: 1\n");
        let run = sandbox.weft(["validate", "flow.yaml", "--flows", "flows", "--json"]);
        let found: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let found = found.as_array().unwrap().iter().map(|one| {
            let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            format!(
                "{}:{} {} {} {}",
                one["line"],
                one["column"],
                text("severity"),
                text("code"),
                text("hint")
            )
        });
        let found = found.collect::<Vec<_>>().join("\n");
        assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{call}\n{found}");
    }
    // Without `--flows`, what is in the folder counts.
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", caller("child", "    inputs: {day: monday}\n"));
    let run = sandbox.weft(["validate", "flow.yaml"]).expect(0);
    assert!(run.stderr.contains("there is no flow `tests.child` beside this one"), "{}", run.stderr);
    sandbox.file("child.yaml", child);
    let run = sandbox.weft(["validate", "flow.yaml"]).expect(0);
    assert!(run.stdout.ends_with("valid\n"), "{}", run.stdout);
}

#[test]
fn an_invalid_flow_is_not_run() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", flow("    type: nosuch\n"));
    let run = sandbox.weft(["run", "flow.yaml", "--json"]).expect(2);
    assert_eq!(run.stdout, "");
    assert_eq!(sandbox.weft(["executions", "list", "--json"]).expect(0).stdout.trim(), "[]");
}

#[test]
fn an_undefined_variable_fails_the_task_with_its_place() {
    let sandbox = Sandbox::new();
    let source = flow("    type: io.kestra.plugin.core.log.Log\n    message: \"{{ nosuch.thing }}\"\n");
    let execution = sandbox.run_flow(&source).expect("FAILED");
    let failure = execution.failure("task");
    assert_eq!(failure["code"], "expression.failed");
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("`message`") && message.contains("nosuch"), "{message}");
}

#[test]
fn files_that_cannot_be_read() {
    let sandbox = Sandbox::new();
    let run = sandbox.weft(["run", "nosuch.yaml"]).expect(2);
    assert!(run.stderr.contains("nosuch.yaml"), "{}", run.stderr);
    sandbox.file("bytes.yaml", b"id: a\nnamespace: \xff\n");
    let run = sandbox.weft(["validate", "bytes.yaml"]).expect(2);
    assert!(run.stderr.contains("bytes.yaml:2:12"), "{}", run.stderr);
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_others() {
    let sandbox = Sandbox::new();
    sandbox.file("flows/bad.yaml", "id: bad\nnamespace: tests\ntasks:\n  - id: x\n    type: nosuch.Type\n");
    sandbox.file("flows/no-flow.yaml", "a: 1\n");
    let run = sandbox.weft(["validate", "nowhere.yaml", "flows/bad.yaml"]).expect(2);
    assert!(run.stderr.contains("nowhere.yaml") && run.stderr.contains("nosuch.Type"), "{}", run.stderr);
    let run = sandbox.weft(["validate", "--json", "nowhere.yaml", "flows"]).expect(2);
    let found: Vec<serde_json::Value> = serde_json::from_str(&run.stdout).unwrap();
    let codes: Vec<&str> = found.iter().filter_map(|one| one["code"].as_str()).collect();
    assert_eq!(codes, ["unreadable-file", "unknown-type"], "{}", run.stdout);
    let run = sandbox.weft(["test", "--json", "flows/bad.yaml", "nowhere.yaml"]).expect(2);
    assert!(run.stderr.contains("nowhere.yaml"), "{}", run.stderr);
}

#[test]
fn a_full_disk_fails_the_task_and_leaves_nothing_half_done() {
    let sandbox = Sandbox::new();
    let Some(small) = SmallDisk::mount(&sandbox, 4096) else { return };
    let source = "
id: full
namespace: tests
tasks:
  - id: fill
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    outputFiles: [big.bin]
    commands:
      - head -c 3000000 /dev/zero > big.bin
";
    let path = sandbox.file("flow.yaml", source);
    let run = crate::harness::finish(
        sandbox.command().args(["run", path.to_str().unwrap(), "--json"]).env("WEFT_DATA_DIR", small.path()),
    );
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stdout.contains("storage.full"), "{run:?}");
}

#[test]
fn of_many_mistakes_the_first_are_told_and_the_others_counted() {
    let sandbox = Sandbox::new();
    let line = "\"{{ 1 + }}\", ".repeat(2_000);
    let task = format!(
        "    type: io.kestra.plugin.scripts.shell.Commands\n    runner: PROCESS\n    commands: [{line}]\n"
    );
    sandbox.file("flow.yaml", flow(&task));
    let run = sandbox.weft(["validate", "flow.yaml"]).expect(2);
    assert_eq!(run.stderr.matches("error[expression-syntax]").count(), 100);
    let end = "\nnote: flow.yaml: and 1,900 more: 1,900 `expression-syntax`\n";
    assert!(run.stderr.ends_with(end), "{}", &run.stderr[run.stderr.len() - 300..]);
    // Each shows the part of the line that it is about.
    assert!(run.stderr.lines().all(|line| line.len() < 300), "no line is long");

    let run = sandbox.weft(["validate", "flow.yaml", "--json"]).expect(2);
    let found: Vec<serde_json::Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(found.len(), 1_001);
    let rest = &found[1_000];
    assert_eq!((&rest["code"], &rest["severity"]), (&"more-mistakes".into(), &"error".into()), "{rest}");
    assert_eq!(
        (&rest["more"], &rest["byCode"]["expression-syntax"]),
        (&1_000.into(), &1_000.into()),
        "{rest}"
    );
    // What cannot be run is told in the same way.
    let run = sandbox.weft(["run", "flow.yaml"]).expect(2);
    assert_eq!(run.stderr.matches("error[expression-syntax]").count(), 100);
}
