//! Single behaviours: retries, pauses, subflows, the ends of an execution, and what expressions see.

mod support;

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use support::build::*;
use support::{World, show};
use weft_executor::{Event, Settings, Start, TemplateParser, TimerKey};
use weft_flow::{
    InputType, OutputDefinition, PauseBehavior, Retry, RetryBehavior, Shape, Sla, SlaBehavior, SlaPromise,
    Task,
};
use weft_model::{Failure, Label, Map, State, TaskRun, TriggerContext, Work};

fn attempts(run: &TaskRun) -> Vec<State> {
    run.attempts.iter().map(|attempt| attempt.state.current()).collect()
}

fn history(run: &TaskRun) -> Vec<&'static str> {
    run.state.histories().iter().map(|change| change.state.as_str()).collect()
}

#[test]
fn retries() {
    use State::{Failed, Success, Warning};
    let warning = |most| Retry { warning_on_retry: true, ..constant(most) };
    for (name, task, state, attempts_expected) in [
        ("none", flaky("a", 1), Failed, 1),
        ("succeeds in time", flaky("a", 3).retry(constant(4)), Success, 4),
        ("and warns", flaky("a", 3).retry(warning(4)), Warning, 4),
        ("first time, no warning", ok("a").retry(warning(4)), Success, 1),
        ("exhausted", fail("a").retry(constant(5)), Failed, 5),
        ("then allowed", fail("a").retry(constant(3)).with(|task| task.allow_failure = true), Warning, 3),
        ("of a flowable", seq("s", [par("p", 0, [flaky("a", 2)])]).retry(constant(3)), Success, 3),
        ("own before the flowable's", seq("s", [fail("a").retry(constant(2))]).retry(constant(9)), Failed, 2),
        ("in a working directory", directory("w", [flaky("a", 1)]).retry(constant(2)), Success, 2),
        ("of a subflow", subflow("a", "failed").retry(constant(2)), Failed, 2),
        (
            "killed is not failed",
            script("a", json!({"state": "KILLED"})).retry(constant(5)),
            State::Killed,
            1,
        ),
    ] {
        let world = World::finish(flow([task]));
        assert_eq!(world.state(), state, "{name}");
        assert_eq!(world.task_run("a").attempts.len(), attempts_expected, "{name}");
    }
}

#[test]
fn between_attempts_a_task_run_is_retrying() {
    let mut world = World::new(flow([flaky("a", 2).retry(constant(3))]));
    world.step();
    assert_eq!((world.state(), show(world.task_run("a")).as_str()), (State::Retrying, "a=RETRYING"));
    world.run();
    assert_eq!(
        history(world.task_run("a")),
        ["CREATED", "RUNNING", "FAILED", "RETRYING", "RUNNING", "FAILED", "RETRYING", "RUNNING", "SUCCESS"]
    );
    assert_eq!(attempts(world.task_run("a")), [State::Failed, State::Failed, State::Success]);
    assert_eq!(
        world.history(),
        ["CREATED", "RUNNING", "RETRYING", "RUNNING", "RETRYING", "RUNNING", "SUCCESS"]
    );
    let counts = [0, 1, 2].map(|n| world.contexts[&format!("a[{n}]")]["taskrun"]["attemptsCount"].clone());
    assert_eq!(counts, [json!(0), json!(1), json!(2)]);
    let waited = world.now.duration_since(world.execution().state.start_date());
    assert_eq!(waited.as_secs(), 2);
}

#[test]
fn a_flow_may_retry_its_tasks() {
    let world = World::finish(flow([fail("a")]).with(|flow| flow.retry = Some(constant(4))));
    assert_eq!((world.state(), world.task_run("a").attempts.len()), (State::Failed, 4));
}

#[test]
fn a_failed_execution_may_be_followed_by_a_new_one() {
    let again = Retry { behavior: RetryBehavior::CreateNewExecution, ..constant(3) };
    let of_flow = flow([fail("a")]).with(|flow| flow.retry = Some(again.clone()));
    let of_task = flow([seq("s", [fail("a").retry(again)])]).with(|flow| flow.errors = vec![ok("e")]);
    for flow in [of_flow, of_task] {
        let mut start = Start { id: "first".into(), ..Start::default() };
        for (attempt, expected) in [(1, State::Retried), (2, State::Retried), (3, State::Failed)] {
            let mut world = World::with_settings(flow.clone(), Settings::default(), start.clone());
            world.run();
            assert_eq!(world.state(), expected);
            let execution = world.execution();
            assert_eq!(execution.metadata.attempt_number, attempt);
            assert_eq!(execution.original_id, "first");
            assert!(execution.labels.iter().any(|label| label.value == "first"), "correlation id");
            assert_eq!(world.task_run("a").attempts.len(), 1);
            assert_eq!(world.new_executions.len(), usize::from(expected == State::Retried));
            let ended = world.now;
            world.crash();
            assert_eq!(world.new_executions.len(), 2 * usize::from(expected == State::Retried));
            if let [next, again] = world.new_executions.as_slice() {
                assert_eq!((&next.id, next.schedule_date), (&again.id, again.schedule_date));
                assert!(next.schedule_date.unwrap() > ended);
                start = next.clone();
            }
        }
    }
}

