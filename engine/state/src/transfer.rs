//! Moving executions and values elsewhere, as JSON lines: the way to another store.
//!
//! ```text
//! {"v":1,"kind":"execution","flow":"id: ...","execution":{...},"hidden":["..."]}
//! {"v":1,"kind":"log","executionId":"...","entry":{...}}
//! {"v":1,"kind":"metric","executionId":"...","metric":{...}}
//! {"v":1,"kind":"kv","namespace":"...","key":"...","value":{...}}
//! ```
//! An execution stands before its logs and metrics. `hidden` is what is not to be shown of it, sealed; where that was masked
//! instead, there is `"masked":true`.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weft_model::{Execution, LogEntry, Metric};

use crate::journal::VERSION;
use crate::{
    AttemptLog, JournalStore, KeptExecution, KvStore, KvValue, LogWriter, Owner, Result, StateError, Summary,
    json,
};

/// What was moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Executions.
    pub executions: usize,
    /// Log lines.
    pub logs: usize,
    /// Metrics.
    pub metrics: usize,
    /// Values of the key-value store.
    pub values: usize,
    /// Executions of which something was masked when they were exported: they have [`Mask`]'s word for it in its place.
    pub masked: usize,
    /// Executions and values that were left out: at an import those that were there already, at an export those that
    /// cannot be read.
    pub skipped: usize,
}

