//! The records of a file: JSON values one after the other (one in each line, or with any blanks between them), one JSON
//! list of documents, or Ion text.

use std::io::Read;

use serde::de::DeserializeSeed as _;
use weft_sdk::{Error, Result};

use crate::encode::{IdRule, Record};
use crate::error;
use crate::ion;

/// How much is read at a time.
const BLOCK: usize = 1 << 20;
/// The text of one record may have so many bytes: a document has 16 MiB at most, and its text rarely thrice as many.
const MAX_RECORD: usize = 64 << 20;

/// Reads records and hands them on in BSON.
pub struct Records<R> {
    source: R,
    buffer: Vec<u8>,
    /// What lies before was taken.
    start: usize,
    ended: bool,
    /// Records so far.
    count: u64,
    /// The line in which `start` is.
    line: u64,
    /// Inside of a list whose items are the records.
    list: bool,
    ion: bool,
}

/// A record's end.
enum Extent {
    /// It has so many bytes.
    Whole(usize),
    /// It goes on after what was read.
    Open,
}

impl<R: Read> Records<R> {
    /// The records of `source`; `ion` where it is known to be Ion text.
    pub fn new(source: R, ion: bool) -> Self {
        Self { source, buffer: Vec::new(), start: 0, ended: false, count: 0, line: 1, list: false, ion }
    }

    /// Records so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Appends the next record to `out`; false at the end of the file.
    pub fn next(&mut self, out: &mut Vec<u8>, id: Option<&IdRule>) -> Result<bool> {
        // Not after the record before: that one is there, whatever follows it.
        if self.list && self.count > 0 {
            self.skip_comma()?;
        }
        if !self.skip_blanks()? {
            return Ok(false);
        }
        if self.count == 0 && !self.list && !self.ion && self.buffer[self.start] == b'[' {
            self.list = true;
            self.take(1);
            if !self.skip_blanks()? {
                return Err(self.wrong("the list has no end"));
            }
        }
        if self.list && self.buffer[self.start] == b']' {
            self.take(1);
            self.list = false;
            if self.skip_blanks()? {
                return Err(self.wrong("something follows the list of documents"));
            }
            return Ok(false);
        }
        let length = if self.ion { self.ion_record(out, id)? } else { self.json_record(out, id)? };
        self.count += 1;
        self.take(length);
        Ok(true)
    }

    fn json_record(&mut self, out: &mut Vec<u8>, id: Option<&IdRule>) -> Result<usize> {
        let length = loop {
            match extent(&self.buffer[self.start..], self.ended) {
                Extent::Whole(length) => break length,
                Extent::Open => self.more()?,
            }
        };
        let text = &self.buffer[self.start..self.start + length];
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let record = Record { out, id };
        let read = record.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        match read {
            Ok(()) => Ok(length),
            Err(problem) if problem.is_data() => Err(self.wrong(&without_place(&problem))),
            // Ion would take it, but no writer of Ion writes it: it is a slip of somebody who wrote JSON.
            Err(problem) if problem.to_string().starts_with("trailing comma") => {
                Err(self.wrong(&format!("not valid JSON: {problem}")))
            }
            // Not JSON; Ion text has more forms.
            Err(problem) => {
                let start = out.len();
                match self.ion_record(out, id) {
                    Ok(length) => {
                        self.ion = true;
                        Ok(length)
                    }
                    Err(_) => {
                        out.truncate(start);
                        let message = format!("not valid JSON: {problem}");
                        Err(self.wrong(&message))
                    }
                }
            }
        }
    }

    fn ion_record(&mut self, out: &mut Vec<u8>, id: Option<&IdRule>) -> Result<usize> {
        loop {
            let bytes = &self.buffer[self.start..];
            let text = match std::str::from_utf8(bytes) {
                Ok(text) => text,
                // The end of what was read may be in the middle of a letter.
                Err(problem) if problem.error_len().is_none() && !self.ended => {
                    std::str::from_utf8(&bytes[..problem.valid_up_to()]).unwrap_or_default()
                }
                Err(_) => return Err(self.wrong("not UTF-8 text")),
            };
            match ion::first(text, self.ended) {
                Ok(Some((value, length))) => {
                    let record = Record { out, id };
                    return match record.deserialize(value) {
                        Ok(()) => Ok(length),
                        Err(problem) => Err(self.wrong(&without_place(&problem))),
                    };
                }
                Ok(None) | Err(ion::Problem::End) if !self.ended => self.more()?,
                Ok(None) | Err(ion::Problem::End) => {
                    return Err(self.wrong("it ends in the middle of a value"));
                }
                Err(ion::Problem::Wrong { at, expected }) => {
                    let found: String = text[at..].chars().take(20).collect();
                    return Err(
                        self.wrong(&format!("not valid Ion text: expected {expected}, found `{found}`"))
                    );
                }
            }
        }
    }

    /// Moves to the next byte that counts; false at the end of the file.
    fn skip_blanks(&mut self) -> Result<bool> {
        loop {
            let rest = &self.buffer[self.start..];
            let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let found = blanks < rest.len();
            self.take(blanks);
            if found && self.ion && self.is_ion_blank()? {
                continue;
            }
            if found {
                return Ok(true);
            }
            if self.ended {
                return Ok(false);
            }
            self.more()?;
        }
    }