#[test]
fn pauses() {
    let behave = |behavior: PauseBehavior| {
        pause("p", Some("PT1S"), [ok("a")]).shape(|shape| match shape {
            Shape::Pause(pause) => pause.behavior = behavior,
            _ => unreachable!(),
        })
    };
    let timeout =
        |longest: &str| pause("p", None, [ok("a")]).with(|task| task.timeout = Some(longest.into()));
    for (name, task, state, runs) in [
        (
            "delay",
            pause("p", Some("PT1S"), [ok("a")]),
            State::Success,
            &["p=SUCCESS", "a=SUCCESS", "b=SUCCESS"][..],
        ),
        ("warns", behave(PauseBehavior::Warn), State::Warning, &["p=WARNING", "a=SUCCESS", "b=SUCCESS"]),
        ("fails", behave(PauseBehavior::Fail).errors([ok("e")]), State::Failed, &["p=FAILED", "e=SUCCESS"]),
        ("cancels", behave(PauseBehavior::Cancel), State::Cancelled, &["p=KILLED"]),
        ("no duration", pause("p", Some("soon"), []), State::Failed, &["p=FAILED"]),
        ("timeout", timeout("PT0.5S").errors([ok("e")]), State::Failed, &["p=FAILED", "e=SUCCESS"]),
        (
            "timeout, allowed",
            timeout("PT{{ 1 }}S").with(|task| task.allow_failure = true),
            State::Warning,
            &["p=WARNING", "b=SUCCESS"],
        ),
        (
            "timeout beside a duration",
            pause("p", Some("PT1S"), [ok("a")]).with(|task| task.timeout = Some("PT0.5S".into())),
            State::Success,
            &["p=SUCCESS", "a=SUCCESS", "b=SUCCESS"],
        ),
        ("timeout that is none", timeout("soon"), State::Failed, &["p=FAILED"]),
    ] {
        let world = World::finish(flow([task, ok("b")]));
        assert_eq!(
            (world.state(), world.runs()),
            (state, runs.iter().map(|run| run.to_string()).collect()),
            "{name}"
        );
    }
}

#[test]
fn a_person_resumes() {
    let telling = pause("p", None, []).shape(|shape| match shape {
        Shape::Pause(pause) => pause.on_pause = Some(Box::new(ok("tell"))),
        _ => unreachable!(),
    });
    let mut world =
        World::new(flow([par("x", 0, [telling, ok("beside")]), put("b", "{{ outputs.p.onResume.why }}")]));
    assert_eq!(world.state(), State::Paused);
    world.run();
    assert_eq!(world.runs(), ["x=RUNNING", "p=PAUSED", "beside=SUCCESS", "tell=SUCCESS"]);
    assert_eq!(world.state(), State::Paused);
    world.send(Event::Resume { task_run_id: Some("no such".into()), inputs: Map::new() });
    assert_eq!(world.state(), State::Paused);
    world.send(Event::Resume { task_run_id: None, inputs: map(json!({"why": "because"})) });
    world.run();
    assert_eq!((world.state(), world.value("b")), (State::Success, "because"));
    assert_eq!(world.history(), ["CREATED", "RUNNING", "PAUSED", "RUNNING", "SUCCESS"]);
    assert_eq!(history(world.task_run("p")), ["CREATED", "RUNNING", "PAUSED", "RUNNING", "SUCCESS"]);
}

#[test]
fn a_pause_that_nobody_hears_of_fails() {
    let telling = pause("p", None, []).shape(|shape| match shape {
        Shape::Pause(pause) => pause.on_pause = Some(Box::new(fail("tell"))),
        _ => unreachable!(),
    });
    let world = World::finish(flow([telling]));
    assert_eq!((world.state(), world.runs()), (State::Failed, vec!["p=FAILED".into(), "tell=FAILED".into()]));
}

