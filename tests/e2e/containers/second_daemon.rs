//! A daemon of the test's own, to be restarted in mid-task and to be spoken to over TLS.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Daemon, shell};
use crate::harness::{Sandbox, wait_until};

/// A second `dockerd`, whose containers end with it. It is given the first one's bridge, so that it makes none, and, above
/// all, removes none: its containers use no network.
struct Second {
    folder: tempfile::TempDir,
    options: Vec<String>,
    process: Option<Child>,
}

impl Second {
    /// None skips the test: only root can start one.
    fn start(options: &[String]) -> Option<Self> {
        Daemon::find()?;
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can start a container daemon");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut second = Self { folder, options: options.to_vec(), process: None };
        second.launch();
        let image = second.path("busybox.tar");
        let image = image.to_str().unwrap();
        Daemon.docker(&["save", "--output", image, "weft-test/busybox:1"]);
        second.docker(&["load", "--input", image]);
        Some(second)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    fn launch(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let option = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        let process = Command::new("dockerd")
            .args([option("data-root", "data"), option("exec-root", "exec"), option("pidfile", "pid")])
            .args([
                "--bridge=docker0",
                "--iptables=false",
                "--ip6tables=false",
                &format!("--host={}", self.host()),
            ])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        wait_until("the second daemon", || self.try_docker(&["version"]).is_ok());
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_child(&process),
                rustix::process::Signal::TERM,
            );
            let _ = process.wait();
        }
    }

    fn try_docker(&self, args: &[&str]) -> Result<String, String> {
        let mut all = vec!["--host", ""];
        all.extend(args);
        let host = self.host();
        all[1] = &host;
        Daemon.try_docker(&all)
    }

    #[track_caller]
    fn docker(&self, args: &[&str]) -> String {
        self.try_docker(args).unwrap_or_else(|error| panic!("docker {args:?}: {error}"))
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        self.stop();
        // What it has mounted would keep its folder.
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mine = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for mount in mine.filter(|path| Path::new(path).starts_with(self.folder.path())) {
            let _ = Command::new("umount").arg("--lazy").arg(mount).status();
        }
    }
}

#[test]
fn a_daemon_that_is_restarted_in_mid_task() {
    let Some(mut second) = Second::start(&[]) else { return };
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", format!("docker:\n  hosts: [{}]\n", second.host()));
    sandbox.file(
        "flow.yaml",
        shell(&["echo begun", "sleep 600"], "", &format!("host: {}\nnetworkMode: none", second.host())),
    );
    let child = sandbox
        .command()
        .args(["run", "flow.yaml", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the container", || !second.docker(&["ps", "--quiet"]).is_empty());
    second.stop();
    second.launch();
    let output = child.wait_with_output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let failure = &json["taskRunList"][0]["attempts"][0]["failure"];
    assert_eq!(failure["code"], "container.daemon-lost", "{failure}");
    assert_eq!(failure["retryable"], true);
    assert!(String::from_utf8_lossy(&output.stderr).contains("begun"), "what was said before is kept");
    assert_eq!(second.docker(&["ps", "--all", "--quiet"]), "", "nothing is left");
}

#[test]
fn a_daemon_behind_tls() {
    let certificates = tempfile::tempdir().unwrap();
    if !make_certificates(certificates.path()) {
        eprintln!("skipped: `openssl` is needed to make certificates");
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = |name: &str| certificates.path().join(name).display().to_string();
    let options = [
        format!("--host=tcp://127.0.0.1:{port}"),
        "--tlsverify".to_owned(),
        format!("--tlscacert={}", file("ca.pem")),
        format!("--tlscert={}", file("server.pem")),
        format!("--tlskey={}", file("server-key.pem")),
    ];
    let Some(second) = Second::start(&options) else { return };
    let sandbox = Sandbox::new();
    let folder = certificates.path().display();
    sandbox.file(
        "data/config.yaml",
        format!("docker:\n  host: tcp://127.0.0.1:{port}\n  certificates: {folder}\n"),
    );
    let execution = sandbox.run_flow(&shell(&["echo over tls"], "", "networkMode: none")).expect("SUCCESS");
    assert_eq!(execution.log(&sandbox), ["INFO over tls"]);
    assert_eq!(second.docker(&["ps", "--all", "--quiet"]), "");

    // A flow may name it too: then each connection falls under the rules of the network.
    let host = format!("host: tcp://localhost:{port}\nnetworkMode: none");
    let folder = certificates.path().display();
    sandbox.file("data/config.yaml", format!("docker: {{certificates: {folder}}}\n"));
    let execution = sandbox.run_flow(&shell(&["echo named by a flow"], "", &host)).expect("SUCCESS");
    assert_eq!(execution.log(&sandbox), ["INFO named by a flow"]);
    sandbox.file(
        "data/config.yaml",
        format!("docker: {{certificates: {folder}}}\nnetwork: {{deny: [127.0.0.1, \"::1\"]}}\n"),
    );
    let execution = sandbox.run_flow(&shell(&["true"], "", &host)).expect("FAILED");
    assert_eq!(execution.failure("task")["code"], "network.denied", "{}", execution.failure("task"));
    sandbox.file(
        "data/config.yaml",
        format!("docker:\n  host: tcp://127.0.0.1:{port}\n  certificates: {folder}\n"),
    );

    // Without a certificate the daemon does not answer.
    std::fs::remove_file(certificates.path().join("cert.pem")).unwrap();
    let execution = sandbox.run_flow(&shell(&["true"], "", "networkMode: none")).expect("FAILED");
    let failure = execution.failure("task");
    assert_eq!(failure["code"], "container.unreachable", "{failure}");
    assert!(failure["message"].as_str().unwrap().contains("cert.pem"), "{failure}");
}

/// An authority, a server's and a client's certificate, in the names that the `docker` command expects.
fn make_certificates(folder: &Path) -> bool {
    let script = r#"
set -e
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca-key.pem -out ca.pem
echo "subjectAltName=IP:127.0.0.1,DNS:localhost" > server.ext
echo "extendedKeyUsage=clientAuth" > client.ext
sign() {
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$2" -out request.pem
  openssl x509 -req -days 2 -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -extfile "$1.ext" -out "$3"
}
sign server server-key.pem server.pem
sign client key.pem cert.pem
"#;
    let output = Command::new("sh").args(["-c", script]).current_dir(folder).output();
    output.is_ok_and(|output| output.status.success())
}
