//! Files between the engine and containers: mounted, copied, and owned by whom.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{Daemon, directory, one, shell};
use crate::harness::Sandbox;

const FILES: &str = r#"
id: files
namespace: tests
tasks:
  - id: make
    type: io.kestra.plugin.scripts.shell.Commands
    docker:
      image: weft-test/busybox:1
STRATEGY
    inputFiles:
      in/data.txt: "from {{ task.id }}\n"
    outputFiles:
      - "*.txt"
    commands:
      - cp in/data.txt top.txt
      - mkdir -p {{ outputDir }}/d && echo 3 > {{ outputDir }}/d/x.bin
      - test "$OUTPUT_DIR" = {{ outputDir }} && test "$WORKING_DIR" = {{ workingDir }} && test "$PWD" = {{ workingDir }}
      - ln -s top.txt link && rm in/data.txt
  - id: use
    type: io.kestra.plugin.scripts.shell.Script
    containerImage: weft-test/busybox:1
    taskRunner:
      type: io.kestra.plugin.scripts.runner.docker.Docker
    inputFiles:
      copy.txt: "{{ outputs.make.outputFiles['top.txt'] }}"
    script: |
      cat copy.txt
      cat {{ outputs.make.outputFiles['d/x.bin'] }}
"#;

#[test]
fn files_go_in_and_out_mounted_and_copied() {
    let Some(daemon) = Daemon::find() else { return };
    for strategy in ["", "      fileHandlingStrategy: MOUNT", "      fileHandlingStrategy: VOLUME"] {
        let sandbox = Sandbox::new();
        let execution = sandbox.run_flow(&FILES.replace("STRATEGY", strategy)).expect("SUCCESS");
        assert_eq!(execution.log(&sandbox), ["INFO from make", "INFO 3"], "{strategy}");
        daemon.expect_nothing_left(&sandbox);
    }
}

#[test]
fn a_copied_directory_is_shared_by_its_tasks() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", "docker:\n  fileHandlingStrategy: volume\n");
    let flow = directory(&[
        one(
            "a",
            "shell.Commands",
            "busybox",
            &["mkdir sub; echo 1 > sub/file; echo 2 > gone; chmod 640 sub/file"],
            "",
            "",
        ),
        one(
            "b",
            "shell.Commands",
            "busybox",
            &["cat sub/file; rm gone; stat -c %a sub/file", "exit 3"],
            "allowFailure: true",
            "",
        ),
        one("c", "shell.Commands", "busybox", &["test ! -e gone && ls"], "", ""),
    ]);
    let execution = sandbox.run_flow(&flow).expect("WARNING");
    assert_eq!(execution.states()[1..], ["a=SUCCESS", "b=WARNING", "c=SUCCESS"]);
    let log = execution.log(&sandbox);
    assert!(log.contains(&"INFO 1".to_owned()) && log.contains(&"INFO 640".to_owned()), "{log:?}");
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn a_container_sees_only_the_environment_of_its_task() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let path = sandbox.file("flow.yaml", shell(&["env | sort"], "env:\n  MINE: 'yes'", ""));
    let mut command = sandbox.command();
    command.args(["run", path.to_str().unwrap(), "--json"]).env("FROM_THE_ENGINE", "secret");
    crate::harness::finish(&mut command).expect(0);
    let logs = sandbox.weft(["executions", "logs", "last"]).expect(0);
    assert!(logs.stdout.contains("MINE=yes") && logs.stdout.contains("WORKING_DIR="), "{}", logs.stdout);
    assert!(!logs.stdout.contains("FROM_THE_ENGINE"), "{}", logs.stdout);
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn another_user_may_work_in_the_directory() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let commands = ["id -u", "cat in.txt", "echo mine > out.txt", "echo 1 > {{ outputDir }}/x"];
    let more = "inputFiles:\n  in.txt: hello\noutputFiles: ['*.txt']";
    let execution = sandbox.run_flow(&shell(&commands, more, "user: 1234")).expect("SUCCESS");
    assert!(execution.log(&sandbox).contains(&"INFO 1234".to_owned()));
    let files = execution.outputs("task")["outputFiles"].as_object().unwrap();
    assert!(files.contains_key("out.txt") && files.contains_key("x"), "{files:?}");
    daemon.expect_nothing_left(&sandbox);
}

/// An engine that is not root, with a container whose files nobody but root may read.
#[test]
fn files_of_root_are_the_engines_afterwards() {
    let Some(daemon) = Daemon::find() else { return };
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let group = std::fs::metadata("/var/run/docker.sock").unwrap();
    let group = std::os::unix::fs::MetadataExt::gid(&group).to_string();
    for image in ["busybox", "noshell"] {
        let sandbox = Sandbox::new();
        let more = "outputFiles: ['deep/**', '*.txt']";
        let flow = if image == "busybox" {
            let commands = "umask 077; mkdir -p deep/er; echo secret > deep/er/file; echo 1 > top.txt; chmod 600 top.txt";
            directory(&[
                one("make", "shell.Commands", image, &[commands], more, ""),
                one("again", "shell.Commands", image, &["cat deep/er/file"], "", ""),
            ])
        } else {
            // Without `chown` in the image.
            let flow = one(
                "make",
                "shell.Commands",
                image,
                &["/busybox", "mkdir", "-p", "-m", "700", "deep/er"],
                &format!("{more}\ninterpreter: []"),
                "",
            );
            directory(&[flow])
        };
        let path = sandbox.file("flow.yaml", flow);
        std::fs::set_permissions(sandbox.home(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(
            Command::new("chown").args(["-R", "65534:65534"]).arg(sandbox.home()).status().unwrap().success()
        );
        let cache = sandbox.home().join("cache");
        let binary = sandbox.home().join("weft");
        std::fs::copy(env!("CARGO_BIN_EXE_weft"), &binary).unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", &format!("--groups={group}")])
            .arg(&binary)
            .args(["run", path.to_str().unwrap(), "--json"])
            .current_dir(sandbox.home())
            .env("HOME", sandbox.home())
            .env("WEFT_DATA_DIR", sandbox.data())
            .env("WEFT_CACHE_DIR", &cache);
        let run = crate::harness::finish(&mut command).expect(0);
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let files = &json["taskRunList"][1]["outputs"]["outputFiles"];
        if image == "busybox" {
            assert!(files["deep/er/file"].is_string() && files["top.txt"].is_string(), "{files}");
        }
        daemon.expect_nothing_left(&sandbox);
    }
}