#[test]
fn kills() {
    let tasks = || {
        vec![
            par("x", 2, [seq("s", [ok("a"), ok("b")]), pause("p", None, [ok("never")]), ok("too late")]),
            ok("after"),
        ]
    };
    let cases: [(&str, Vec<Task>, usize, &[&str]); 7] = [
        ("before anything ends", tasks(), 0, &["x=KILLED", "s=KILLED", "p=KILLED", "a=KILLED"]),
        ("later", tasks(), 1, &["x=KILLED", "s=KILLED", "p=KILLED", "a=SUCCESS", "b=KILLED"]),
        ("between attempts", vec![fail("a").retry(constant(9))], 1, &["a=KILLED"]),
        ("between iterations", vec![until("u", "false", 9, [ok("a")])], 1, &["u=KILLED", "a=SUCCESS"]),
        ("while a directory opens", vec![directory("w", [ok("a")])], 0, &["w=KILLED"]),
        ("in a directory", vec![directory("w", [ok("a"), ok("b")])], 1, &["w=KILLED", "a=KILLED"]),
        ("while items are split", vec![each_item("i", "2", "success")], 0, &["i=KILLED"]),
    ];
    for (name, tasks, steps, runs) in cases {
        let mut world = World::new(flow(tasks).with(|flow| {
            flow.errors = vec![ok("error")];
            flow.finally = vec![ok("finally")];
            flow.after_execution = vec![put("last", "{{ execution.state }}")];
        }));
        world.steps(steps);
        world.send(Event::Kill { reason: "enough".into() });
        if world.state() == State::Killing {
            world.send(Event::Kill { reason: "enough, again".into() });
        }
        world.run();
        let expected: Vec<_> = runs.iter().copied().chain(["last=SUCCESS"]).collect();
        assert_eq!(world.runs(), expected, "{name}");
        assert_eq!((world.state(), world.value("last")), (State::Killed, "KILLED"), "{name}");
        let error = world.execution().error.as_ref().unwrap();
        assert_eq!((error.code.as_str(), error.message.as_str()), ("execution.killed", "killed: enough"));
        assert!(world.history().contains(&"KILLING") && world.done, "{name}");
    }
}

#[test]
fn a_second_kill_ends_what_comes_after_the_execution() {
    let flow = flow([ok("a")]).with(|flow| flow.after_execution = vec![ok("b"), ok("c")]);
    let mut world = World::new(flow);
    world.steps(1);
    assert_eq!((world.state(), world.ended.len(), world.done), (State::Success, 1, false));
    world.send(Event::Kill { reason: "enough".into() });
    world.run();
    assert_eq!(world.runs(), ["a=SUCCESS", "b=KILLED"]);
    assert_eq!((world.state(), world.ended.len(), world.done), (State::Success, 1, true));
}

#[test]
fn a_directory_is_closed_whatever_happens() {
    for (name, tasks, kill_after, expected) in [
        ("well", vec![ok("a")], None, &["w[0]", "a[0]", "w[1]"][..]),
        ("failure", vec![fail("a"), ok("b")], None, &["w[0]", "a[0]", "w[1]"]),
        ("kill", vec![ok("a"), ok("b")], Some(1), &["w[0]", "a[0]", "w[1]"]),
    ] {
        let mut world = World::new(flow([directory("w", tasks)]));
        if let Some(steps) = kill_after {
            world.steps(steps);
            world.send(Event::Kill { reason: "test".into() });
        }
        world.run();
        assert_eq!(world.asked, expected, "{name}");
        let files = world.task_run("w").output("outputFiles");
        assert_eq!(files, Some(&json!({"f": "kestra:///f"})), "{name}");
    }
}

#[test]
fn all_tasks_in_a_directory_are_told_which() {
    let mut world =
        World::new(flow([directory("w", [ok("a"), seq("s", [ok("b")])]).errors([ok("e")]), ok("c")]));
    let mut told = Vec::new();
    loop {
        for request in &world.requests {
            if matches!(request.work, Work::Run { .. }) {
                told.push((request.task_id.clone(), request.directory.clone()));
            }
        }
        if !world.step() {
            break;
        }
    }
    let directory = Some(world.task_run("w").id.clone());
    assert_eq!(told, [("a".into(), directory.clone()), ("b".into(), directory), ("c".into(), None)]);
}

