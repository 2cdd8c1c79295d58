use serde_json::{Value, json};
use weft_sdk::Exit;
use weft_sdk::testing::Harness;

use super::call;

/// What the flow says of `warningOnStdErr`, how the process ends, and what comes of it: code and message, exit code.
type Case<'a> = (Value, Exit, Result<bool, (&'a str, &'a str)>, i32);

#[test]
fn exits() {
    let exit = |code| Exit { code, ..Exit::default() };
    let signal = |signal| Exit { code: -1, signal: Some(signal), ..Exit::default() };
    let noisy = |code| Exit { code, stderr_lines: 2, ..Exit::default() };
    let cases: [Case<'_>; 13] = [
        (json!({}), exit(0), Ok(false), 0),
        (json!({}), noisy(0), Ok(true), 0),
        (json!({"warningOnStdErr": true}), noisy(0), Ok(true), 0),
        (json!({"warningOnStdErr": false}), noisy(0), Ok(false), 0),
        (json!({}), exit(66), Err(("process.exit-code", "command failed with exit code 66")), 66),
        (json!({}), noisy(1), Err(("process.exit-code", "command failed with exit code 1")), 1),
        (
            json!({}),
            exit(126),
            Err((
                "process.exit-code",
                "command failed with exit code 126\nhint: a command was found but may not be executed",
            )),
            126,
        ),
        (
            json!({}),
            exit(127),
            Err((
                "process.exit-code",
                "command failed with exit code 127\nhint: a command was not found; the log names it",
            )),
            127,
        ),
        (
            json!({}),
            exit(137),
            Err((
                "process.exit-code",
                "command failed with exit code 137\nhint: that is 128 + 9: a command was ended by signal 9 (SIGKILL)",
            )),
            137,
        ),
        (json!({}), exit(200), Err(("process.exit-code", "command failed with exit code 200")), 200),
        (json!({}), signal(9), Err(("process.exit-code", "command was ended by signal 9 (SIGKILL)")), 137),
        (json!({}), signal(50), Err(("process.exit-code", "command was ended by signal 50")), 178),
        (
            json!({}),
            Exit { timed_out: true, ..signal(15) },
            Err(("task.timeout", "the command did not end within the task's `timeout` and was stopped")),
            143,
        ),
    ];
    for (properties, exit, expected, exit_code) in cases {
        let host = Harness::new().exit(exit, json!({"a": 1}));
        let mut all = json!({"commands": ["a"]});
        all.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
        let run = call(&host, "shell.Commands", &all);
        let seen = match &run.result {
            Ok(_) => Ok(!run.warnings.is_empty()),
            Err(error) => Err((error.code(), error.message())),
        };
        assert_eq!(seen, expected, "{exit:?}");
        // Outputs are there whether it failed or not.
        assert_eq!(run.output("exitCode"), &json!(exit_code), "{exit:?}");
        assert_eq!(run.output("vars"), &json!({"a": 1}), "{exit:?}");
    }
}

#[test]
fn no_values_are_null_and_not_an_empty_map() {
    let run = call(&Harness::new(), "shell.Commands", &json!({"commands": ["a"]}));
    assert_eq!(run.outputs.get("vars"), Some(&Value::Null));
}

#[test]
fn properties_without_effect_are_named() {
    for (properties, expected) in [
        (json!({}), vec![]),
        (json!({"packageManager": "PIP", "dependencyCacheEnabled": false}), vec![]),
        (
            json!({"pythonVersion": 3.12, "packageManager": "UV", "dependencyCacheEnabled": true, "executionContext": true}),
            vec!["pythonVersion", "packageManager", "executionContext"],
        ),
    ] {
        let mut all = json!({"script": "a"});
        all.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
        let run = call(&Harness::new(), "python.Script", &all);
        let expected: Vec<String> =
            expected.into_iter().map(|name| format!("the property `{name}` has no effect")).collect();
        assert_eq!(run.messages(), expected, "{properties}");
    }
}
