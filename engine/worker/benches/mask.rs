//! What hiding secrets costs: lines of a log where some are known, and learning many.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weft_worker::Masker;

const LINES: usize = 100_000;

fn secret(number: usize) -> String {
    format!("{:016x}-{number}", (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn lines(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    let line = b"2026-01-01 12:00:00 INFO loaded 12345 rows into table orders (batch 17 of 99)";
    for secrets in [1, 10, 100, 1_000] {
        let masker = Masker::default();
        (0..secrets).for_each(|number| masker.add(&secret(number)));
        group.throughput(Throughput::Elements(LINES as u64));
        group.bench_function(BenchmarkId::new("lines", secrets), |bencher| {
            bencher.iter(|| {
                let mut lines = masker.lines();
                for _ in 0..LINES {
                    black_box(lines.mask(black_box(line)));
                }
            });
        });
    }
    for secrets in [100, 1_000, 4_000] {
        group.throughput(Throughput::Elements(secrets as u64));
        group.bench_function(BenchmarkId::new("learn", secrets), |bencher| {
            bencher.iter(|| {
                let masker = Masker::default();
                (0..secrets).for_each(|number| masker.add(&secret(number)));
                masker.count()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = lines
}
criterion_main!(benches);
