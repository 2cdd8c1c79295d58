//! How fast a stream is cut into lines, for usual line lengths.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weft_runner::Splitter;

const TOTAL: usize = 8 << 20;
const CHUNK: usize = 128 * 1024;

fn split(c: &mut Criterion) {
    let mut group = c.benchmark_group("lines");
    for length in [8, 80, 1000, 1_000_000] {
        let line = [vec![b'x'; length], b"\n".to_vec()].concat();
        let input = line.repeat(TOTAL / line.len());
        group.throughput(Throughput::Elements((TOTAL / line.len()) as u64));
        group.bench_with_input(BenchmarkId::from_parameter(length), &input, |bencher, input| {
            bencher.iter(|| {
                let mut splitter = Splitter::new(1 << 20);
                for chunk in input.chunks(CHUNK) {
                    splitter.push(chunk, |bytes, truncated| {
                        black_box((bytes, truncated));
                    });
                }
                splitter.lines()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, split);
criterion_main!(benches);
