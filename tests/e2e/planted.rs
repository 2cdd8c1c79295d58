//! Secrets of every source, planted in every place that somebody may look at: no command shows one, and nothing that is stored
//! has one but what the documentation names (outputs, in journals and in internal storage).

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::harness::{Run, Sandbox, finish};

/// An expression that gives a secret, and the text that must not be seen.
struct Source {
    expression: &'static str,
    secret: &'static str,
}

/// In the environment, as base64: `ENVIRONMENT` and `DATABASE`; in a file `FILED`; by a command `COMMANDED`.
const SOURCES: &[Source] = &[
    Source { expression: "secret('ENVIRONMENT')", secret: "planted-environment" },
    Source { expression: "secret('FILED')", secret: "planted-in-a-file" },
    Source { expression: "secret('COMMANDED')", secret: "planted-COMMANDED" },
    Source { expression: "inputs.pass", secret: "planted-input" },
    Source { expression: "inputs.many[0]", secret: "planted-in-a-list" },
    Source { expression: "secret('DATABASE', subkey='user')", secret: "q#z" },
    Source { expression: "secret('DATABASE', subkey='password')", secret: "peony-4411" },
    Source { expression: "fromJson(secret('DATABASE')).nested.token", secret: "planted-deep" },
    Source { expression: "secret('DATABASE') | jq('.pin') | first", secret: "90817263" },
    Source { expression: "decrypt(vars.key, vars.sealed)", secret: "planted-decrypted" },
    Source { expression: "secret('ENVIRONMENT') | upper", secret: "PLANTED-ENVIRONMENT" },
    Source { expression: "secret('ENVIRONMENT') | capitalize", secret: "Planted-environment" },
    Source { expression: "secret('SPACED') | trim | urlencode", secret: "planted+%26+spaced" },
    Source { expression: "secret('ENVIRONMENT') | base64encode", secret: "cGxhbnRlZC1lbnZpcm9ubWVudA" },
    Source { expression: "secret('ENCODED') | base64decode", secret: "planted in base64" },
    Source { expression: "outputs.child.outputs.handed", secret: "planted-by-the-child" },
    Source { expression: "outputs.child.outputs.typed", secret: "planted-by-its-type" },
];

