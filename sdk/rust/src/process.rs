//! Processes and containers. Their output goes to the task run's log on the host's side; a plugin only waits.

use serde::Serialize;
use serde_json::{Map, Value};
use weft_contract::container;

use crate::host::{Handle, Host};
use crate::{Level, Result};

/// What to start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables on top of what the runner gives; the last of two with one name counts.
    pub env: Vec<(String, String)>,
    /// Relative to the working directory; that itself where none is given.
    pub cwd: Option<String>,
    /// What the runner understands besides: `stdoutLevel`, `stderrLevel`, and for containers pull policy, volumes, ...
    pub options: Map<String, Value>,
}

impl Command {
    /// This program with these arguments.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// With one more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// In this directory below the working directory.
    #[must_use]
    pub fn cwd(mut self, directory: impl Into<String>) -> Self {
        self.cwd = Some(directory.into());
        self
    }

    /// With one more option for the runner.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Takes over what the container runner is to do, beside what was said before.
    pub fn set_container(&mut self, options: &container::Options) {
        // Options are plain data with text keys, so this cannot fail.
        if let Ok(Value::Object(options)) = serde_json::to_value(options) {
            self.options.extend(options);
        }
    }

    /// Lines of standard output and of standard error are logged at these levels.
    #[must_use]
    pub fn levels(self, stdout: Level, stderr: Level) -> Self {
        self.option("stdoutLevel", stdout.as_str()).option("stderrLevel", stderr.as_str())
    }

    #[cfg(target_family = "wasm")]
    pub(crate) fn options_json(&self) -> String {
        // As with every map of JSON values: this cannot fail.
        serde_json::to_string(&self.options).unwrap_or_default()
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Whether the host ended it because the task run's time was over.
    pub timed_out: bool,
    /// Lines written to standard output.
    pub stdout_lines: u64,
    /// Lines written to standard error.
    pub stderr_lines: u64,
}

impl Exit {
    /// Whether it ended by itself with exit code 0.
    pub fn success(&self) -> bool {
        self.code == 0 && self.signal.is_none() && !self.timed_out
    }
}

/// A started process or container. The host ends it when the task run is over, whatever the plugin does.
#[derive(Debug)]
pub struct Child(Handle);

impl Child {
    /// Waits for the end. Time in here is not counted as the plugin's CPU time.
    pub fn wait(&self) -> Result<Exit> {
        self.0.wait()
    }

    /// What it put out through `::{"outputs": ...}::` so far: an object, or null for nothing.
    pub fn outputs(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.0.outputs())?)
    }

    /// Sends a signal to its whole process tree.
    pub fn kill(&self, signal: i32) -> Result<()> {
        self.0.kill(signal)
    }
}

/// Starts processes on the machine of the worker. The operator may have allowed this for certain programs only.
#[derive(Debug)]
pub struct Process<'a>(pub(crate) &'a Host);

impl Process<'_> {
    /// Starts a process.
    pub fn spawn(&self, command: &Command) -> Result<Child> {
        self.0.spawn(command).map(Child)
    }

    /// Starts a process and waits for its end.
    pub fn run(&self, command: &Command) -> Result<Exit> {
        self.spawn(command)?.wait()
    }
}

/// Runs containers.
#[derive(Debug)]
pub struct Container<'a>(pub(crate) &'a Host);

impl Container<'_> {
    /// Starts a container of `image` with the working directory in it.
    pub fn run(&self, image: &str, command: &Command) -> Result<Child> {
        self.0.run_container(image, command).map(Child)
    }
}
