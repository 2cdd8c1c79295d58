//! The state of an execution that another process may be running, without reading its journal again and again.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use memchr::memrchr;
use weft_model::State;

use super::record::{HEADER_LINE, LineRead};
use crate::{Result, StateError, json};

/// Follows the state of one execution: each look reads what was committed since the last.
#[derive(Debug)]
pub struct StateFollower {
    path: PathBuf,
    /// Up to where the journal was read: the end of a complete line.
    read: u64,
    state: Option<State>,
}

impl StateFollower {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: 0, state: None }
    }

    /// The state as last committed; none if there is no such execution.
    pub fn look(&mut self) -> Result<Option<State>> {
        let failed = |error| StateError::io("read", &self.path, error);
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                (self.read, self.state) = (0, None);
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let length = file.metadata().map_err(failed)?.len();
        // Half a line was cut off, or it is another journal: what was read means nothing.
        if length < self.read {
            (self.read, self.state) = (0, None);
        }
        if length == self.read {
            return Ok(self.state);
        }
        file.seek(SeekFrom::Start(self.read)).map_err(failed)?;
        let mut new = Vec::new();
        file.take(length - self.read).read_to_end(&mut new).map_err(failed)?;
        // What comes after the last line break is being written.
        new.truncate(memrchr(b'\n', &new).map_or(0, |end| end + 1));
        self.read += new.len() as u64;
        for line in new.split_inclusive(|&byte| byte == b'\n').rev() {
            if line.starts_with(HEADER_LINE)
                && let Ok(LineRead { header: Some(header), .. }) = json::read(line)
            {
                self.state = Some(header.current());
                break;
            }
        }
        Ok(self.state)
    }
}
