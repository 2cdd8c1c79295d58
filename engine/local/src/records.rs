//! The records of one execution: kept in the store, and shown to whoever watches.

use std::sync::Arc;

use jiff::Timestamp;
use weft_model::{Level, LogEntry, Metric};
use weft_state::{LogFilter, LogReader, LogWriter, MetricsFile};
use weft_worker::{LogSource, Records};

use crate::Observer;

/// How many lines `errorLogs()` gives: an error branch that reports a million lines helps nobody.
const MAX_ERRORS: usize = 1_000;

/// Where the log and the metrics of one execution go.
pub struct ExecutionRecords {
    /// Appends log lines.
    pub log: LogWriter,
    /// Reads them back.
    pub reader: LogReader,
    /// Metrics.
    pub metrics: MetricsFile,
    /// Whoever watches.
    pub observer: Arc<dyn Observer>,
}

impl ExecutionRecords {
    /// Adds a line of the engine itself. A log that cannot be written (full disk) does not stop the execution: its
    /// state, which is written apart, says so first.
    pub fn engine_line(&self, entry: &LogEntry) {
        let source = entry.task_id.as_ref().zip(entry.task_run_id.as_ref()).map(|(task_id, task_run_id)| LogSource {
            task_id: task_id.clone(),
            task_run_id: task_run_id.clone(),
            attempt: entry.attempt_number,
        });
        let _ = self.log.write(entry);
        for line in entry.message.lines() {
            self.observer.log(source.as_ref(), entry.timestamp, entry.level, line.as_bytes());
        }
    }
}

impl Records for ExecutionRecords {
    fn lines(&self, source: &LogSource, timestamp: Timestamp, lines: &mut dyn Iterator<Item = (Level, &[u8])>) {
        let mut batch = self.log.batch(&source.task_id, &source.task_run_id, source.attempt);
        for (level, line) in lines {
            batch.line(timestamp, level, line);
            self.observer.log(Some(source), timestamp, level, line);
        }
    }

    fn metrics(&self, metrics: &[Metric]) {
        if let Err(error) = self.metrics.append(metrics) {
            let message = format!("metrics are lost: {error}");
            self.observer.log(None, Timestamp::now(), Level::Warn, message.as_bytes());
        }
    }

    fn errors(&self) -> Vec<LogEntry> {
        let filter = LogFilter { level: Some(Level::Error), ..LogFilter::default() };
        // Lines on their way to the file belong to the answer.
        let _ = self.log.flush();
        self.reader.read(&filter).map(|entries| entries.take(MAX_ERRORS).flatten().collect()).unwrap_or_default()
    }
}
