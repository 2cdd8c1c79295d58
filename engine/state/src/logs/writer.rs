//! Writing logs.

use std::fs::File;
use std::io::Write as _;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use weft_model::{AttemptLimits, Level};

use super::encode::{TimeText, push_json_text};
use super::flush;
use crate::{Result, StateError, disk};

/// How many bytes of log are kept of one attempt at a task run, unless configured otherwise.
pub const MAX_ATTEMPT_BYTES: u64 = AttemptLimits::LOG_BYTES;
/// How many bytes of one message are kept.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// How much is collected before it is written.
const BUFFER: usize = 64 * 1024;

/// The log of one execution, shared by all that write to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogWriter {
    shared: Arc<Shared>,
}

/// What the clones of a writer share, and the flushing thread looks at.
#[derive(Debug)]
pub(super) struct Shared {
    sink: Mutex<Sink>,
}

#[derive(Debug)]
struct Sink {
    path: PathBuf,
    /// Opened by the first line, so that a silent execution has no file.
    file: Option<File>,
    buffer: Vec<u8>,
    time: TimeText,
    /// The first error since somebody asked. What could not be written is dropped: a full disk must not become a full
    /// memory.
    error: Option<StateError>,
    /// Whether the file may end in half a line.
    torn: bool,
}

impl LogWriter {
    pub(crate) fn new(path: PathBuf) -> Self {
        let sink =
            Sink { path, file: None, buffer: Vec::new(), time: TimeText::new(), error: None, torn: false };
        Self { shared: Arc::new(Shared { sink: Mutex::new(sink) }) }
    }

    /// The log of the execution itself.
    pub fn execution(&self) -> AttemptLog {
        self.source(None)
    }

    /// The log of one attempt at a task run; `attempt` counts from 0.
    pub fn attempt(&self, task_id: &str, task_run_id: &str, attempt: u32) -> AttemptLog {
        self.source(Some((task_id, task_run_id, attempt)))
    }

    fn source(&self, source: Option<(&str, &str, u32)>) -> AttemptLog {
        let mut origin = Vec::new();
        if let Some((task_id, task_run_id, _)) = source {
            origin.extend_from_slice(b",\"taskId\":\"");
            push_json_text(&mut origin, task_id.as_bytes());
            origin.extend_from_slice(b"\",\"taskRunId\":\"");
            push_json_text(&mut origin, task_run_id.as_bytes());
            origin.push(b'"');
        }
        let attempt = source.map_or(0, |(_, _, attempt)| attempt);
        origin.extend_from_slice(format!(",\"attemptNumber\":{attempt},\"message\":\"").as_bytes());
        AttemptLog {
            writer: self.clone(),
            min_level: Level::Trace,
            state: Arc::new(AttemptState {
                origin,
                max_bytes: MAX_ATTEMPT_BYTES,
                stored_bytes: AtomicU64::new(0),
                dropped_lines: AtomicU64::new(0),
            }),
        }
    }

    /// Writes what is buffered to the file. Returns the first error since this was last called; lines that met it are
    /// lost. To be called at the end of the execution.
    pub fn flush(&self) -> Result<()> {
        let mut sink = self.shared.lock();
        sink.write();
        sink.error.take().map_or(Ok(()), Err)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Sink> {
        // The worst that a panic leaves is half a line, which readers skip.
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn flush_due(&self) {
        self.lock().write();
    }
}

impl Sink {
    fn write(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        if let Err(error) = self.try_write() {
            self.torn = true;
            self.error.get_or_insert(error);
        }
        self.buffer.clear();
        // One huge message must not keep its memory for good.
        self.buffer.shrink_to(2 * BUFFER);
    }

    fn try_write(&mut self) -> Result<()> {
        let failed = |error| StateError::io("write", &self.path, error);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file =
                    disk::private().read(true).append(true).create(true).open(&self.path).map_err(failed)?;
                // Of an engine that was killed, or had no room for more.
                self.torn |= disk::ends_in_half_a_line(&file).map_err(failed)?;
                self.file.insert(file)
            }
        };
        if mem::take(&mut self.torn) {
            file.write_all(b"\n").map_err(failed)?;
        }
        file.write_all(&self.buffer).map_err(failed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.write();
    }
}

/// The log of one attempt at a task run, or of the execution itself. Clones count together.
#[derive(Debug, Clone)]
pub struct AttemptLog {
    writer: LogWriter,
    min_level: Level,
    state: Arc<AttemptState>,
}

#[derive(Debug)]
struct AttemptState {
    /// What is the same in each line, from behind the level to the quote before the message.
    origin: Vec<u8>,
    max_bytes: u64,
    /// Both are changed only under the writer's lock.
    stored_bytes: AtomicU64,
    dropped_lines: AtomicU64,
}

impl AttemptLog {
    /// The same log, where lines below `level` are neither stored nor counted (`logLevel`).
    #[must_use]
    pub fn with_min_level(mut self, level: Level) -> Self {
        self.min_level = level;
        self
    }

