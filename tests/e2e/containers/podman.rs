//! podman's socket, as far as podman can be had: where it cannot start a container by its own command, this is skipped.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{Daemon, directory, one};
use crate::harness::{Sandbox, wait_until};

/// podman's service with storage of its own.
struct Podman {
    folder: tempfile::TempDir,
    service: Option<Child>,
}

/// Bounds that a container without CAP_SYS_RESOURCE may have, and the runtime that Docker brings.
const CONF: &str = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                    [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"runc\"\n";

impl Podman {
    fn start() -> Option<Self> {
        Daemon::find()?;
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: podman is only tried as root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("containers.conf"), CONF).unwrap();
        let mut podman = Self { folder, service: None };
        let image = podman.path("busybox.tar").display().to_string();
        Daemon.docker(&["save", "--output", &image, "weft-test/busybox:1"]);
        for args in [
            &["load", "--quiet", "--input", &image][..],
            &["tag", "localhost/weft-test/busybox:1", "docker.io/weft-test/busybox:1"],
            &["run", "--rm", "--network=none", "docker.io/weft-test/busybox:1", "true"],
        ] {
            let output = podman.command().args(args).output();
            if !output.as_ref().is_ok_and(|output| output.status.success()) {
                eprintln!("skipped: podman {args:?} does not work on this machine: {output:?}");
                return None;
            }
        }
        let service =
            podman.command().args(["system", "service", "--time=0", &podman.host()]).spawn().unwrap();
        podman.service = Some(service);
        wait_until("podman's service", || podman.path("podman.sock").exists());
        Some(podman)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.path("podman.sock").display())
    }

    fn command(&self) -> Command {
        let mut podman = Command::new("podman");
        podman
            .args(["--storage-driver=vfs", "--root"])
            .arg(self.path("root"))
            .arg("--runroot")
            .arg(self.path("run"))
            .env("CONTAINERS_CONF", self.path("containers.conf"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        podman
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if let Some(mut service) = self.service.take() {
            let _ = service.kill();
            let _ = service.wait();
        }
        let _ = self.command().args(["rm", "--all", "--force"]).output();
    }
}

#[test]
fn podman_is_as_good_as_docker() {
    let Some(podman) = Podman::start() else { return };
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", format!("docker: {{hosts: [\"{}\"]}}\n", podman.host()));
    // There is no network for containers of root here.
    let docker = format!("host: {}\nnetworkMode: none", podman.host());
    let task = |id: &str, commands: &[&str], more: &str| {
        one(id, "shell.Commands", "busybox", commands, more, &docker)
    };
    let host = r#"echo "::{\"outputs\":{\"host\":\"$(hostname)\"}}::""#;
    let flow = directory(&[
        task("a", &[host, "echo one > file", "echo wrong >&2"], "env:\n  ONLY_A: 'yes'"),
        task("b", &[host, "cat file; echo ${ONLY_A:-unset}"], ""),
        task("failing", &["exit 7"], "allowFailure: true"),
        task("missing", &["true"], "interpreter: [nosuch]\nallowFailure: true"),
        task(
            "slow",
            &["trap 'echo asked; exit 1' TERM; while true; do sleep 0.1; done"],
            "timeout: PT12S\nallowFailure: true",
        ),
    ]);
    let execution = sandbox.run_flow(&flow).expect("WARNING");
    assert_eq!(execution.outputs("a")["vars"]["host"], execution.outputs("b")["vars"]["host"]);
    assert_eq!(execution.outputs("failing")["exitCode"], 7);
    assert_eq!(execution.failure("missing")["code"], "container.interpreter");
    assert_eq!(execution.failure("slow")["code"], "task.timeout");
    let log = execution.log(&sandbox);
    for line in ["WARN wrong", "INFO one", "INFO unset", "INFO asked"] {
        assert!(log.contains(&line.to_owned()), "{line}: {log:?}");
    }

    let own = super::task(
        "shell.Commands",
        "busybox",
        &["echo 1 > out.txt", "exit 3"],
        "outputFiles: ['*.txt']",
        &format!("{docker}\nfileHandlingStrategy: VOLUME"),
    );
    let execution = sandbox.run_flow(&own).expect("FAILED");
    assert_eq!(execution.outputs("task")["exitCode"], 3);
    assert!(execution.outputs("task")["outputFiles"]["out.txt"].is_string());

    let left = podman.command().args(["ps", "--all", "--quiet"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "nothing is left");
}
