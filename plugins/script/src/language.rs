//! The one table of languages. A language is a row here and nothing else; no other file knows any of them.

use weft_sdk::Example;

use crate::examples;

/// What makes a language's two task types differ from another's.
#[derive(Debug)]
pub struct Language {
    /// The type that takes the script inline.
    pub script: Face,
    /// The type that takes a list of commands.
    pub commands: Face,
    /// The image where the flow names none.
    pub image: &'static str,
    /// How a script becomes a file and a command; none where the text itself goes to the interpreter.
    pub file: Option<ScriptFile>,
    /// What runs the commands where the flow says nothing else.
    pub interpreter: &'static [&'static str],
    /// The first line with `failFast`, on systems other than Windows.
    pub stop_on_error: &'static str,
    /// Environment variables that the flow may override.
    pub env: &'static [(&'static str, &'static str)],
    /// Installs `{packages}`; none where the language has no `dependencies` property.
    pub install: Option<&'static str>,
    /// How a path or a package becomes one word of a command.
    pub quote: Quote,
}

/// A type's name and documentation.
#[derive(Debug)]
pub struct Face {
    /// The name that flows use.
    pub type_name: &'static str,
    /// A few words.
    pub title: &'static str,
    /// Markdown.
    pub description: &'static str,
    /// YAML.
    pub examples: &'static [Example],
}

/// A script in a file.
#[derive(Debug)]
pub struct ScriptFile {
    /// The file name's extension with its dot.
    pub extension: &'static str,
    /// The command that runs it; `{file}` is its quoted path.
    pub command: &'static str,
}

/// How a text becomes one word of the interpreter's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// POSIX shells.
    Shell,
    /// PowerShell.
    PowerShell,
}

const SHELL: &[&str] = &["/bin/sh", "-c"];

/// A script's output appears as it is written, and `pip` does not use standard error for advice.
const PYTHON_ENV: &[(&str, &str)] =
    &[("PYTHONUNBUFFERED", "true"), ("PIP_ROOT_USER_ACTION", "ignore"), ("PIP_DISABLE_PIP_VERSION_CHECK", "1")];

/// The active virtual environment's Python, else `python3` or `python`, whichever there is; then these arguments.
macro_rules! python {
    ($arguments:literal) => {
        concat!(
            r#""$(command -v "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/}python3" || command -v python3 || command -v python"#,
            r#" || echo python)" "#,
            $arguments
        )
    };
}

/// The index of Python in [`LANGUAGES`].
pub const PYTHON: usize = 0;
/// The index of R.
pub const R: usize = 1;
/// The index of Node.js.
pub const NODE: usize = 2;
/// The index of the shell.
pub const SH: usize = 3;
/// The index of PowerShell.
pub const POWERSHELL: usize = 4;

/// All languages. Images are those of the documentation that flows were written against.
pub const LANGUAGES: [Language; 5] = [
    Language {
        script: Face {
            type_name: "io.kestra.plugin.scripts.python.Script",
            title: "Run a Python script",
            description: "Runs a Python script written inline in the flow.",
            examples: examples::PYTHON_SCRIPT,
        },
        commands: Face {
            type_name: "io.kestra.plugin.scripts.python.Commands",
            title: "Run Python programs",
            description: "Runs commands in an environment made for Python, such as programs cloned from a repository.",
            examples: examples::PYTHON_COMMANDS,
        },
        image: "python",
        file: Some(ScriptFile { extension: ".py", command: python!("{file}") }),
        interpreter: SHELL,
        stop_on_error: "set -e",
        env: PYTHON_ENV,
        install: Some(python!("-m pip install -q {packages}")),
        quote: Quote::Shell,
    },
    Language {
        script: Face {
            type_name: "io.kestra.plugin.scripts.r.Script",
            title: "Run an R script",
            description: "Runs an R script written inline in the flow.",
            examples: examples::R_SCRIPT,
        },
        commands: Face {
            type_name: "io.kestra.plugin.scripts.r.Commands",
            title: "Run R programs",
            description: "Runs commands in an environment made for R.",
            examples: examples::R_COMMANDS,
        },
        image: "r-base",
        file: Some(ScriptFile { extension: ".R", command: "Rscript {file}" }),
        interpreter: SHELL,
        stop_on_error: "set -e",
        env: &[],
        install: None,
        quote: Quote::Shell,
    },
    Language {
        script: Face {
            type_name: "io.kestra.plugin.scripts.node.Script",
            title: "Run a Node.js script",
            description: "Runs a JavaScript script written inline in the flow.",
            examples: examples::NODE_SCRIPT,
        },
        commands: Face {
            type_name: "io.kestra.plugin.scripts.node.Commands",
            title: "Run Node.js programs",
            description: "Runs commands in an environment made for Node.js.",
            examples: examples::NODE_COMMANDS,
        },
        image: "node",
        file: Some(ScriptFile { extension: ".js", command: "node {file}" }),
        interpreter: SHELL,
        stop_on_error: "set -e",
        env: &[],
        install: None,
        quote: Quote::Shell,
    },
    Language {
        script: Face {
            type_name: "io.kestra.plugin.scripts.shell.Script",
            title: "Run a shell script",
            description: "Runs a shell script written inline in the flow. The text goes to the interpreter as it is: a \
                          first line `#!/bin/bash` is a comment, and only `interpreter` chooses another shell.",
            examples: examples::SHELL_SCRIPT,
        },
        commands: Face {
            type_name: "io.kestra.plugin.scripts.shell.Commands",
            title: "Run shell commands",
            description: "Runs commands one after the other in one shell, so that variables and `cd` last from one \
                          to the next.",
            examples: examples::SHELL_COMMANDS,
        },
        image: "ubuntu",
        file: None,
        interpreter: SHELL,
        stop_on_error: "set -e",
        env: &[],
        install: None,
        quote: Quote::Shell,
    },
    Language {
        script: Face {
            type_name: "io.kestra.plugin.scripts.powershell.Script",
            title: "Run a PowerShell script",
            description: "Runs a PowerShell script written inline in the flow.",
            examples: examples::POWERSHELL_SCRIPT,
        },
        commands: Face {
            type_name: "io.kestra.plugin.scripts.powershell.Commands",
            title: "Run PowerShell commands",
            description: "Runs commands one after the other in one PowerShell.",
            examples: examples::POWERSHELL_COMMANDS,
        },
        image: "mcr.microsoft.com/powershell",
        file: Some(ScriptFile { extension: ".ps1", command: "& {file}" }),
        interpreter: &["pwsh", "-NoProfile", "-NonInteractive", "-Command"],
        stop_on_error: "$ErrorActionPreference = 'Stop'",
        env: &[],
        install: None,
        quote: Quote::PowerShell,
    },
];

impl Quote {
    /// `text` as one word, bare where nothing in it is special.
    pub fn word(self, text: &str) -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:@%".contains(&b);
        if !text.is_empty() && text.bytes().all(plain) {
            return text.to_owned();
        }
        let quote_inside = match self {
            Self::Shell => r"'\''",
            Self::PowerShell => "''",
        };
        ["'", &text.replace('\'', quote_inside), "'"].concat()
    }
}
