//! Results as a table on stdout, for a terminal or a comment under a change.

use std::time::Duration;

use super::measure::{Series, Spread};

/// Prints both series and the ratio of their medians.
pub fn comparison(title: &str, (a_name, a): (&str, &Series), (b_name, b): (&str, &Series)) {
    println!("\n{title}");
    println!("  {:<24}{:>12}{:>12}{:>12}{:>12}", "", "min", "median", "max", "peak RSS");
    for (name, series) in [(a_name, a), (b_name, b)] {
        let Spread { min, median, max } = series.wall();
        println!(
            "  {name:<24}{:>12}{:>12}{:>12}{:>12}",
            time(min),
            time(median),
            time(max),
            bytes(series.peak_rss().max)
        );
    }
    let ratio = a.wall().median.as_secs_f64() / b.wall().median.as_secs_f64();
    println!("  ratio of medians {ratio:.2}");
}

/// Prints one result beside its budget.
pub fn result(what: &str, measured: &str, budget: &str) {
    println!("  {what}: {measured} (budget {budget})");
}

/// `12.34 ms`; seconds from 10 s on.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 { format!("{:.2} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// `12.3 MB`, of a million bytes each.
pub fn bytes(bytes: u64) -> String {
    // Exact up to 2^53 bytes, far more than is ever measured.
    format!("{:.1} MB", bytes as f64 / 1e6)
}
