//! Script tasks in real containers: the daemon and the images are made ready by `cargo xtask peers up`.

mod ends;
mod files;
mod images;
mod options;
mod podman;
mod races;
mod reuse;
mod second_daemon;
mod seeds;
mod streams;

use std::process::Command;

use crate::harness::{Sandbox, peer};

/// The daemon, if there is one; none skips the test.
pub struct Daemon;

impl Daemon {
    pub fn find() -> Option<Self> {
        peer("WEFT_PEER_DOCKER").map(|_| Self)
    }

    /// What `docker ARGS` prints; panics if it fails.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> String {
        self.try_docker(args).unwrap_or_else(|error| panic!("docker {args:?}: {error}"))
    }

    /// What `docker ARGS` prints, or what it complains about.
    pub fn try_docker(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new("docker").args(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Containers of the engine of this sandbox, running or not: the census.
    pub fn census(&self, sandbox: &Sandbox) -> Vec<String> {
        let Ok(engine) = std::fs::read_to_string(sandbox.data().join("engine-id")) else { return Vec::new() };
        let filter = format!("label=io.weft.engine={}", engine.trim());
        let list =
            self.docker(&["ps", "--all", "--filter", &filter, "--format", "{{.ID}} {{.Names}} {{.Status}}"]);
        list.lines().map(str::to_owned).collect()
    }

    /// Panics if anything is left.
    #[track_caller]
    pub fn expect_nothing_left(&self, sandbox: &Sandbox) {
        assert_eq!(self.census(sandbox), Vec::<String>::new());
        let marks = sandbox.data().join("containers");
        assert_eq!(std::fs::read_dir(marks).map_or(0, Iterator::count), 0, "no mark is left");
        let left = std::fs::read_dir(sandbox.data().join("tmp")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "no working directory is left");
    }
}

/// One shell task in a container of busybox; `more` are further lines of the task, `docker` those of its `docker`.
pub fn shell(commands: &[&str], more: &str, docker: &str) -> String {
    task("shell.Commands", "busybox", commands, more, docker)
}

/// One task in a container.
pub fn task(type_name: &str, image: &str, commands: &[&str], more: &str, docker: &str) -> String {
    format!(
        "id: containers\nnamespace: tests\ntasks:\n{}",
        indented("  ", &one("task", type_name, image, commands, more, docker))
    )
}

/// A task for a list of tasks.
pub fn one(id: &str, type_name: &str, image: &str, commands: &[&str], more: &str, docker: &str) -> String {
    let commands: String = commands
        .iter()
        .map(|command| format!("    - {}\n", serde_json::to_string(command).unwrap()))
        .collect();
    format!(
        "- id: {id}\n  type: io.kestra.plugin.scripts.{type_name}\n  docker:\n    image: weft-test/{image}:1\n{}{}  \
         commands:\n{commands}",
        indented("    ", docker),
        indented("  ", more),
    )
}

/// Tasks in a `WorkingDirectory`.
pub fn directory(tasks: &[String]) -> String {
    let tasks: String = tasks.iter().map(|task| indented("      ", task)).collect();
    format!(
        "id: containers\nnamespace: tests\ntasks:\n  - id: wdir\n    type: io.kestra.plugin.core.flow.WorkingDirectory\n    \
         tasks:\n{tasks}"
    )
}

fn indented(indent: &str, text: &str) -> String {
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("{indent}{line}\n")).collect()
}