    /// A log that starts counting anew and keeps at most `max_bytes`.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.state = Arc::new(AttemptState {
            origin: self.state.origin.clone(),
            max_bytes,
            stored_bytes: AtomicU64::new(0),
            dropped_lines: AtomicU64::new(0),
        });
        self
    }

    /// Starts a run of lines. Nobody else's come between, and nobody else can log until it is dropped: so nothing slow
    /// may be done meanwhile.
    pub fn batch(&self) -> LogBatch<'_> {
        LogBatch { sink: self.writer.shared.lock(), log: self }
    }

    /// Logs one line.
    pub fn line(&self, time: Timestamp, level: Level, message: &[u8]) {
        self.batch().line(time, level, message);
    }

    /// How many bytes of the log were stored, as encoded.
    pub fn stored_bytes(&self) -> u64 {
        self.state.stored_bytes.load(Relaxed)
    }

    /// How many lines came after the log had its greatest size, and were not stored.
    pub fn dropped_lines(&self) -> u64 {
        self.state.dropped_lines.load(Relaxed)
    }

    /// Writes what is buffered to the file, that of others too. To be called at the end of the attempt. An error stays
    /// for [`LogWriter::flush`] to return once more.
    pub fn flush(&self) -> Result<()> {
        let mut sink = self.writer.shared.lock();
        sink.write();
        sink.error.clone().map_or(Ok(()), Err)
    }
}

/// A run of lines of one [`AttemptLog`].
#[derive(Debug)]
pub struct LogBatch<'a> {
    sink: MutexGuard<'a, Sink>,
    log: &'a AttemptLog,
}

impl LogBatch<'_> {
    /// Logs one line; `message` is without the line break, and is kept up to [`MAX_MESSAGE_BYTES`]. What is not UTF-8
    /// becomes U+FFFD.
    ///
    /// The line with which the log would grow beyond its bound is replaced by a warning that says so; that and all
    /// later lines are counted.
    pub fn line(&mut self, time: Timestamp, level: Level, message: &[u8]) {
        let AttemptLog { min_level, state, .. } = self.log;
        if level < *min_level {
            return;
        }
        if state.dropped_lines.load(Relaxed) > 0 {
            state.dropped_lines.fetch_add(1, Relaxed);
            return;
        }
        if self.sink.buffer.is_empty() {
            flush::soon(Arc::downgrade(&self.log.writer.shared));
        }
        let start = self.sink.buffer.len();
        self.encode(time, level, message);
        let size = (self.sink.buffer.len() - start) as u64;
        if state.stored_bytes.fetch_add(size, Relaxed) + size > state.max_bytes {
            state.stored_bytes.fetch_sub(size, Relaxed);
            state.dropped_lines.fetch_add(1, Relaxed);
            self.sink.buffer.truncate(start);
            let warning = format!(
                "the log of this attempt was cut here: it reached its bound of {} bytes; later lines are counted, \
                 not stored",
                state.max_bytes
            );
            self.encode(time, Level::Warn, warning.as_bytes());
        }
        if self.sink.buffer.len() >= BUFFER {
            self.sink.write();
        }
    }

    fn encode(&mut self, time: Timestamp, level: Level, message: &[u8]) {
        let Sink { buffer, time: clock, .. } = &mut *self.sink;
        buffer.extend_from_slice(b"{\"timestamp\":\"");
        clock.push(buffer, time);
        buffer.extend_from_slice(b"\",\"level\":\"");
        buffer.extend_from_slice(level.as_str().as_bytes());
        buffer.push(b'"');
        buffer.extend_from_slice(&self.log.state.origin);
        push_json_text(buffer, &message[..message.len().min(MAX_MESSAGE_BYTES)]);
        if let Some(cut) = message.len().checked_sub(MAX_MESSAGE_BYTES).filter(|&cut| cut > 0) {
            buffer.extend_from_slice(format!(" [{cut} more bytes were cut]").as_bytes());
        }
        buffer.extend_from_slice(b"\"}\n");
    }
}
