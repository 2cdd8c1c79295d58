//! A guest's stdout and stderr: lines for the log, bounded, the last of them kept for the failure.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use weft_model::Level;

use crate::Capabilities;

/// A longer line is broken.
const MAX_LINE: usize = 16 << 10;

/// Lines of stderr that a failure carries.
const LAST_LINES: usize = 20;

/// How much of each, in bytes.
const MAX_LAST_LINE: usize = 1 << 10;

/// What a guest may write in one go; larger writes are split by the caller.
const PERMIT: usize = 64 << 10;

/// Both streams of one run.
#[derive(Clone)]
pub(crate) struct Stdio(Arc<Mutex<State>>);

struct State {
    caps: Arc<dyn Capabilities>,
    /// Bytes that may still be written.
    budget: usize,
    cut: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    last: VecDeque<String>,
}

#[derive(Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

impl Stdio {
    pub(crate) fn new(caps: Arc<dyn Capabilities>, budget: usize) -> Self {
        let (stdout, stderr, last) = Default::default();
        Self(Arc::new(Mutex::new(State { caps, budget, cut: false, stdout, stderr, last })))
    }

    pub(crate) fn stdout(&self) -> Pipe {
        Pipe { stdio: self.clone(), stream: Stream::Stdout }
    }

    pub(crate) fn stderr(&self) -> Pipe {
        Pipe { stdio: self.clone(), stream: Stream::Stderr }
    }

    /// Logs what has no line break at the end of the run, and gives the last lines of stderr.
    pub(crate) fn finish(&self) -> Vec<String> {
        self.with(|state| {
            state.flush(Stream::Stdout);
            state.flush(Stream::Stderr);
            std::mem::take(&mut state.last).into()
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        // A log that panicked while a line was handed to it leaves nothing here half done.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let kept = &bytes[..bytes.len().min(self.budget)];
        self.budget -= kept.len();
        for piece in kept.split_inclusive(|&byte| byte == b'\n') {
            for part in piece.chunks(MAX_LINE) {
                let pending = self.pending(stream);
                if pending.len() + part.len() > MAX_LINE {
                    self.flush(stream);
                }
                self.pending(stream).extend_from_slice(part);
            }
            if piece.ends_with(b"\n") {
                self.flush(stream);
            }
        }
        if kept.len() < bytes.len() && !self.cut {
            self.cut = true;
            self.flush(stream);
            self.caps.log(
                Level::Warn,
                "the plugin wrote too much to stdout and stderr; the rest is dropped",
                None,
            );
        }
    }

    fn pending(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn flush(&mut self, stream: Stream) {
        let bytes = std::mem::take(self.pending(stream));
        if bytes.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end_matches(['\n', '\r']);
        match stream {
            Stream::Stdout => self.caps.log(Level::Info, line, None),
            Stream::Stderr => {
                self.caps.log(Level::Warn, line, None);
                if self.last.len() == LAST_LINES {
                    self.last.pop_front();
                }
                self.last.push_back(line[..line.floor_char_boundary(MAX_LAST_LINE)].to_owned());
            }
        }
    }
}

/// The writing end of one stream.
pub(crate) struct Pipe {
    stdio: Stdio,
    stream: Stream,
}

impl Pipe {
    fn take(&self, bytes: &[u8]) {
        self.stdio.with(|state| state.write(self.stream, bytes));
    }
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Self { stdio: self.stdio.clone(), stream: self.stream })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self { stdio: self.stdio.clone(), stream: self.stream })
    }
}

#[async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {}
}

impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
