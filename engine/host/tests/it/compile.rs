//! Plugin files that are compiled by a program: what becomes of them when it does not end well.
#![cfg(unix)]

use std::time::Duration;

use serde_json::json;
use weft_host::{Bounds, CompileBounds, Compiler, Host, HostOptions, PluginProblem};

use crate::support::{GUESTS, Place, fail};

/// A place with a plugin, and options by which a shell script compiles it.
fn compiled_by(script: &str) -> (Place, HostOptions) {
    let place = Place::new();
    place.add("p", &GUESTS.behaviours);
    let compiler = Compiler::Program { path: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
    let options = HostOptions { compiler, ..place.options() };
    (place, options)
}

async fn problem(options: &HostOptions) -> PluginProblem {
    let mut problems = Host::new(options.clone()).problems().await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

#[tokio::test]
async fn a_refusal_is_remembered() {
    for (script, code, message) in [
        ("echo it is wrong >&2; exit 1", "plugin.not-a-component", "it is wrong"),
        (
            "echo memory allocation of 7 bytes failed >&2; kill -ABRT $$",
            "plugin.too-large",
            "takes more than 2048 MiB",
        ),
        ("kill -XCPU $$", "plugin.too-large", "compiling it takes more than 120s of processor time"),
        ("kill -SEGV $$", "plugin.compile", "the compiler crashed on it"),
    ] {
        let (place, options) = compiled_by("");
        // The script's own log: how often it was started.
        let log = place.directory.path().join("log");
        let script = format!("echo x >> {}; {script}", log.display());
        let compiler =
            Compiler::Program { path: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
        let options = HostOptions { compiler, ..options };
        let found = problem(&options).await;
        assert_eq!(found.code, code, "{found}");
        assert!(found.message.contains(message), "{found}");
        assert_eq!(problem(&options).await, found);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "x\n", "{message}");
        let host = Host::new(options.clone());
        assert!(fail(&host, "test.Noop", json!({})).await.message.contains(message));
    }
}

#[tokio::test]
async fn what_says_nothing_about_the_plugin_is_tried_again() {
    for (script, message) in [
        ("echo no room >&2; exit 2", "compiling it failed: no room"),
        ("true", "its compiled code cannot be loaded"),
    ] {
        let (_place, options) = compiled_by(script);
        for _ in 0..5 {
            let found = problem(&options).await;
            assert_eq!(found.code, "plugin.compile");
            assert!(found.message.contains(message), "{found}");
        }
    }
    let (_place, options) = compiled_by("");
    let options = HostOptions {
        compiler: Compiler::Program { path: "/nowhere/weft".into(), arguments: Vec::new() },
        ..options
    };
    assert!(problem(&options).await.message.contains("the program that compiles plugins cannot be started"));
}

#[tokio::test]
async fn what_is_broken_off_again_and_again_is_given_up() {
    let (_place, options) = compiled_by("kill -KILL $$");
    for _ in 0..3 {
        assert!(problem(&options).await.message.starts_with("compiling it was interrupted"));
    }
    let found = problem(&options).await;
    assert!(
        found.message.starts_with("compiling it was begun several times and broken off each time"),
        "{found}"
    );
    // Somebody who wants it all the same.
    let problems = Host::new(options.clone()).precompile().await;
    assert!(problems[0].message.starts_with("compiling it was interrupted"), "{problems:?}");
}

#[tokio::test]
async fn compiling_has_an_end() {
    let (_place, options) = compiled_by("exec sleep 1000");
    let compile = CompileBounds { wall_clock: Duration::from_millis(100), ..CompileBounds::default() };
    let options = HostOptions { bounds: Bounds { compile, ..Bounds::default() }, ..options };
    assert!(problem(&options).await.message.starts_with("compiling it took longer than 100ms"));
}

/// What the program is given: the component after its length, an argument, and nothing of the environment.
#[tokio::test]
async fn the_program_is_told_what_it_needs() {
    let (place, options) = compiled_by("");
    let folder = place.directory.path().display().to_string();
    let length = GUESTS.behaviours.len() + 8;
    let script =
        format!("head -c {length} > {folder}/in; echo $0 > {folder}/argument; env > {folder}/env; exit 2");
    let compiler = Compiler::Program { path: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
    problem(&HostOptions { compiler, ..options }).await;
    let received = std::fs::read(place.directory.path().join("in")).unwrap();
    assert_eq!(received[..8], (GUESTS.behaviours.len() as u64).to_le_bytes());
    assert!(received[8..] == GUESTS.behaviours[..]);
    let read = |name: &str| std::fs::read_to_string(place.directory.path().join(name)).unwrap();
    assert!(read("argument").contains("\"cpu\":120"), "{}", read("argument"));
    let own = ["PWD=", "SHLVL=", "_=", "OLDPWD=", "LD_LIBRARY_PATH="];
    for line in read("env").lines() {
        assert!(own.iter().any(|name| line.starts_with(name)), "{line}");
    }
}
