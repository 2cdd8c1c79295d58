//! The way of a child's output: lines into the log, messages into outputs and metrics. One for every runner.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use weft_model::{Failure, Level};
use weft_runner::{Line, LineSink, Stream};

use crate::collected::Collected;
use crate::protocol::{Item, LineParser, begins_message};
use crate::records::TaskLog;

/// Bytes of log lines that are gathered before they are handed on.
const BATCH_BYTES: usize = 256 << 10;

/// Takes the lines of one child.
pub struct OutputSink {
    log: Arc<TaskLog>,
    collected: Arc<Mutex<Collected>>,
    stdout: Channel,
    stderr: Channel,
    batch: Batch,
}

struct Channel {
    level: Level,
    parser: LineParser,
}

/// Lines waiting to be written, one after the other in one buffer.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: Vec<(Level, Range<usize>)>,
}

impl Batch {
    fn push(&mut self, level: Level, line: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(line);
        self.lines.push((level, start..self.bytes.len()));
    }
}

impl OutputSink {
    /// The options of a command that are about its output.
    pub const OPTIONS: [&str; 2] = ["stdoutLevel", "stderrLevel"];

    /// A sink that logs stdout and stderr at these levels.
    pub fn new(log: Arc<TaskLog>, collected: Arc<Mutex<Collected>>, stdout: Level, stderr: Level) -> Self {
        let channel = |level| Channel { level, parser: LineParser::default() };
        Self { log, collected, stdout: channel(stdout), stderr: channel(stderr), batch: Batch::default() }
    }

    fn write_batch(&mut self) {
        if !self.batch.lines.is_empty() {
            let bytes = &self.batch.bytes;
            self.log.write_lines(
                &mut self.batch.lines.iter().map(|(level, range)| (*level, &bytes[range.clone()])),
            );
            self.batch.bytes.clear();
            self.batch.lines.clear();
        }
    }
}

/// What becomes of one item of one stream.
fn take(item: Item<'_>, level: Level, batch: &mut Batch, collected: &Mutex<Collected>) {
    match item {
        Item::Line(line) => batch.push(level, line),
        Item::Invalid(why) => batch.push(Level::Warn, why.as_bytes()),
        Item::Message(mut message) => {
            for (level, text) in std::mem::take(&mut message.logs) {
                batch.push(level, text.as_bytes());
            }
            for problem in collected.lock().unwrap_or_else(PoisonError::into_inner).add(message) {
                batch.push(Level::Warn, problem.as_bytes());
            }
        }
    }
}

/// The failure of an attempt whose script said something that is longer than a line may be.
fn too_long(bytes: u64, limit: usize) -> Failure {
    let message = format!(
        "a message of the script (`::{{...}}::`) has {bytes} bytes, and one line may have {limit}\n\
         hint: put out large values one by one, or write them to a file and list that in `outputFiles`"
    );
    let detail = json!({"bound": "line", "amount": bytes, "limit": limit});
    Failure::new("task.budget", message).with_detail(detail)
}

impl LineSink for OutputSink {
    fn line(&mut self, line: Line<'_>) {
        let channel = match line.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let (batch, collected, level) = (&mut self.batch, &*self.collected, channel.level);
        match line.truncated {
            // What is left of a message is nobody's line, and would only be taken for the beginning of a block.
            Some(total) if begins_message(line.bytes) => {
                let failure = too_long(total, line.bytes.len());
                collected.lock().unwrap_or_else(PoisonError::into_inner).miss(failure);
                return;
            }
            _ => channel.parser.line(line.bytes, &mut |item| take(item, level, batch, collected)),
        }
        if let Some(total) = line.truncated {
            let note = format!("the line above is cut: it has {total} bytes, {} are kept", line.bytes.len());
            batch.push(Level::Warn, note.as_bytes());
        }
        if self.batch.bytes.len() >= BATCH_BYTES {
            self.write_batch();
        }
    }

    fn flush(&mut self) {
        self.write_batch();
    }
}

impl Drop for OutputSink {
    /// The end of both streams: a block that is still open is logged as the lines it was.
    fn drop(&mut self) {
        for channel in [&mut self.stdout, &mut self.stderr] {
            let (batch, collected, level) = (&mut self.batch, &*self.collected, channel.level);
            channel.parser.finish(&mut |item| take(item, level, batch, collected));
        }
        self.write_batch();
    }
}
