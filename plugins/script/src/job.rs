//! What to run, understood from a task's properties, and the command line for it. Pure.

use weft_sdk::{Error, Result};

use crate::language::{Language, ScriptFile};
use crate::properties::{Reader, plain};
use crate::runner::{Runner, Way};

/// A task's properties, understood.
#[derive(Debug)]
pub struct Job {
    /// The language's row.
    pub language: &'static Language,
    /// What to run.
    pub body: Body,
    /// What runs it; the body itself is the command line where this is empty.
    pub interpreter: Vec<String>,
    /// Whether the first failing command ends the task.
    pub fail_fast: bool,
    /// Whether the commands are for a Windows system.
    pub windows: bool,
    /// Packages to install first.
    pub packages: Vec<String>,
    /// Commands to run first.
    pub before: Vec<String>,
    /// Environment variables from the flow.
    pub env: Vec<(String, String)>,
    /// Where to run.
    pub runner: Runner,
    /// Whether standard error makes a success a warning.
    pub warning_on_stderr: bool,
    /// Properties given that have no effect here.
    pub ignored: Vec<&'static str>,
}

/// What to run.
#[derive(Debug)]
pub enum Body {
    /// A script, inline.
    Script(String),
    /// Commands.
    Commands(Vec<String>),
}

/// Which of a language's types a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The script is in the flow.
    Script,
    /// Commands are in the flow.
    Commands,
    /// A type of former times, with a file of this name to run where there are no commands.
    Former(Option<&'static str>),
}

impl Job {
    /// Understands properties. `forced_runner` is what whoever started the execution insists on.
    ///
    /// A type's schema lets its own words through only, so the words of all types are looked for.
    pub fn read(
        mut reader: Reader,
        kind: Kind,
        language: &'static Language,
        forced_runner: Option<&str>,
    ) -> Result<Self> {
        let body = Body::read(&mut reader, kind, language)?;
        let default_way = if matches!(kind, Kind::Former(_)) { Way::Process } else { Way::Docker };
        let packages = reader.texts("dependencies")?.or(reader.texts("requirements")?);
        let fail_fast = reader.flag("failFast")?.or(reader.flag("exitOnFailed")?);
        Ok(Self {
            language,
            body,
            interpreter: read_interpreter(&mut reader, kind, language)?,
            fail_fast: fail_fast.unwrap_or(true),
            windows: reader.text("targetOS").as_deref() == Some("WINDOWS"),
            packages: packages.unwrap_or_default(),
            before: reader.texts("beforeCommands")?.unwrap_or_default(),
            env: reader.map("env")?.into_iter().map(|(name, value)| (name, plain(value))).collect(),
            runner: Runner::read(&mut reader, forced_runner, default_way, language)?,
            warning_on_stderr: reader.flag("warningOnStdErr")?.unwrap_or(true),
            ignored: read_ignored(&mut reader)?,
        })
    }

    /// The text that is to be written to a file first, and how the file is run. None where no file is needed.
    pub fn file(&self) -> Option<(&str, &'static ScriptFile)> {
        match (&self.body, &self.language.file) {
            (Body::Script(text), Some(file)) => Some((text, file)),
            _ => None,
        }
    }

    /// The command line: interpreter, then all commands in one text. `script` is the path of the script's file as the
    /// process sees it, where there is one.
    pub fn argv(&self, script: Option<&str>) -> Result<Vec<String>> {
        let commands = match (&self.body, &self.language.file, script) {
            (Body::Commands(commands), ..) => commands.clone(),
            (Body::Script(_), Some(file), Some(path)) => vec![file.command(&self.language.quote.word(path))],
            (Body::Script(text), ..) => vec![text.clone()],
        };
        if self.interpreter.is_empty() {
            return self.bare(commands);
        }
        let mut lines = Vec::new();
        if self.fail_fast && !self.windows {
            lines.push(self.language.stop_on_error.to_owned());
        }
        lines.extend(self.install());
        lines.extend(self.before.iter().cloned());
        lines.extend(commands);
        let mut argv = self.interpreter.clone();
        argv.push(lines.join(if self.windows { "\r\n" } else { "\n" }));
        Ok(argv)
    }

