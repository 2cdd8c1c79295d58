//! What a task costs that does nothing, and what it costs to start with everything cached.

#![allow(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/support.rs"]
mod support;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;

use support::{Engine, Place, call};

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let place = Place::with_behaviours();
    let noop = async |host: &weft_host::Host, engine: &Arc<Engine>| {
        let caps = Arc::clone(engine) as _;
        host.run("test.Noop", call(json!({})), caps, std::future::pending()).await.unwrap()
    };
    let engine = Arc::new(Engine::new());
    let host = place.host();
    runtime.block_on(noop(&host, &engine));

    criterion.bench_function("store + instantiate + run + drop of a task that does nothing", |bencher| {
        bencher.iter(|| runtime.block_on(noop(&host, &engine)));
    });
    criterion.bench_function("a catalogue of one plugin, cached", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async { black_box(place.host().full_catalogue().await).plugins().count() })
        });
    });
    criterion.bench_function("catalogue, engine, load and first run of a cached plugin", |bencher| {
        bencher.iter(|| runtime.block_on(async { noop(&place.host(), &engine).await }));
    });
}

criterion_group!(group, benches);
criterion_main!(group);
