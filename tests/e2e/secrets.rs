//! Secrets: where they come from, and that nobody sees them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::harness::{Execution, Run, Sandbox, finish};

const SECRET: &str = "correct-horse/battery+staple?";

fn run(sandbox: &Sandbox, commands: &str) -> (Execution, String) {
    sandbox.file(
        "flow.yaml",
        format!(
            "id: secrets
namespace: tests
tasks:
  - id: script
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    warningOnStdErr: false
    env:
      TOKEN: \"{{{{ secret('TOKEN') }}}}\"
    commands:
{commands}"
        ),
    );
    let mut command = sandbox.command();
    let run = finish(
        command.args(["run", "flow.yaml", "--json"]).env("SECRET_TOKEN", BASE64_STANDARD.encode(SECRET)),
    );
    let json: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    let execution = Execution { json, run };
    let log = execution.log(sandbox).join("\n");
    (execution, log)
}

/// No run of this many characters of `hidden` is in `text`.
#[track_caller]
fn assert_hidden(text: &str, hidden: &str, length: usize) {
    for start in 0..hidden.len().saturating_sub(length) {
        let part = &hidden[start..start + length];
        assert!(!text.contains(part), "`{part}` can be seen in:\n{text}");
    }
}

#[test]
fn a_secret_is_masked_however_a_script_prints_it() {
    for (command, hidden) in [
        ("echo \"is $TOKEN!\"", SECRET.to_owned()),
        ("printf 'is %s' \"$TOKEN\" >&2", SECRET.to_owned()),
        (
            "for part in 1-6 7-20 21-; do printf %s \"$TOKEN\" | cut -c$part | tr -d '\\n'; sleep 0.05; done",
            SECRET.to_owned(),
        ),
        ("printf %s \"$TOKEN\" | fold -w 15", SECRET.to_owned()),
        ("printf %s \"$TOKEN\" | base64", BASE64_STANDARD.encode(SECRET)),
        ("printf 'x%s' \"$TOKEN\" | base64", BASE64_STANDARD.encode(format!("x{SECRET}"))[2..].to_owned()),
        ("printf 'xy%s' \"$TOKEN\" | base64", BASE64_STANDARD.encode(format!("xy{SECRET}"))[3..].to_owned()),
        (
            "printf 'user:%s' \"$TOKEN\" | base64 -w 16",
            BASE64_STANDARD.encode(format!("user:{SECRET}"))[8..].to_owned(),
        ),
        ("python3 -c \"import os,json; print(json.dumps({'t': os.environ['TOKEN']}))\"", SECRET.to_owned()),
        (
            "python3 -c \"import os,urllib.parse; print(urllib.parse.quote(os.environ['TOKEN'], safe=''))\"",
            "correct-horse%2Fbattery%2Bstaple%3F".to_owned(),
        ),
    ] {
        let sandbox = Sandbox::new();
        let (execution, log) = run(&sandbox, &format!("      - |\n        {command}\n"));
        let execution = execution.expect("SUCCESS");
        assert!(log.contains("******"), "{command}:\n{log}");
        assert_hidden(&log, &hidden, 10);
        assert_hidden(&execution.run.stderr, &hidden, 10);
    }
}

#[test]
fn errors_and_what_is_shown_of_outputs_hide_it_too() {
    let sandbox = Sandbox::new();
    let (execution, _) =
        run(&sandbox, "      - |\n        echo \"::{\\\"outputs\\\":{\\\"seen\\\":\\\"$TOKEN\\\"}}::\"\n");
    assert_eq!(execution.outputs("script")["vars"]["seen"], "******");
    let (execution, _) = run(&sandbox, "      - \"{{ throw }}{{ secret('TOKEN') }}\"\n");
    assert_hidden(&execution.run.stdout, SECRET, 10);
    // The task after it still gets the value itself.
    sandbox.file(
        "flow.yaml",
        "id: chain
namespace: tests
tasks:
  - id: first
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ secret('TOKEN') }}\"
  - id: second
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ outputs.first.value | length }}\"
",
    );
    let mut command = sandbox.command();
    command.args(["run", "flow.yaml", "--json"]).env("SECRET_TOKEN", BASE64_STANDARD.encode(SECRET));
    let json: Value = serde_json::from_str(&finish(&mut command).expect(0).stdout).unwrap();
    assert_eq!(json["taskRunList"][0]["outputs"]["value"], "******");
    assert_eq!(json["taskRunList"][1]["outputs"]["value"], SECRET.len().to_string());
}

fn value_of(sandbox: &Sandbox, key: &str) -> Run {
    sandbox.weft(["expr", "--reveal", &format!("{{{{ secret('{key}') }}}}")])
}

#[test]
fn secrets_come_from_files_and_from_a_command() {
    let sandbox = Sandbox::new();
    sandbox.file("secrets/API_TOKEN", "from the directory\n");
    sandbox.file("secrets.env", "# mine\nDB_PASSWORD='from $the file'\n");
    let store = sandbox
        .file("store.sh", "[ \"$1\" = weft/OTHER ] && echo from the store || { echo none >&2; exit 1; }\n");
    let home = sandbox.home().display();
    sandbox.file(
        "data/config.yaml",
        format!(
            "secrets:\n  files: [{home}/secrets, {home}/secrets.env]\n  command: [sh, {}, \"weft/{{key}}\"]\n",
            store.display()
        ),
    );
    for (key, expected) in [
        ("API_TOKEN", "from the directory"),
        ("api_token", "from the directory"),
        ("DB_PASSWORD", "from $the file"),
        ("OTHER", "from the store"),
    ] {
        assert_eq!(value_of(&sandbox, key).expect(0).stdout.trim_end(), expected, "{key}");
    }
    let missing = value_of(&sandbox, "MISSING");
    assert!(
        missing.stderr.contains("the command `sh` does not give the secret `MISSING`"),
        "{}",
        missing.stderr
    );
    assert!(missing.stderr.contains("exit code 1: none"), "{}", missing.stderr);
    let mut command = sandbox.command();
    command.args(["expr", "--reveal", "{{ secret('API_TOKEN') }}"]).env("SECRET_API_TOKEN", "Zmlyc3Q=");
    assert_eq!(finish(&mut command).expect(0).stdout.trim_end(), "first");
}

/// The place belongs to what is wrong, and not to what is to be done about it.
#[test]
fn the_place_of_a_secret_that_cannot_be_had_stands_before_the_hint() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "flow.yaml",
        "id: secrets\nnamespace: tests\ntasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n    message: \"{{ secret('one') }}\"\n",
    );
    for (value, said) in [
        (Some("!"), "does not hold base64 text in the expression `{{ secret('one') }}`"),
        (None, "cannot find secret for key `one` in the expression `{{ secret('one') }}`"),
    ] {
        let mut command = sandbox.command();
        command.args(["run", "flow.yaml", "--json"]);
        if let Some(value) = value {
            command.env("SECRET_ONE", value);
        }
        let run = finish(&mut command);
        let json: Value =
            serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        let execution = Execution { json, run };
        let message = execution.failure("say")["message"].as_str().unwrap().to_owned();
        let (what, hint) = message.split_once("\nhint: ").unwrap_or_else(|| panic!("{message}"));
        assert!(what.contains(said), "{message}");
        assert!(hint.starts_with("set it with ") && !hint.contains("in the expression"), "{message}");
    }
}
