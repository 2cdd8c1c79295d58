//! Time to read and check flows of growing size: it must grow with the flow and no faster. "errors" has a mistake in
//! every task, "deep" nests as far as the limits allow.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use weft_flow::{Catalogue, ParseOptions, TypeInfo, Validator};

struct Plugins(TypeInfo);

impl Catalogue for Plugins {
    fn task(&self, type_name: &str) -> Option<&TypeInfo> {
        (type_name == self.0.type_name).then_some(&self.0)
    }

    fn trigger(&self, _type_name: &str) -> Option<&TypeInfo> {
        None
    }

    fn type_names(&self) -> Vec<&str> {
        vec![&self.0.type_name]
    }
}

fn plugins() -> Plugins {
    Plugins(TypeInfo {
        type_name: "org.example.shell.Commands".to_owned(),
        properties: json!({
            "type": "object",
            "required": ["commands"],
            "additionalProperties": false,
            "properties": {
                "commands": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                "env": {"type": "object", "additionalProperties": {"type": "string"}},
                "runner": {"enum": ["DOCKER", "PROCESS"]},
                "warningOnStdErr": {"type": "boolean"},
                "docker": {"type": "object", "properties": {"image": {"type": "string"}}},
            },
        }),
        ..TypeInfo::default()
    })
}

fn task(out: &mut String, index: usize, runner: &str) {
    let before = index.saturating_sub(1);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "  - id: task{index}
    type: org.example.shell.Commands
    runner: {runner}
    retry: {{type: constant, interval: PT1S, maxAttempt: 3}}
    env:
      NAME: \"{{{{ inputs.name }}}}\"
    commands:
      - echo \"{{{{ outputs.task{before}.vars.x ?? 'none' }}}}\"
      - ls -l
"
    );
}

fn flow(tasks: usize, runner: &str) -> String {
    let mut out =
        String::from("id: bench\nnamespace: dev\ninputs:\n  - id: name\n    type: STRING\ntasks:\n");
    for index in 0..tasks {
        task(&mut out, index, runner);
    }
    out
}

fn deep(levels: usize) -> String {
    let mut out = String::from("id: deep\nnamespace: dev\ntasks:\n");
    for level in 0..levels {
        let indent = " ".repeat(2 + 4 * level);
        let _ = write!(
            out,
            "{indent}- id: level{level}\n{indent}  type: io.kestra.plugin.core.flow.Sequential\n{indent}  tasks:\n"
        );
    }
    let indent = " ".repeat(2 + 4 * levels);
    let _ = write!(
        out,
        "{indent}- id: leaf\n{indent}  type: org.example.shell.Commands\n{indent}  commands: [ls]\n"
    );
    out
}

fn bench(criterion: &mut Criterion) {
    let plugins = plugins();
    let validator = Validator::new(&plugins);
    let options = ParseOptions::default();
    let mut group = criterion.benchmark_group("parse");
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    for tasks in [1, 100, 1_000, 10_000] {
        let source = flow(tasks, "PROCESS");
        assert!(validator.parse(&source, &options).diagnostics.is_empty());
        group.throughput(Throughput::Elements(tasks as u64));
        group.bench_with_input(BenchmarkId::new("valid", tasks), &source, |bencher, source| {
            bencher.iter(|| black_box(validator.parse(source, &options)));
        });
    }
    for tasks in [1_000, 10_000] {
        let source = flow(tasks, "DOKER");
        assert_eq!(validator.parse(&source, &options).diagnostics.len(), tasks);
        group.throughput(Throughput::Elements(tasks as u64));
        group.bench_with_input(BenchmarkId::new("errors", tasks), &source, |bencher, source| {
            bencher.iter(|| black_box(validator.parse(source, &options)));
        });
    }
    let source = deep(48);
    assert!(validator.parse(&source, &options).flow.is_some());
    group.bench_function("deep", |bencher| bencher.iter(|| black_box(validator.parse(&source, &options))));
    group.bench_function("first", |bencher| {
        let source = flow(1, "PROCESS");
        bencher.iter(|| black_box(weft_flow::parse(&source, &plugins, &options)));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
