//! Where the log lines and metrics of one execution go, and the log of one attempt on the way there.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use weft_model::{Failure, Level, LogEntry, Metric, TaskRunRequest};

use crate::mask::{LineMasker, Masker};

/// Where the records of one execution are kept, and whoever watches them. Called from many threads.
pub trait Records: Send + Sync {
    /// Where the lines of one attempt go. Asked for once for each attempt.
    fn attempt(&self, source: &LogSource) -> Box<dyn AttemptRecords>;
    /// Takes the metrics of one attempt, added up.
    fn metrics(&self, metrics: &[Metric]);
    /// Lines of level ERROR so far, for `errorLogs()`.
    fn errors(&self) -> Vec<LogEntry>;
}

/// Where the log lines of one attempt go.
pub trait AttemptRecords: Send + Sync {
    /// Takes lines, in order, all seen at this moment. Secrets are masked already.
    fn lines(&self, timestamp: Timestamp, lines: &mut dyn Iterator<Item = (Level, &[u8])>);
    /// The attempt has ended: what was taken is to be seen by readers now.
    fn flush(&self);
}

/// Which attempt says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSource {
    /// The task's id in the flow.
    pub task_id: String,
    /// The task run.
    pub task_run_id: String,
    /// The attempt, from 0.
    pub attempt: u32,
}

/// The log of one attempt: drops what is below the task's level, masks secrets, keeps a copy as a file if asked to.
pub struct TaskLog {
    source: LogSource,
    threshold: Level,
    masker: Masker,
    lines: Mutex<LineMasker>,
    records: Arc<dyn Records>,
    attempt: Box<dyn AttemptRecords>,
    copy: Option<Mutex<LogCopy>>,
}

/// A file with the same lines, as long as the log may be.
struct LogCopy {
    file: tempfile::NamedTempFile,
    bytes_left: u64,
}

impl LogCopy {
    /// Adds a line. A copy that cannot be written (full disk) ends early; the log itself goes on.
    fn write(&mut self, timestamp: Timestamp, level: Level, line: &[u8]) {
        let bytes = line.len() as u64;
        if self.bytes_left == 0 {
            return;
        }
        let line = if bytes < self.bytes_left { line } else { b"the log was cut here: it reached its bound" };
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        let _ = write!(self.file, "{timestamp} {} ", level.as_str())
            .and_then(|()| self.file.write_all(line))
            .and_then(|()| self.file.write_all(b"\n"));
    }
}

impl TaskLog {
    /// The log of the attempt that `request` asks for. A copy of it has at most `copy_bytes`.
    pub fn new(request: &TaskRunRequest, records: Arc<dyn Records>, masker: Masker, copy_bytes: u64) -> Self {
        let source = LogSource {
            task_id: request.task_id.clone(),
            task_run_id: request.task_run_id.clone(),
            attempt: request.attempt,
        };
        // Without a temporary file there is no copy; the log itself is not worth failing the task for.
        let copy = request
            .log_to_file
            .then(tempfile::NamedTempFile::new)
            .and_then(Result::ok)
            .map(|file| Mutex::new(LogCopy { file, bytes_left: copy_bytes }));
        let threshold = request.log_level.unwrap_or(Level::Trace);
        Self { copy, ..Self::of(source, threshold, records, masker) }
    }

    /// The log of whatever says something, from a level on.
    pub fn of(source: LogSource, threshold: Level, records: Arc<dyn Records>, masker: Masker) -> Self {
        let attempt = records.attempt(&source);
        Self { source, attempt, threshold, lines: Mutex::new(masker.lines()), masker, records, copy: None }
    }

    /// Adds one message; each of its lines is a line of the log.
    pub fn write(&self, level: Level, message: &str) {
        let mut lines = message.lines().map(|line| (level, line.as_bytes()));
        if message.is_empty() {
            self.write_lines(&mut std::iter::once((level, &b""[..])));
        } else {
            self.write_lines(&mut lines);
        }
    }

    /// Adds lines, all seen at this moment.
    pub fn write_lines(&self, lines: &mut dyn Iterator<Item = (Level, &[u8])>) {
        let timestamp = Timestamp::now();
        let mut kept = lines.filter(|(level, _)| *level >= self.threshold);
        if self.masker.is_empty() && self.copy.is_none() {
            return self.attempt.lines(timestamp, &mut kept);
        }
        let masked: Vec<_> = {
            let mut masker = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            kept.map(|(level, line)| (level, masker.mask(line))).collect()
        };
        self.attempt.lines(timestamp, &mut masked.iter().map(|(level, line)| (*level, line.as_ref())));
        if let Some(copy) = &self.copy {
            let mut copy = copy.lock().unwrap_or_else(PoisonError::into_inner);
            for (level, line) in &masked {
                copy.write(timestamp, *level, line);
            }
        }
    }

    /// Hides this text from now on.
    pub fn hide(&self, secret: &str) {
        self.masker.add(secret);
    }

    /// Masks the secrets in what a failure says.
    pub fn mask_failure(&self, failure: &mut Failure) {
        self.masker.mask_failure(failure);
    }

    /// Keeps metrics, without the secrets that their names and tags may hold.
    pub fn metrics(&self, mut metrics: Vec<Metric>) {
        metrics.iter_mut().for_each(|metric| self.masker.mask_metric(metric));
        self.records.metrics(&metrics);
    }

    /// The attempt that speaks.
    pub fn source(&self) -> &LogSource {
        &self.source
    }

    /// Ends the log. The result is its copy, if one was asked for.
    pub fn finish(self) -> Option<tempfile::NamedTempFile> {
        self.attempt.flush();
        self.copy.map(|copy| copy.into_inner().unwrap_or_else(PoisonError::into_inner).file)
    }
}