    /// Commands as a command line. There is no shell then, so what needs one cannot be done.
    fn bare(&self, commands: Vec<String>) -> Result<Vec<String>> {
        let needs_shell = match self.body {
            Body::Script(_) => "script",
            Body::Commands(_) if !self.before.is_empty() => "beforeCommands",
            Body::Commands(_) if !self.packages.is_empty() => "dependencies",
            Body::Commands(_) => return Ok(commands),
        };
        Err(Error::new(
            "script.interpreter",
            ["`", needs_shell, "` needs an interpreter, but `interpreter` is an empty list"].concat(),
        ))
    }

    fn install(&self) -> Option<String> {
        let install = self.language.install?;
        if self.packages.is_empty() {
            return None;
        }
        let words: Vec<String> =
            self.packages.iter().map(|package| self.language.quote.word(package)).collect();
        Some([install, &words.join(" ")].concat())
    }

    /// The environment. `WORKING_DIR` and `OUTPUT_DIR` come last: the flow cannot override them.
    pub fn environment(&self, working_dir: &str, output_dir: Option<&str>) -> Vec<(String, String)> {
        let defaults = self.language.env.iter().copied();
        let flow = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let output = output_dir.map(|path| ("OUTPUT_DIR", path));
        let mut environment: Vec<(String, String)> = Vec::new();
        for (name, value) in defaults.chain(flow).chain([("WORKING_DIR", working_dir)]).chain(output) {
            match environment.iter_mut().find(|(known, _)| known == name) {
                Some(entry) => entry.1 = value.to_owned(),
                None => environment.push((name.to_owned(), value.to_owned())),
            }
        }
        environment
    }
}

impl Body {
    fn read(reader: &mut Reader, kind: Kind, language: &Language) -> Result<Self> {
        if kind == Kind::Script {
            return Ok(Self::Script(reader.text("script").ok_or_else(|| missing("script"))?));
        }
        let commands = match (reader.texts("commands")?, kind, &language.file) {
            (Some(commands), ..) => commands,
            (None, Kind::Former(Some(main)), Some(file)) => {
                let arguments = reader.texts("args")?.unwrap_or_default();
                let words = std::iter::once(main).chain(arguments.iter().map(String::as_str));
                let words: Vec<String> = words.map(|word| language.quote.word(word)).collect();
                vec![file.command(&words.join(" "))]
            }
            _ => return Err(missing("commands")),
        };
        Ok(Self::Commands(commands))
    }
}

fn missing(name: &str) -> Error {
    Error::new("plugin.properties", ["there is no property `", name, "`"].concat())
}

/// A list, or of former times a program and a list of its arguments.
fn read_interpreter(reader: &mut Reader, kind: Kind, language: &Language) -> Result<Vec<String>> {
    if !matches!(kind, Kind::Former(_)) {
        let default = || language.interpreter.iter().map(|&word| word.to_owned()).collect();
        return Ok(reader.texts("interpreter")?.unwrap_or_else(default));
    }
    let program = reader.text("interpreter").unwrap_or_else(|| language.interpreter[0].to_owned());
    let arguments = reader.texts("interpreterArgs")?.unwrap_or_else(|| vec!["-c".to_owned()]);
    Ok(std::iter::once(program).chain(arguments).collect())
}

/// What upstream's types understand and these do not, where the flow asks for it.
fn read_ignored(reader: &mut Reader) -> Result<Vec<&'static str>> {
    let asked = [
        ("pythonVersion", reader.text("pythonVersion").is_some()),
        ("packageManager", reader.text("packageManager").as_deref() == Some("UV")),
        ("executionContext", reader.flag("executionContext")? == Some(true)),
    ];
    Ok(asked.into_iter().filter(|&(_, asked)| asked).map(|(name, _)| name).collect())
}
