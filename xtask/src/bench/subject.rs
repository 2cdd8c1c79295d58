//! The measured binary with a home of its own: no configuration, history or cache of the developer takes part.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use tempfile::TempDir;

/// One flow, and the folder in which `weft` runs it.
pub struct Subject {
    binary: PathBuf,
    folder: TempDir,
    homes: u32,
}

impl Subject {
    /// Writes `flow` into a new folder, which is removed with this value.
    pub fn new(binary: &Path, flow: &str) -> Result<Subject> {
        let folder = tempfile::Builder::new().prefix("weft-bench-").tempdir()?;
        fs::write(folder.path().join("flow.yaml"), flow)?;
        Ok(Subject { binary: binary.to_owned(), folder, homes: 0 })
    }

    /// Where the flow is, and whatever else a case puts there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `weft run` of the flow, with what earlier runs left behind.
    pub fn run(&self) -> Command {
        self.weft(&["run", "flow.yaml"])
    }

    /// Any other command.
    pub fn weft(&self, arguments: &[&str]) -> Command {
        let home = self.folder.path().join(format!("home-{}", self.homes));
        let mut command = Command::new(&self.binary);
        command.current_dir(self.folder.path()).env("HOME", &home);
        for (variable, folder) in [
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
        ] {
            command.env(variable, home.join(folder));
        }
        command.arg("--data-dir").arg(home.join("weft")).args(arguments);
        command
    }

    /// The same with nothing on disk.
    pub fn first_run(&mut self) -> Command {
        self.homes += 1;
        self.run()
    }

    /// The same, after everything that earlier runs left behind but the code of plugins was removed.
    pub fn emptied_run(&mut self) -> Command {
        let weft = self.folder.path().join(format!("home-{}", self.homes)).join("weft");
        for folder in ["storage", "executions"] {
            // What is not there yet need not be removed.
            let _ = fs::remove_dir_all(weft.join(folder));
        }
        self.run()
    }

    /// The floor: `script` by the shell, in the same folder.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.current_dir(self.folder.path()).args(["-c", script]);
        command
    }
}
