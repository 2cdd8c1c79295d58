//! What a valid flow becomes.

mod common;

use common::{flow, with_tasks};
use jiff::SignedDuration;
use weft_flow::{
    ConcurrencyBehavior, Flowable, InputType, ParseOptions, PauseBehavior, RetryBehavior, RetryPolicy, Shape,
    Task, TaskKind, Validator,
};

fn flowable(task: &Task) -> &Flowable {
    match &task.kind {
        TaskKind::Flowable(flowable) => flowable,
        TaskKind::Run { .. } => panic!("`{}` is not a flowable", task.id),
    }
}

fn first(tasks: &str) -> Task {
    flow(&with_tasks(tasks)).tasks.remove(0)
}

#[test]
fn a_flow_with_everything() {
    let flow = flow(
        "id: f
namespace: n.m
revision: 3
description: d
labels: [{key: a, value: 1.10}]
inputs:
  - {name: i, type: BOOLEAN, defaults: true, required: false}
  - {id: j, type: FILE}
variables: {v: [1]}
concurrency: {limit: 2, behavior: CANCEL}
retry: {type: constant, interval: PT1S, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}
tasks: [{id: t, type: org.example.debug.Return}]
errors: [{id: e, type: org.example.debug.Return}]
finally: [{id: l, type: org.example.debug.Return}]
afterExecution: [{id: x, type: org.example.debug.Return}]
triggers: [{id: w, type: io.kestra.plugin.core.trigger.Webhook, key: k, conditions: [], labels: {a: b}}]
outputs: [{id: o, type: STRING, value: \"{{ outputs.t.value }}\"}]
sla: [{id: s, type: MAX_DURATION, duration: P1D, behavior: NONE, labels: {late: true}}]
disabled: true
",
    );
    assert_eq!((flow.id.as_str(), flow.namespace.as_str(), flow.revision), ("f", "n.m", Some(3)));
    assert_eq!((flow.labels[0].key.as_str(), flow.labels[0].value.as_str()), ("a", "1.10"));
    assert_eq!((flow.inputs[0].id.as_str(), flow.inputs[0].required), ("i", false));
    assert!(matches!(&flow.inputs[1].kind, InputType::File { extension, .. } if extension == ".upl"));
    let concurrency = flow.concurrency.expect("concurrency");
    assert_eq!((concurrency.limit, concurrency.behavior), (2, ConcurrencyBehavior::Cancel));
    let retry = flow.retry.expect("a retry");
    assert_eq!((retry.max_attempts, retry.behavior), (Some(3), RetryBehavior::CreateNewExecution));
    assert_eq!((flow.errors.len(), flow.finally.len(), flow.after_execution.len()), (1, 1, 1));
    let trigger = &flow.triggers[0];
    assert_eq!(trigger.properties.keys().collect::<Vec<_>>(), ["key", "conditions"]);
    assert_eq!(trigger.labels.len(), 1);
    assert_eq!(flow.sla[0].labels[0].value, "true");
    assert!(flow.disabled && flow.outputs[0].required);
}

#[test]
fn what_every_task_has() {
    let task = first(
        "  - id: a
    type: org.example.old.Log
    message: m
    timeout: PT5M
    workerGroup: {key: gpu}
    logLevel: WARN
    allowFailure: true
    allowWarning: \"true\"
    logToFile: true
    runIf: true
    disabled: true
    retry: {type: exponential, interval: PT0.25s, maxInterval: PT5S, maxAttempt: 3, warningOnRetry: true}
",
    );
    assert_eq!(task.type_name, "org.example.old.Log");
    assert_eq!((task.timeout.as_deref(), task.worker_group.as_deref()), (Some("PT5M"), Some("gpu")));
    assert!(task.allow_failure && task.allow_warning && task.log_to_file && task.disabled);
    assert_eq!(task.run_if.map(|template| template.source().to_owned()).as_deref(), Some("true"));
    let retry = task.retry.expect("a retry");
    let (interval, max_interval) = (SignedDuration::from_millis(250), SignedDuration::from_secs(5));
    assert_eq!(retry.policy, RetryPolicy::Exponential { interval, max_interval, factor: 2.0 });
    assert_eq!((retry.max_attempts, retry.warning_on_retry), (Some(3), true));
    assert_eq!(task.span.start.line, 4);
}

#[test]
fn flowables_with_their_defaults() {
    let children = "tasks: [{id: c, type: org.example.debug.Return}]";
    let shape =
        |more: &str| flowable(&first(&format!("  - {{id: a, type: io.kestra.{more}}}\n"))).shape.clone();
    for (more, expected) in [
        (format!("plugin.core.flow.ForEach, values: [1], {children}"), (1, false)),
        (format!("plugin.core.flow.ForEach, values: [1], concurrencyLimit: 0, {children}"), (0, false)),
        (format!("core.tasks.flows.EachSequential, value: [1], {children}"), (1, false)),
        (format!("core.tasks.flows.EachParallel, value: [1], {children}"), (0, true)),
    ] {
        let Shape::ForEach { concurrency, parallel_tasks, .. } = shape(&more) else {
            panic!("a loop: {more}")
        };
        assert_eq!((concurrency, parallel_tasks), expected, "{more}");
    }
    for (more, expected) in [
        ("plugin.core.flow.Subflow, namespace: x, flowId: y", (true, true)),
        ("core.tasks.flows.Flow, namespace: x, flowId: y", (false, false)),
        ("core.tasks.flows.Flow, namespace: x, flowId: y, wait: true", (true, false)),
    ] {
        let Shape::Subflow(subflow) = shape(more) else { panic!("a subflow: {more}") };
        assert_eq!((subflow.wait, subflow.transmit_failed), expected, "{more}");
    }
    let Shape::Pause(pause) = shape(
        "plugin.core.flow.Pause, pauseDuration: PT1H, behavior: FAIL, onPause: {id: p, type: org.example.debug.Return}",
    ) else {
        panic!("a pause")
    };
    assert_eq!((pause.delay.as_deref(), pause.behavior), (Some("PT1H"), PauseBehavior::Fail));
    assert!(pause.on_pause.is_some());
    let Shape::LoopUntil(round) =
        shape(&format!("plugin.core.flow.WaitFor, condition: \"{{{{ true }}}}\", {children}"))
    else {
        panic!("a loop")
    };
    assert_eq!(
        (round.interval, round.max_iterations, round.fail_on_max_reached),
        (SignedDuration::from_secs(60), None, false)
    );
    let Shape::Switch { cases, defaults, .. } = shape(
        "plugin.core.flow.Switch, value: x, cases: {1: [{id: c, type: org.example.debug.Return}], true: []}, defaults: null",
    ) else {
        panic!("a switch")
    };
    assert_eq!(cases.keys().collect::<Vec<_>>(), ["1", "true"]);
    assert!(defaults.is_none());
    let Shape::WorkingDirectory { files, .. } =
        shape(&format!("core.tasks.flows.Worker, {children}, outputFiles: [a], cache: {{patterns: [b]}}"))
    else {
        panic!("a directory")
    };
    assert!(files.output_files.is_some() && files.cache.is_some() && files.input_files.is_none());
}

#[test]
fn a_task_on_its_own() {
    let plugins = common::Plugins::new();
    let validator = Validator::new(&plugins);
    let (task, diagnostics) =
        validator.parse_task("id: a\ntype: org.example.log.Log\nmessage: m\n", &ParseOptions::default());
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    assert_eq!(task.map(|task| task.id).as_deref(), Some("a"));
    let (task, diagnostics) =
        validator.parse_task("id: a\ntype: org.example.log.Log\n", &ParseOptions::default());
    assert!(task.is_none());
    assert_eq!(diagnostics[0].code, "missing-property");
}
