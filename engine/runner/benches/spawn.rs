//! What containment costs: one process from start to end, against the standard library's plain one, in an engine that
//! has 60 MB of memory in use.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use weft_runner::{Command, Engine, Line};

fn spawn(c: &mut Criterion) {
    let memory = vec![1u8; 60 << 20];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("spawn");
    group.bench_function("plain", |bencher| {
        bencher.iter(|| std::process::Command::new("/bin/true").output().expect("`/bin/true` runs"));
    });
    for containment in Engine::available() {
        let engine = Engine::start(Some(containment)).expect("an engine");
        group.bench_function(format!("{containment:?}"), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    let command = Command::new(vec!["/bin/true".to_owned()], "/", "bench");
                    let process = engine.spawn(command, |_: Line<'_>| {}).await.expect("`/bin/true` starts");
                    process.wait().await.expect("`/bin/true` ends")
                })
            });
        });
    }
    group.finish();
    black_box(memory);
}

criterion_group!(benches, spawn);
criterion_main!(benches);
