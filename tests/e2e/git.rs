//! `git.Clone` against Git servers: smart HTTP with and without credentials, HTTPS with an authority of its own, SSH.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Execution, Sandbox, finish, peer};

/// Where the servers are, as `cargo xtask peers` says.
struct Servers(Value);

impl Servers {
    fn find() -> Option<Self> {
        let text = std::fs::read_to_string(peer("WEFT_PEER_GIT")?).unwrap();
        Some(Self(serde_json::from_str(&text).unwrap()))
    }

    fn get(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }

    fn key(&self, name: &str) -> String {
        std::fs::read_to_string(Path::new(self.get("keys")).join(name)).unwrap()
    }
}

/// A flow that clones, then shows what is there.
fn flow(properties: &str) -> String {
    format!(
        "id: clone
namespace: tests
tasks:
  - id: directory
    type: io.kestra.core.tasks.flows.WorkingDirectory
    tasks:
      - id: clone
        type: io.kestra.plugin.git.Clone
{}
      - id: look
        type: io.kestra.plugin.scripts.shell.Commands
        runner: PROCESS
        commands:
          - \"export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'\"
          - echo \"::{{\\\"outputs\\\":{{\\\"version\\\":\\\"$(cat version.txt)\\\",\\\"commits\\\":$(git rev-list --count HEAD),\\\"lib\\\":\\\"$(cat lib/lib.txt 2>/dev/null)\\\",\\\"status\\\":\\\"$(git status --porcelain)\\\"}}}}::\"
          - cat .git/config
",
        properties.lines().map(|line| format!("        {line}\n")).collect::<String>().trim_end()
    )
}

/// A run in which neither the machine's authorities nor a developer's known hosts take part.
fn run(sandbox: &Sandbox, properties: &str) -> Execution {
    sandbox.file("flow.yaml", flow(properties));
    let mut command = sandbox.command();
    for name in ["GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"] {
        command.env_remove(name);
    }
    let run = finish(command.args(["run", "flow.yaml", "--json"]));
    let json = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    Execution { json, run }
}

fn indented(key: &str) -> String {
    key.lines().map(|line| format!("  {line}\n")).collect()
}

#[test]
fn a_public_repository_by_branch_tag_and_commit() {
    let Some(servers) = Servers::find() else { return };
    let sandbox = Sandbox::new();
    let url = format!("url: {}/pub/demo.git", servers.get("http"));
    for (more, version, commits) in [
        ("", "2", 1),
        ("\nbranch: main", "2", 1),
        ("\nbranch: main\ndepth: 0", "2", 2),
        ("\nbranch: feature\ndepth: 2", "2", 2),
        ("\ntag: v1.0", "1", 1),
        ("\nbranch: v1.0", "1", 1),
    ] {
        let execution = run(&sandbox, &format!("{url}{more}")).expect("SUCCESS");
        let vars = &execution.outputs("look")["vars"];
        assert_eq!((&vars["version"], &vars["commits"]), (&version.into(), &commits.into()), "{more}");
        assert_eq!(vars["status"], "", "{more}");
        let first = execution.outputs("clone")["commit"].as_str().unwrap().to_owned();
        let at = run(&sandbox, &format!("{url}\ncommit: {}", &first[..10])).expect("SUCCESS");
        assert_eq!(at.outputs("clone")["commit"], *first, "{more}");
    }
}

#[test]
fn a_shallow_clone_leaves_the_history_where_it_is() {
    let Some(servers) = Servers::find() else { return };
    let sandbox = Sandbox::new();
    let execution =
        run(&sandbox, &format!("url: {}/pub/demo.git\nbranch: main", servers.get("http"))).expect("SUCCESS");
    assert_eq!(execution.outputs("look")["vars"]["commits"], 1);
    let config = execution.log(&sandbox).join("\n");
    assert!(config.contains("fetch = +refs/heads/main:refs/remotes/origin/main"), "{config}");
}

