//! What a task sees and what comes back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weft_host::{Evaluation, Grants, HostOptions};
use weft_model::{Failure, Level, MetricKind};

use crate::support::{Engine, GUESTS, Place, call, description, fail, patched, run, with_answer};

#[tokio::test]
async fn a_task_reports_through_its_capabilities() {
    let place = Place::with_behaviours();
    let (engine, result) = run(&place.host(), "test.Echo", json!({"text": "hello"})).await;
    assert_eq!(
        Value::Object(result.unwrap()),
        json!({
            "text": "hello",
            "typeName": "test.Echo",
            "attempt": 2,
            "taskRunId": "r",
            "workingDir": engine.work.path(),
        })
    );
    assert_eq!(
        *engine.logs.lock().unwrap(),
        [
            (Level::Debug, "hello".to_owned(), Some(json!({"n": 1}))),
            (Level::Info, "on stdout".to_owned(), None),
            (Level::Warn, "on stderr, without a line break".to_owned(), None),
        ]
    );
    assert_eq!(Value::Object(engine.outputs.lock().unwrap().clone()), json!({"early": [1, 2]}));
    let tags = vec![("kind".to_owned(), "test".to_owned())];
    assert_eq!(*engine.metrics.lock().unwrap(), [("echoes".to_owned(), MetricKind::Counter, 2.0, tags)]);
}

#[tokio::test]
async fn files_are_those_of_the_working_directory_alone() {
    let place = Place::with_behaviours();
    let host = place.host();
    let engine = Arc::new(Engine::new());
    std::fs::write(engine.work.path().join("in.txt"), "text").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc", engine.work.path().join("link")).unwrap();
    let outputs = host
        .run("test.Files", call(json!({})), Arc::clone(&engine) as _, std::future::pending())
        .await
        .unwrap();
    assert_eq!(Value::Object(outputs), json!({"readable": [], "env": 0, "args": 0, "net": false}));
    assert_eq!(std::fs::read_to_string(engine.work.path().join("sub/out.txt")).unwrap(), "TEXT");
}

#[tokio::test]
async fn a_failure_of_the_task_itself_arrives_unchanged() {
    let place = Place::with_behaviours();
    let failure = fail(&place.host(), "test.Fail", json!({})).await;
    assert_eq!(failure, Failure::new("test.busy", "not now").retryable().with_detail(json!({"seconds": 3})));
}

pub fn evaluation(state: Value) -> Evaluation {
    Evaluation {
        trigger_id: "t".into(),
        properties: json!({"by": 2}),
        state,
        context: json!({"executionId": "e"}),
    }
}

#[tokio::test]
async fn a_trigger_is_polled_with_its_state() {
    let place = Place::with_behaviours();
    let host = place.host();
    assert!(host.catalogue().await.trigger("tick").is_some());
    let poll = async |state: Value| {
        let engine = Arc::new(Engine::new());
        host.poll("tick", evaluation(state), engine, std::future::pending()).await.unwrap()
    };
    let first = poll(Value::Null).await;
    let event = json!({"n": 2, "trigger": "t", "execution": "e"});
    assert_eq!((first.events, &first.state), (vec![event], &json!(2)));
    assert_eq!(first.next, Some(Duration::from_millis(1500)));
    assert_eq!(poll(first.state).await.state, json!(4));
}

#[tokio::test]
async fn a_trigger_is_told_that_its_events_are_kept() {
    let place = Place::with_behaviours();
    let engine = Arc::new(Engine::new());
    let state = place.host().acknowledge("tick", evaluation(json!(4)), engine, std::future::pending()).await;
    assert_eq!(state, Ok(json!(104)));
}

#[tokio::test]
async fn tasks_and_triggers_are_not_confused() {
    let place = Place::with_behaviours();
    let host = place.host();
    let failure = fail(&host, "tick", json!({})).await;
    assert_eq!(failure.message, "there is no task type `tick`");
    let engine = Arc::new(Engine::new());
    let poll = host.poll("test.Noop", evaluation(Value::Null), engine, std::future::pending()).await;
    assert_eq!(poll.unwrap_err().code, "plugin.unknown-type");
}

#[tokio::test]
async fn a_component_needs_only_the_interfaces_it_uses_and_any_compatible_version() {
    for (from, to) in [
        // The trigger interface under a name that the host does not know: as if it were not there.
        ("weft:plugin/trigger@0.1.0", "else:plugin/trigger@0.1.0"),
        ("@0.1.0", "@0.1.7"),
    ] {
        let place = Place::new();
        place.add("p", &with_answer(patched(&GUESTS.lying, from, to), &description("a.Task")));
        let failure = fail(&place.host(), "a.Task", json!({})).await;
        assert_eq!(failure.message, "the result of plugin `p`: expected a JSON object or null", "{to}");
    }
}

#[tokio::test]
async fn the_caller_can_end_a_task_where_it_stands() {
    let place = Place::with_behaviours();
    let options = HostOptions { grants: [("behaviours".into(), Grants::all())].into(), ..place.options() };
    let host = weft_host::Host::new(options);
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    for (type_name, properties) in [
        ("test.Sleep", json!({"ms": 60_000})),
        ("test.Loop", json!({})),
        ("test.Spawn", json!({"argv": ["forever"]})),
    ] {
        let engine = Arc::new(Engine::new());
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Failure::new("task.killed", "killed")
        };
        let result = host.run(type_name, call(properties), Arc::clone(&engine) as _, cancel).await;
        assert_eq!(result.unwrap_err().code, "task.killed", "{type_name}");
        let spawned = engine.spawned.lock().unwrap().len();
        assert_eq!(*engine.dropped.lock().unwrap(), spawned, "{type_name}: children end with the run");
    }
}

#[tokio::test]
async fn output_given_before_the_end_is_kept() {
    let place = Place::with_behaviours();
    let host = place.host();
    let engine = Arc::new(Engine::new());
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Failure::new("task.killed", "killed")
    };
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    host.run("test.Loop", call(json!({})), Arc::clone(&engine) as _, cancel).await.unwrap_err();
    assert_eq!(engine.outputs.lock().unwrap()["before"], json!(true));
}
