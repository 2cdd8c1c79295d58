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
    /// The type that came before these two.
    pub former: Option<Former>,
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
    /// The command that installs the packages named after it; none where the language has no `dependencies` property.
    pub install: Option<&'static str>,
    /// The package managers whose downloads are kept, as the container runner names them.
    pub caches: &'static [&'static str],
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

/// A type of former times.
#[derive(Debug)]
pub struct Former {
    /// Its name and documentation.
    pub face: Face,
    /// The file that it runs where there are no commands.
    pub main: Option<&'static str>,
    /// What to use now.
    pub instead: &'static str,
}

/// A script in a file.
#[derive(Debug)]
pub struct ScriptFile {
    /// The file name's extension with its dot.
    pub extension: &'static str,
    /// What stands before its path in the command that runs it.
    pub program: &'static str,
}

impl ScriptFile {
    /// The command that runs a file: its quoted path, and perhaps arguments after it.
    pub fn command(&self, words: &str) -> String {
        [self.program, " ", words].concat()
    }
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
const PYTHON_ENV: &[(&str, &str)] = &[
    ("PYTHONUNBUFFERED", "true"),
    ("PIP_ROOT_USER_ACTION", "ignore"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
];

/// The active virtual environment's Python, else `python3` or `python`, whichever there is. A literal, for `concat!`.
macro_rules! python {
    () => {
        concat!(
            r#""$(command -v "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/}python3" || command -v python3"#,
            r#" || command -v python || echo python)""#
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
        former: Some(Former {
            face: Face {
                type_name: "io.kestra.core.tasks.scripts.Python",
                title: "Run main.py",
                description: "Runs `main.py` of `inputFiles`, or commands.",
                examples: examples::FORMER_PYTHON,
            },
            main: Some("main.py"),
            instead: "use `io.kestra.plugin.scripts.python.Script` or `Commands`",
        }),
        image: "python",
        file: Some(ScriptFile { extension: ".py", program: python!() }),
        interpreter: SHELL,
        stop_on_error: "set -e",
        env: PYTHON_ENV,
        install: Some(concat!(python!(), " -m pip install -q ")),
        caches: &["pip", "uv"],
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
        former: None,
        image: "r-base",
        file: Some(ScriptFile { extension: ".R", program: "Rscript" }),
        interpreter: SHELL,
        stop_on_error: "set -e",
        env: &[],
        install: None,
        caches: &["R"],
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
        former: Some(Former {
            face: Face {
                type_name: "io.kestra.core.tasks.scripts.Node",
                title: "Run main.js",
                description: "Runs `main.js` of `inputFiles`, or commands.",
                examples: examples::FORMER_NODE,
            },
            main: Some("main.js"),
            instead: "use `io.kestra.plugin.scripts.node.Script` or `Commands`",
        }),
        image: "node",
        file: Some(ScriptFile { extension: ".js", program: "node" }),
        interpreter: SHELL,
        stop_on_error: "set -e",
        env: &[],
        install: None,
        caches: &["npm"],
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
        former: Some(Former {
            face: Face {
                type_name: "io.kestra.core.tasks.scripts.Bash",
                title: "Run shell commands",
                description: "Runs shell commands.",
                examples: examples::FORMER_BASH,
            },
            main: None,
            instead: "use `io.kestra.plugin.scripts.shell.Commands`",
        }),
        image: "ubuntu",
        file: None,
        interpreter: SHELL,
        stop_on_error: "set -e",
        env: &[],
        install: None,
        caches: &[],
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
        former: None,
        image: "mcr.microsoft.com/powershell",
        file: Some(ScriptFile { extension: ".ps1", program: "&" }),
        interpreter: &["pwsh", "-NoProfile", "-NonInteractive", "-Command"],
        stop_on_error: "$ErrorActionPreference = 'Stop'",
        env: &[],
        install: None,
        caches: &[],
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