#[test]
fn a_task_may_end_the_execution() {
    for (wanted, expected) in EXITS {
        let mut world =
            World::new(flow([par("p", 0, [script("a", json!({ "exit": wanted })), ok("b")]), ok("c")]));
        world.step();
        world.crash();
        world.run();
        let (around, beside) =
            if expected == State::Killed { ("KILLED", "KILLED") } else { (wanted, "SUCCESS") };
        assert_eq!(
            world.runs(),
            [format!("p={around}"), "a=SUCCESS".into(), format!("b={beside}")],
            "{wanted}"
        );
        assert_eq!(world.state(), expected);
        let is_error = !matches!(expected, State::Success | State::Warning);
        assert_eq!(world.execution().error.is_some(), is_error, "{wanted}");
    }
}

const EXITS: [(&str, State); 5] = [
    ("SUCCESS", State::Success),
    ("WARNING", State::Warning),
    ("FAILED", State::Failed),
    ("KILLED", State::Killed),
    ("CANCELLED", State::Cancelled),
];

#[test]
fn an_exit_kills_nothing_unless_it_asks_for_killed() {
    for (wanted, expected) in EXITS {
        let inside = seq("s", [script("a", json!({ "exit": wanted })), ok("never")]);
        let beside = [
            seq("t", [ok("b"), ok("runs"), ok("never, too")]),
            fail("r").retry(constant(9)),
            pause("w", None, []),
            until("u", "false", 9, [ok("v")]),
            directory("d", [ok("c"), ok("never, here")]),
        ];
        let tasks = [par("p", 0, beside.into_iter().chain([inside]))];
        let flow = flow(tasks).with(|flow| {
            flow.errors = vec![ok("error")];
            flow.finally = vec![ok("finally")];
            flow.after_execution = vec![put("last", "{{ execution.state }}")];
        });
        let mut world = World::new(flow);
        // Answers to `b`, `r`, `v` and the directory come before that to `a`.
        while !world
            .sent
            .iter()
            .any(|event| matches!(event, Event::TaskEnded(result) if !result.updates.is_empty()))
        {
            world.step();
        }
        let kills = expected == State::Killed;
        assert_eq!(world.state(), if kills { State::Killing } else { State::Running }, "{wanted}");
        world.run();
        assert_eq!((world.state(), world.value("last")), (expected, wanted));
        let histories = world.execution().task_run_list.iter().map(history).chain([world.history()]);
        assert_eq!(histories.flatten().any(|state| state.starts_with("KILL")), kills, "{wanted}");
        for flowable in ["p", "s", "t", "w", "u", "d"] {
            assert_eq!(world.task_run(flowable).current(), expected, "{flowable} for {wanted}");
        }
        let waiting = if kills { State::Killed } else { State::Failed };
        assert_eq!(world.task_run("r").current(), waiting, "{wanted}");
        assert!(!world.asked.iter().any(|asked| asked.contains("never")), "{:?}", world.asked);
    }
}

#[test]
fn an_execution_that_a_task_is_ending_can_be_killed() {
    let mut world = World::new(flow([par("p", 0, [script("a", json!({"exit": "SUCCESS"})), ok("b")])]));
    world.step();
    world.send(Event::Kill { reason: "enough".into() });
    world.run();
    assert_eq!(world.runs(), ["p=KILLED", "a=SUCCESS", "b=KILLED"]);
    assert_eq!(world.execution().error.as_ref().unwrap().code, "execution.killed");
    assert_eq!((world.state(), world.done), (State::Killed, true));
}

#[test]
fn limits_on_concurrency_are_the_callers_business() {
    let mut world = World::new(flow([ok("a")]));
    world.send(Event::Refuse { state: State::Cancelled, reason: "too late".into() });
    world.run();
    assert_eq!(world.state(), State::Success, "an execution that runs is not refused");
    for (state, expected) in [(State::Cancelled, State::Cancelled), (State::Success, State::Failed)] {
        let start = Start { id: "e".into(), ..Start::default() };
        let (flow, settings) = (Arc::new(flow([ok("a")])), Arc::new(Settings::default()));
        let now = jiff::Timestamp::UNIX_EPOCH;
        let machine = weft_executor::Machine::create(flow.clone(), start, settings.clone(), now);
        let mut world = World::around(flow, settings, machine, now);
        world.send(Event::Queue);
        assert_eq!(world.state(), State::Queued);
        world.send(Event::Refuse { state, reason: "one at a time".into() });
        assert_eq!((world.state(), world.done), (expected, true));
        assert!(world.runs().is_empty());
    }
}

