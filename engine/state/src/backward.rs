//! Reading the lines of a file from its end.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use memchr::memrchr;

use crate::{Result, StateError};

/// How much is read at once.
const CHUNK: u64 = 64 * 1024;

/// The complete lines of a file, the last one first. What follows the last line break is not looked at.
pub(crate) struct LinesBackward<'a> {
    file: &'a File,
    path: &'a Path,
    /// Where in the file `buffer` begins.
    start: u64,
    /// What lies between `start` and the lines that were returned.
    buffer: Vec<u8>,
    /// Where in `buffer` the line begins that was returned last.
    returned: usize,
    complete: u64,
}

impl<'a> LinesBackward<'a> {
    pub(crate) fn new(file: &'a File, path: &'a Path) -> Result<Self> {
        let length = file.metadata().map_err(|error| StateError::io("read", path, error))?.len();
        let mut lines = Self { file, path, start: length, buffer: Vec::new(), returned: 0, complete: 0 };
        while lines.start > 0 {
            lines.grow()?;
            if let Some(last) = memrchr(b'\n', &lines.buffer) {
                lines.returned = last + 1;
                lines.complete = lines.start + last as u64 + 1;
                break;
            }
            lines.buffer.clear();
        }
        Ok(lines)
    }

    /// How many bytes of the file are complete lines.
    pub(crate) fn complete_length(&self) -> u64 {
        self.complete
    }

    /// The line before, with its line break.
    pub(crate) fn next_line(&mut self) -> Result<Option<&[u8]>> {
        self.buffer.truncate(self.returned);
        loop {
            let before = self.buffer.split_last().and_then(|(_, rest)| memrchr(b'\n', rest));
            if before.is_none() && self.start > 0 {
                self.grow()?;
                continue;
            }
            self.returned = before.map_or(0, |position| position + 1);
            let line = &self.buffer[self.returned..];
            return Ok((!line.is_empty()).then_some(line));
        }
    }

    /// Reads what stands before the buffer.
    fn grow(&mut self) -> Result<()> {
        let size = CHUNK.min(self.start);
        let mut grown = vec![0; size as usize];
        self.file
            .read_exact_at(&mut grown, self.start - size)
            .map_err(|error| StateError::io("read", self.path, error))?;
        grown.append(&mut self.buffer);
        self.start -= size;
        self.buffer = grown;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_come_from_the_end() {
        let long = "x".repeat(150_000);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (content, complete, expected) in [
            (String::new(), 0, vec![]),
            ("no end".to_owned(), 0, vec![]),
            ("a\n".to_owned(), 2, vec!["a\n"]),
            ("\n\n".to_owned(), 2, vec!["\n", "\n"]),
            ("a\nb\ntorn".to_owned(), 4, vec!["b\n", "a\n"]),
            (format!("a\n{long}\nb\n"), 150_005, vec!["b\n", &format!("{long}\n"), "a\n"]),
            (format!("{long}\n{long}"), 150_001, vec![&format!("{long}\n")]),
            (long, 0, vec![]),
        ] {
            fs::write(&path, &content).unwrap();
            let file = File::open(&path).unwrap();
            let mut lines = LinesBackward::new(&file, &path).unwrap();
            assert_eq!(lines.complete_length(), complete);
            let mut found = Vec::new();
            while let Some(line) = lines.next_line().unwrap() {
                found.push(String::from_utf8(line.to_vec()).unwrap());
            }
            assert!(found == expected, "{} bytes", content.len());
            assert!(lines.next_line().unwrap().is_none());
        }
    }
}
