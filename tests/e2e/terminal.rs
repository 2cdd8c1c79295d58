//! What scripts, plugins and flows write does not command the terminal.

use crate::harness::{Sandbox, finish};

/// Clears the screen, names the window, writes to the clipboard, goes back in the line, and turns the direction of text.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}]52;c;eA==\u{7}x\ry\u{9b}1A\u{202e}z";

const FLOW: &str = "
id: hostile
namespace: tests
description: \"d \\e[2J\"
labels:
  team: \"l \\e]0;label\\a\"
tasks:
  - id: script
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    warningOnStdErr: false
    env:
      HOSTILE: \"{{ inputs.text }}\"
    outputFiles: [\"*.txt\"]
    commands:
      - printf 'log %s end\\n' \"$HOSTILE\"
      - printf 'error %s end\\n' \"$HOSTILE\" >&2
      - printf '\\033[31mred\\033[0m and \\033[1mbold\\n'
      - |
        printf '%s\\n' '::{\"outputs\":{\"seen\":\"\\u001b[2J\\u009b\\u202e\"}}::'
      - echo content > \"$(printf 'a\\033]0;name\\007.txt')\"
  - id: loop
    type: io.kestra.plugin.core.flow.ForEach
    values: [\"v {{ inputs.text }}\\nfaked line\"]
    tasks:
      - id: inner
        type: io.kestra.plugin.core.log.Log
        message: \"{{ taskrun.value }}\"
  - id: fails
    type: io.kestra.plugin.core.execution.Fail
    errorMessage: \"m {{ inputs.text }}\"
inputs:
  - id: text
    type: STRING
";

/// All but colours, tabs and line breaks.
fn commands_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) =
        rest.find(|c: char| c.is_control() && c != '\n' && c != '\t' || "\u{202e}\u{2066}".contains(c))
    {
        rest = &rest[at..];
        let color = rest.strip_prefix("\u{1b}[").and_then(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
            rest[end..].starts_with('m').then_some(end + 3)
        });
        let length = color.unwrap_or_else(|| {
            found.push(rest.chars().take(8).collect::<String>().escape_debug().to_string());
            rest.chars().next().map_or(1, char::len_utf8)
        });
        rest = &rest[length..];
    }
    found
}

#[test]
fn nothing_but_colour_reaches_a_terminal() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", FLOW);
    let input = format!("text={HOSTILE}");
    for args in [
        &["run", "flow.yaml", "-i", &input][..],
        &["run", "flow.yaml", "-i", &input, "--color", "always"],
        &["run", "flow.yaml", "-i", &input, "--json"],
        &["executions", "list"],
        &["executions", "show", "last"],
        &["executions", "show", "last", "--json"],
        &["executions", "logs", "last"],
        &["executions", "logs", "last", "--color", "always"],
        &["executions", "logs", "last", "--json"],
        &["executions", "outputs", "last"],
        &["executions", "files", "last"],
        &["executions", "files", "last", "--json"],
        &["executions", "files", "last", "\u{1b}[2J"],
        &["executions", "show", "\u{1b}[2J"],
        &["executions", "outputs", "last", "\u{1b}[2J"],
        &["explain", "\u{1b}[2J"],
        &["plugins", "show", "\u{1b}[2J"],
        &["validate", "\u{1b}[2J.yaml"],
        &["namespace", "kv", "get", "tests", "\u{1b}[2J"],
        &["triggers", "reset", "\u{1b}[2J"],
        &["flow", "graph", "flow.yaml"],
    ] {
        let run = sandbox.weft(args);
        assert!(run.status <= 2, "{args:?}: {run:?}");
        for text in [&run.stdout, &run.stderr] {
            assert_eq!(commands_in(text), Vec::<String>::new(), "{args:?}:\n{text}");
        }
    }
    let logs = sandbox.weft(["executions", "logs", "last"]).expect(0).stdout;
    // A script's carriage return ends a line; that in a message of the engine is shown.
    for part in
        ["log \\x1b[2J\\x1b]0;title\\x07", "script y\\u{9b}1A\\u{202e}z end", "x\\ry\\u{9b}1A\\u{202e}z"]
    {
        assert!(logs.contains(part), "{part}:\n{logs}");
    }
    assert!(logs.contains("\u{1b}[31mred\u{1b}[0m and \u{1b}[1mbold\u{1b}[0m\n"), "{logs:?}");
    let raw = sandbox.weft(["executions", "logs", "last", "--raw"]).expect(0).stdout;
    assert!(raw.contains("log \u{1b}[2J\u{1b}]0;title\u{7}"), "{raw:?}");
    // JSON is the same document.
    let json = sandbox.weft(["executions", "outputs", "last", "script"]).expect(0).stdout;
    let outputs: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(outputs["vars"]["seen"], "\u{1b}[2J\u{9b}\u{202e}");
}

#[test]
fn what_is_wrong_with_a_flow_is_said_without_it() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "flow.yaml",
        "id: \"f\\e[2J\"\nnamespace: tests\ntasks:\n  - id: \"t\\e]0;x\\a\"\n    type: \"no.such\\e[2J.Type\"\n    \u{202e}x: 1\n",
    );
    sandbox.file(
        "hostile.test.yaml",
        "id: t\nnamespace: tests\nflowId: \"f\\e[2J\"\ntestCases:\n  - id: \"c\\e[2J\"\n",
    );
    for args in [
        &["validate", "flow.yaml"][..],
        &["validate", "flow.yaml", "--json"],
        &["run", "flow.yaml"],
        &["flow", "graph", "flow.yaml"],
        &["test", "hostile.test.yaml"],
    ] {
        let run = sandbox.weft(args);
        for text in [&run.stdout, &run.stderr] {
            assert_eq!(commands_in(text), Vec::<String>::new(), "{args:?}:\n{text}");
        }
        assert!(run.status == 2 || args[0] == "test", "{args:?}: {run:?}");
    }
}

/// The tree of a run on a terminal, which `script` provides.
#[test]
fn the_tree_of_a_run_obeys_nobody_else() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", FLOW);
    sandbox.file("input.txt", HOSTILE);
    let binary = sandbox.command();
    let command =
        format!("{} run flow.yaml -i \"text=$(cat input.txt)\"", binary.get_program().to_str().unwrap());
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(sandbox.home()).env("TERM", "xterm");
    for (name, value) in binary.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    if std::process::Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no `script`");
        return;
    }
    let seen = finish(script.stdin(std::process::Stdio::null())).stdout;
    assert!(seen.contains("\\x1b]0;title"), "{seen}");
    for part in ["\u{1b}]", "\u{9b}", "\u{202e}", "\u{1b}[2J"] {
        assert!(!seen.contains(part), "{part:?} in {seen:?}");
    }
}
