//! Control groups serve one process after the other, as long as each leaves its group as it found it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{groups, run, script};
use weft_runner::{Command, Containment, Engine, Stream};

/// Prints the group, after doing what the case is about.
async fn group_after(engine: &Engine, text: &str) -> String {
    let mut command = script(&format!("grep '^0::' /proc/self/cgroup\n{text}"), Path::new("/"));
    command.timeout = Some(Duration::from_secs(1));
    command.grace = Duration::from_millis(10);
    let (_, lines) = run(engine, command).await;
    lines.of(Stream::Stdout).concat()
}

/// The one test of this file, for it counts the groups of its process.
#[tokio::test]
async fn a_group_serves_again_only_as_it_was() {
    if !Engine::available().contains(&Containment::GroupV2) {
        // A machine whose groups may not be made, as in most containers; other tests cover what happens then.
        return;
    }
    let own = "/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)";
    let hybrid = own.replace("cgroup$", "cgroup/unified$");
    let inner = format!("mkdir {own}/inner 2>/dev/null || mkdir {hybrid}/inner");
    for (what, text, serves_again) in [
        ("nothing", ":", true),
        ("a failure", "exit 3", true),
        ("a child that ends first", "true & wait", true),
        ("a child that stays", "sleep 1000 &", false),
        ("a time limit", "sleep 1000", true),
        ("a time limit that is kept by force", "trap '' TERM; sleep 1000", false),
        ("a group inside", inner.as_str(), false),
    ] {
        let engine = Engine::start(Some(Containment::GroupV2)).unwrap();
        let first = group_after(&engine, text).await;
        assert!(first.starts_with("0::/"), "{what}: {first}");
        let second = group_after(&engine, "").await;
        assert_eq!(first == second, serves_again, "{what}: {first} {second}");

        let absent = Command::new(vec!["./absent".to_owned()], "/", "test/absent/1");
        engine.spawn(absent, common::Lines::default()).await.unwrap_err();
        drop(engine);
        common::eventually(&format!("its groups go with the engine: {what}"), || {
            groups(std::process::id()) == Vec::<PathBuf>::new()
        });
    }
}