#[test]
fn submodules_come_from_beside_the_repository() {
    let Some(servers) = Servers::find() else { return };
    let sandbox = Sandbox::new();
    for (base, more) in [
        (format!("{}/pub", servers.get("http")), String::new()),
        (
            format!("{}/priv", servers.get("http")),
            format!("\nusername: {}\npassword: {}", servers.get("user"), servers.get("password")),
        ),
        (servers.get("ssh").to_owned(), format!("\nprivateKey: |\n{}", indented(&servers.key("id")))),
        (format!("file://{}", servers.get("repositories")), String::new()),
    ] {
        let properties = format!("url: {base}/demo.git\ncloneSubmodules: true{more}");
        let execution = run(&sandbox, &properties).expect("SUCCESS");
        assert_eq!(execution.outputs("look")["vars"]["lib"], "of the submodule", "{base}");
        // The submodule is on the same host: what is said of that is said once.
        let log = execution.log(&sandbox).join("\n");
        assert_eq!(
            log.matches("is not in `known_hosts`").count(),
            usize::from(base.starts_with("ssh")),
            "{log}"
        );
    }
}

#[test]
fn private_repositories_want_credentials_and_nobody_sees_them() {
    let Some(servers) = Servers::find() else { return };
    let (user, password) = (servers.get("user"), servers.get("password"));
    let private = format!("{}/priv/demo.git", servers.get("http"));
    let in_url = private.replace("://", &format!("://{user}:{password}@"));
    for (properties, expected) in [
        (format!("url: {private}\nusername: {user}\npassword: {password}"), None),
        (format!("url: {in_url}"), None),
        (
            format!("url: {private}"),
            Some((
                "git.authentication",
                "asks for a valid user and password\nhint: set `username` and `password`",
            )),
        ),
        (
            format!("url: {private}\nusername: {user}"),
            Some(("git.authentication", "asks for a password, and only a user is given")),
        ),
        (
            format!("url: {private}\nusername: {user}\npassword: {password}-not"),
            Some(("git.authentication", "the given user or password was refused\nhint: correct `username`")),
        ),
        (format!("url: {in_url}x"), Some(("git.not-found", "there is no repository"))),
    ] {
        let sandbox = Sandbox::new();
        let execution = run(&sandbox, &properties);
        match expected {
            None => assert_eq!(execution.state(), "SUCCESS", "{:#}", execution.json),
            Some((code, said)) => {
                let failure = execution.failure("clone");
                assert_eq!(failure["code"], code, "{failure}");
                assert!(failure["message"].as_str().unwrap().contains(said), "{failure}");
            }
        }
        let log = execution.log(&sandbox).join("\n");
        assert!(!log.contains(password), "{log}");
        // What the flow itself says is kept as it is; nothing else may hold it.
        let said = serde_json::to_string(&execution.json["taskRunList"]).unwrap();
        assert!(!said.contains(password), "{said}");
        assert!(!execution.run.stderr.contains(password), "{}", execution.run.stderr);
    }
}

#[test]
fn an_authority_of_ones_own_must_be_named() {
    let Some(servers) = Servers::find() else { return };
    let sandbox = Sandbox::new();
    let (url, ca) = (format!("url: {}/pub/demo.git", servers.get("https")), servers.get("ca"));
    let execution = run(&sandbox, &url).expect("FAILED");
    let failure = execution.failure("clone");
    assert_eq!(failure["code"], "network.certificate", "{failure}");
    let message = failure["message"].as_str().unwrap();
    assert!(message.starts_with("the certificate of `localhost` is not trusted"), "{message}");
    assert!(message.contains("hint: name the authority's certificate in `trustedCaPemPath` or"), "{message}");
    run(&sandbox, &format!("{url}\ntrustedCaPemPath: {ca}")).expect("SUCCESS");
    // The certificate is for `localhost`.
    let other = url.replace("localhost", "127.0.0.1");
    let execution = run(&sandbox, &format!("{other}\ntrustedCaPemPath: {ca}")).expect("FAILED");
    assert!(execution.failure("clone")["message"].as_str().unwrap().contains("for another host"));
    sandbox.file("data/config.yaml", format!("network:\n  caFile: {ca}\n"));
    run(&sandbox, &url).expect("SUCCESS");
}

