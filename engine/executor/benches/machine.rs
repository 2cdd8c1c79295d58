//! Ten thousand tasks in a row through a machine, with a worker that answers at once.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use weft_executor::{Command, Event, Machine, Settings, Start};
use weft_expr::NoEnvironment;
use weft_flow::Flow;
use weft_model::{Map, State, TaskRunResult};

#[path = "../tests/support/build.rs"]
#[allow(dead_code, reason = "a benchmark needs only two kinds of tasks")]
mod build;

fn run_to_end(flow: &Arc<Flow>, settings: &Arc<Settings>) -> Machine {
    let now = Timestamp::UNIX_EPOCH;
    let start = Start { id: "execution".into(), flow_revision: 1, ..Start::default() };
    let mut machine = Machine::create(Arc::clone(flow), start, Arc::clone(settings), now);
    let mut commands = machine.handle(Event::Start, &NoEnvironment, now).commands;
    while let Some(command) = commands.pop() {
        let Command::Run(request) = command else { continue };
        let mut outputs = Map::new();
        outputs.insert("value".to_owned(), "done".into());
        let result = TaskRunResult {
            task_run_id: request.task_run_id,
            attempt: request.attempt,
            state: State::Success,
            outputs,
            failure: None,
            updates: Vec::new(),
            log_file: None,
            started: now,
            ended: now,
        };
        // As a worker does, keep the request's context until the answer is given.
        commands.extend(machine.handle(Event::TaskEnded(result), &NoEnvironment, now).commands);
        drop(request.context);
    }
    assert_eq!(machine.execution().current(), State::Success);
    machine
}

fn benches(criterion: &mut Criterion) {
    let settings = Arc::new(Settings::default());
    for count in [1_000, 10_000] {
        let row = Arc::new(build::flow((0..count).map(|number| build::put(&format!("t{number}"), "done"))));
        criterion.bench_function(&format!("{count} tasks in a row"), |bencher| {
            bencher.iter_batched(|| (), |()| run_to_end(&row, &settings), BatchSize::LargeInput);
        });
    }
    let values: Vec<usize> = (0..10_000).collect();
    let each = Arc::new(build::flow([build::each("each", 1, values.into(), [build::put("t", "done")])]));
    criterion.bench_function("a loop over 10000 values", |bencher| {
        bencher.iter_batched(|| (), |()| run_to_end(&each, &settings), BatchSize::LargeInput);
    });
    let finished = run_to_end(&each, &settings).execution().clone();
    criterion.bench_function("loading 10001 task runs", |bencher| {
        bencher.iter_batched(
            || finished.clone(),
            |execution| Machine::load(Arc::clone(&each), execution, Arc::clone(&settings)),
            BatchSize::LargeInput,
        );
    });
}

criterion_group! { name = group; config = Criterion::default().sample_size(10); targets = benches }
criterion_main!(group);
