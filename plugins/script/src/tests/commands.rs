use serde_json::{Value, json};
use weft_sdk::testing::Harness;

use super::{argv, call};

const PYTHON: &str = r#""$(command -v "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/}python3" || command -v python3 || command -v python || echo python)""#;

#[test]
fn command_lines_of_all_types() {
    let python_script = format!("set -e\n{PYTHON} $W/.weft-taskrun.py");
    let python_before = format!("set -e\npip install a\n{PYTHON} $W/.weft-taskrun.py");
    let python_packages = format!(
        "set -e\n{PYTHON} -m pip install -q requests 'pandas>=2' 'it'\\''s'\n{PYTHON} $W/.weft-taskrun.py"
    );
    let former_python = format!("set -e\n{PYTHON} main.py data.json 'two words'");
    let former_requirements = format!("set -e\n{PYTHON} -m pip install -q requests\n{PYTHON} main.py");
    for (name, properties, expected) in [
        // `Script`
        ("python.Script", json!({"script": "print()"}), vec!["/bin/sh", "-c", &python_script]),
        (
            "python.Script",
            json!({"script": "x", "beforeCommands": ["pip install a"]}),
            vec!["/bin/sh", "-c", &python_before],
        ),
        (
            "python.Script",
            json!({"script": "x", "dependencies": ["requests", "pandas>=2", "it's"]}),
            vec!["/bin/sh", "-c", &python_packages],
        ),
        ("r.Script", json!({"script": "x"}), vec!["/bin/sh", "-c", "set -e\nRscript $W/.weft-taskrun.R"]),
        ("node.Script", json!({"script": "x"}), vec!["/bin/sh", "-c", "set -e\nnode $W/.weft-taskrun.js"]),
        (
            "node.Script",
            json!({"script": "x", "failFast": false}),
            vec!["/bin/sh", "-c", "node $W/.weft-taskrun.js"],
        ),
        ("shell.Script", json!({"script": "a\nb\n"}), vec!["/bin/sh", "-c", "set -e\na\nb\n"]),
        (
            "shell.Script",
            json!({"script": "a", "interpreter": ["/bin/bash", "-xc"], "beforeCommands": ["b"], "failFast": null}),
            vec!["/bin/bash", "-xc", "set -e\nb\na"],
        ),
        (
            "powershell.Script",
            json!({"script": "x"}),
            vec![
                "pwsh",
                "-NoProfile",
                "-NonInteractive",
                "-Command",
                "$ErrorActionPreference = 'Stop'\n& $W/.weft-taskrun.ps1",
            ],
        ),
        // `Commands`
        (
            "python.Commands",
            json!({"commands": ["python a.py"]}),
            vec!["/bin/sh", "-c", "set -e\npython a.py"],
        ),
        ("r.Commands", json!({"commands": ["Rscript a.R"]}), vec!["/bin/sh", "-c", "set -e\nRscript a.R"]),
        ("node.Commands", json!({"commands": ["node a.js"]}), vec!["/bin/sh", "-c", "set -e\nnode a.js"]),
        (
            "shell.Commands",
            json!({"commands": ["echo 0", "echo 1"]}),
            vec!["/bin/sh", "-c", "set -e\necho 0\necho 1"],
        ),
        ("shell.Commands", json!({"commands": [1, true]}), vec!["/bin/sh", "-c", "set -e\n1\ntrue"]),
        (
            "shell.Commands",
            json!({"commands": ["unknown", "echo 1"], "failFast": false}),
            vec!["/bin/sh", "-c", "unknown\necho 1"],
        ),
        (
            "shell.Commands",
            json!({"commands": ["a", "b\nc"], "beforeCommands": ["d"]}),
            vec!["/bin/sh", "-c", "set -e\nd\na\nb\nc"],
        ),
        (
            "shell.Commands",
            json!({"commands": ["a", "b"], "beforeCommands": ["c"], "targetOS": "WINDOWS"}),
            vec!["/bin/sh", "-c", "c\r\na\r\nb"],
        ),
        ("shell.Commands", json!({"commands": ["ls", "-l"], "interpreter": []}), vec!["ls", "-l"]),
        (
            "powershell.Commands",
            json!({"commands": ["./a.ps1"], "targetOS": "LINUX"}),
            vec![
                "pwsh",
                "-NoProfile",
                "-NonInteractive",
                "-Command",
                "$ErrorActionPreference = 'Stop'\n./a.ps1",
            ],
        ),
        // Of former times
        ("Bash", json!({"commands": ["a", "b"]}), vec!["/bin/sh", "-c", "set -e\na\nb"]),
        (
            "Bash",
            json!({"commands": ["a"], "exitOnFailed": false, "interpreter": "/bin/bash", "interpreterArgs": ["-l", "-c"]}),
            vec!["/bin/bash", "-l", "-c", "a"],
        ),
        ("Python", json!({"args": ["data.json", "two words"]}), vec!["/bin/sh", "-c", &former_python]),
        ("Python", json!({"requirements": ["requests"]}), vec!["/bin/sh", "-c", &former_requirements]),
        (
            "Python",
            json!({"commands": ["python other.py"]}),
            vec!["/bin/sh", "-c", "set -e\npython other.py"],
        ),
        ("Node", json!({}), vec!["/bin/sh", "-c", "set -e\nnode main.js"]),
    ] {
        let host = Harness::new();
        let run = call(&host, name, &properties);
        assert_eq!(argv(&host, &run), expected, "{name} {properties}");
    }
}