#[test]
fn promises() {
    let sla = |behavior, promise| Sla {
        id: "fast".into(),
        promise,
        behavior,
        labels: vec![Label { key: "sla".into(), value: "broken".into() }],
    };
    let time = || SlaPromise::MaxDuration(SignedDuration::from_secs(5));
    let holds = |text: &str| SlaPromise::Assertion(template(text));
    for (name, delay, sla, state, broken) in [
        ("in time", "PT4S", sla(SlaBehavior::Fail, time()), State::Success, false),
        ("late", "PT6S", sla(SlaBehavior::Fail, time()), State::Failed, true),
        ("late, cancelled", "PT6S", sla(SlaBehavior::Cancel, time()), State::Cancelled, true),
        ("late, no matter", "PT6S", sla(SlaBehavior::None, time()), State::Success, true),
        (
            "holds",
            "PT1S",
            sla(SlaBehavior::Fail, holds("{{ outputs.a.value == 'x' }}")),
            State::Success,
            false,
        ),
        (
            "does not",
            "PT1S",
            sla(SlaBehavior::Fail, holds("{{ outputs.a.value == 'y' }}")),
            State::Failed,
            true,
        ),
        (
            "nor here",
            "PT1S",
            sla(SlaBehavior::Cancel, holds("{{ outputs.b.value }}")),
            State::Cancelled,
            true,
        ),
    ] {
        let flow = flow([put("a", "x"), pause("p", Some(delay), [])]).with(|flow| flow.sla = vec![sla]);
        let world = World::finish(flow);
        assert_eq!(world.state(), state, "{name}");
        assert_eq!(world.execution().labels.iter().any(|label| label.key == "sla"), broken, "{name}");
    }
}

fn output(id: &str, value: Json) -> OutputDefinition {
    OutputDefinition {
        id: id.into(),
        kind: InputType::String { validator: None },
        value,
        description: None,
        display_name: None,
        required: true,
    }
}

#[test]
fn outputs_of_the_flow() {
    let with = |tasks: Vec<Task>, value: &str| {
        let value = json!(value);
        World::finish(flow(tasks).with(|flow| flow.outputs = vec![output("o", value)]))
    };
    let world = with(vec![put("a", "x")], "{{ outputs.a.value }}");
    assert_eq!(world.state(), State::Success);
    assert_eq!(world.execution().outputs, Some(map(json!({"o": "x"}))));

    let world = with(vec![put("a", "x")], "{{ outputs.b.value }}");
    assert_eq!((world.state(), world.execution().outputs.is_none()), (State::Failed, true));
    assert_eq!(world.execution().error.as_ref().unwrap().code, "flow.output");

    let world = with(vec![fail("a"), put("b", "x")], "{{ outputs.b.value }}");
    assert_eq!((world.state(), world.execution().error.is_none()), (State::Failed, true));
}

#[test]
fn calls_of_subflows() {
    let call = subflow("s", "success").shape(|shape| match shape {
        Shape::Subflow(subflow) => {
            subflow.labels = vec![Label { key: "own".into(), value: "{{ flow.id }}".into() }];
            subflow.schedule_date = Some("2027-01-01T00:00:00Z".into());
        }
        _ => unreachable!(),
    });
    let labels = vec![Label { key: "team".into(), value: "x".into() }];
    let start = Start { labels, ..Start::default() };
    for inherit in [false, true] {
        let call = call.clone().shape(|shape| match shape {
            Shape::Subflow(subflow) => subflow.inherit_labels = inherit,
            _ => unreachable!(),
        });
        let mut world = World::with_settings(
            flow([call, put("a", "{{ outputs.s.outputs.from }}")]),
            Settings::default(),
            start.clone(),
        );
        let request = world.subflows[0].clone();
        assert_eq!(request.inputs, map(json!({"v": "execution"})));
        assert_eq!(request.parent_id, "execution");
        assert_eq!(request.trigger.variables["taskRunId"], json!(request.call.task_run_id));
        assert_eq!(request.schedule_date.unwrap().to_string(), "2027-01-01T00:00:00Z");
        let mut keys: Vec<_> = request.labels.iter().map(|label| label.key.as_str()).collect();
        keys.sort_unstable();
        let expected: &[_] =
            if inherit { &["own", "system.correlationId", "team"] } else { &["own", "system.correlationId"] };
        assert_eq!(keys, expected);
        world.crash();
        assert_eq!(world.subflows[0].execution_id, request.execution_id, "the same child after a restart");
        world.send(Event::SubflowStarted { call: request.call.clone() });
        assert_eq!(world.task_run("s").output("executionId"), Some(&json!(request.execution_id)));
        world.run();
        assert_eq!((world.state(), world.value("a")), (State::Success, "success"));
        assert_eq!(world.task_run("s").output("state"), Some(&json!("SUCCESS")));
    }
}

