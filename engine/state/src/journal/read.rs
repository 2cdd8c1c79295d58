//! Reading journals.

use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use memchr::memrchr;
use serde::Deserialize;
use weft_model::Execution;

use super::record::{HEADER_LINE, LineRead, VERSION};
use crate::{Result, StateError, disk};

/// How much is read at once from the end of a file.
const CHUNK: u64 = 64 * 1024;

/// The execution as last committed; none if there is no journal, or nothing was ever committed.
pub(crate) fn load(path: &Path) -> Result<Option<Execution>> {
    let Some(bytes) = disk::read_if_there(path)? else { return Ok(None) };
    let mut loaded = Loaded::default();
    // What comes after the last line break is a commit that a crash interrupted: nobody was told of it.
    let complete = &bytes[..memrchr(b'\n', &bytes).map_or(0, |end| end + 1)];
    for (number, line) in complete.split_inclusive(|&byte| byte == b'\n').enumerate() {
        match parse(line, path, number + 1) {
            Ok(line) => loaded.apply(line, path, number + 1)?,
            Err(StateError::Corrupt { .. }) if is_last(line, complete) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(loaded.execution)
}

/// Whether `line` is the last one. Such a line can be damaged although it is complete: when the power fails before a
/// commit is on the disk, its end may be there and its beginning not.
fn is_last(line: &[u8], all: &[u8]) -> bool {
    line.as_ptr_range().end == all.as_ptr_range().end
}

#[derive(Default)]
struct Loaded {
    execution: Option<Execution>,
    /// Where each task run stands in the list.
    positions: HashMap<String, usize>,
}

impl Loaded {
    fn apply(&mut self, line: LineRead, path: &Path, number: usize) -> Result<()> {
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

/// The execution without its task runs as last committed, reading from the end as little as possible.
pub(crate) fn last_header(path: &Path) -> Result<Option<(Execution, u64)>> {
    let failed = |error| StateError::io("read", path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let length = file.metadata().map_err(failed)?.len();
    // `tail` is always the end of the file from `start` on.
    let (mut start, mut tail) = (length, Vec::new());
    let mut end: Option<usize> = None;
    loop {
        let size = CHUNK.min(start) as usize;
        let mut grown = vec![0; size];
        file.read_exact_at(&mut grown, start - size as u64).map_err(failed)?;
        end = end.map(|end| end + size);
        grown.append(&mut tail);
        (start, tail) = (start - size as u64, grown);
        // Lines are taken from the end as long as their beginning is known to be in `tail`.
        let mut stop = match end.or_else(|| memrchr(b'\n', &tail).map(|last| last + 1)) {
            Some(stop) => stop,
            None if start == 0 => return Ok(None),
            None => continue,
        };
        loop {
            let begin = match stop.checked_sub(1).and_then(|last| memrchr(b'\n', &tail[..last])) {
                Some(before) => before + 1,
                None if start == 0 => 0,
                None => break,
            };
            let line = &tail[begin..stop];
            if line.starts_with(HEADER_LINE)
                && let Ok(read) = serde_json::from_slice::<LineRead>(line)
                && let Some(header) = read.header
            {
                return Ok(Some((header, length)));
            }
            if begin == 0 && start == 0 {
                // Nothing in the form of this version. `load` tells what is wrong, if something is.
                return Ok(load(path)?.map(|execution| (execution, length)));
            }
            stop = begin;
        }
        end = Some(stop);
    }
}

/// How many bytes of the file are complete lines.
pub(super) fn complete_length(file: &File, path: &Path) -> Result<u64> {
    let failed = |error| StateError::io("read", path, error);
    let mut end = file.metadata().map_err(failed)?.len();
    let mut chunk = vec![0; CHUNK as usize];
    while end > 0 {
        let size = CHUNK.min(end) as usize;
        file.read_exact_at(&mut chunk[..size], end - size as u64).map_err(failed)?;
        if let Some(last) = memrchr(b'\n', &chunk[..size]) {
            return Ok(end - size as u64 + last as u64 + 1);
        }
        end -= size as u64;
    }
    Ok(0)
}

fn parse(line: &[u8], path: &Path, number: usize) -> Result<LineRead> {
    let reason = match serde_json::from_slice::<LineRead>(line) {
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