    /// Whether comments are all that is left of an Ion text; only then there is no value.
    fn is_ion_blank(&mut self) -> Result<bool> {
        while self.buffer[self.start] == b'/' && !self.ended {
            let text = String::from_utf8_lossy(&self.buffer[self.start..]).into_owned();
            match ion::first(&text, false) {
                Ok(None) | Err(ion::Problem::End) => self.more()?,
                _ => return Ok(false),
            }
        }
        let rest = &self.buffer[self.start..];
        if rest.first() == Some(&b'/')
            && std::str::from_utf8(rest).is_ok_and(|text| ion::first(text, true) == Ok(None))
        {
            self.take(rest.len());
            return Ok(true);
        }
        Ok(false)
    }

    fn skip_comma(&mut self) -> Result<()> {
        if !self.skip_blanks()? {
            return Err(self.wrong("the list has no end"));
        }
        match self.buffer[self.start] {
            b',' => {
                self.take(1);
                Ok(())
            }
            b']' => Ok(()),
            _ => Err(self.wrong("expected `,` or `]` after a document of the list")),
        }
    }

    fn take(&mut self, bytes: usize) {
        let taken = &self.buffer[self.start..self.start + bytes];
        self.line += taken.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.start += bytes;
    }

    fn more(&mut self) -> Result<()> {
        if self.buffer.len() - self.start > MAX_RECORD {
            let message = format!("its text has more than {} MiB", MAX_RECORD >> 20);
            return Err(Error::new("mongodb.too-large", self.place(&message)));
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + BLOCK, 0);
        let mut filled = length;
        while filled < self.buffer.len() {
            match self.source.read(&mut self.buffer[filled..])? {
                0 => {
                    self.ended = true;
                    break;
                }
                read => filled += read,
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }

    fn wrong(&self, problem: &str) -> Error {
        error::document(self.place(problem))
    }

    /// A message about the record that is being read.
    pub fn place(&self, problem: &str) -> String {
        format!("record {} (line {}): {problem}", self.count + 1, self.line)
    }
}

/// The problem without the line and column that are those of the record alone.
fn without_place(problem: &serde_json::Error) -> String {
    let text = problem.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// Where the JSON value at the beginning of `bytes` ends, if it is one. What it holds is not looked at.
fn extent(bytes: &[u8], ended: bool) -> Extent {
    let (mut depth, mut at) = (0usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                loop {
                    match bytes.get(at) {
                        Some(b'"') => break,
                        Some(b'\\') => at += 2,
                        Some(_) => at += 1,
                        None if ended => return Extent::Whole(bytes.len()),
                        None => return Extent::Open,
                    }
                }
                if depth == 0 {
                    return Extent::Whole(at + 1);
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Extent::Whole(at + 1);
                }
            }
            byte if depth == 0 && (byte.is_ascii_whitespace() || byte == b',') => return Extent::Whole(at),
            _ => {}
        }
        at += 1;
    }
    if ended { Extent::Whole(bytes.len()) } else { Extent::Open }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    /// Gives a few bytes at a time, so that every place is the end of what was read once.
    struct Drops<'t>(&'t [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = buffer.len().min(3).min(self.0.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn read(text: &str, ion: bool) -> (Vec<Document>, Option<String>) {
        let mut records = Records::new(Drops(text.as_bytes()), ion);
        let mut found = Vec::new();
        loop {
            let mut out = Vec::new();
            match records.next(&mut out, None) {
                Ok(true) => found.push(Document::from_reader(&out[..]).unwrap()),
                Ok(false) => return (found, None),
                Err(error) => return (found, Some(error.message().to_owned())),
            }
        }
    }

    #[test]
    fn records_in_all_forms() {
        let three = vec![doc! {"a": 1}, doc! {"a": "}\\\""}, doc! {"a": [{}]}];
        for text in [
            "{\"a\": 1}\n{\"a\": \"}\\\\\\\"\"}\n{\"a\": [{}]}\n",
            "{\"a\":1}{\"a\":\"}\\\\\\\"\"}   {\"a\":[{}]}",
            " [ {\"a\": 1} , {\"a\": \"}\\\\\\\"\"},\n{\"a\": [{}]}]\n",
            "{a:1}\n// note\n{a:'}\\\\\"'}\n{a:[{}]} // end",
        ] {
            assert_eq!(read(text, false), (three.clone(), None), "{text}");
        }
        assert_eq!(read("", false), (vec![], None));
        assert_eq!(read("[]", false), (vec![], None));
        assert_eq!(
            read("$ion_1_0 {a:1, t:2026-01-01}", true),
            (vec![doc! {"a": 1, "t": "2026-01-01"}], None)
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_record() {
        for (text, good, expected) in [
            (
                "{\"a\": 1}\n{\"a\": }\n{\"a\": 3}",
                1,
                "record 2 (line 2): not valid JSON: expected value at line 1 column 7",
            ),
            ("{\"a\": 1, }", 0, "record 1 (line 1): not valid JSON: trailing comma"),
            ("{\"a\": 1}\n\n3", 1, "record 2 (line 3): invalid type: integer `3`, expected a document"),
            ("[{\"a\": 1}, 3]", 1, "record 2 (line 1): invalid type: integer `3`"),
            ("[{\"a\": 1}", 1, "record 2 (line 1): the list has no end"),
            ("[{}] x", 1, "record 2 (line 1): something follows the list of documents"),
            ("{\"a\": {\"$oid\": \"x\"}}", 0, "record 1 (line 1): `$oid` is not extended JSON"),
            ("{\"a\": \"x", 0, "record 1 (line 1): not valid JSON: EOF while parsing a string"),
            ("word", 0, "record 1 (line 1): "),
        ] {
            let (found, problem) = read(text, false);
            assert_eq!(found.len(), good, "{text}");
            let problem = problem.unwrap();
            assert!(problem.starts_with(expected), "{text}\n{problem}");
        }
    }
}