#[test]
fn subflows_that_are_not_waited_for_or_not_started() {
    let detached = subflow("s", "failed").shape(|shape| match shape {
        Shape::Subflow(subflow) => subflow.wait = false,
        _ => unreachable!(),
    });
    assert_eq!(World::finish(flow([detached])).state(), State::Success);

    let mut world = World::new(flow([subflow("s", "success")]));
    let call = world.subflows.remove(0).call;
    world.send(Event::SubflowRefused {
        call: call.clone(),
        failure: Failure::new("flow.missing", "no such flow"),
    });
    assert_eq!(world.state(), State::Failed);
    assert_eq!(world.task_run("s").attempts[0].failure.as_ref().unwrap().message, "no such flow");
    world.send(Event::SubflowStarted { call });
    assert_eq!(world.state(), State::Failed);

    let unreadable = subflow("s", "{{ nothing.x }}");
    assert_eq!(World::finish(flow([unreadable])).state(), State::Failed);
}

#[test]
fn batches() {
    let mut world = World::new(flow([each("e", 1, json!(["x", "y"]), [each_item("i", "2", "success")])]));
    let mut items = Vec::new();
    while world.step() {
        items.extend(world.subflows.iter().map(|request| request.call.task_run_id.clone()));
    }
    items.sort();
    items.dedup();
    assert_eq!(items.len(), 4, "each batch of each file is a call of its own");
    let outputs = world.task_run("i").outputs.clone().unwrap();
    assert_eq!(outputs["numberOfBatches"], json!(2));
    assert_eq!(outputs["iterations"], json!({"SUCCESS": 2}));
    let (uri, lines) = world.stored.last().unwrap();
    assert_eq!(world.stored.len(), 2, "one file for each of the two");
    assert!(uri.ends_with("/subflow-outputs.jsonl"), "{uri}");
    assert_eq!(*lines, [json!({"from": "success"}), json!({"from": "success"})]);
    let named = world.machine.execution().task_run_list.iter().filter_map(|run| run.output("subflowOutputs"));
    assert!(named.into_iter().any(|named| named == uri.as_str()), "{uri}");
    let context = serde_json::to_value(world.machine.context(Some(&items[0])).unwrap()).unwrap();
    let iteration = context["taskrun"]["iteration"].as_u64().unwrap();
    assert_eq!(context["taskrun"]["items"], json!(format!("kestra:///batch/{iteration}")));
    assert!(context["outputs"]["i"]["x"].get("uris").is_none(), "what the engine keeps is not shown");

    let mut world = World::new(flow([each_item("i", "2", "success")]));
    let (task_run_id, _) = world.splits.remove(0);
    world.send(Event::ItemsRefused { task_run_id, failure: Failure::new("file.missing", "no such file") });
    assert_eq!(world.runs(), ["i=FAILED"]);
}

#[derive(Debug)]
struct Parser;

impl TemplateParser for Parser {
    fn parse_task(&self, yaml: &str) -> Result<Task, String> {
        match yaml.split_once(' ') {
            Some(("put", text)) => Ok(put("whatever", text)),
            Some(("seq", _)) => Ok(seq("whatever", [])),
            _ => Err("not a task".into()),
        }
    }
}

#[test]
fn templated_tasks() {
    for (spec, state, error) in [
        ("put {{ flow.id }}", State::Success, ""),
        ("seq 1", State::Failed, "`spec` is a `test.Sequential`"),
        ("nonsense", State::Failed, "`spec` is not a task: not a task"),
        ("{{ nothing.x }}", State::Failed, "cannot render `spec`"),
    ] {
        let settings = Settings { templates: Some(Arc::new(Parser)), ..Settings::default() };
        let mut world = World::with_settings(flow([templated("t", spec)]), settings, Start::default());
        let asked =
            world.requests.front().map(|request| (request.task_id.clone(), request.task_type.clone()));
        assert_eq!(asked.is_some(), state == State::Success);
        assert!(asked.is_none_or(|asked| asked == ("t".into(), "test.Run".into())));
        world.run();
        assert_eq!(world.state(), state, "{spec}");
        assert!(world.logs.iter().all(|log| log.contains(error)), "{spec}: {:?}", world.logs);
        if state == State::Success {
            assert_eq!(world.value("t"), "flow");
        }
    }
    let world = World::finish(flow([templated("t", "put x")]));
    assert_eq!(world.logs, ["templated tasks are not available here"]);
}

