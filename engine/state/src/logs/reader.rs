//! Reading logs.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use weft_model::{Level, LogEntry};

use crate::backward::LinesBackward;
use crate::{Result, StateError};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// Which lines are wanted. The default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Of this level or a higher one.
    pub min_level: Option<Level>,
    /// Of this task.
    pub task_id: Option<String>,
    /// Of this task run.
    pub task_run_id: Option<String>,
    /// Of this attempt, counted from 0.
    pub attempt: Option<u32>,
}

impl LogFilter {
    /// Whether the line is wanted.
    pub fn matches(&self, entry: &LogEntry) -> bool {
        self.min_level.is_none_or(|level| entry.level >= level)
            && self.attempt.is_none_or(|attempt| entry.attempt_number == attempt)
            && (self.task_id.is_none() || self.task_id == entry.task_id)
            && (self.task_run_id.is_none() || self.task_run_id == entry.task_run_id)
    }
}

/// The lines of an execution's log, oldest first.
///
/// As an iterator it ends where the file ends at that moment, and goes on when asked again after the file grew. A file
/// that is not there is an empty one. Lines that a crash tore apart are skipped.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    filter: LogFilter,
    file: Option<BufReader<File>>,
    /// The beginning of a line whose end is not written yet.
    line: Vec<u8>,
}

impl LogReader {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, filter: LogFilter::default(), file: None, line: Vec::new() }
    }

    /// The same log with only the wanted lines.
    #[must_use]
    pub fn with_filter(mut self, filter: LogFilter) -> Self {
        self.filter = filter;
        self
    }

    /// The last `count` wanted lines, oldest first, found from the end of the file. Reading goes on behind them.
    pub fn tail(&mut self, count: usize) -> Result<Vec<LogEntry>> {
        self.line.clear();
        let (path, filter) = (self.path.clone(), self.filter.clone());
        let Some(reader) = self.open()? else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        let mut lines = LinesBackward::new(reader.get_ref(), &path)?;
        while entries.len() < count
            && let Some(line) = lines.next_line()?
        {
            entries.extend(parse(line).filter(|entry| filter.matches(entry)));
        }
        // An unfinished line is left for `next`.
        let end = SeekFrom::Start(lines.complete_length());
        reader.seek(end).map_err(|error| StateError::io("read", &path, error))?;
        entries.reverse();
        Ok(entries)
    }

    /// Goes on at the end of the file until `is_over` says that nothing more will come, waiting `pause` between looks.
    /// Blocks the thread.
    pub fn follow(
        mut self,
        pause: Duration,
        mut is_over: impl FnMut() -> bool,
    ) -> impl Iterator<Item = Result<LogEntry>> {
        let mut over = false;
        std::iter::from_fn(move || {
            loop {
                if let Some(entry) = self.next() {
                    return Some(entry);
                }
                if over {
                    return None;
                }
                // What was written before the end is read once more after it.
                over = is_over();
                if !over {
                    thread::sleep(pause);
                }
            }
        })
    }

    fn open(&mut self) -> Result<Option<&mut BufReader<File>>> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => Some(BufReader::with_capacity(CHUNK, file)),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(StateError::io("read", &self.path, error)),
            };
        }
        Ok(self.file.as_mut())
    }

    /// Reads to the end of the line; false if that is not there yet.
    fn read_line(&mut self) -> Result<bool> {
        let mut line = std::mem::take(&mut self.line);
        let read = match self.open()? {
            Some(reader) => reader.read_until(b'\n', &mut line).map(|_| ()),
            None => Ok(()),
        };
        self.line = line;
        read.map_err(|error| StateError::io("read", &self.path, error))?;
        Ok(self.line.ends_with(b"\n"))
    }
}

impl Iterator for LogReader {
    type Item = Result<LogEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read_line() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
            let entry = parse(&self.line).filter(|entry| self.filter.matches(entry));
            self.line.clear();
            if let Some(entry) = entry {
                return Some(Ok(entry));
            }
        }
    }
}

fn parse(line: &[u8]) -> Option<LogEntry> {
    serde_json::from_slice(line).ok()
}
