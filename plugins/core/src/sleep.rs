//! The task that waits.

use std::time::{Duration, Instant};

use weft_sdk::IsoDuration;
use weft_sdk::prelude::*;

/// How often a wait looks whether it is to be given up.
const SLICE: Duration = Duration::from_millis(50);

/// Waits for a length of time.
#[derive(Deserialize, JsonSchema)]
pub struct Sleep {
    /// How long, as an ISO-8601 duration such as `PT10S` or `PT1M30S`.
    duration: IsoDuration,
}

impl Task for Sleep {
    const TYPE: &'static str = "io.kestra.plugin.core.flow.Sleep";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Wait for half a second",
        yaml: r#"id: wait
type: io.kestra.plugin.core.flow.Sleep
duration: PT0.5S
"#,
    }];

    fn run(self, cx: &Context) -> Result<impl Output> {
        let start = Instant::now();
        loop {
            let left = self.duration.0.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            if cx.cancelled() {
                return Err(Error::new("task.killed", "the wait was given up"));
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}
