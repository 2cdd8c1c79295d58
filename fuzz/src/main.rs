//! The program that libFuzzer drives: one for all targets, so that they are linked once. `cargo xtask fuzz` builds and runs it.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use libfuzzer_sys::{Corpus, fuzz_target};
use weft_fuzz::Target;

/// Names the target.
const TARGET: &str = "WEFT_FUZZ_TARGET";
/// A folder in which the slowest input so far is kept, with its time in microseconds: libFuzzer's own record has whole
/// seconds, and none of the processes that it forks.
const SLOWEST: &str = "WEFT_FUZZ_SLOWEST";
/// Faster ones are no news, in microseconds.
const NEWS: u64 = 1_000;

fuzz_target!(|input: &[u8]| -> Corpus {
    let begin = Instant::now();
    let useful = (target().run)(input).is_some();
    let micros = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
    static MOST: AtomicU64 = AtomicU64::new(NEWS);
    if MOST.fetch_max(micros, Ordering::Relaxed) < micros {
        keep_slowest(micros, input);
    }
    if useful { Corpus::Keep } else { Corpus::Reject }
});

fn target() -> Target {
    static FOUND: OnceLock<Target> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let name = std::env::var(TARGET).unwrap_or_default();
        weft_fuzz::find(&name).unwrap_or_else(|| panic!("`{TARGET}` names no target: `{name}`"))
    })
}

/// Keeps an input, unless another process has a slower one. Only a figure for people: what cannot be written is left out.
fn keep_slowest(micros: u64, input: &[u8]) {
    let Some(folder) = std::env::var_os(SLOWEST).map(PathBuf::from) else { return };
    let record = folder.join("micros");
    let known = std::fs::read_to_string(&record).ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    if micros > known {
        let _ = std::fs::write(record, micros.to_string());
        let _ = std::fs::write(folder.join("input"), input);
    }
}
