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
        (
            "host: unix:///run/nowhere.sock",
            "container.not-allowed",
            "`docker: {hosts: [\"unix:///run/nowhere.sock\"]}`",
        ),
        ("host: tcp://169.254.169.254:2375", "network.denied", "it is a link-local address"),
        (
            "config: {credHelpers: {\"docker.io\": ../../x}}",
            "container.invalid-option",
            "a credential helper that is none",
        ),
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

/// Volumes with kept downloads for a test image.
fn caches(daemon: &Daemon, image: &str) -> String {
    let filter = format!("label=io.weft.cache.image=weft-test/{image}:1");
    daemon.docker(&["volume", "ls", "--quiet", "--filter", &filter])
}

/// The mirror that a test reaches may forbid `pip` to cache, so this looks at the folder that `pip` would use.
#[test]
fn downloads_are_kept_from_run_to_run() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    for name in caches(&daemon, "python").lines() {
        daemon.docker(&["volume", "rm", name]);
    }
    let command = "pip cache dir; mkdir -p $(pip cache dir); cd $(pip cache dir); test -e mark && echo kept; touch mark";
    let was_kept = |more: &str| {
        let execution =
            sandbox.run_flow(&task("python.Commands", "python", &[command], more, "")).expect("SUCCESS");
        let log = execution.log(&sandbox);
        assert!(log[0].ends_with("/.cache/pip"), "{log:?}");
        log.iter().any(|line| line == "INFO kept")
    };
    assert!(!was_kept(""), "the first time there is nothing");
    assert!(was_kept(""));
    assert!(!was_kept("dependencyCacheEnabled: false"));
    assert!(caches(&daemon, "python").contains("weft-cache-pip-"));

    // Over its bound it is thrown away.
    sandbox.file("data/config.yaml", "docker:\n  dependencyCaches: {maxMebibytes: 0}\n");
    let flow = task("python.Commands", "python", &["echo more than nothing > $(pip cache dir)/mark"], "", "");
    sandbox.run_flow(&flow).expect("SUCCESS");
    assert!(!caches(&daemon, "python").contains("weft-cache-pip-"), "{}", caches(&daemon, "python"));
    sandbox.file("data/config.yaml", "docker:\n  dependencyCaches: {enabled: false}\n");
    assert!(!was_kept(""));
    assert!(!was_kept(""));
    daemon.expect_nothing_left(&sandbox);
}

#[test]
fn npm_installs_without_a_network_what_it_has_kept() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    for name in caches(&daemon, "node").lines() {
        daemon.docker(&["volume", "rm", name]);
    }
    let install = |how: &str| {
        let command = format!("npm install --silent --no-audit --no-fund {how} left-pad@1.3.0");
        let flow = task("node.Commands", "node", &[&command], "warningOnStdErr: false", "");
        sandbox.run_flow(&flow).state().to_owned()
    };
    assert_eq!(install("--offline"), "FAILED", "the first time there is nothing");
    assert_eq!(install("--prefer-offline"), "SUCCESS");
    assert_eq!(install("--offline"), "SUCCESS");
    daemon.expect_nothing_left(&sandbox);
}
