//! The script tasks that came before those of [`crate::task`]: other words for the same jobs, as processes by default.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use weft_sdk::{Context, Error, Example, InputFiles, Needs, Output, OutputFiles, Result, Task, Text};

use crate::docker::{DockerSettings, Runner, Wishes};
use crate::examples::{LEGACY_BASH, LEGACY_NODE, LEGACY_PYTHON};
use crate::job::{Body, Job};
use crate::language::{LANGUAGES, Language, NODE, PYTHON, SH};
use crate::properties::RunnerKind;
use crate::run::run;
use crate::task::{NEEDS, texts};

/// The properties that the former types share.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Legacy {
    /// The commands, run one after the other in one process.
    #[serde(default)]
    #[schemars(with = "Vec<Text>", extend("x-weft-role" = "localize"))]
    commands: Option<Vec<Text>>,
    /// Arguments of `main.py` or `main.js`.
    #[serde(default)]
    args: Vec<Text>,
    /// Packages to install first, with `pip`.
    #[serde(default)]
    requirements: Vec<Text>,
    /// Files to put into the working directory first: a map from name to content or URI, or a JSON text of one.
    #[serde(default)]
    #[allow(dead_code, reason = "the engine carries it out")]
    input_files: InputFiles,
    /// Globs of files in the working directory to keep.
    #[serde(default)]
    #[allow(dead_code, reason = "the engine carries it out")]
    output_files: OutputFiles,
    /// The program that gets the commands as its last argument.
    #[serde(default)]
    #[schemars(with = "Text", extend("default" = "/bin/sh"))]
    interpreter: Option<Text>,
    /// The interpreter's own arguments.
    #[serde(default)]
    #[schemars(with = "Vec<Text>", extend("default" = ["-c"]))]
    interpreter_args: Option<Vec<Text>>,
    /// Whether the first command that fails ends the task.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = true))]
    exit_on_failed: Option<bool>,
    /// Where the commands run.
    #[serde(default)]
    #[schemars(with = "RunnerKind", extend("default" = "PROCESS"))]
    runner: Option<RunnerKind>,
    /// Settings of the container, with its image.
    #[serde(default)]
    #[schemars(with = "DockerSettings")]
    docker_options: Option<Map<String, Value>>,
    /// Environment variables.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Text>")]
    env: Option<BTreeMap<String, Text>>,
    /// Whether the task ends as WARNING when it succeeds but has written something to standard error.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = true))]
    warning_on_std_err: Option<bool>,
}

impl Legacy {
    /// The job of the type whose script, if it has one of its own, is the file `main`.
    fn into_job(self, language: &'static Language, main: Option<&str>, cx: &Context) -> Result<Job> {
        let commands = match (self.commands, main, &language.file) {
            (Some(commands), ..) => texts(commands),
            (None, Some(main), Some(file)) => {
                let words = std::iter::once(main).chain(self.args.iter().map(|text| &**text));
                let words: Vec<String> = words.map(|word| language.quote.word(word)).collect();
                vec![file.command.replace("{file}", &words.join(" "))]
            }
            _ => return Err(Error::new("plugin.properties", "there are no `commands`")),
        };
        let mut interpreter =
            vec![self.interpreter.map_or_else(|| language.interpreter[0].to_owned(), |text| text.0)];
        match self.interpreter_args {
            Some(arguments) => interpreter.extend(texts(arguments)),
            None => interpreter.push("-c".to_owned()),
        }
        let wishes = Wishes {
            forced: cx.runner(),
            runner: self.runner,
            docker: self.docker_options,
            ..Wishes::default()
        };
        Ok(Job {
            language,
            body: Body::Commands(commands),
            interpreter,
            fail_fast: self.exit_on_failed.unwrap_or(true),
            windows: false,
            packages: texts(self.requirements),
            before: Vec::new(),
            env: self.env.unwrap_or_default().into_iter().map(|(name, value)| (name, value.0)).collect(),
            runner: Runner::choose(wishes, RunnerKind::Process, language.image)?,
            warning_on_stderr: self.warning_on_std_err.unwrap_or(true),
        })
    }
}

/// Defines one former type: its name, its language, its script, what to use instead.
macro_rules! legacy {
    ($(#[$doc:meta])* $name:ident, $type:literal, $language:ident, $main:expr, $examples:ident, $instead:literal) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Legacy);

        impl Task for $name {
            const TYPE: &'static str = $type;
            const EXAMPLES: &'static [Example] = $examples;
            const DEPRECATED: Option<&'static str> = Some($instead);
            const NEEDS: Needs = NEEDS;

            fn run(self, cx: &Context) -> Result<impl Output> {
                run(&self.0.into_job(&LANGUAGES[$language], $main, cx)?, cx)
            }
        }
    };
}

legacy!(
    /// Runs shell commands.
    Bash,
    "io.kestra.core.tasks.scripts.Bash",
    SH,
    None,
    LEGACY_BASH,
    "use `io.kestra.plugin.scripts.shell.Commands`"
);
legacy!(
    /// Runs `main.py` of `inputFiles`, or commands.
    Python,
    "io.kestra.core.tasks.scripts.Python",
    PYTHON,
    Some("main.py"),
    LEGACY_PYTHON,
    "use `io.kestra.plugin.scripts.python.Script` or `Commands`"
);
legacy!(
    /// Runs `main.js` of `inputFiles`, or commands.
    Node,
    "io.kestra.core.tasks.scripts.Node",
    NODE,
    Some("main.js"),
    LEGACY_NODE,
    "use `io.kestra.plugin.scripts.node.Script` or `Commands`"
);
