//! What comes out of a process or a container, and where it goes.

/// Which of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// File descriptor 1.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

/// One line of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Where it was written to.
    pub stream: Stream,
    /// The bytes as they were written, not necessarily UTF-8, without the terminator (`\n`, `\r\n` or `\r`).
    pub bytes: &'a [u8],
    /// Length of the line in bytes where it was longer than the bound and `bytes` is only its beginning.
    pub truncated: Option<u64>,
}

/// Takes the lines of both streams: each stream in the order of its writing, the two as they arrive.
///
/// It is called from the task that reads the pipes, many lines at a time. While it is busy nothing is read: that is
/// the back-pressure on the child, and also why it should copy, count and write, but not wait for a peer.
pub trait LineSink: Send {
    /// Takes one line.
    fn line(&mut self, line: Line<'_>);

    /// Everything that was there to read has been handed over; called after each batch and at the end.
    fn flush(&mut self) {}
}

impl<F: FnMut(Line<'_>) + Send> LineSink for F {
    fn line(&mut self, line: Line<'_>) {
        self(line);
    }
}
