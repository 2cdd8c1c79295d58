//! What a task does wrong, and what its user reads.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use weft_host::{Host, HostOptions, Limits};
use weft_model::Level;

use crate::support::{Engine, Place, call, fail, run};

fn limited(place: &Place, limits: Limits) -> Host {
    Host::new(HostOptions { limits, ..place.options() })
}

#[tokio::test]
async fn each_way_to_die_has_its_code_and_says_where() {
    let place = Place::with_behaviours();
    let limits = Limits {
        memory: 32 << 20,
        cpu: Duration::from_millis(200),
        json_bytes: 1 << 20,
        ..Limits::default()
    };
    let host = limited(&place, limits);
    for (type_name, properties, code, message) in [
        ("Loop", json!({}), "plugin.cpu", "used more than 200ms of processor time\nin `behaviours::spin`"),
        ("Memory", json!({"mib": 64}), "plugin.memory", "needed more than the 32 MiB of memory"),
        ("Panic", json!({}), "plugin.panic", "panicked: behaviours/src/lib.rs:"),
        ("Trap", json!({}), "plugin.trap", "trapped: it aborted\nin `behaviours::fall`"),
        (
            "Stack",
            json!({}),
            "plugin.trap",
            "trapped: out of bounds memory access\nin `behaviours::deeper`\nhint: a function calls itself",
        ),
        ("Exit", json!({}), "plugin.trap", "ended itself with exit status 1 instead of returning"),
        ("Handles", json!({}), "plugin.resources", "held more than 1000 files, streams and processes"),
        ("Huge", json!({"bytes": 2 << 20}), "task.budget", "has 2097163 bytes, and may have 1048576"),
    ] {
        let failure = fail(&host, &format!("test.{type_name}"), properties).await;
        assert_eq!(failure.code, code, "{type_name}: {failure:?}");
        assert!(failure.message.contains(message), "{type_name}: {}", failure.message);
        assert!(!failure.retryable, "{type_name}");
    }
    // The host is none the worse for it.
    run(&host, "test.Noop", json!({})).await.1.unwrap();
}

