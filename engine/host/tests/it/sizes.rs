//! What a guest may hand over in one call, and what it meets beyond that.

use std::sync::Arc;

use serde_json::{Value, json};
use weft_host::{Grants, Host, HostOptions, Limits};
use weft_model::{Failure, Map};

use crate::run::evaluation;
use crate::support::{Engine, Place, run};

fn host(place: &Place) -> Host {
    let limits = Limits { json_bytes: 4 << 20, json_nodes: 100_000, events: 3, ..Limits::default() };
    let grants = [("behaviours".into(), Grants::all())].into();
    Host::new(HostOptions { limits, grants, ..place.options() })
}

async fn give(host: &Host, what: &str, bytes: usize, stubborn: bool) -> (Arc<Engine>, Result<Map, Failure>) {
    let properties = json!({"what": what, "times": 1, "bytes": bytes, "stubborn": stubborn});
    run(host, "test.Give", properties).await
}

#[tokio::test]
async fn a_call_beyond_a_bound_fails_whether_or_not_the_guest_minds() {
    let place = Place::with_behaviours();
    let host = host(&place);
    for (what, bytes, message) in [
        ("output", 5 << 20, "output `k0` of plugin `behaviours` has 5242882 bytes, and may have 4194304"),
        ("ones", 200_000, "output `k0` of plugin `behaviours` has more than 100000 values"),
        ("variable", 5 << 20, "a change to the execution of plugin `behaviours` has 5242906 bytes"),
        ("kv", 5 << 20, "the value of key `k0` of plugin `behaviours` has 5242882 bytes"),
        (
            "secret",
            20_000,
            "the secret's name that plugin `behaviours` gives has 20000 bytes, and may have 16384: `xxx",
        ),
    ] {
        let (engine, result) = give(&host, what, bytes, false).await;
        let failure = result.expect_err(what);
        assert_eq!(failure.code, "task.budget", "{what}");
        assert!(failure.message.starts_with(message), "{what}: {}", failure.message);
        assert_eq!(*engine.exceeded.lock().unwrap(), std::slice::from_ref(&failure), "{what}");
        let (engine, result) = give(&host, what, bytes, true).await;
        assert!(result.is_ok(), "{what}");
        assert_eq!(*engine.exceeded.lock().unwrap(), [failure], "{what}");
    }
}

#[tokio::test]
async fn a_call_below_its_bound_is_taken() {
    let place = Place::with_behaviours();
    let host = host(&place);
    for (what, bytes) in
        [("output", 4_000_000), ("ones", 199_000), ("key", 10_000), ("secret", 16_000), ("kv", 4_000_000)]
    {
        let (engine, result) = give(&host, what, bytes, false).await;
        result.unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
        assert!(engine.exceeded.lock().unwrap().is_empty(), "{what}");
    }
}

/// What one call carries is bounded before the engine copies any of it.
#[tokio::test]
async fn a_call_that_carries_too_much_ends_the_guest() {
    let place = Place::with_behaviours();
    let host = host(&place);
    for what in ["log", "key", "metric", "warning", "message"] {
        // No guest is asked whether it minds, but a failure of its own it has to give back.
        let failure = give(&host, what, 70 << 20, what != "message").await.1.expect_err(what);
        assert_eq!(failure.code, "task.budget", "{what}: {failure:?}");
        let message = "plugin `behaviours` handed over more than 67108864 bytes in one call";
        assert!(failure.message.starts_with(message), "{what}: {}", failure.message);
    }
}

#[tokio::test]
async fn long_lines_are_cut_and_what_does_not_fit_is_said() {
    let place = Place::with_behaviours();
    let host = host(&place);
    let (engine, result) = give(&host, "log", 1 << 20, false).await;
    result.unwrap();
    assert_eq!(engine.logged()[0].1.len(), (256 << 10) + "... (cut)".len());
    let (engine, result) = give(&host, "fields", 1 << 20, false).await;
    result.unwrap();
    let lines: Vec<String> = engine.logged().into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["line", "the fields of the line above are left out: they have 1048578 bytes"]);
    let failure = give(&host, "argument", 9 << 20, false).await.1.unwrap_err();
    assert_eq!(failure.code, "process.arguments-too-long");
    let failure = give(&host, "detail", 1 << 20, false).await.1.unwrap_err();
    assert_eq!(failure.detail, Some(json!("(1048577 bytes, left out)")));
}

#[tokio::test]
async fn a_poll_is_bounded_as_a_whole() {
    let place = Place::with_behaviours();
    let host = host(&place);
    let poll = async |more: (usize, usize)| {
        let mut evaluation = evaluation(Value::Null);
        evaluation.properties = json!({"by": 2, "more": more});
        host.poll("tick", evaluation, Arc::new(Engine::new()), std::future::pending()).await
    };
    assert_eq!(poll((2, 10)).await.unwrap().events.len(), 3);
    for (more, message) in [
        ((3, 10), "a poll of plugin `behaviours` found 4 events, and may find 3"),
        ((2, 2 << 20), "what a poll returned of plugin `behaviours` has 4194"),
    ] {
        let failure = poll(more).await.unwrap_err();
        assert_eq!(failure.code, "task.budget");
        assert!(failure.message.starts_with(message), "{}", failure.message);
    }
}
