//! The loop of a trigger against a world that is made up, and that can end at any moment.
#![allow(clippy::unwrap_used, reason = "in tests, helpers included, it is the assertion")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;
use weft_expr::{Environment, NoEnvironment};
use weft_flow::{Position, Span, Trigger};
use weft_model::{Failure, Level, Map, State};
use weft_scheduler::{Ended, Engine, Evaluation, Polled, SetupError, Stop, Watcher, stop};
use weft_state::{StateError, TriggerStore, TriggeredExecution};

/// What is outside of the engine, and outlives it.
#[derive(Default)]
struct World {
    /// Objects that lie in a bucket.
    bucket: BTreeSet<String>,
    /// How often each was deleted.
    deleted: BTreeMap<String, usize>,
    /// Executions with the objects they were started for.
    executions: BTreeMap<String, Value>,
    /// Executions that have begun.
    begun: BTreeSet<String>,
    /// Files that were stored, by execution.
    files: BTreeMap<String, BTreeSet<String>>,
    log: Vec<String>,
    polls: Vec<Duration>,
    /// Executions under way at a poll.
    overlaps: usize,
    under_way: usize,
    /// Steps that may still be done before the engine dies.
    steps: Option<usize>,
    /// How long each execution takes, and how it ends.
    takes: Duration,
    ends: Option<State>,
    /// Failures of the next polls.
    failures: Vec<Failure>,
}

struct Fake {
    world: Arc<Mutex<World>>,
    died: Arc<Notify>,
    started: Instant,
    epoch: Timestamp,
}

