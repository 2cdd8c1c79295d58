//! Summaries of ended executions in one file, so that listing thousands does not mean opening thousands.
//!
//! The journals are the truth. A line counts only while the journal has the length that the line recorded, so lines may
//! be lost, doubled, torn or outdated, and the file may be deleted at any time. Processes append without a lock: one
//! small write to a file opened for appending is not torn apart by others.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::journal::VERSION;
use crate::list::Summary;
use crate::{Result, disk};

/// How many useless lines there may be before the file is written anew.
const SLACK: usize = 1000;

/// The index of one data directory.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    path: PathBuf,
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    journal: u64,
    summary: &'a Summary,
}

#[derive(Deserialize)]
struct LineRead {
    v: u32,
    /// The journal's length in bytes when the summary was made.
    journal: u64,
    summary: Summary,
}

/// What the index says.
#[derive(Default)]
pub(crate) struct Indexed {
    summaries: HashMap<String, (u64, Summary)>,
    lines: usize,
}

impl Index {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Adds an ended execution. That this fails is no loss: the next listing reads the journal instead.
    pub(crate) fn add(&self, summary: &Summary, journal: u64) {
        let Some(line) = encode(summary, journal) else { return };
        let file = disk::private().append(true).create(true).open(&self.path);
        let _ = file.and_then(|mut file| file.write_all(&line));
    }

    pub(crate) fn read(&self) -> Result<Indexed> {
        let bytes = disk::read_if_there(&self.path)?.unwrap_or_default();
        let mut indexed = Indexed::default();
        for line in bytes.split(|&byte| byte == b'\n') {
            indexed.lines += 1;
            if let Ok(LineRead { v: VERSION, journal, summary }) = serde_json::from_slice(line) {
                indexed.summaries.insert(summary.id.clone(), (journal, summary));
            }
        }
        Ok(indexed)
    }

    /// Writes the file anew if most of it is of no use. `kept` is all that is.
    pub(crate) fn tidy(&self, lines: usize, kept: &[(u64, Summary)]) {
        if lines < 2 * kept.len() + SLACK {
            return;
        }
        let bytes: Vec<u8> =
            kept.iter().filter_map(|(journal, summary)| encode(summary, *journal)).flatten().collect();
        // What others append meanwhile is lost, which is no loss.
        let _ = disk::write_atomically(&self.path, &bytes, false);
    }
}

impl Indexed {
    /// The summary of the execution `id`, whose journal has `journal` bytes now.
    pub(crate) fn take(&mut self, id: &str, journal: u64) -> Option<Summary> {
        let (recorded, summary) = self.summaries.remove(id)?;
        (recorded == journal).then_some(summary)
    }

    /// How many lines the file has.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }
}

fn encode(summary: &Summary, journal: u64) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(&Line { v: VERSION, journal, summary }).ok()?;
    line.push(b'\n');
    Some(line)
}