#[derive(Serialize, Deserialize)]
struct Line {
    v: u32,
    #[serde(flatten)]
    record: Record,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", rename_all_fields = "camelCase")]
enum Record {
    Execution {
        flow: String,
        execution: Box<Execution>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hidden: Vec<String>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        masked: bool,
    },
    Log {
        execution_id: String,
        entry: LogEntry,
    },
    Metric {
        execution_id: String,
        metric: Metric,
    },
    Kv {
        namespace: String,
        key: String,
        value: KvValue,
    },
}

/// Takes what is not to be shown of one execution out of its records.
pub trait Mask {
    /// Masks the execution and its task runs.
    fn execution(&mut self, execution: &mut Execution);
    /// Masks a line of the log. They come in order.
    fn line(&mut self, entry: &mut LogEntry);
    /// Masks a metric.
    fn metric(&mut self, metric: &mut Metric);
}

/// Writes everything to `out`, oldest execution first, as it is stored. An execution that is under way is written as it
/// stands.
pub fn export(executions: &JournalStore, values: &KvStore, out: &mut dyn Write) -> Result<Counts> {
    write_all(executions, values, None, out)
}

/// What masks an execution of which something is not to be shown; none if it cannot be found out what.
type Masks<'m> = &'m dyn Fn(&KeptExecution) -> Option<Box<dyn Mask>>;

/// The same without secrets: `masks` gives what masks an execution of which something is not to be shown. An execution for
/// which it gives nothing is left out.
pub fn export_masked(
    executions: &JournalStore,
    values: &KvStore,
    masks: Masks<'_>,
    out: &mut dyn Write,
) -> Result<Counts> {
    write_all(executions, values, Some(masks), out)
}

fn write_all(
    executions: &JournalStore,
    values: &KvStore,
    masks: Option<Masks<'_>>,
    out: &mut dyn Write,
) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut write = |record| -> Result<()> {
        let failed = |error: io::Error| StateError::io("write", Path::new("the export"), error);
        serde_json::to_writer(&mut *out, &Line { v: VERSION, record })
            .map_err(|error| failed(error.into()))?;
        out.write_all(b"\n").map_err(failed)
    };
    let listing = executions.list_all()?;
    counts.skipped += listing.unreadable.len();
    for Summary { id, .. } in listing.executions.into_iter().rev() {
        let mut kept = match executions.load_kept(&id) {
            Ok(Some(kept)) => kept,
            // Deleted meanwhile.
            Ok(None) => continue,
            Err(StateError::Corrupt { .. } | StateError::NewerVersion { .. }) => {
                counts.skipped += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        let flow = executions.flow_source(&id)?.unwrap_or_default();
        let mut mask = None;
        if let Some(masks) = masks.filter(|_| !kept.hidden.is_empty()) {
            let Some(mut found) = masks(&kept) else {
                counts.skipped += 1;
                continue;
            };
            found.execution(&mut kept.execution);
            kept.hidden.clear();
            counts.masked += 1;
            mask = Some(found);
        }
        let KeptExecution { execution, hidden } = kept;
        let masked = mask.is_some();
        write(Record::Execution { flow, execution: Box::new(execution), hidden, masked })?;
        counts.executions += 1;
        for entry in executions.log_reader(&id)? {
            let mut entry = entry?;
            if let Some(mask) = &mut mask {
                mask.line(&mut entry);
            }
            write(Record::Log { execution_id: id.clone(), entry })?;
            counts.logs += 1;
        }
        for mut metric in executions.metrics(&id)?.read()? {
            if let Some(mask) = &mut mask {
                mask.metric(&mut metric);
            }
            write(Record::Metric { execution_id: id.clone(), metric })?;
            counts.metrics += 1;
        }
    }
    let now = Timestamp::now();
    for namespace in values.namespaces()? {
        for key in values.keys(&namespace, "", now)? {
            if let Some(value) = values.get(&namespace, &key, now)? {
                write(Record::Kv { namespace: namespace.clone(), key, value })?;
                counts.values += 1;
            }
        }
    }
    Ok(counts)
}

/// Reads what [`export`] wrote. Executions and values that are there already stay as they are.
pub fn import(executions: &JournalStore, values: &KvStore, input: &mut dyn BufRead) -> Result<Counts> {
    let mut import = Import { executions, values, counts: Counts::default(), current: None };
    let source = Path::new("the import");
    for (number, line) in input.lines().enumerate() {
        let line = line.map_err(|error| StateError::io("read", source, error))?;
        import.record(parse(&line, source, number + 1)?)?;
    }
    import.finish_execution()?;
    Ok(import.counts)
}

/// A running import.
struct Import<'a> {
    executions: &'a JournalStore,
    values: &'a KvStore,
    counts: Counts,
    current: Option<Current>,
}

/// The execution whose logs and metrics are expected.
struct Current {
    id: String,
    writer: LogWriter,
    /// A log for each task run and attempt that was met.
    logs: HashMap<(Option<String>, u32), AttemptLog>,
}

impl Import<'_> {
    fn record(&mut self, record: Record) -> Result<()> {
        match record {
            Record::Execution { flow, execution, hidden, masked } => {
                self.finish_execution()?;
                match self.executions.create_hiding(&execution, &flow, &hidden, &Owner::current()) {
                    Ok(_journal) => {
                        self.counts.masked += usize::from(masked);
                        let writer = self.executions.log_writer(&execution.id)?;
                        self.current = Some(Current { id: execution.id, writer, logs: HashMap::new() });
                        self.counts.executions += 1;
                    }
                    Err(StateError::Exists { .. }) => self.counts.skipped += 1,
                    Err(error) => return Err(error),
                }
            }
            Record::Log { execution_id, entry } => {
                if let Some(current) = self.current.as_mut().filter(|current| current.id == execution_id) {
                    current.log(&entry);
                    self.counts.logs += 1;
                }
            }
            Record::Metric { execution_id, metric } => {
                if self.current.as_ref().is_some_and(|current| current.id == execution_id) {
                    self.executions.metrics(&execution_id)?.append(&[metric])?;
                    self.counts.metrics += 1;
                }
            }
            Record::Kv { namespace, key, value } => match self.values.set(&namespace, &key, &value, false) {
                Ok(()) => self.counts.values += 1,
                Err(StateError::KeyExists { .. }) => self.counts.skipped += 1,
                Err(error) => return Err(error),
            },
        }
        Ok(())
    }

    fn finish_execution(&mut self) -> Result<()> {
        self.current.take().map_or(Ok(()), |current| current.writer.flush())
    }
}

impl Current {
    fn log(&mut self, entry: &LogEntry) {
        let key = (entry.task_run_id.clone(), entry.attempt_number);
        let log = self.logs.entry(key).or_insert_with(|| match (&entry.task_id, &entry.task_run_id) {
            (Some(task), Some(task_run)) => self.writer.attempt(task, task_run, entry.attempt_number),
            _ => self.writer.execution(),
        });
        log.line(entry.timestamp, entry.level, entry.message.as_bytes());
    }
}

fn parse(line: &str, source: &Path, number: usize) -> Result<Record> {
    let corrupt = |error: serde_json::Error| StateError::Corrupt {
        path: source.to_owned(),
        line: Some(number),
        reason: error.to_string(),
    };
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let Version { v } = serde_json::from_str(line).map_err(corrupt)?;
    if v != VERSION {
        return Err(StateError::NewerVersion { path: source.to_owned(), found: v, known: VERSION });
    }
    Ok(json::read::<Line>(line.as_bytes()).map_err(corrupt)?.record)
}
