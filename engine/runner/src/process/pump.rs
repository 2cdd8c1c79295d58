//! Reads both pipes of a process and hands the lines over.

use std::io;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;
use tokio::task::coop::consume_budget;

use crate::{Line, LineSink, Splitter, Stream};

/// Bytes read at once.
const BUFFER: usize = 128 * 1024;
/// The same until so much came at once: most tasks say little, and the larger buffer is asked of the system each time.
const FIRST_BUFFER: usize = 8 * 1024;
/// Bytes that a pipe can hold at most, unless root has raised the limit: what may still be read of one that somebody
/// else keeps on writing to.
const REST: usize = 1024 * 1024;

/// The two pipes and where their lines go. Its memory is one buffer and two unfinished lines.
pub(super) struct Pump {
    stdout: Source,
    stderr: Source,
    sink: Box<dyn LineSink>,
    buffer: Vec<u8>,
}

/// How many lines there were.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) stdout: u64,
    pub(super) stderr: u64,
}

impl Pump {
    pub(super) fn new(stdout: Receiver, stderr: Receiver, max_line: usize, sink: Box<dyn LineSink>) -> Self {
        let source = |stream, pipe| Source { stream, pipe, splitter: Splitter::new(max_line), is_open: true };
        Self {
            stdout: source(Stream::Stdout, stdout),
            stderr: source(Stream::Stderr, stderr),
            sink,
            buffer: vec![0; FIRST_BUFFER],
        }
    }

    /// Runs until both pipes have ended; or, once `stop` is sent, until what they hold has been read.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) -> Counts {
        let Self { stdout, stderr, sink, buffer } = &mut self;
        let sink = sink.as_mut();
        while stdout.is_open || stderr.is_open {
            tokio::select! {
                () = stdout.readable(), if stdout.is_open => { stdout.read(buffer, sink); }
                () = stderr.readable(), if stderr.is_open => { stderr.read(buffer, sink); }
                _ = &mut stop => {
                    stdout.read_rest(buffer, sink);
                    stderr.read_rest(buffer, sink);
                    break;
                }
            }
            sink.flush();
            // A child that never stops writing must not keep other tasks from running.
            consume_budget().await;
        }
        stdout.finish(sink);
        stderr.finish(sink);
        sink.flush();
        Counts { stdout: stdout.splitter.lines(), stderr: stderr.splitter.lines() }
    }
}

struct Source {
    stream: Stream,
    pipe: Receiver,
    splitter: Splitter,
    is_open: bool,
}

impl Source {
    async fn readable(&self) {
        // An error shows again when reading.
        let _ = self.pipe.readable().await;
    }

    /// Reads once, and tells how many bytes there were.
    fn read(&mut self, buffer: &mut Vec<u8>, sink: &mut dyn LineSink) -> usize {
        match self.pipe.try_read(buffer) {
            Ok(0) => self.is_open = false,
            Ok(length) => {
                let stream = self.stream;
                self.splitter
                    .push(&buffer[..length], |bytes, truncated| sink.line(Line { stream, bytes, truncated }));
                if length == buffer.len() {
                    buffer.resize(BUFFER, 0);
                }
                return length;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.is_open = false,
        }
        0
    }

    fn read_rest(&mut self, buffer: &mut Vec<u8>, sink: &mut dyn LineSink) {
        let mut rest = REST;
        while self.is_open && rest > 0 {
            match self.read(buffer, sink) {
                0 => return,
                length => rest = rest.saturating_sub(length),
            }
        }
    }

    fn finish(&mut self, sink: &mut dyn LineSink) {
        let stream = self.stream;
        self.splitter.finish(|bytes, truncated| sink.line(Line { stream, bytes, truncated }));
    }
}
