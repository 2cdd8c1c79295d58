//! What it costs to take 10,000 output files out of a working directory: find them, and store each.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::fs;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use weft_files::workdir::Directory;
use weft_files::{PatternSet, Storage, StorageUri};

const FOLDERS: usize = 50;
const FILES: usize = 200;

fn collect(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for folder in 0..FOLDERS {
        fs::create_dir_all(root.join(folder.to_string())).unwrap();
        for file in 0..FILES {
            fs::write(root.join(format!("{folder}/{file}.txt")), "a line of text\n").unwrap();
        }
    }
    let directory = Directory::open(&root).unwrap();
    let patterns = PatternSet::in_directory(&root, &["**.txt"]).unwrap();
    let storage = Storage::local_relaxed(dir.path().join("storage"));
    let place = StorageUri::parse("kestra:///n").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();

    let mut group = criterion.benchmark_group("10,000 output files");
    group.sample_size(10).measurement_time(Duration::from_secs(20));
    group.bench_function("find", |bench| bench.iter(|| directory.collect(&patterns).unwrap().len()));
    group.bench_function("find and open", |bench| {
        bench.iter(|| {
            let found = directory.collect(&patterns).unwrap();
            found.iter().map(|found| found.open().unwrap().size()).sum::<u64>()
        });
    });
    group.bench_function("find and store", |bench| {
        bench.iter(|| {
            runtime.block_on(async {
                for found in directory.collect(&patterns).unwrap() {
                    let uri = place.join(&found.name).unwrap();
                    storage.put_file(&uri, found.open().unwrap()).await.unwrap();
                }
            });
        });
    });
    group.finish();
}

criterion_group!(benches, collect);
criterion_main!(benches);
