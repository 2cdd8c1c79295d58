//! The records of one execution: kept in the store, and shown to whoever watches.

use std::sync::Arc;

use jiff::Timestamp;
use weft_model::{Level, LogEntry, Metric};
use weft_state::{AttemptLog, JournalStore, LogFilter, LogWriter, MetricsFile};
use weft_worker::{AttemptRecords, LogSource, Records};

use crate::relatives::Family;
use crate::{LocalError, Observer};

/// How many lines `errorLogs()` gives: an error branch that reports a million lines helps nobody.
const MAX_ERRORS: usize = 1_000;

/// Where the log and the metrics of one execution go.
pub struct ExecutionRecords {
    id: String,
    store: JournalStore,
    log: LogWriter,
    /// How much of the log of one attempt is kept.
    log_bytes: u64,
    metrics: MetricsFile,
    /// Whoever watches.
    pub observer: Arc<dyn Observer>,
}

impl ExecutionRecords {
    /// The records of the execution `id`, with so many bytes of log of each attempt. Nothing is made before there is
    /// something to keep.
    pub fn new(
        store: &JournalStore,
        id: &str,
        log_bytes: u64,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, LocalError> {
        Ok(Self {
            id: id.to_owned(),
            store: store.clone(),
            log: store.log_writer(id)?,
            log_bytes,
            metrics: store.metrics(id)?,
            observer,
        })
    }

    /// The executions that this one has to do with.
    pub(crate) fn family(&self) -> Family {
        Family::new(&self.store, &self.id)
    }

    /// Adds a line of the engine itself.
    pub fn engine_line(&self, entry: &LogEntry) {
        let source =
            entry.task_id.as_ref().zip(entry.task_run_id.as_ref()).map(|(task_id, task_run_id)| LogSource {
                task_id: task_id.clone(),
                task_run_id: task_run_id.clone(),
                attempt: entry.attempt_number,
            });
        let log = match &source {
            Some(source) => self.log.attempt(&source.task_id, &source.task_run_id, source.attempt),
            None => self.log.execution(),
        };
        for line in entry.message.lines() {
            log.line(entry.timestamp, entry.level, line.as_bytes());
            self.observer.log(source.as_ref(), entry.timestamp, entry.level, line.as_bytes());
        }
    }

    /// Logs what the engine itself has to say of the execution.
    pub fn say(&self, level: Level, message: String) {
        let timestamp = Timestamp::now();
        self.engine_line(&LogEntry {
            timestamp,
            level,
            task_id: None,
            task_run_id: None,
            attempt_number: 0,
            message,
        });
    }

    /// Makes every line so far visible to readers. A log that cannot be written (full disk) does not fail an execution:
    /// its state, which is written apart, says what became of it.
    pub fn flush(&self) {
        if let Err(error) = self.log.flush() {
            let message = format!("log lines are lost: {error}");
            self.observer.log(None, Timestamp::now(), Level::Error, message.as_bytes());
        }
    }
}

impl Records for ExecutionRecords {
    fn attempt(&self, source: &LogSource) -> Box<dyn AttemptRecords> {
        Box::new(Attempt {
            log: self
                .log
                .attempt(&source.task_id, &source.task_run_id, source.attempt)
                .with_max_bytes(self.log_bytes),
            source: source.clone(),
            observer: Arc::clone(&self.observer),
        })
    }

    fn metrics(&self, metrics: &[Metric]) {
        if let Err(error) = self.metrics.append(metrics) {
            let message = format!("metrics are lost: {error}");
            self.observer.log(None, Timestamp::now(), Level::Error, message.as_bytes());
        }
    }

    fn errors(&self) -> Vec<LogEntry> {
        // Lines on their way to the file belong to the answer.
        self.flush();
        let filter = LogFilter { min_level: Some(Level::Error), ..LogFilter::default() };
        let reader = self.store.log_reader(&self.id).map(|reader| reader.with_filter(filter));
        reader.map(|reader| reader.flatten().take(MAX_ERRORS).collect()).unwrap_or_default()
    }
}

/// Where the lines of one attempt go.
struct Attempt {
    log: AttemptLog,
    source: LogSource,
    observer: Arc<dyn Observer>,
}

impl AttemptRecords for Attempt {
    fn lines(&self, timestamp: Timestamp, lines: &mut dyn Iterator<Item = (Level, &[u8])>) {
        let lines: Vec<(Level, &[u8])> = lines.collect();
        let mut batch = self.log.batch();
        for &(level, line) in &lines {
            batch.line(timestamp, level, line);
        }
        // Observers may take their time, and a batch keeps everybody else from logging.
        drop(batch);
        for (level, line) in lines {
            self.observer.log(Some(&self.source), timestamp, level, line);
        }
    }

    fn flush(&self) {
        // Reported at the end of the execution, where every error of the log is.
        let _ = self.log.flush();
    }
}
