//! Messages of the wire protocol: `OP_MSG`, a command in one direction and its reply in the other.

use std::io::{Read, Write};

use bson::spec::ElementType;
use bson::{Document, RawBsonRef, RawDocument};
use weft_sdk::Result;

use crate::error;

const OP_MSG: i32 = 2013;
const HEADER: usize = 16;
/// What a server of any version answers at most.
const MAX_MESSAGE: usize = 48_000_000 + (16 << 20);

/// How deep documents of a reply may nest. MongoDB takes 100 levels, which stand in the batch of a cursor in a reply; whatever
/// sends a million of them is no MongoDB, and reading them would take all of the stack.
const MAX_DEPTH: usize = 150;

/// Both directions of a connection.
pub trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// Documents beside a command, under the name that the command has for them.
pub struct Sequence<'a> {
    pub name: &'a str,
    /// One after the other, in BSON.
    pub documents: &'a [u8],
}

/// A connection on which one command is under way at a time.
pub struct Wire {
    stream: Box<dyn Stream>,
    /// For messages.
    peer: String,
    request: i32,
    buffer: Vec<u8>,
}

impl Wire {
    pub fn new(stream: Box<dyn Stream>, peer: String) -> Self {
        Self { stream, peer, request: 0, buffer: Vec::new() }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Sends a command, whose reply must be taken by [`Self::receive`] before the next one is sent.
    pub fn send(&mut self, command: &Document, sequence: Option<Sequence<'_>>) -> Result<()> {
        self.request = self.request.wrapping_add(1);
        let out = &mut self.buffer;
        out.clear();
        out.extend_from_slice(&[0; 4]);
        for number in [self.request, 0, OP_MSG, 0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(0);
        command.to_writer(&mut *out)?;
        if let Some(Sequence { name, documents }) = sequence {
            out.push(1);
            let size = 4 + name.len() + 1 + documents.len();
            out.extend_from_slice(&(size as i32).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
            out.push(0);
            out.extend_from_slice(documents);
        }
        let size = (out.len() as i32).to_le_bytes();
        out[..4].copy_from_slice(&size);
        let sent = self.stream.write_all(&self.buffer).and_then(|()| self.stream.flush());
        sent.map_err(|error| error::connection(format!("`{}`: cannot send: {error}", self.peer)))
    }

    /// The reply to the command that was sent last.
    pub fn receive(&mut self) -> Result<Document> {
        let lost = |error: std::io::Error, peer: &str| {
            let reason = match error.kind() {
                std::io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
                _ => error.to_string(),
            };
            error::connection(format!("`{peer}`: no reply: {reason}"))
        };
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header).map_err(|error| lost(error, &self.peer))?;
        let field = |index: usize| {
            let bytes = [header[index], header[index + 1], header[index + 2], header[index + 3]];
            i32::from_le_bytes(bytes)
        };
        let not_mongodb =
            || error::connection(format!("what answers at `{}` is not a MongoDB server", self.peer));
        let length = usize::try_from(field(0)).map_err(|_| not_mongodb())?;
        if !(HEADER + 5..=MAX_MESSAGE).contains(&length) || field(12) != OP_MSG {
            return Err(not_mongodb());
        }
        self.buffer.resize(length - HEADER, 0);
        self.stream.read_exact(&mut self.buffer).map_err(|error| lost(error, &self.peer))?;
        if field(8) != self.request {
            return Err(error::connection(format!("`{}` answers another question", self.peer)));
        }
        // Flags, then the kind of the only section.
        let document = self.buffer.get(5..).unwrap_or_default();
        // A checksum may follow the document; its own length says where it ends.
        let end = document.first_chunk().map_or(0, |size| i32::from_le_bytes(*size) as usize);
        let document = document.get(..end).unwrap_or_default();
        let damaged = |problem: &dyn std::fmt::Display| {
            error::connection(format!("`{}`: the reply is damaged: {problem}", self.peer))
        };
        let raw = RawDocument::from_bytes(document).map_err(|error| damaged(&error))?;
        if !is_shallow(raw) {
            return Err(damaged(&format_args!("its documents nest more than {MAX_DEPTH} deep")));
        }
        Document::from_reader(document).map_err(|error| damaged(&error))
    }
}

/// Whether a document nests no deeper than [`MAX_DEPTH`]. What is damaged in other ways is for others to find.
fn is_shallow(document: &RawDocument) -> bool {
    let mut open = vec![document.iter_elements()];
    while let Some(elements) = open.last_mut() {
        let Some(element) = elements.next() else {
            open.pop();
            continue;
        };
        let Ok(element) = element else { return true };
        let nests = matches!(
            element.element_type(),
            ElementType::EmbeddedDocument | ElementType::Array | ElementType::JavaScriptCodeWithScope
        );
        if !nests {
            continue;
        }
        let inner = match element.value() {
            Ok(RawBsonRef::Document(inner)) => inner.iter_elements(),
            Ok(RawBsonRef::Array(inner)) => inner.iter_elements(),
            Ok(RawBsonRef::JavaScriptCodeWithScope(code)) => code.scope.iter_elements(),
            _ => return true,
        };
        if open.len() == MAX_DEPTH {
            return false;
        }
        open.push(inner);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bson::doc;

    use super::*;

    /// What a server would answer, and what was sent to it.
    struct Script {
        answers: VecDeque<u8>,
        sent: std::rc::Rc<std::cell::RefCell<Vec<u8>>>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.answers.read(buffer)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.sent.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn answer(to: i32, document: &Document) -> Vec<u8> {
        let body = document.to_vec().unwrap();
        let mut bytes = ((HEADER + 5 + body.len()) as i32).to_le_bytes().to_vec();
        for number in [7, to, OP_MSG, 0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(0);
        bytes.extend(body);
        bytes
    }

    fn wire(answers: Vec<u8>) -> (Wire, std::rc::Rc<std::cell::RefCell<Vec<u8>>>) {
        let sent = std::rc::Rc::default();
        let script = Script { answers: answers.into(), sent: std::rc::Rc::clone(&sent) };
        (Wire::new(Box::new(script), "h:1".to_owned()), sent)
    }

    #[test]
    fn a_command_with_documents_and_its_reply() {
        let (mut wire, sent) = wire(answer(1, &doc! {"ok": 1}));
        let documents = doc! {"a": 1}.to_vec().unwrap();
        wire.send(&doc! {"insert": "c"}, Some(Sequence { name: "documents", documents: &documents }))
            .unwrap();
        assert_eq!(wire.receive().unwrap(), doc! {"ok": 1});
        let sent = sent.borrow();
        assert_eq!(sent.len(), i32::from_le_bytes(*sent.first_chunk().unwrap()) as usize);
        assert!(sent.ends_with(&documents));
    }

    #[test]
    fn what_is_no_reply_is_said() {
        let mut other = answer(9, &doc! {});
        let mut short = answer(1, &doc! {"a": "b"});
        short.truncate(25);
        let mut damaged = answer(1, &doc! {"a": "b"});
        damaged[25] = 0xff;
        let mut deep = doc! {};
        for _ in 0..MAX_DEPTH {
            deep = doc! {"a": deep};
        }
        for (bytes, expected) in [
            (Vec::new(), "`h:1`: no reply: the server closed the connection"),
            (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "what answers at `h:1` is not a MongoDB server"),
            (std::mem::take(&mut other), "`h:1` answers another question"),
            (short, "the server closed the connection"),
            (damaged, "`h:1`: the reply is damaged"),
            (answer(1, &deep), "`h:1`: the reply is damaged: its documents nest more than 150 deep"),
        ] {
            let (mut wire, _) = wire(bytes);
            wire.send(&doc! {"hello": 1}, None).unwrap();
            let error = wire.receive().unwrap_err();
            assert!(error.is_retryable() && error.message().contains(expected), "{error}");
        }
    }
}
