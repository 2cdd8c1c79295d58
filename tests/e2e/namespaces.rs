//! Files and values of namespaces: where flows see them, and the commands that look after them.

use serde_json::{Value, json};

use crate::harness::Sandbox;

const READS: &str = "
id: reads
namespace: company.team
tasks:
  - id: script
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    namespaceFiles:
      include: [\"*.sh\", data/**]
      exclude: [\"secret.sh\"]
    inputFiles:
      given.txt: nsfile:///data/table.csv
    outputFiles: [\"**\", \"*\"]
    commands:
      - . ./scripts/lib.sh
      - cat given.txt
      - cat {{ fileURI('data/table.csv') }}
  - id: expressions
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ read('data/table.csv') }}{{ fileSize('data/table.csv') }} {{ fileExists('nope') }}\"
";

fn names(outputs: &Value) -> Vec<&str> {
    outputs["outputFiles"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn files_beside_a_flow_belong_to_its_namespace() {
    let sandbox = Sandbox::new();
    sandbox.file("_files/scripts/lib.sh", "echo from the library\n");
    sandbox.file("_files/secret.sh", "");
    sandbox.file("_files/data/table.csv", "a,b\n");
    sandbox.file("_files/other.txt", "");
    let execution = sandbox.run_flow(READS).expect("SUCCESS");
    let mut found = names(execution.outputs("script"));
    found.sort_unstable();
    assert_eq!(found, ["data/table.csv", "given.txt", "scripts/lib.sh"]);
    assert_eq!(execution.outputs("expressions")["value"], "a,b\n4 false");
    let log = execution.log(&sandbox);
    assert!(log.contains(&"INFO from the library".to_owned()), "{log:?}");
    assert_eq!(log.iter().filter(|line| *line == "INFO a,b").count(), 2, "{log:?}");
}

/// A flow that runs shell commands.
fn shell(commands: &[&str]) -> String {
    let commands: String = commands.iter().map(|command| format!("      - {command}\n")).collect();
    format!(
        "id: shell\nnamespace: company.team\ntasks:\n  - id: script\n    type: io.kestra.plugin.scripts.shell.Commands\n    \
         runner: PROCESS\n    commands:\n{commands}"
    )
}

#[test]
fn the_name_of_a_file_is_no_part_of_a_script() {
    let sandbox = Sandbox::new();
    sandbox.file("_files/x;touch pwned;$(touch pwned2).csv", "content\n");
    let flow = shell(&[
        "cat {{ fileURI('x;touch pwned;$(touch pwned2).csv') }}",
        "cat \"{{ fileURI('x;touch pwned;$(touch pwned2).csv') }}\"",
        "test -z \"$(ls)\"",
    ]);
    let execution = sandbox.run_flow(&flow).expect("SUCCESS");
    assert_eq!(execution.log(&sandbox).iter().filter(|line| *line == "INFO content").count(), 2);
}

#[test]
fn scripts_may_name_files_of_a_namespace_by_address() {
    let sandbox = Sandbox::new();
    sandbox.file("_files/sql/query.sql", "select 1\n");
    let execution = sandbox.run_flow(&shell(&["cat nsfile:///sql/query.sql"])).expect("SUCCESS");
    assert!(execution.log(&sandbox).contains(&"INFO select 1".to_owned()));
}

#[test]
fn a_directory_is_named_for_a_namespace() {
    let sandbox = Sandbox::new();
    sandbox.file("mine/scripts/lib.sh", "echo mine\n");
    sandbox.file("mine/data/table.csv", "1\n");
    sandbox.file("shared/tool.sh", "");
    let flow = READS.replace("include: [\"*.sh\", data/**]", "namespaces: [company.team, company]");
    let shared = ["--namespace-files", "mine", "--namespace-files", "company=shared"];
    let execution = sandbox.run_flow_with(&flow, &shared).expect("SUCCESS");
    let mut found = names(execution.outputs("script"));
    found.sort_unstable();
    assert_eq!(found, ["data/table.csv", "given.txt", "scripts/lib.sh", "tool.sh"]);

    let run = sandbox.weft(["run", "flow.yaml", "--namespace-files", "nowhere"]).expect(2);
    assert!(run.stderr.contains("`nowhere` is not a directory"), "{}", run.stderr);
}

#[test]
fn files_that_are_in_the_directory_already() {
    let sandbox = Sandbox::new();
    sandbox.file("_files/a.txt", "of the namespace\n");
    let flow = |if_exists: &str| {
        format!(
            "
id: exists
namespace: company.team
tasks:
  - id: wdir
    type: io.kestra.plugin.core.flow.WorkingDirectory
    inputFiles: {{a.txt: \"of the directory\\n\"}}
    tasks:
      - id: show
        type: io.kestra.plugin.scripts.shell.Commands
        runner: PROCESS
        namespaceFiles: {{ifExists: {if_exists}}}
        commands: [cat a.txt]
"
        )
    };
    for (if_exists, state, line) in [
        ("OVERWRITE", "SUCCESS", "INFO of the namespace"),
        ("IGNORE", "SUCCESS", "INFO of the directory"),
        ("WARN", "SUCCESS", "WARN the namespace file `a.txt` is in the working directory already"),
        ("FAIL", "FAILED", "ERROR the namespace file `a.txt` is in the working directory already"),
    ] {
        let execution = sandbox.run_flow(&flow(if_exists)).expect(state);
        let log = execution.log(&sandbox);
        assert!(log.iter().any(|logged| logged.starts_with(line)), "{if_exists}: {log:?}");
    }
}

#[test]
fn a_working_directory_is_cached_across_executions() {
    let sandbox = Sandbox::new();
    let flow = |ttl: &str| {
        format!(
            "
id: cached
namespace: company.team
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [one, two]
    tasks:
      - id: wdir
        type: io.kestra.plugin.core.flow.WorkingDirectory
        cache:
          patterns: [\"dep/**\"]
          ttl: {ttl}
        tasks:
          - id: install
            type: io.kestra.plugin.scripts.shell.Commands
            runner: PROCESS
            commands:
              - mkdir -p dep
              - test -e dep/installed || echo \"{{{{ parent.taskrun.value }}}} {{{{ execution.id }}}}\" > dep/installed
              - echo \"::{{\\\"outputs\\\":{{\\\"by\\\":\\\"$(cat dep/installed)\\\"}}}}::\"
"
        )
    };
    let by = |execution: &crate::harness::Execution| -> Vec<String> {
        let runs = execution.json["taskRunList"].as_array().unwrap().iter();
        let installs = runs.filter(|run| run["taskId"] == "install");
        installs.map(|run| run["outputs"]["vars"]["by"].as_str().unwrap().to_owned()).collect()
    };
    let first = sandbox.run_flow(&flow("PT1H")).expect("SUCCESS");
    let id = first.json["id"].as_str().unwrap();
    let own = vec![format!("one {id}"), format!("two {id}")];
    assert_eq!(by(&first), own, "each value of the loop has a cache of its own");
    assert_eq!(by(&sandbox.run_flow(&flow("PT1H")).expect("SUCCESS")), own);
    let expired = sandbox.run_flow(&flow("PT0.001S")).expect("SUCCESS");
    assert_ne!(by(&expired), own);
    let invalid = sandbox.weft(["run", sandbox.file("flow.yaml", flow("1h")).to_str().unwrap()]).expect(2);
    assert!(invalid.stderr.contains("`1h` is not a duration"), "{}", invalid.stderr);
}

#[test]
fn commands_look_after_files() {
    let sandbox = Sandbox::new();
    sandbox.file("tree/a.txt", "a");
    sandbox.file("tree/sub/b.txt", "bb");
    let files = |arguments: &[&str]| {
        let mut all = vec!["namespace", "files"];
        all.extend(arguments);
        sandbox.weft(all)
    };
    let put = files(&["put", "company.team", "tree"]).expect(0);
    assert_eq!(put.stdout, "kestra:///company/team/_files/a.txt\nkestra:///company/team/_files/sub/b.txt\n");
    files(&["put", "company.team", "tree/a.txt", "sub/"]).expect(0);
    let list: Value =
        serde_json::from_str(&files(&["list", "company.team", "--json"]).expect(0).stdout).unwrap();
    let listed: Vec<_> = list.as_array().unwrap().iter().map(|file| (&file["path"], &file["size"])).collect();
    assert_eq!(json!(listed), json!([["a.txt", 1], ["sub/a.txt", 1], ["sub/b.txt", 2]]));
    assert_eq!(files(&["get", "company.team", "sub/b.txt"]).expect(0).stdout, "bb");
    files(&["get", "company.team", "a.txt", "-o", "copy"]).expect(0);
    assert_eq!(std::fs::read_to_string(sandbox.home().join("copy")).unwrap(), "a");
    files(&["delete", "company.team", "sub/"]).expect(0);
    files(&["delete", "company.team", "a.txt"]).expect(0);
    assert_eq!(files(&["list", "company.team", "--json"]).expect(0).stdout, "[]\n");

    for (arguments, status, part) in [
        (&["get", "company.team", "a.txt"][..], 1, "has no file `a.txt`"),
        (&["delete", "company.team", "a.txt"], 1, "has no file `a.txt`"),
        (&["put", "company.team", "nope"], 2, "no file or folder `nope`"),
        (&["put", "Company", "tree"], 2, "`Company` is not a namespace"),
        (&["put", "company.team", "tree/a.txt", "../x"], 1, "`..`"),
    ] {
        let run = files(arguments).expect(status);
        assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn commands_look_after_values_that_flows_see() {
    let sandbox = Sandbox::new();
    let kv = |arguments: &[&str]| {
        let mut all = vec!["namespace", "kv"];
        all.extend(arguments);
        sandbox.weft(all)
    };
    kv(&["set", "company.team", "threshold", "42"]).expect(0);
    kv(&["set", "company.team", "my.name", "7", "--type", "string", "--ttl", "PT1H"]).expect(0);
    let execution = sandbox
        .run_flow(
            "
id: values
namespace: company.team
tasks:
  - id: show
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ kv('threshold') + 1 }} {{ kv('my.name') ~ 1 }} {{ kv('none', errorOnMissing=false) ?? 'none' }}\"
  - id: set
    type: io.kestra.plugin.core.kv.Set
    key: by-flow
    value: \"[1, 2]\"
    kvType: JSON
",
        )
        .expect("SUCCESS");
    assert_eq!(execution.outputs("show")["value"], "43 71 none");
    assert_eq!(kv(&["get", "company.team", "my.name"]).expect(0).stdout, "7\n");
    assert_eq!(
        kv(&["get", "company.team", "by-flow", "--json"])
            .expect(0)
            .stdout
            .replace(char::is_whitespace, "")
            .split("\"updated\"")
            .next()
            .unwrap(),
        "{\"value\":[1,2],\"type\":\"JSON\","
    );
    let list: Value =
        serde_json::from_str(&kv(&["list", "company.team", "--json"]).expect(0).stdout).unwrap();
    let listed: Vec<_> =
        list.as_array().unwrap().iter().map(|value| (&value["key"], &value["type"])).collect();
    assert_eq!(json!(listed), json!([["by-flow", "JSON"], ["my.name", "STRING"], ["threshold", "NUMBER"]]));
    kv(&["delete", "company.team", "my.name", "threshold"]).expect(0);

    for (arguments, status, part) in [
        (&["get", "company.team", "threshold"][..], 1, "has no value"),
        (&["delete", "company.team", "threshold"], 1, "has no value"),
        (&["set", "company.team", "by-flow", "1", "--no-overwrite"], 1, "has a value already"),
        (&["set", "company.team", "a b", "1"], 2, "`a b` is not a key"),
        (&["set", "company.team", "a", "x", "--type", "number"], 2, "`x` is not a number"),
        (&["set", "company.team", "a", "x", "--ttl", "1h"], 2, "`1h` is not a duration"),
    ] {
        let run = kv(arguments).expect(status);
        assert!(run.stderr.contains(part), "{arguments:?}: {}", run.stderr);
    }
}
