//! The thread that brings log lines to their files a tenth of a second after they were written.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{OnceLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::writer::Shared;

/// How long a line waits in memory at most.
const DELAY: Duration = Duration::from_millis(100);

type Due = (Instant, Weak<Shared>);

/// Sees to it that `writer`'s buffer is written within [`DELAY`], by one thread for the whole process that is started
/// when the first line is logged. Without a thread lines wait for the buffer to fill or for the end of the task.
pub(super) fn soon(writer: Weak<Shared>) {
    static FLUSHER: OnceLock<Option<Sender<Due>>> = OnceLock::new();
    let sender = FLUSHER.get_or_init(|| {
        let (sender, receiver) = channel();
        let started = thread::Builder::new().name("weft-logs".to_owned()).spawn(move || run(&receiver));
        started.is_ok().then_some(sender)
    });
    if let Some(sender) = sender {
        // The thread ends with the process, so somebody receives.
        let _ = sender.send((Instant::now() + DELAY, writer));
    }
}

/// All wait equally long, so they are due in the order in which they came.
fn run(receiver: &Receiver<Due>) {
    while let Ok((due, writer)) = receiver.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if let Some(writer) = writer.upgrade() {
            writer.flush_due();
        }
    }
}