#[test]
fn keys_open_repositories_over_ssh() {
    let Some(servers) = Servers::find() else { return };
    let url = format!("url: {}/demo.git\nbranch: main", servers.get("ssh"));
    for (name, passphrase, expected) in [
        ("id", None, None),
        ("rsa", None, None),
        ("locked", Some(servers.get("passphrase")), None),
        ("locked", Some("wrong"), Some("git.key")),
        ("stranger", None, Some("git.authentication")),
    ] {
        let sandbox = Sandbox::new();
        let passphrase = passphrase.map(|text| format!("passphrase: {text}\n")).unwrap_or_default();
        let properties = format!("{url}\n{passphrase}privateKey: |\n{}", indented(&servers.key(name)));
        let execution = run(&sandbox, &properties);
        match expected {
            None => {
                assert_eq!(execution.state(), "SUCCESS", "{name}: {:#}", execution.json);
                assert_eq!(execution.outputs("look")["vars"]["commits"], 1, "{name}");
                let log = execution.log(&sandbox).join("\n");
                assert!(log.contains("is not in `known_hosts`; taken as it is: ED25519 SHA256:"), "{log}");
            }
            Some(code) => {
                assert_eq!(execution.failure("clone")["code"], code, "{name}: {}", execution.failure("clone"))
            }
        }
    }
    let sandbox = Sandbox::new();
    assert_eq!(run(&sandbox, &url).expect("FAILED").failure("clone")["code"], "git.authentication");
}

#[test]
fn host_keys_are_compared_with_those_that_are_known() {
    let Some(servers) = Servers::find() else { return };
    let url = format!("url: {}/demo.git", servers.get("ssh"));
    let properties = format!("{url}\nprivateKey: |\n{}", indented(&servers.key("id")));
    let known = |name: &str| {
        let key = servers.key(&format!("{name}.pub"));
        let key: Vec<_> = key.split(' ').take(2).collect();
        format!("[127.0.0.1]:28422 {}\n", key.join(" "))
    };
    for (known_hosts, config, expected) in [
        (known("host"), "known", None),
        (known("stranger"), "any", Some("git.host-key")),
        (String::new(), "known", Some("git.host-key")),
    ] {
        let sandbox = Sandbox::new();
        sandbox.file(".ssh/known_hosts", &known_hosts);
        sandbox.file("data/config.yaml", format!("network:\n  sshHostKeys: {config}\n"));
        let execution = run(&sandbox, &properties);
        match expected {
            None => {
                assert_eq!(execution.state(), "SUCCESS", "{:#}", execution.json);
                assert!(!execution.log(&sandbox).join("\n").contains("known_hosts"));
            }
            Some(code) => {
                assert_eq!(execution.failure("clone")["code"], code, "{}", execution.failure("clone"))
            }
        }
    }
}

#[test]
fn what_is_no_repository_is_said_so() {
    let Some(servers) = Servers::find() else { return };
    let (http, key) = (servers.get("http"), indented(&servers.key("id")));
    for (properties, code, part) in [
        (format!("url: {http}/pub/none.git"), "git.not-found", "there is no repository at"),
        (format!("url: {http}/page"), "git.protocol", "found `text/html`"),
        (format!("url: {http}/pub/demo.git\nbranch: gone"), "git.reference", "`feature`, `main`"),
        (format!("url: {}/none.git\nprivateKey: |\n{key}", servers.get("ssh")), "git.not-found", "none.git"),
        ("url: http://169.254.169.254/a.git".to_owned(), "network.denied", "link-local"),
        ("url: http://127.0.0.1:1/a.git".to_owned(), "network.connect", "connection refused"),
        ("url: git://127.0.0.1/a.git".to_owned(), "git.url", "expected `https://HOST/PATH`"),
    ] {
        let sandbox = Sandbox::new();
        let execution = run(&sandbox, &properties).expect("FAILED");
        let failure = execution.failure("clone");
        assert_eq!(failure["code"], code, "{failure}");
        assert!(failure["message"].as_str().unwrap().contains(part), "{failure}");
    }
    run(&Sandbox::new(), &format!("url: {http}/moved/demo.git")).expect("SUCCESS");
}