#[test]
fn what_cannot_be_a_command_line_is_refused() {
    for (name, properties, code) in [
        ("shell.Script", json!({"script": "a", "interpreter": []}), "script.interpreter"),
        ("python.Script", json!({"script": "a", "interpreter": []}), "script.interpreter"),
        (
            "shell.Commands",
            json!({"commands": ["a"], "beforeCommands": ["b"], "interpreter": []}),
            "script.interpreter",
        ),
        (
            "python.Commands",
            json!({"commands": ["a"], "dependencies": ["b"], "interpreter": []}),
            "script.interpreter",
        ),
        ("python.Script", json!({}), "plugin.properties"),
        ("python.Commands", json!({}), "plugin.properties"),
        ("Bash", json!({}), "plugin.properties"),
        ("shell.Commands", json!({"commands": "a"}), "plugin.properties"),
    ] {
        let run = call(&Harness::new(), name, &properties);
        assert_eq!((run.code(), run.commands.len()), (Some(code), 0), "{name} {properties}");
    }
}

#[test]
fn a_path_with_special_characters_is_one_word() {
    let quote = |name: &str| {
        crate::language::LANGUAGES.iter().find(|l| l.script.type_name.contains(name)).unwrap().quote
    };
    for (language, path, expected) in [
        (".node.", "/tmp/a-b_c.js", "/tmp/a-b_c.js"),
        (".node.", "/tmp/two words.js", "'/tmp/two words.js'"),
        (".python.", "/tmp/it's.py", r"'/tmp/it'\''s.py'"),
        (".r.", "/tmp/$HOME.R", "'/tmp/$HOME.R'"),
        (".shell.", "", "''"),
        (".powershell.", "/tmp/it's.ps1", "'/tmp/it''s.ps1'"),
        (".powershell.", "/tmp/ä.ps1", "'/tmp/ä.ps1'"),
    ] {
        assert_eq!(quote(language).word(path), expected);
    }
}

#[test]
fn environments() {
    let directory = |host: &Harness| host.directory().display().to_string();
    for (name, env, output_dir, expected) in [
        ("shell.Commands", json!({}), None, vec![("WORKING_DIR", "$W")]),
        (
            "shell.Commands",
            json!({"B": "1", "A": 2}),
            None,
            vec![("B", "1"), ("A", "2"), ("WORKING_DIR", "$W")],
        ),
        (
            "shell.Commands",
            json!({"WORKING_DIR": "/", "OUTPUT_DIR": "/", "A": "x"}),
            Some("/out"),
            vec![("WORKING_DIR", "$W"), ("OUTPUT_DIR", "/out"), ("A", "x")],
        ),
        (
            "python.Commands",
            json!({"PYTHONUNBUFFERED": "", "A": "x"}),
            Some("/out"),
            vec![
                ("PYTHONUNBUFFERED", ""),
                ("PIP_ROOT_USER_ACTION", "ignore"),
                ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
                ("A", "x"),
                ("WORKING_DIR", "$W"),
                ("OUTPUT_DIR", "/out"),
            ],
        ),
    ] {
        let mut host = Harness::new();
        if let Some(path) = output_dir {
            host = host.fact("outputDir", json!(path));
        }
        let run = call(&host, name, &json!({"commands": ["a"], "env": env}));
        let seen: Vec<(String, String)> = run.commands[0].command.env.clone();
        let expected: Vec<(String, String)> = expected
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.replace("$W", &directory(&host))))
            .collect();
        assert_eq!(seen, expected, "{name} {env}");
    }
}

#[test]
fn the_script_is_in_a_hidden_file_for_the_time_of_the_run() {
    let host = Harness::new().file("kept.py", "");
    let run = call(&host, "python.Script", &json!({"script": "print('é')"}));
    assert_eq!(run.output("exitCode"), &Value::from(0));
    let left: Vec<_> =
        std::fs::read_dir(host.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["kept.py"]);
}