#[test]
fn tasks_change_labels_and_variables() {
    let world = World::finish(
        flow([
            script("a", json!({"labels": {"k": "new", "l": "1"}, "set": {"v": "set", "w": 2}})),
            put("b", "{{ vars.v }} {{ vars.u }} {{ labels.k }}"),
        ])
        .with(|flow| {
            flow.variables = map(json!({"v": "flow", "u": "kept"}));
            flow.labels = vec![Label { key: "k".into(), value: "old".into() }];
        }),
    );
    assert_eq!(world.value("b"), "set kept new");
    assert_eq!(world.execution().variables, map(json!({"v": "set", "w": 2})));
}

#[test]
fn stale_and_unknown_events_change_nothing() {
    let mut world = World::new(flow([flaky("a", 1).retry(constant(3)), ok("b")]));
    let request = world.requests[0].clone();
    world.step();
    let again = |world: &mut World, event: Event| {
        let before = world.execution().clone();
        world.send(event);
        assert_eq!(world.execution(), &before);
    };
    let id = request.task_run_id;
    let timer = |attempt| Event::Timer(TimerKey::Retry { task_run_id: id.clone(), attempt });
    again(&mut world, Event::Start);
    again(&mut world, Event::Queue);
    again(&mut world, timer(0));
    again(&mut world, timer(2));
    again(&mut world, Event::Timer(TimerKey::Pause { task_run_id: id.clone() }));
    again(&mut world, Event::Timer(TimerKey::Loop { task_run_id: id.clone(), iteration: 0 }));
    again(&mut world, Event::Timer(TimerKey::Sla { id: "none".into() }));
    again(&mut world, Event::Resume { task_run_id: Some(id.clone()), inputs: Map::new() });
    again(&mut world, Event::ItemsSplit { task_run_id: id.clone(), uris: vec!["x".into()] });
    world.run();
    again(&mut world, timer(1));
    again(&mut world, Event::Kill { reason: "late".into() });
    again(&mut world, Event::Start);
    assert_eq!(world.ended, [State::Success]);
}

#[test]
fn what_expressions_see() {
    let nested = each("e", 0, json!(["1"]), [seq("s", [directory("w", [put("a", "x")])])]);
    let start = Start {
        inputs: map(json!({"n": 1})),
        trigger: Some(TriggerContext {
            id: "t".into(),
            type_name: "T".into(),
            variables: map(json!({"date": "d"})),
        }),
        ..Start::default()
    };
    let settings = Settings::new(
        &map(json!({"g": 1})),
        &map(json!({"e": 2})),
        Some("production"),
        Some("http://localhost"),
    );
    let mut world = World::with_settings(flow([put("first", "1"), nested]), settings, start);
    world.run();
    let context = &world.contexts["a[0]"];
    let id = |task: &str| json!(world.task_run(task).id);
    assert_eq!(
        context["parents"],
        json!([{"task": {"id": "w"}}, {"task": {"id": "s"}, "taskrun": {"value": "1"}}, {"task": {"id": "e"}}])
    );
    assert_eq!(context["parent"], json!({"task": {"id": "w"}, "taskrun": {"value": "1"}}));
    assert_eq!(context["workerTaskrun"]["id"], id("w"));
    assert_eq!(context["task"], json!({"id": "a", "type": "test.Run"}));
    assert_eq!(context["taskrun"]["parentId"], id("w"));
    assert!(context["taskrun"].get("value").is_none() && context["taskrun"].get("iteration").is_none());
    assert_eq!(context["inputs"], json!({"n": 1}));
    assert_eq!(context["outputs"], json!({"first": {"value": "1"}}));
    assert_eq!(context["trigger"], json!({"date": "d"}));
    assert_eq!(context["globals"], json!({"g": 1}));
    assert_eq!(context["envs"], json!({"e": 2}));
    assert_eq!(context["kestra"], json!({"environment": "production", "url": "http://localhost"}));
    assert_eq!(context["flow"], json!({"id": "flow", "namespace": "test", "revision": 1}));
    assert_eq!(context["execution"]["state"], json!("RUNNING"));
    assert_eq!(context["execution"]["originalId"], json!("execution"));
    assert_eq!(context["labels"], json!({"system": {"correlationId": "execution"}}));
    assert_eq!(context["tasks"]["first"], json!({"state": "SUCCESS"}));
    assert_eq!(context["tasks"]["s"], json!({"1": {"state": "RUNNING"}}));
    assert!(context.get("error").is_none());
}

