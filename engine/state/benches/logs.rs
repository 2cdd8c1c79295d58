//! How many log lines a second reach the file, and what a commit costs.
//!
//! `cargo bench -p weft-state`. Throughput is in lines: criterion prints it as elements per second.

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use weft_model::{Execution, Level, Metadata, State, StateHistory, TaskRun, new_id};
use weft_state::{Durability, JournalStore, Owner, push_json_text};

const LINES: u64 = 100_000;

fn execution() -> Execution {
    let id = new_id();
    let now = Timestamp::now();
    Execution {
        original_id: id.clone(),
        id,
        namespace: "company.team".to_owned(),
        flow_id: "flow".to_owned(),
        flow_revision: 1,
        task_run_list: Vec::new(),
        inputs: Default::default(),
        outputs: None,
        labels: Vec::new(),
        variables: Default::default(),
        state: StateHistory::new(State::Running, now),
        parent_id: None,
        trigger: None,
        metadata: Metadata { attempt_number: 1, original_created_date: now },
        schedule_date: None,
        error: None,
    }
}

fn task_run(execution: &Execution) -> TaskRun {
    TaskRun {
        id: new_id(),
        execution_id: execution.id.clone(),
        namespace: execution.namespace.clone(),
        flow_id: execution.flow_id.clone(),
        task_id: "task".to_owned(),
        parent_task_run_id: None,
        value: None,
        iteration: None,
        attempts: Vec::new(),
        outputs: None,
        state: StateHistory::new(State::Running, Timestamp::now()),
    }
}

/// Where files go: a disk, not a file system in memory, to be worth measuring.
fn data() -> tempfile::TempDir {
    let target = std::env::var_os("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    tempfile::tempdir_in(target).expect("a directory for the benchmark")
}

fn lines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log lines");
    group.throughput(Throughput::Elements(LINES)).sample_size(10);
    let short = b"INFO 2026-11-23 a line such as programs write, 80 characters of it or thereabouts".to_vec();
    let quoted =
        br#"{"level":"info","msg":"json in json","path":"C:\\temp","n":12345,"ok":true,"x":"y"}"#.to_vec();
    let long = b"x".repeat(1000);
    for (name, message, batch) in [
        ("80 bytes, 500 a batch", &short, 500),
        ("80 bytes, one by one", &short, 1),
        ("json, 500 a batch", &quoted, 500),
        ("1000 bytes, 500 a batch", &long, 500),
    ] {
        let data = data();
        let store = JournalStore::new(data.path());
        let execution = execution();
        let _journal = store.create(&execution, "", &Owner::current()).expect("a journal");
        group.bench_function(name, |bencher| {
            let log = store
                .log_writer(&execution.id)
                .expect("a writer")
                .attempt("task", &execution.id, 0)
                .with_max_bytes(u64::MAX);
            let path = data.path().join("executions").join(&execution.id).join("logs.jsonl");
            bencher.iter_batched(
                // The file must not fill the disk.
                || std::fs::File::options().write(true).open(&path).and_then(|file| file.set_len(0)),
                |_| {
                    for _ in 0..LINES / batch {
                        let now = Timestamp::now();
                        let mut lines = log.batch();
                        for _ in 0..batch {
                            lines.line(now, Level::Info, message);
                        }
                    }
                    log.flush().expect("a written log");
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("escaping");
    for (name, message) in [("80 bytes", &short), ("json", &quoted), ("1000 bytes", &long)] {
        group.throughput(Throughput::Bytes(message.len() as u64));
        let mut out = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                push_json_text(&mut out, black_box(message));
            });
        });
    }
    group.finish();
}

fn commits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal");
    for (name, durability) in [("process", Durability::Process), ("disk", Durability::Disk)] {
        let data = data();
        let store = JournalStore::new(data.path()).with_durability(durability);
        let execution = execution();
        let run = task_run(&execution);
        let mut journal = store.create(&execution, "id: flow", &Owner::current()).expect("a journal");
        group.bench_function(format!("commit, {name}"), |bencher| {
            bencher.iter(|| journal.commit(None, &[&run]).expect("a commit"));
        });
        group.bench_function(format!("create, {name}"), |bencher| {
            bencher.iter_batched(
                self::execution,
                |execution| store.create(&execution, "id: flow", &Owner::current()).expect("a journal"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();

    let data = data();
    let store = JournalStore::new(data.path()).with_durability(Durability::Process);
    for _ in 0..10_000 {
        let mut execution = execution();
        let mut journal = store.create(&execution, "id: flow", &Owner::current()).expect("a journal");
        execution.state.enter(State::Success, Timestamp::now());
        journal.commit(Some(&execution), &[]).expect("a commit");
    }
    criterion.bench_function("list 10,000 executions", |bencher| {
        bencher.iter(|| store.list().expect("a list").len());
    });
}

criterion_group!(benches, lines, commits);
criterion_main!(benches);
