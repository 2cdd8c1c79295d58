//! Reads the output of a container and hands the lines over.

use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::errors::Error as ApiError;
use futures::{FutureExt, StreamExt};
use tokio::task::coop::consume_budget;

use super::sentinel::Sentinel;
use crate::{Line, LineSink, Splitter, Stream};

/// Frames as the daemon sends them: pieces of the two streams.
pub(super) type Frames = Pin<Box<dyn futures::Stream<Item = Result<LogOutput, ApiError>> + Send>>;

/// The most frames that are taken before lines are flushed, so that a container that never stops writing is seen to.
const BATCH: usize = 256;

/// Both output streams and where their lines go. Its memory is a frame and two unfinished lines.
pub(super) struct Pump {
    stdout: Channel,
    stderr: Channel,
    sink: Box<dyn LineSink>,
    /// The program does not exist, as `docker-init` or the shell around it says.
    program_missing: bool,
}

/// What came of reading on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// There was output, and there may be more.
    More,
    /// The task has ended, with this exit code.
    Ended(i32),
    /// The daemon closed the connection.
    Closed,
}

struct Channel {
    stream: Stream,
    splitter: Splitter,
    sentinel: Option<Sentinel>,
    /// What the sentinel has found.
    ended: Option<String>,
}

impl Pump {
    /// A pump into `sink`. With a nonce, the end of the task is looked for in the output itself.
    pub(super) fn new(max_line: usize, nonce: Option<&str>, sink: Box<dyn LineSink>) -> Self {
        let channel = |stream| Channel {
            stream,
            splitter: Splitter::new(max_line),
            sentinel: nonce.map(Sentinel::new),
            ended: None,
        };
        Self {
            stdout: channel(Stream::Stdout),
            stderr: channel(Stream::Stderr),
            sink,
            program_missing: false,
        }
    }

    /// Lines written to stdout and to stderr.
    pub(super) fn lines(&self) -> (u64, u64) {
        (self.stdout.splitter.lines(), self.stderr.splitter.lines())
    }

    /// Whether there was no program to run.
    pub(super) fn is_program_missing(&self) -> bool {
        self.program_missing
    }

    /// Waits for output and takes all that is there. It may be given up at any time without a loss.
    pub(super) async fn read(&mut self, frames: &mut Frames) -> Read {
        let Some(Ok(frame)) = frames.next().await else { return Read::Closed };
        self.take(&frame);
        let mut closed = false;
        for _ in 0..BATCH {
            match frames.next().now_or_never() {
                Some(Some(Ok(frame))) => self.take(&frame),
                Some(_) => {
                    closed = true;
                    break;
                }
                None => break,
            }
        }
        self.sink.flush();
        match (&self.stdout.ended, &self.stderr.ended) {
            (Some(code), Some(_)) => return Read::Ended(code.parse().unwrap_or(-1)),
            _ if closed => return Read::Closed,
            _ => {}
        }
        consume_budget().await;
        Read::More
    }

    /// Everything has been read: hands over what is left.
    pub(super) fn finish(&mut self) {
        let Self { stdout, stderr, sink, .. } = self;
        for channel in [stdout, stderr] {
            channel.finish(sink.as_mut());
        }
        sink.flush();
    }

    fn take(&mut self, frame: &LogOutput) {
        let (channel, bytes) = match frame {
            LogOutput::StdErr { message } => (&mut self.stderr, message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => (&mut self.stdout, message),
            LogOutput::StdIn { .. } => return,
        };
        self.program_missing |= channel.push(bytes, self.sink.as_mut());
    }
}

impl Channel {
    /// Takes bytes; whether they say that the program is missing.
    fn push(&mut self, bytes: &[u8], sink: &mut dyn LineSink) -> bool {
        let Self { stream, splitter, sentinel, ended } = self;
        let stream = *stream;
        let mut missing = false;
        let mut emit = |bytes: &[u8]| {
            splitter.push(bytes, |bytes, truncated| {
                missing |= stream == Stream::Stderr && is_init_failure(bytes);
                sink.line(Line { stream, bytes, truncated });
            });
        };
        let Some(sentinel) = sentinel else {
            emit(bytes);
            return missing;
        };
        if ended.is_some() {
            // What has survived the task speaks to nobody.
            return false;
        }
        let mut says_missing = false;
        let mut said = sentinel.push(bytes, &mut emit);
        while let Some(text) = said.take() {
            if text == "missing" {
                says_missing = true;
                said = sentinel.push(b"", &mut emit);
            } else {
                *ended = Some(text);
            }
        }
        says_missing
    }