const CHILD: &str = "
id: child
namespace: tests
inputs:
  - {id: given, type: STRING}
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: \"the child got {{ inputs.given }}\"
outputs:
  - {id: handed, type: STRING, value: \"{{ secret('CHILD') }}\"}
  - {id: typed, type: SECRET, value: \"planted-by-{{ 'its-type' }}\"}
";

/// A flow with the secret in each place.
fn flow(expression: &str, sealed: &str) -> String {
    format!(
        "
id: planted
namespace: tests
inputs:
  - {{id: pass, type: SECRET}}
  - {{id: many, type: ARRAY, itemType: SECRET}}
variables:
  key: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
  sealed: {sealed}
tasks:
  - id: child
    type: io.kestra.plugin.core.flow.Subflow
    namespace: tests
    flowId: child
    inputs:
      given: \"{{{{ secret('ENVIRONMENT') }}}}\"
  - id: log
    type: io.kestra.plugin.core.log.Log
    message: \"log {{{{ {expression} }}}}\"
  - id: output
    type: io.kestra.plugin.core.debug.Return
    format: \"output {{{{ {expression} }}}}\"
  - id: variable
    type: io.kestra.plugin.core.execution.SetVariables
    variables:
      kept: \"variable {{{{ {expression} }}}}\"
  - id: label
    type: io.kestra.plugin.core.execution.Labels
    labels:
      planted: \"label {{{{ {expression} }}}}\"
  - id: loop
    type: io.kestra.plugin.core.flow.ForEach
    values: [\"value {{{{ {expression} }}}}\"]
    tasks:
      - id: inner
        type: io.kestra.plugin.core.log.Log
        message: \"{{{{ taskrun.value }}}}\"
  - id: script
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    env:
      PLANTED: \"{{{{ {expression} }}}}\"
    outputFiles: [\"*.txt\"]
    commands:
      - echo \"script $PLANTED\"
      - echo \"error $PLANTED\" >&2
      - echo content > \"file-$PLANTED.txt\"
      - |
        echo \"::{{\\\"outputs\\\":{{\\\"seen\\\":\\\"$PLANTED\\\",\\\"$PLANTED\\\":[1]}}}}::\"
      - |
        echo \"::{{\\\"metrics\\\":[{{\\\"name\\\":\\\"m-$PLANTED\\\",\\\"type\\\":\\\"counter\\\",\\\"value\\\":1,\\\"tags\\\":{{\\\"tag\\\":\\\"$PLANTED\\\"}}}}]}}::\"
  - id: failure
    type: io.kestra.plugin.core.execution.Fail
    errorMessage: \"failure {{{{ {expression} }}}}\"
outputs:
  - {{id: typed, type: SECRET, value: \"{{{{ {expression} }}}}\"}}
"
    )
}

/// The binary where all secrets can be had, and the umask is of no help.
fn weft(sandbox: &Sandbox, args: &[&str]) -> Run {
    let mut command = Command::new("sh");
    let binary = sandbox.command();
    command.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(binary.get_program()).args(args);
    command.current_dir(sandbox.home());
    for (name, value) in binary.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let database =
        r#"{"user": "q#z", "password": "peony-4411", "nested": {"token": "planted-deep"}, "pin": 90817263}"#;
    for (name, value) in [
        ("ENVIRONMENT", "planted-environment"),
        ("DATABASE", database),
        ("CHILD", "planted-by-the-child"),
        ("SPACED", " planted & spaced\n"),
        ("ENCODED", "cGxhbnRlZCBpbiBiYXNlNjQ="),
    ] {
        command.env(format!("SECRET_{name}"), BASE64_STANDARD.encode(value));
    }
    command.stdin(std::process::Stdio::null());
    finish(&mut command)
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("secrets/filed", "planted-in-a-file\n");
    let home = sandbox.home().display().to_string();
    sandbox.file(
        "data/config.yaml",
        format!("secrets:\n  files: [{home}/secrets]\n  command: [sh, -c, 'printf planted-%s \"$0\"', \"{{key}}\"]\n"),
    );
    sandbox.file("child.yaml", CHILD);
    sandbox
}

/// Encrypted with the key of the flow.
fn sealed(sandbox: &Sandbox) -> String {
    let expression = "{{ encrypt('MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=', 'planted-decrypted') }}";
    sandbox.weft(["expr", expression]).expect(0).stdout.trim().to_owned()
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

#[test]
fn no_command_shows_a_secret_and_nothing_stored_has_one_but_outputs() {
    let arguments = ["-i", "pass=planted-input", "-i", "many=[\"planted-in-a-list\"]"];
    for Source { expression, secret } in SOURCES {
        let sandbox = sandbox();
        sandbox.file("flow.yaml", flow(expression, &sealed(&sandbox)));
        let export = sandbox.home().join("export.jsonl");
        let commands: [&[&str]; 15] = [
            &["run", "flow.yaml", "--json"],
            &["run", "flow.yaml", "--log-level", "trace"],
            &["executions", "list", "--json"],
            &["executions", "show", "last"],
            &["executions", "show", "last", "--json"],
            &["executions", "logs", "last"],
            &["executions", "logs", "last", "--json"],
            &["executions", "logs", "last", "--raw"],
            &["executions", "outputs", "last"],
            &["executions", "files", "last"],
            &["executions", "files", "last", "--json"],
            &["executions", "files", "last", "nosuch"],
            &["executions", "replay", "last", "--from", "output", "--json"],
            &["store", "export"],
            &["store", "export", "export.jsonl"],
        ];
        for command in commands {
            let all: Vec<&str> = match command[0] {
                "run" => command.iter().chain(&arguments).copied().collect(),
                _ => command.to_vec(),
            };
            let run = weft(&sandbox, &all);
            assert!(run.status <= 1, "{expression}, {command:?}: {run:?}");
            for text in [&run.stdout, &run.stderr] {
                assert!(
                    !text.contains(secret),
                    "{expression}: `{secret}` in what {command:?} prints:\n{text}"
                );
            }
        }
        let exported = std::fs::read_to_string(&export).unwrap();
        assert!(!exported.contains(secret), "{expression}: in the export");
        assert!(exported.contains("failure ******") && exported.contains("label ******"), "{exported}");
        // A masked export stays masked where it is read.
        let import = sandbox.weft(["store", "import", "export.jsonl", "--data-dir", "other"]).expect(0);
        assert!(import.stderr.contains("`******` stands for secrets in"), "{}", import.stderr);
        let other =
            sandbox.weft(["executions", "outputs", "last", "--data-dir", "other", "--reveal"]).expect(0);
        assert!(other.stdout.contains("output ******"), "{}", other.stdout);

        // Who may, sees what is stored.
        for command in [
            &["executions", "outputs", "last", "--reveal"][..],
            &["executions", "show", "last", "--json", "--reveal"],
            &["executions", "files", "last", "--reveal"],
            &["store", "export", "--reveal"],
        ] {
            let run = weft(&sandbox, command).expect(0);
            assert!(run.stdout.contains(secret), "{expression}, {command:?}: {}", run.stdout);
        }

        for path in files_below(&sandbox.data()) {
            let inside = path.strip_prefix(sandbox.data()).unwrap().display().to_string();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            // Written by the test.
            if inside != "config.yaml" {
                assert_eq!(mode & 0o077, 0, "{inside} has mode {mode:o}");
            }
            let by_design = inside.starts_with("storage/") || inside.ends_with("journal.jsonl");
            if path.is_file() && !by_design {
                let content = std::fs::read(&path).unwrap();
                let content = String::from_utf8_lossy(&content);
                assert!(!content.contains(secret), "{expression}: `{secret}` in {inside}:\n{content}");
            }
        }
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&sandbox.data()), mode(&export)), (0o700, 0o600));
    }
}

#[test]
fn what_is_fetched_for_a_person_has_the_mode_that_the_umask_gives_it() {
    let sandbox = sandbox();
    let flow = "id: f\nnamespace: tests\ntasks:\n  - id: t\n    type: io.kestra.plugin.scripts.shell.Commands\n    \
                runner: PROCESS\n    outputFiles: [a.txt]\n    commands: [\"umask 077; echo x > a.txt\"]\n";
    sandbox.file("flow.yaml", flow);
    weft(&sandbox, &["run", "flow.yaml"]).expect(0);
    weft(&sandbox, &["executions", "files", "last", "a.txt", "-o", "fetched.txt"]).expect(0);
    let mode = std::fs::metadata(sandbox.home().join("fetched.txt")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o666);
}

#[test]
fn with_another_key_nothing_is_shown_that_may_be_secret() {
    let sandbox = sandbox();
    sandbox.file("flow.yaml", flow("secret('ENVIRONMENT')", "x"));
    weft(&sandbox, &["run", "flow.yaml", "-i", "pass=planted-input", "-i", "many=[]"]).expect(1);
    std::fs::remove_file(sandbox.data().join("encryption.key")).unwrap();
    for command in [&["show", "last"][..], &["outputs", "last"], &["logs", "last"], &["files", "last"]] {
        let args: Vec<&str> = ["executions"].iter().chain(command).copied().collect();
        let run = weft(&sandbox, &args).expect(1);
        assert!(run.stderr.contains("another key") && run.stderr.contains("--reveal"), "{}", run.stderr);
        assert_eq!(run.stdout, "", "{command:?}");
        let revealed: Vec<&str> = args.iter().chain(&["--reveal"]).copied().collect();
        weft(&sandbox, &revealed).expect(0);
    }
    let export = weft(&sandbox, &["store", "export"]).expect(0);
    assert!(export.stderr.contains("another key"), "{}", export.stderr);
    assert!(!export.stdout.contains("planted-environment"), "{}", export.stdout);
    // What never had a secret needs no key.
    let run = sandbox.weft(["executions", "list"]).expect(0);
    assert!(run.stdout.contains("tests.planted"), "{}", run.stdout);
}

#[test]
fn an_expression_shows_a_secret_to_who_asks_for_it() {
    let sandbox = sandbox();
    for (more, expected) in [(None, "it is ******\n"), (Some("--reveal"), "it is planted-environment\n")] {
        let mut args = vec!["expr", "it is {{ secret('ENVIRONMENT') }}"];
        args.extend(more);
        assert_eq!(weft(&sandbox, &args).expect(0).stdout, expected);
    }
    let run = weft(&sandbox, &["expr", "{{ secret('ENVIRONMENT') | number }}"]).expect(1);
    assert!(!run.stderr.contains("planted-environment"), "{}", run.stderr);
}

#[test]
fn reports_of_tests_hide_secrets() {
    let sandbox = sandbox();
    sandbox.file(
        "shown.yaml",
        "id: shown\nnamespace: tests\ntasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n    \
         message: \"says {{ secret('DATABASE', subkey='password') }}\"\n  - id: out\n    \
         type: io.kestra.plugin.core.debug.Return\n    format: \"{{ secret('DATABASE', subkey='password') }}\"\n",
    );
    sandbox.file(
        "shown.test.yaml",
        "id: t\nnamespace: tests\nflowId: shown\ntestCases:\n  - id: fails\n    assertions:\n      \
         - value: \"{{ outputs.out.value }}\"\n        equalTo: other\n",
    );
    for args in [
        &["test", "shown.test.yaml", "--real-secrets"][..],
        &["test", "shown.test.yaml", "--real-secrets", "--json"],
        &["test", "shown.test.yaml", "--real-secrets", "--junit", "report.xml"],
    ] {
        let run = weft(&sandbox, args).expect(1);
        assert!(run.stdout.contains("******"), "{run:?}");
        assert!(!run.stdout.contains("peony-4411") && !run.stderr.contains("peony-4411"), "{run:?}");
    }
    let junit = std::fs::read_to_string(sandbox.home().join("report.xml")).unwrap();
    assert!(junit.contains("******") && !junit.contains("peony-4411"), "{junit}");
}