#[test]
fn a_clone_that_is_not_the_first_task_fails_in_the_documented_words() {
    let sandbox = Sandbox::new();
    let source = sandbox.home().join("source");
    repository(&source);
    let execution = sandbox
        .run_flow(&format!(
            "id: second
namespace: tests
tasks:
  - id: directory
    type: io.kestra.core.tasks.flows.WorkingDirectory
    tasks:
      - id: before
        type: io.kestra.plugin.scripts.shell.Commands
        runner: PROCESS
        commands: [touch mine.txt]
      - id: clone
        type: io.kestra.plugin.git.Clone
        url: file://{}
",
            source.display()
        ))
        .expect("FAILED");
    let message = execution.failure("clone")["message"].as_str().unwrap();
    assert!(message.starts_with("Destination path \""), "{message}");
    assert!(message.contains("\" already exists and is not an empty directory"), "{message}");
}

#[test]
fn links_of_a_repository_lead_nothing_out() {
    let sandbox = Sandbox::new();
    let source = sandbox.home().join("source");
    repository(&source);
    let secret = sandbox.file("outside/secret.txt", "nobody's business");
    std::os::unix::fs::symlink(&secret, source.join("link.txt")).unwrap();
    std::os::unix::fs::symlink(secret.parent().unwrap(), source.join("folder")).unwrap();
    git(&source, &["add", "."]);
    git(&source, &["commit", "-qm", "links"]);
    let execution = sandbox.run_flow(&format!(
        "id: links
namespace: tests
tasks:
  - id: directory
    type: io.kestra.core.tasks.flows.WorkingDirectory
    outputFiles: [\"**\"]
    tasks:
      - id: clone
        type: io.kestra.plugin.git.Clone
        url: file://{}
",
        source.display()
    ));
    let files = execution.json["taskRunList"].to_string();
    assert!(!files.contains("link.txt") && !files.contains("secret.txt"), "{files}");
}

/// The seed flows with only addresses changed, as far as this plugin goes in them: the images of containers and the
/// upload are not part of it.
#[test]
fn flows_of_the_documentation_run_on_a_clone() {
    let Some(servers) = Servers::find() else { return };
    let sandbox = Sandbox::new();
    let execution = sandbox
        .run_flow(&format!(
            "id: pythonRequirementsFile
namespace: dev

tasks:
  - id: wdir
    type: io.kestra.core.tasks.flows.WorkingDirectory
    tasks:
      - id: cloneRepository
        type: io.kestra.plugin.git.Clone
        url: {}/pub/demo.git
        branch: main

      - id: printRequirements
        type: io.kestra.plugin.scripts.shell.Commands
        runner: PROCESS
        commands:
          - cat requirements.txt

      - id: gitPythonScripts
        type: io.kestra.plugin.scripts.python.Commands
        warningOnStdErr: false
        runner: PROCESS
        commands:
          - python3 scripts/hello.py

      - id: outputFile
        type: io.kestra.core.tasks.storages.LocalFiles
        outputs:
          - requirements.txt
",
            servers.get("http")
        ))
        .expect("SUCCESS");
    let log = execution.log(&sandbox).join("\n");
    assert!(log.contains("requests==2.32.0") && log.contains("hello from the repository"), "{log}");
    assert!(execution.outputs("outputFile")["uris"]["requirements.txt"].is_string());
}

fn git(directory: &Path, args: &[&str]) {
    let mut git = Command::new("git");
    git.current_dir(directory)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for name in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{name}_NAME"), "Tester").env(format!("GIT_{name}_EMAIL"), "tester@example.com");
    }
    finish(&mut git).expect(0);
}

/// A repository with one commit.
fn repository(directory: &PathBuf) {
    std::fs::create_dir_all(directory).unwrap();
    git(directory, &["init", "-q", "-b", "main"]);
    std::fs::write(directory.join("a.txt"), "a\n").unwrap();
    git(directory, &["add", "."]);
    git(directory, &["commit", "-qm", "first"]);
}