    fn finish(&mut self, sink: &mut dyn LineSink) {
        let Self { stream, splitter, sentinel, .. } = self;
        let stream = *stream;
        let mut line = |bytes: &[u8], truncated| sink.line(Line { stream, bytes, truncated });
        if let Some(sentinel) = sentinel {
            sentinel.finish(|bytes| splitter.push(bytes, &mut line));
        }
        splitter.finish(line);
    }
}

/// The line that `docker-init` (tini) writes when there is no such program. podman has no such case: it says so itself.
fn is_init_failure(line: &[u8]) -> bool {
    line.starts_with(b"[FATAL tini (") && line.ends_with(b"No such file or directory")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::stream;

    use super::*;

    type Seen = Arc<Mutex<Vec<(Stream, String)>>>;

    fn sink(seen: &Seen) -> Box<dyn LineSink> {
        let seen = Arc::clone(seen);
        Box::new(move |line: Line<'_>| {
            seen.lock().unwrap().push((line.stream, String::from_utf8_lossy(line.bytes).into_owned()));
        })
    }

    fn frames(parts: &[(Stream, &'static str)]) -> Frames {
        let frame = |(stream, text): &(Stream, &'static str)| {
            let message = text.as_bytes().into();
            Ok(match stream {
                Stdout => LogOutput::StdOut { message },
                Stderr => LogOutput::StdErr { message },
            })
        };
        stream::iter(parts.iter().map(frame).collect::<Vec<_>>()).boxed()
    }

    use Stream::{Stderr, Stdout};

    #[tokio::test]
    async fn lines_are_joined_over_frames_and_streams_kept_apart() {
        let seen = Seen::default();
        let mut pump = Pump::new(100, None, sink(&seen));
        let mut frames = frames(&[(Stdout, "a"), (Stderr, "x\n"), (Stdout, "b\nc"), (Stderr, "y")]);
        while pump.read(&mut frames).await == Read::More {}
        pump.finish();
        let expected = [(Stderr, "x"), (Stdout, "ab"), (Stdout, "c"), (Stderr, "y")];
        assert_eq!(*seen.lock().unwrap(), expected.map(|(stream, text)| (stream, text.to_owned())));
        assert_eq!(pump.lines(), (2, 2));
    }

    #[tokio::test]
    async fn the_end_of_a_task_is_on_both_streams() {
        let seen = Seen::default();
        let mut pump = Pump::new(100, Some("N"), sink(&seen));
        let mut frames =
            frames(&[(Stdout, "a\n\nN 3\n"), (Stderr, "late\n"), (Stderr, "\nN\n"), (Stdout, "stray\n")]);
        let mut last = Read::More;
        while last == Read::More {
            last = pump.read(&mut frames).await;
        }
        pump.finish();
        assert_eq!(last, Read::Ended(3));
        assert_eq!(*seen.lock().unwrap(), [(Stdout, "a".to_owned()), (Stderr, "late".to_owned())]);
    }

    #[tokio::test]
    async fn a_missing_program_is_noticed() {
        for (nonce, texts) in [
            (None, &["[FATAL tini (7)] exec pwsh failed: No such file or directory\n"][..]),
            (None, &["[FATAL tini (7)] ", "exec pwsh failed: No such file or directory", "\n"]),
            (Some("N"), &["\nN missing\n\nN\n"]),
        ] {
            let mut pump = Pump::new(100, nonce, Box::new(|_: Line<'_>| {}));
            let parts: Vec<_> = texts.iter().map(|text| (Stderr, *text)).collect();
            let mut frames = frames(&parts);
            while pump.read(&mut frames).await == Read::More {}
            assert!(pump.is_program_missing(), "{texts:?}");
        }
    }
}