#[test]
fn parents_tell_their_tasks() {
    let format = "{{ parent.task.id }} {{ parents[1].task.id }} {{ parents | length }} \
                  {{ parent.taskrun.value ?? 'none' }} {{ parent.outputs.evaluationResult ?? 'none' }}";
    for (name, task, expected) in [
        ("no loop", seq("s", [seq("t", [put("a", format)])]), "t s 2 none none"),
        ("a loop", seq("s", [each("e", 0, json!(["x"]), [put("a", format)])]), "e s 2 none none"),
        ("in a loop", each("e", 0, json!(["x"]), [seq("t", [put("a", format)])]), "t e 2 x none"),
        ("deeper", each("e", 0, json!(["x"]), [par("s", 0, [seq("t", [put("a", format)])])]), "t s 3 x none"),
        ("with outputs", seq("s", [either("i", "true", vec![put("a", format)], vec![])]), "i s 2 none true"),
    ] {
        let world = World::finish(flow([task]));
        assert_eq!(world.value("a"), expected, "{name}");
    }
}

#[test]
fn tasks_in_a_directory_in_a_loop_see_its_value() {
    let see = "{{ taskrun.value ?? 'none' }}";
    let sibling = "{{ currentEachOutput(outputs.a).value }} {{ outputs.a[taskrun.value].value }}";
    let in_directory = || [put("a", see), seq("s", [put("b", sibling)]), put("c", sibling)];
    let mut world = World::new(flow([
        each("e", 1, json!(["x", "y"]), [directory("w", in_directory())]),
        put("last", "{{ outputs.a.x.value }}{{ outputs.b.y.value }}{{ outputs.c.y.value }}"),
    ]));
    world.steps(3);
    world.crash();
    world.run();
    assert_eq!(world.value("last"), "xy yy y");
    assert_eq!(
        world.runs(),
        [
            "e=SUCCESS",
            "w[x]=SUCCESS",
            "a[x]=SUCCESS",
            "s=SUCCESS",
            "b[x]=SUCCESS",
            "c[x]=SUCCESS",
            "w[y]=SUCCESS",
            "a[y]=SUCCESS",
            "s=SUCCESS",
            "b[y]=SUCCESS",
            "c[y]=SUCCESS",
            "last=SUCCESS"
        ]
    );
    for (task, value) in [
        (directory("w", [put("a", see), until("u", "true", 3, [put("b", see)])]), "none"),
        (each("e", 1, json!(["x"]), [directory("w", [each("f", 1, json!(["z"]), [put("b", see)])])]), "z"),
    ] {
        assert_eq!(World::finish(flow([task])).value("b"), value);
    }
}

#[test]
fn outputs_of_loops_are_named_by_their_values() {
    let world = World::finish(flow([
        each(
            "e",
            0,
            json!(["v1", "v2"]),
            [
                put("o", "{{ taskrun.value }}"),
                each(
                    "f",
                    1,
                    json!(["w1", "w2"]),
                    [
                        put("a", "{{ parents[0].taskrun.value }}-{{ taskrun.value }}"),
                        seq(
                            "s",
                            [put(
                                "b",
                                "{{ outputs.a[parents[1].taskrun.value][parent.taskrun.value].value }}",
                            )],
                        ),
                    ],
                ),
            ],
        ),
        ok("last"),
    ]));
    assert_eq!(world.state(), State::Success, "{:?}", world.runs());
    let outputs = &world.contexts["last[0]"]["outputs"];
    assert_eq!(outputs["o"], json!({"v1": {"value": "v1"}, "v2": {"value": "v2"}}));
    let expected = json!({
        "v1": {"w1": {"value": "v1-w1"}, "w2": {"value": "v1-w2"}},
        "v2": {"w1": {"value": "v2-w1"}, "w2": {"value": "v2-w2"}},
    });
    assert_eq!(outputs["a"], expected);
    assert_eq!(outputs["b"], expected);
    assert!(outputs.get("e").is_none(), "the values of a loop are the engine's");
}

#[test]
fn errors_branches_are_told_what_went_wrong() {
    let world = World::finish(
        flow([seq("s", [par("p", 0, [fail("a")])]).errors([seq("e", [put("f", "{{ error.taskId }}")])])])
            .with(|flow| flow.errors = vec![put("g", "{{ error.message }}")]),
    );
    assert_eq!((world.value("f"), world.value("g")), ("a", "failed on purpose"));
}
