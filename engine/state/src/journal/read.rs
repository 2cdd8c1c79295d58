//! Reading journals.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::Path;

use memchr::memrchr;
use serde::Deserialize;
use weft_model::Execution;

use super::record::{HEADER_LINE, LineRead, VERSION};
use crate::backward::LinesBackward;
use crate::{Result, StateError, disk, json};

/// An execution as last committed.
pub(crate) struct Loaded {
    pub(crate) execution: Execution,
    /// What is not to be shown of it, sealed.
    pub(crate) hidden: Vec<String>,
    /// Where in the journal the last commit ends.
    pub(crate) length: u64,
}

/// Reads a journal; none if it is not there, or nothing was ever committed.
pub(crate) fn load(path: &Path) -> Result<Option<Loaded>> {
    let Some(bytes) = disk::read_if_there(path)? else { return Ok(None) };
    let mut commits = Commits::default();
    let mut length = 0;
    // What comes after the last line break is a commit that a crash interrupted: nobody was told of it.
    let complete = &bytes[..memrchr(b'\n', &bytes).map_or(0, |end| end + 1)];
    for (number, line) in complete.split_inclusive(|&byte| byte == b'\n').enumerate() {
        match parse(line, path, number + 1) {
            Ok(line) => commits.apply(line, path, number + 1)?,
            Err(StateError::Corrupt { .. }) if is_last(line, complete) => break,
            Err(error) => return Err(error),
        }
        length += line.len() as u64;
    }
    let Commits { execution, hidden, .. } = commits;
    Ok(execution.map(|execution| Loaded { execution, hidden, length }))
}

/// Whether `line` is the last one. Such a line can be damaged although it is complete: when the power fails before a
/// commit is on the disk, its end may be there and its beginning not.
fn is_last(line: &[u8], all: &[u8]) -> bool {
    line.as_ptr_range().end == all.as_ptr_range().end
}

/// What the lines read so far amount to.
#[derive(Default)]
struct Commits {
    execution: Option<Execution>,
    /// A commit that replaces what was before takes nothing of it away.
    hidden: Vec<String>,
    /// Where each task run stands in the list.
    positions: HashMap<String, usize>,
}

impl Commits {
    fn apply(&mut self, mut line: LineRead, path: &Path, number: usize) -> Result<()> {
        self.hidden.append(&mut line.hidden);
        let mut task_runs = match &mut self.execution {
            Some(execution) if !line.reset => std::mem::take(&mut execution.task_run_list),
            _ => {
                self.positions.clear();
                Vec::new()
            }
        };
        for task_run in line.task_runs {
            match self.positions.get(&task_run.id) {
                Some(&position) => task_runs[position] = task_run,
                None => {
                    self.positions.insert(task_run.id.clone(), task_runs.len());
                    task_runs.push(task_run);
                }
            }
        }
        if let Some(header) = line.header {
            self.execution = Some(header);
        }
        let Some(execution) = &mut self.execution else {
            let reason = "the first line has no `header`".to_owned();
            return Err(StateError::Corrupt { path: path.to_owned(), line: Some(number), reason });
        };
        execution.task_run_list = task_runs;
        Ok(())
    }
}

/// The source of the flow, from the first line.
pub(crate) fn flow_source(path: &Path) -> Result<Option<String>> {
    let failed = |error| StateError::io("read", path, error);
    let Some(file) = open_if_there(path)? else { return Ok(None) };
    let mut line = Vec::new();
    BufReader::new(file).read_until(b'\n', &mut line).map_err(failed)?;
    if !line.ends_with(b"\n") {
        return Ok(None);
    }
    Ok(parse(&line, path, 1)?.flow)
}

/// The execution without its task runs as last committed and the length of its journal in bytes, reading as little as
/// possible.
pub(crate) fn last_header(path: &Path) -> Result<Option<(Execution, u64)>> {
    let Some(file) = open_if_there(path)? else { return Ok(None) };
    let length = file.metadata().map_err(|error| StateError::io("read", path, error))?.len();
    let mut lines = LinesBackward::new(&file, path)?;
    while let Some(line) = lines.next_line()? {
        if line.starts_with(HEADER_LINE)
            && let Ok(LineRead { header: Some(header), .. }) = json::read(line)
        {
            return Ok(Some((header, length)));
        }
    }
    // Nothing in the form of this version: `load` tells what is wrong, if something is.
    Ok(load(path)?.map(|loaded| (loaded.execution, length)))
}

fn open_if_there(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateError::io("read", path, error)),
    }
}

fn parse(line: &[u8], path: &Path, number: usize) -> Result<LineRead> {
    let reason = match json::read::<LineRead>(line) {
        Ok(read) if read.v == VERSION => return Ok(read),
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    // A line of another format may have any shape beside its `v`.
    match serde_json::from_slice::<Version>(line) {
        Ok(Version { v }) if v != VERSION => {
            Err(StateError::NewerVersion { path: path.to_owned(), found: v, known: VERSION })
        }
        _ => Err(StateError::Corrupt { path: path.to_owned(), line: Some(number), reason }),
    }
}