#[tokio::test]
async fn a_failure_carries_backtrace_and_last_words() {
    let place = Place::with_behaviours();
    let host = place.host();
    let failure = fail(&host, "test.Trap", json!({})).await;
    let detail = failure.detail.unwrap();
    assert_eq!(detail["stderr"], json!(["last words"]));
    let frames: Vec<_> =
        detail["backtrace"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    assert!(frames.contains(&"behaviours::fall"), "{frames:?}");

    let failure = fail(&host, "test.Panic", json!({})).await;
    assert!(failure.message.ends_with(": there is a value"), "{}", failure.message);
    assert_eq!(failure.detail.unwrap()["stderr"][0], "about to fail");
}

#[tokio::test]
async fn memory_below_the_limit_is_given() {
    let place = Place::with_behaviours();
    let outputs = run(&place.host(), "test.Memory", json!({"mib": 200})).await.1.unwrap();
    assert_eq!(outputs["bytes"], 200 << 20);
}

#[tokio::test]
async fn waiting_is_no_processor_time() {
    let place = Place::with_behaviours();
    let host = limited(&place, Limits { cpu: Duration::from_millis(100), ..Limits::default() });
    run(&host, "test.Sleep", json!({"ms": 400})).await.1.unwrap();
}

#[tokio::test]
async fn time_on_the_wall_can_be_limited() {
    let place = Place::with_behaviours();
    let host = limited(&place, Limits { wall_clock: Some(Duration::from_millis(200)), ..Limits::default() });
    for (type_name, properties) in [("test.Sleep", json!({"ms": 60_000})), ("test.Loop", json!({}))] {
        let failure = fail(&host, type_name, properties).await;
        assert_eq!(failure.code, "plugin.timeout", "{type_name}");
        assert!(failure.retryable, "{type_name}");
    }
}

#[tokio::test]
async fn a_flood_on_stdout_is_cut() {
    let place = Place::with_behaviours();
    let host = limited(&place, Limits { stdio_bytes: 10_000, ..Limits::default() });
    let (engine, result) = run(&host, "test.Chatty", json!({"lines": 10_000})).await;
    result.unwrap();
    let logged = engine.logged();
    assert!(logged.len() < 110, "{}", logged.len());
    assert_eq!(
        logged.last().unwrap(),
        &(Level::Warn, "the plugin wrote too much to stdout and stderr; the rest is dropped".to_owned())
    );
}

/// On one thread, so that a guest that never makes way would block all others.
#[tokio::test(flavor = "current_thread")]
async fn busy_guests_share_a_thread() {
    let place = Place::with_behaviours();
    let host = limited(&place, Limits { cpu: Duration::from_millis(600), ..Limits::default() });
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    let busy = tokio::spawn({
        let host = host.clone();
        async move { fail(&host, "test.Loop", json!({})).await }
    });
    tokio::task::yield_now().await;
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    assert!(!busy.is_finished());
    assert_eq!(busy.await.unwrap().code, "plugin.cpu");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_runs_than_slots_wait_their_turn() {
    let place = Place::with_behaviours();
    let host = limited(&place, Limits { concurrency: 4, ..Limits::default() });
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let host = host.clone();
            tokio::spawn(async move {
                let (type_name, properties) =
                    if n % 10 == 0 { ("test.Trap", json!({})) } else { ("test.Sleep", json!({"ms": 5})) };
                let caps = Arc::new(Engine::new());
                host.run(type_name, call(properties), caps, std::future::pending()).await
            })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        match (n % 10, task.await.unwrap()) {
            (0, Err(failure)) => assert_eq!(failure.code, "plugin.trap"),
            (_, result) => assert!(result.is_ok(), "{result:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_begins_when_its_turn_has_come() {
    let place = Place::with_behaviours();
    let host = limited(&place, Limits { concurrency: 1, ..Limits::default() });
    let (first, second) = (Arc::new(Engine::new()), Arc::new(Engine::new()));
    let begun = |engine: &Engine| engine.begun.load(std::sync::atomic::Ordering::Acquire);
    let (cancel, cancelled) = tokio::sync::oneshot::channel::<()>();
    let long = tokio::spawn({
        let (host, caps) = (host.clone(), Arc::clone(&first));
        async move {
            let stop = async {
                let _ = cancelled.await;
                weft_model::Failure::new("test.stopped", "it was stopped")
            };
            host.run("test.Sleep", call(json!({"ms": 600_000})), caps, stop).await
        }
    });
    while !begun(&first) {
        tokio::task::yield_now().await;
    }
    let short = tokio::spawn({
        let caps = Arc::clone(&second);
        async move { host.run("test.Noop", call(json!({})), caps, std::future::pending()).await }
    });
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        assert!(!begun(&second), "the only slot is taken");
    }
    cancel.send(()).unwrap();
    assert_eq!(long.await.unwrap().unwrap_err().code, "test.stopped");
    short.await.unwrap().unwrap();
    assert!(begun(&second));
}

/// Where address space is limited there is no room for a pool of instances.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn little_address_space_is_enough() {
    const LIMITED: &str = "WEFT_TEST_LIMITED";
    if std::env::var_os(LIMITED).is_none() {
        let status = std::process::Command::new("sh")
            .args(["-c", "ulimit -v 3000000; exec \"$0\" --exact limits::little_address_space_is_enough"])
            .arg(std::env::current_exe().unwrap())
            .env(LIMITED, "1")
            .status();
        return assert!(status.unwrap().success());
    }
    let place = Place::new();
    place.add("p", &crate::support::lying(&crate::support::description("a.Task")));
    let failure = fail(&place.host(), "a.Task", json!({})).await;
    assert_eq!(failure.message, "the result of plugin `p`: expected a JSON object or null");
}
