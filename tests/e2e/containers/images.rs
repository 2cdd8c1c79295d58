//! Images: pulled when they are missing, with the right credentials, and what is said where that fails.

use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::Daemon;
use crate::harness::{Execution, Sandbox, peer};

/// A registry that wants to know who is asking.
struct Registry {
    daemon: Daemon,
    folder: PathBuf,
}

/// The tests here pull and remove one image of one daemon.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl Registry {
    fn find() -> Option<Self> {
        let (daemon, folder) = (Daemon::find()?, peer("WEFT_PEER_REGISTRY")?);
        Some(Self { daemon, folder })
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    fn image(&self) -> String {
        format!("{}/team/busybox:1", self.read("address"))
    }

    fn forget_image(&self) {
        let _ = self.daemon.try_docker(&["rmi", &self.image()]);
    }

    /// Runs `true` in the image, which the daemon does not have.
    fn run(&self, sandbox: &Sandbox, docker: Value) -> Execution {
        self.forget_image();
        let execution = run(sandbox, &self.image(), docker);
        self.forget_image();
        execution
    }
}

fn run(sandbox: &Sandbox, image: &str, mut docker: Value) -> Execution {
    docker["image"] = image.into();
    let flow = json!({
        "id": "pull", "namespace": "tests",
        "tasks": [{"id": "task", "type": "io.kestra.plugin.scripts.shell.Commands", "docker": docker, "commands": ["true"]}],
    });
    sandbox.run_flow(&flow.to_string())
}

#[test]
fn credentials_are_taken_from_where_they_may_be() {
    let Some(registry) = Registry::find() else { return };
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (address, user, password) =
        (registry.read("address"), registry.read("user"), registry.read("password"));
    let auths = json!({"auths": {address.clone(): {"username": user, "password": password}}});
    let sandbox = Sandbox::new();
    for docker in [
        json!({"config": auths.to_string()}),
        json!({"config": auths}),
        json!({"credentials": {"username": user, "password": password}}),
        json!({"credentials": {"registry": address, "username": user, "password": password}}),
    ] {
        let execution = registry.run(&sandbox, docker.clone()).expect("SUCCESS");
        let log = execution.log(&sandbox).join("\n");
        assert!(log.contains("pulling image") && log.contains("pulled image"), "{log}");
        assert!(!log.contains(&password), "{log}");
    }
    // What `docker login` leaves, in the home of the engine's user.
    let folder = sandbox.home().join(".docker");
    std::fs::create_dir_all(&folder).unwrap();
    registry.daemon.docker(&[
        "--config",
        folder.to_str().unwrap(),
        "login",
        "-u",
        &user,
        "-p",
        &password,
        &address,
    ]);
    registry.run(&sandbox, json!({})).expect("SUCCESS");
    registry.daemon.expect_nothing_left(&sandbox);
}

#[test]
fn a_secret_may_be_the_password() {
    let Some(registry) = Registry::find() else { return };
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    registry.forget_image();
    let sandbox = Sandbox::new();
    let flow = format!(
        r#"
id: pull
namespace: tests
tasks:
  - id: task
    type: io.kestra.plugin.scripts.shell.Commands
    docker:
      image: {}
      config: |
        {{
          "auths": {{
              "{}": {{
                  "username": "{}",
                  "password": "{{{{ secret('REGISTRY') }}}}"
              }}
          }}
        }}
    commands: ["true"]
"#,
        registry.image(),
        registry.read("address"),
        registry.read("user")
    );
    let path = sandbox.file("flow.yaml", flow);
    // base64 of s3cret
    let mut command = sandbox.command();
    command.args(["run", path.to_str().unwrap()]).env("SECRET_REGISTRY", "czNjcmV0");
    crate::harness::finish(&mut command).expect(0);
    registry.forget_image();
}