impl Fake {
    /// A moment at which the engine may die.
    async fn step(&self) {
        let dead = {
            let mut world = self.world.lock().unwrap();
            match &mut world.steps {
                Some(0) => true,
                Some(left) => {
                    *left -= 1;
                    false
                }
                None => false,
            }
        };
        if dead {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

#[async_trait]
impl Engine for Fake {
    fn now(&self) -> Timestamp {
        self.epoch + SignedDuration::try_from(self.started.elapsed()).unwrap()
    }

    fn log(&self, trigger: &Trigger, level: Level, message: &str) {
        self.world().log.push(format!("{} {} {message}", trigger.id, level.as_str()));
    }

    fn context(&self, trigger: Option<&Map>) -> weft_expr::Value {
        weft_expr::Value::from(weft_expr::Serde(json!({"trigger": trigger, "vars": {"open": false}})))
    }

    fn environment(&self) -> &dyn Environment {
        &NoEnvironment
    }

    async fn interval(&self, trigger: &Trigger) -> Result<Duration, Failure> {
        let seconds = trigger.properties.get("seconds").and_then(Value::as_u64).unwrap_or(60);
        Ok(Duration::from_secs(seconds))
    }

    /// A bucket: what is in it and not remembered as taken is an event, all of it together.
    async fn poll(&self, _: &Trigger, evaluation: &Evaluation) -> Result<Polled, Failure> {
        self.step().await;
        {
            let mut world = self.world();
            let at = self.started.elapsed();
            world.polls.push(at);
            if world.under_way > 0 {
                world.overlaps += 1;
            }
            if let Some(failure) = world.failures.pop() {
                return Err(failure);
            }
        }
        assert_eq!(evaluation.state.get("taken"), None, "no poll before the last one was acknowledged");
        let found: Vec<String> = self.world().bucket.iter().cloned().collect();
        for object in &found {
            self.step().await;
            self.world().files.entry(evaluation.execution_id.clone()).or_default().insert(object.clone());
        }
        self.step().await;
        let mut polled = Polled { events: Vec::new(), state: json!({}), next: None };
        if !found.is_empty() {
            polled.state = json!({"taken": found});
            polled.events.push(json!({"objects": found}).as_object().cloned().unwrap());
        }
        Ok(polled)
    }

    async fn acknowledge(&self, _: &Trigger, evaluation: &Evaluation) -> Result<Value, Failure> {
        for object in evaluation.state["taken"].as_array().unwrap() {
            self.step().await;
            let object = object.as_str().unwrap();
            let mut world = self.world();
            if world.bucket.remove(object) {
                *world.deleted.entry(object.to_owned()).or_default() += 1;
            }
        }
        self.step().await;
        Ok(json!({}))
    }

    async fn discard(&self, execution_id: &str) {
        self.step().await;
        let mut world = self.world();
        assert!(!world.executions.contains_key(execution_id), "files of an execution that is there");
        world.files.remove(execution_id);
    }

    async fn run(&self, _: &Trigger, execution: &TriggeredExecution) -> Result<State, String> {
        self.step().await;
        let takes = {
            let mut world = self.world();
            let what = match &execution.failure {
                Some(failure) => json!({"failure": failure}),
                None => Value::Object(execution.variables.clone()),
            };
            world.executions.entry(execution.id.clone()).or_insert(what);
            world.begun.insert(execution.id.clone());
            world.under_way += 1;
            world.takes
        };
        tokio::time::sleep(takes).await;
        let mut world = self.world();
        world.under_way -= 1;
        Ok(world.ends.unwrap_or(State::Success))
    }

    async fn state(&self, _: &str) -> Result<Option<State>, String> {
        Ok(Some(State::Success))
    }
}

fn trigger(type_name: &str, properties: Value) -> Arc<Trigger> {
    let place = Position { offset: 0, line: 1, column: 1 };
    Arc::new(Trigger {
        id: "t".to_owned(),
        type_name: type_name.to_owned(),
        description: None,
        disabled: false,
        inputs: Map::new(),
        labels: Vec::new(),
        stop_after: vec![State::Failed],
        properties: properties.as_object().cloned().unwrap(),
        span: Span { start: place, end: place },
    })
}

fn bucket(properties: Value) -> Arc<Trigger> {
    trigger("somebody.elses.Trigger", properties)
}

fn schedule(properties: Value) -> Arc<Trigger> {
    trigger("io.kestra.plugin.core.trigger.Schedule", properties)
}

/// An engine in a data directory, from its start to its end or death.
struct Life {
    watcher: tokio::task::JoinHandle<Result<Ended, StateError>>,
    died: Arc<Notify>,
    stop: Stop,
}

const EPOCH: &str = "2026-01-01T10:00:00Z";

impl Life {
    fn begin(data: &Path, world: &Arc<Mutex<World>>, trigger: &Arc<Trigger>) -> Self {
        Self::begin_at(EPOCH, data, world, trigger)
    }

    fn begin_at(epoch: &str, data: &Path, world: &Arc<Mutex<World>>, trigger: &Arc<Trigger>) -> Self {
        let died = Arc::new(Notify::new());
        let engine = Arc::new(Fake {
            world: Arc::clone(world),
            died: Arc::clone(&died),
            started: Instant::now(),
            epoch: epoch.parse().unwrap(),
        });
        let (stop, stopped) = stop();
        let file = TriggerStore::new(data).open("tests", "flow", "t").unwrap();
        let watcher = Watcher::new(Arc::clone(trigger), file, engine, stopped).unwrap();
        Self { watcher: tokio::spawn(watcher.run()), died, stop }
    }

    /// Lets time go by.
    async fn live(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Ends it in order.
    async fn end(self) -> Ended {
        self.stop.ask();
        self.watcher.await.unwrap().unwrap()
    }

    /// Ends it where it stands, as SIGKILL does.
    async fn kill(self) {
        self.watcher.abort();
        let _ = self.watcher.await;
    }
}

fn world(objects: &[&str]) -> Arc<Mutex<World>> {
    let bucket = objects.iter().map(|object| (*object).to_owned()).collect();
    Arc::new(Mutex::new(World { bucket, takes: Duration::from_secs(5), ..World::default() }))
}

/// Every object has started exactly one execution, which has begun and has its files; nothing else is left.
fn assert_exactly_once(world: &World, objects: &[&str], case: usize) {
    let mut started: Vec<&str> = Vec::new();
    for (id, variables) in &world.executions {
        let objects: Vec<&str> =
            variables["objects"].as_array().unwrap().iter().map(|object| object.as_str().unwrap()).collect();
        let files: Vec<&str> = world.files[id].iter().map(String::as_str).collect();
        assert_eq!(files, objects, "files of {id}, case {case}");
        assert!(world.begun.contains(id), "{id} has begun, case {case}");
        started.extend(objects);
    }
    started.sort_unstable();
    assert_eq!(started, objects, "case {case}");
    assert_eq!(world.files.len(), world.executions.len(), "no litter, case {case}");
    assert!(world.bucket.is_empty(), "case {case}");
    assert!(world.deleted.values().all(|times| *times == 1), "case {case}");
}

/// The engine dies at its nth step, for every n, and is started again, up to three times.
#[tokio::test(start_paused = true)]
async fn every_event_starts_one_execution_however_often_the_engine_dies() {
    let trigger = bucket(json!({"seconds": 10}));
    for case in 0..90 {
        let data = tempfile::tempdir().unwrap();
        let world = world(&["a", "b", "c"]);
        for life in 0..3 {
            // Deaths at all combinations of early and late steps of the three lives.
            world.lock().unwrap().steps = Some([case % 10, (case / 10) * 2, case % 7][life]);
            world.lock().unwrap().under_way = 0;
            let engine = Life::begin(data.path(), &world, &trigger);
            tokio::select! {
                () = engine.died.notified() => {}
                () = engine.live(120) => {}
            }
            engine.kill().await;
            if life == 0 {
                world.lock().unwrap().bucket.insert("d".to_owned());
            }
        }
        {
            let mut world = world.lock().unwrap();
            world.steps = None;
            world.under_way = 0;
        }
        let engine = Life::begin(data.path(), &world, &trigger);
        engine.live(120).await;
        assert_eq!(engine.end().await, Ended::Asked);
        assert_exactly_once(&world.lock().unwrap(), &["a", "b", "c", "d"], case);
    }
}

#[tokio::test(start_paused = true)]
async fn no_poll_while_its_execution_runs_unless_allowed() {
    for (concurrent, polls, overlaps) in [(false, 3, 0), (true, 5, 2)] {
        let data = tempfile::tempdir().unwrap();
        let world = world(&["a"]);
        world.lock().unwrap().takes = Duration::from_secs(25);
        let trigger = bucket(json!({"seconds": 10, "allowConcurrent": concurrent}));
        let engine = Life::begin(data.path(), &world, &trigger);
        engine.live(1).await;
        assert!(
            world.lock().unwrap().bucket.is_empty(),
            "what follows from an event does not wait for its execution"
        );
        engine.live(44).await;
        engine.end().await;
        let world = world.lock().unwrap();
        assert_eq!(world.polls.len(), polls, "{:?}", world.polls);
        assert_eq!(world.overlaps, overlaps);
        assert_eq!(world.executions.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_under_way_is_waited_for_and_not_made_again() {
    let data = tempfile::tempdir().unwrap();
    let world = world(&["a"]);
    let trigger = bucket(json!({}));
    let engine = Life::begin(data.path(), &world, &trigger);
    engine.live(1).await;
    assert_eq!(world.lock().unwrap().under_way, 1);
    let begin = Instant::now();
    assert_eq!(engine.end().await, Ended::Asked);
    assert!(begin.elapsed() >= Duration::from_secs(3), "it was waited for");
    let record = TriggerStore::new(data.path()).load("tests", "flow", "t").unwrap().unwrap();
    assert_eq!(record.executions, []);
    assert!(record.acknowledged && record.fired.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_fails_is_made_again_after_the_interval() {
    for (fail_on_error, executions) in [(false, 1), (true, 2)] {
        let data = tempfile::tempdir().unwrap();
        let world = world(&["a"]);
        world.lock().unwrap().failures = vec![Failure::new("test.down", "the bucket is down")];
        let trigger = bucket(json!({"failOnTriggerError": fail_on_error}));
        let engine = Life::begin(data.path(), &world, &trigger);
        engine.live(90).await;
        engine.end().await;
        let world = world.lock().unwrap();
        assert_eq!(world.polls, [Duration::ZERO, Duration::from_secs(60)]);
        assert!(world.log.contains(&"t ERROR the bucket is down".to_owned()), "{:?}", world.log);
        assert_eq!(world.executions.len(), executions);
        let failed = world.executions.values().any(|what| what["failure"] == "the bucket is down");
        assert_eq!(failed, fail_on_error);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_stays_the_same_is_logged_once() {
    let data = tempfile::tempdir().unwrap();
    let world = world(&["a"]);
    // The last one comes first.
    let messages = ["no such bucket", "refused (request 3)", "refused (request 2)", "refused (request 1)"];
    world.lock().unwrap().failures = messages.map(|message| Failure::new("test.down", message)).to_vec();
    let engine = Life::begin(data.path(), &world, &bucket(json!({})));
    engine.live(290).await;
    engine.end().await;
    let world = world.lock().unwrap();
    let errors: Vec<&String> = world.log.iter().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors, ["t ERROR refused (request 1)", "t ERROR no such bucket"], "{:?}", world.log);
    assert_eq!(world.executions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_stops_after_a_state_and_stays_so() {
    let data = tempfile::tempdir().unwrap();
    let world = world(&["a"]);
    world.lock().unwrap().ends = Some(State::Failed);
    let trigger = bucket(json!({}));
    for _ in 0..2 {
        let engine = Life::begin(data.path(), &world, &trigger);
        assert_eq!(engine.watcher.await.unwrap().unwrap(), Ended::StoppedAfter(State::Failed));
    }
    assert_eq!(world.lock().unwrap().executions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn conditions_keep_it_from_polling() {
    let data = tempfile::tempdir().unwrap();
    let world = world(&["a"]);
    let engine = Life::begin(data.path(), &world, &bucket(json!({"when": "{{ vars.open }}"})));
    engine.live(200).await;
    engine.end().await;
    assert!(world.lock().unwrap().polls.is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_loops_of_one_trigger_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let store = TriggerStore::new(data.path());
    let held = store.open("tests", "flow", "t").unwrap();
    let error = store.open("tests", "flow", "t").unwrap_err();
    assert_eq!(error.code(), "trigger.in-use");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    drop(held);
    store.open("tests", "flow", "t").unwrap();
}

fn dates(world: &World) -> BTreeSet<String> {
    world.executions.values().map(|variables| variables["date"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_schedule_fires_at_its_dates() {
    let data = tempfile::tempdir().unwrap();
    let world = world(&[]);
    let trigger = schedule(json!({"cron": "*/5 * * * *", "timezone": "UTC"}));
    let engine = Life::begin(data.path(), &world, &trigger);
    engine.live(11 * 60).await;
    engine.end().await;
    let world = world.lock().unwrap();
    assert_eq!(Vec::from_iter(dates(&world)), ["2026-01-01T10:05:00+00:00", "2026-01-01T10:10:00+00:00"]);
    let first = world.executions.values().find(|found| found["date"] == "2026-01-01T10:05:00+00:00").unwrap();
    assert_eq!(first["next"], "2026-01-01T10:10:00+00:00");
    assert_eq!(first["previous"], "2026-01-01T10:00:00+00:00");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_waits_for_its_execution_and_makes_up_for_missed_dates() {
    for (missed, expected) in [
        ("ALL", vec!["10:05", "10:10", "10:15", "10:20", "10:25"]),
        ("LAST", vec!["10:05", "10:20", "10:25"]),
        ("NONE", vec!["10:05", "10:25"]),
    ] {
        let data = tempfile::tempdir().unwrap();
        let world = world(&[]);
        let trigger =
            schedule(json!({"cron": "*/5 * * * *", "timezone": "UTC", "recoverMissedSchedules": missed}));
        let engine = Life::begin(data.path(), &world, &trigger);
        engine.live(6 * 60).await;
        engine.kill().await;
        world.lock().unwrap().under_way = 0;
        // Nobody watched at 10:10, 10:15 and 10:20.
        let engine = Life::begin_at("2026-01-01T10:22:00Z", data.path(), &world, &trigger);
        engine.live(4 * 60).await;
        engine.end().await;
        let world = world.lock().unwrap();
        let expected: Vec<String> =
            expected.iter().map(|time| format!("2026-01-01T{time}:00+00:00")).collect();
        assert_eq!(Vec::from_iter(dates(&world)), expected, "{missed}");
    }
}

#[tokio::test(start_paused = true)]
async fn conditions_leave_dates_out_and_skip_neighbours() {
    let data = tempfile::tempdir().unwrap();
    let world = world(&[]);
    let trigger = schedule(json!({
        "cron": "0 * * * *", "timezone": "UTC",
        "conditions": [{
            "type": "io.kestra.plugin.core.condition.TimeBetween", "after": "11:30:00Z", "before": "13:30:00Z",
        }],
    }));
    let engine = Life::begin(data.path(), &world, &trigger);
    engine.live(6 * 60 * 60).await;
    engine.end().await;
    let world = world.lock().unwrap();
    assert_eq!(Vec::from_iter(dates(&world)), ["2026-01-01T12:00:00+00:00", "2026-01-01T13:00:00+00:00"]);
    let last = world.executions.values().find(|found| found["date"] == "2026-01-01T13:00:00+00:00").unwrap();
    assert_eq!(last["next"], "2026-01-02T12:00:00+00:00");
}

#[tokio::test(start_paused = true)]
async fn a_list_of_dates_comes_to_an_end() {
    let data = tempfile::tempdir().unwrap();
    let world = world(&[]);
    let trigger = trigger(
        "io.kestra.plugin.core.trigger.ScheduleOnDates",
        json!({"dates": ["2026-01-01T10:01:00Z", "2025-01-01T00:00:00Z"]}),
    );
    let engine = Life::begin(data.path(), &world, &trigger);
    assert_eq!(engine.watcher.await.unwrap().unwrap(), Ended::NothingMore);
    assert_eq!(world.lock().unwrap().executions.len(), 1);
}

#[test]
fn what_needs_a_server_is_said() {
    for (type_name, expected) in [
        (
            "io.kestra.plugin.core.trigger.Webhook",
            "it needs a server: somebody has to take its HTTP requests",
        ),
        (
            "io.kestra.plugin.core.trigger.Flow",
            "it needs a server: somebody has to see the ends of other flows",
        ),
    ] {
        let error = Watcher::check(trigger(type_name, json!({"key": "k"}))).unwrap_err();
        assert!(matches!(error, SetupError::NeedsServer(_)));
        assert_eq!(error.to_string(), expected);
    }
    let error = Watcher::check(schedule(json!({"cron": "61 * * * *"}))).unwrap_err();
    assert!(error.to_string().starts_with("property `cron`: `61 * * * *`: "), "{error}");
}
