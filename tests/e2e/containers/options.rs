//! Options of containers, as the container itself or the daemon sees them.

use super::{Daemon, shell, task};
use crate::harness::Sandbox;

#[test]
fn options_have_their_effect() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    sandbox.file("data/config.yaml", "docker:\n  volumesEnabled: true\n");
    let shared = sandbox.file("shared/file.txt", "from outside");
    let shared = shared.parent().unwrap().display().to_string();
    for (docker, command, expected) in [
        ("user: '12:34'".to_owned(), "echo $(id -u):$(id -g)", "12:34"),
        ("networkMode: none".to_owned(), "ls /sys/class/net | tr '\\n' ' '", "lo "),
        (
            "extraHosts: ['far.away:1.2.3.4']".to_owned(),
            "grep far.away /etc/hosts | tr '\\t' ' '",
            "1.2.3.4 far.away",
        ),
        ("shmSize: 32MB".to_owned(), "df -k /dev/shm | tail -1 | awk '{print $2}'", "32768"),
        (
            format!("volumes: ['{shared}:/there:ro']"),
            "cat /there/file.txt; echo; touch /there/x 2> /dev/null || echo ro",
            "from outside",
        ),
        ("entryPoint: ['/bin/busybox', 'env', 'E=point']".to_owned(), "echo $E", "point"),
        (
            "cpu:\n  cpus: 0.5".to_owned(),
            "q=$(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2> /dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max); echo $q",
            "50000",
        ),
    ] {
        let execution = sandbox.run_flow(&shell(&[command], "", &docker)).expect("SUCCESS");
        let log = execution.log(&sandbox);
        assert_eq!(log[0], format!("INFO {expected}"), "{docker}: {log:?}");
    }
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn what_the_operator_has_not_allowed_is_refused() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    for (docker, key) in
        [("volumes: ['/etc:/etc']", "volumesEnabled: true"), ("privileged: true", "privilegedEnabled: true")]
    {
        let execution = sandbox.run_flow(&shell(&["true"], "", docker)).expect("FAILED");
        let failure = execution.failure("task");
        assert_eq!(failure["code"], "container.not-allowed", "{failure}");
        assert!(failure["message"].as_str().unwrap().contains(key), "{failure}");
    }
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn mistakes_in_options_are_named() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    for (docker, code, part) in [
        ("memory:\n  memory: much", "container.invalid-option", "memory.memory"),
        ("portBindings: [eighty]", "container.invalid-option", "portBindings"),
        ("host: ftp://x", "container.invalid-option", "host"),
        ("networkMode: nosuchnetwork", "container.refused", "nosuchnetwork"),
        ("config: '{'", "container.invalid-option", "config"),
    ] {
        // Credentials are only looked at when something is to be pulled.
        let image = if docker.starts_with("config") { "nosuch" } else { "busybox" };
        let flow = task("shell.Commands", image, &["true"], "", docker);
        let execution = sandbox.run_flow(&flow).expect("FAILED");
        let failure = execution.failure("task");
        assert_eq!(failure["code"], code, "{docker}: {failure}");
        assert!(failure["message"].as_str().unwrap().contains(part), "{docker}: {failure}");
    }
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn containers_say_whose_they_are() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let execution = sandbox.run_flow(&shell(&["true"], "", "delete: false")).expect("SUCCESS");
    let census = daemon.census(&sandbox);
    let id = census[0].split(' ').next().unwrap();
    let labels = daemon.docker(&["inspect", "--format", "{{json .Config.Labels}}", id]);
    let labels: serde_json::Value = serde_json::from_str(&labels).unwrap();
    for (label, expected) in [
        ("namespace", "tests"),
        ("flow-id", "containers"),
        ("task-id", "task"),
        ("execution-id", execution.json["id"].as_str().unwrap()),
        ("taskrun-id", execution.task_run("task")["id"].as_str().unwrap()),
        ("taskrun-attempt", "0"),
    ] {
        assert_eq!(labels[format!("kestra.io/{label}")], expected, "{labels:#}");
    }
    assert!(census[0].contains("weft-containers-task-"), "{census:?}");
    daemon.docker(&["rm", id]);
}

#[test]
fn downloads_are_kept_from_run_to_run() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let volumes = || {
        let filter = "label=io.weft.cache.image=weft-test/python:1";
        daemon.docker(&["volume", "ls", "--quiet", "--filter", filter])
    };
    for name in volumes().lines() {
        daemon.docker(&["volume", "rm", name]);
    }
    let flow = |more: &str| task("python.Commands", "python", &["pip install --no-input six"], more, "");
    let was_cached = |more: &str| {
        let execution = sandbox.run_flow(&flow(more)).expect("SUCCESS");
        let log = execution.log(&sandbox).join("\n");
        assert!(log.contains("Successfully installed six"), "{log}");
        log.contains("Using cached")
    };
    assert!(!was_cached("warningOnStdErr: false"), "the first time there is nothing");
    assert!(was_cached("warningOnStdErr: false"));
    assert!(!was_cached("warningOnStdErr: false\ndependencyCacheEnabled: false"));
    assert!(volumes().contains("weft-cache-pip-"), "{}", volumes());

    // Over its bound it is thrown away.
    sandbox.file("data/config.yaml", "docker:\n  dependencyCaches: {maxMebibytes: 0}\n");
    assert!(was_cached("warningOnStdErr: false"));
    assert!(!volumes().contains("weft-cache-pip-"), "{}", volumes());
    sandbox.file("data/config.yaml", "docker:\n  dependencyCaches: {enabled: false}\n");
    assert!(!was_cached("warningOnStdErr: false"));
    daemon.expect_nothing_left(&sandbox);
}