#[test]
fn wrong_and_missing_credentials_are_told() {
    let Some(registry) = Registry::find() else { return };
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (address, user) = (registry.read("address"), registry.read("user"));
    let sandbox = Sandbox::new();
    for (docker, given) in [
        (json!({}), "no credentials"),
        (
            json!({"config": {"auths": {"elsewhere:5000": {"username": "a", "password": "b"}}}}),
            "no credentials",
        ),
        (
            json!({"credentials": {"username": user, "password": "wr0ng"}}),
            "as `alice`, from `docker.credentials`",
        ),
        (
            json!({"config": {"auths": {address.clone(): {"auth": "YWxpY2U6d3Iwbmc="}}}}),
            "as `alice`, from `docker.config`",
        ),
    ] {
        let execution = registry.run(&sandbox, docker.clone()).expect("FAILED");
        let failure = execution.failure("task");
        assert_eq!(failure["code"], "container.credentials", "{docker}: {failure}");
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(given) && message.contains(&address), "{docker}: {message}");
        assert!(!message.contains("wr0ng"), "{message}");
    }
    registry.daemon.expect_nothing_left(&sandbox);
}

#[test]
fn an_image_that_is_not_there_is_named() {
    let Some(registry) = Registry::find() else { return };
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (address, user, password) =
        (registry.read("address"), registry.read("user"), registry.read("password"));
    let sandbox = Sandbox::new();
    let login = json!({"credentials": {"username": user, "password": password}});
    for (image, docker, code, part) in [
        (format!("{address}/team/nosuch:1"), login, "container.image-not-found", "team/nosuch:1"),
        (
            "weft-test/nosuch:1".to_owned(),
            json!({"pullPolicy": "NEVER"}),
            "container.image-not-found",
            "`pullPolicy` is `NEVER`",
        ),
        ("No Image".to_owned(), json!({}), "container.invalid-option", "is not the name of an image"),
        ("127.0.0.1:1/x:1".to_owned(), json!({}), "container.pull", "127.0.0.1:1/x:1"),
    ] {
        sandbox.file("data/config.yaml", "docker:\n  pullAttempts: 2\n");
        let execution = run(&sandbox, &image, docker).expect("FAILED");
        let failure = execution.failure("task");
        assert_eq!(failure["code"], code, "{image}: {failure}");
        assert!(failure["message"].as_str().unwrap().contains(part), "{image}: {failure}");
    }
    registry.daemon.expect_nothing_left(&sandbox);
}

#[test]
fn an_image_that_is_there_needs_no_registry() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    for policy in ["IF_NOT_PRESENT", "NEVER"] {
        let execution = run(&sandbox, "weft-test/busybox:1", json!({"pullPolicy": policy})).expect("SUCCESS");
        assert!(execution.log(&sandbox).is_empty());
    }
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn always_pulls_what_is_there() {
    let Some(registry) = Registry::find() else { return };
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (user, password) = (registry.read("user"), registry.read("password"));
    let sandbox = Sandbox::new();
    registry.daemon.docker(&["tag", "weft-test/busybox:1", &registry.image()]);
    let docker = json!({"credentials": {"username": user, "password": password}, "pullPolicy": "ALWAYS"});
    let execution = run(&sandbox, &registry.image(), docker).expect("SUCCESS");
    assert!(execution.log(&sandbox).iter().any(|line| line.contains("pulling image")));
    registry.forget_image();
    registry.daemon.expect_nothing_left(&sandbox);
}

/// A password whose credentials have, in base64, letters that differ between its two alphabets.
#[test]
fn credentials_reach_the_registry_whatever_their_letters() {
    let Some(registry) = Registry::find() else { return };
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let sandbox = Sandbox::new();
    // Anonymous and refused read differently: the daemon has understood who is asking.
    let docker = json!({"credentials": {"username": "alice", "password": "~~~???>>>~~~"}});
    let execution = registry.run(&sandbox, docker).expect("FAILED");
    let message = execution.failure("task")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("unauthorized") && !message.contains("no basic auth"), "{message}");
}
