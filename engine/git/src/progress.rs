//! What a clone says while it runs.

use std::time::{Duration, Instant};

/// A word about the clone, for its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// How far it is; only where it takes long enough for a person to wonder.
    Progress(String),
    /// What the server says to whoever clones.
    Server(String),
    /// Something that may be wrong.
    Warning(String),
}

/// How often a long clone says how far it is.
const EVERY: Duration = Duration::from_secs(3);

/// Says now and then how far something is.
pub(crate) struct Pace {
    last: Instant,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { last: Instant::now() }
    }

    /// Whether it is time to say something.
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.last.elapsed() >= EVERY;
        if due {
            self.last = Instant::now();
        }
        due
    }
}

/// A number of bytes for a person.
pub(crate) fn size(bytes: usize) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_powers_of_1024() {
        for (bytes, expected) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_500_000, "1.4 MiB")] {
            assert_eq!(size(bytes), expected);
        }
    }
}
