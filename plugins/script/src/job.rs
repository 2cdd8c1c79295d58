//! What to run, once a task's properties are understood, and the command line for it. Pure.

use weft_sdk::{Error, Result};

use crate::docker::Runner;
use crate::language::{Language, ScriptFile};

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
    /// Commands for a Windows system.
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
}

/// What to run.
#[derive(Debug)]
pub enum Body {
    /// A script, inline.
    Script(String),
    /// Commands.
    Commands(Vec<String>),
}

impl Job {
    /// The text that is to be written to a file before, and how the file is run. None where no file is needed.
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
            (Body::Script(_), Some(file), Some(path)) => {
                vec![file.command.replace("{file}", &self.language.quote.word(path))]
            }
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
            Body::Script(_) => Some("script"),
            Body::Commands(_) if !self.before.is_empty() => Some("beforeCommands"),
            Body::Commands(_) if !self.packages.is_empty() => Some("dependencies"),
            Body::Commands(_) => None,
        };
        match needs_shell {
            None => Ok(commands),
            Some(property) => Err(Error::new(
                "script.interpreter",
                format!("`{property}` needs an interpreter, but `interpreter` is an empty list"),
            )),
        }
    }

    fn install(&self) -> Option<String> {
        let install = self.language.install?;
        if self.packages.is_empty() {
            return None;
        }
        let words: Vec<String> =
            self.packages.iter().map(|package| self.language.quote.word(package)).collect();
        Some(install.replace("{packages}", &words.join(" ")))
    }

    /// The environment. `WORKING_DIR` and `OUTPUT_DIR` come last: the flow cannot override them.
    pub fn environment(&self, working_dir: String, output_dir: Option<&str>) -> Vec<(String, String)> {
        let defaults = self.language.env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let own = [("WORKING_DIR".to_owned(), working_dir)];
        let output = output_dir.map(|path| ("OUTPUT_DIR".to_owned(), path.to_owned()));
        let all = defaults.chain(self.env.iter().cloned()).chain(own).chain(output);
        let mut environment: Vec<(String, String)> = Vec::new();
        for (name, value) in all {
            match environment.iter_mut().find(|(known, _)| *known == name) {
                Some(entry) => entry.1 = value,
                None => environment.push((name, value)),
            }
        }
        environment
    }
}
