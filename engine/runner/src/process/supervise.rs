//! Sees a process to its end: timeout, request to end, what it left behind, the rest of its output.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::pump::{Counts, Pump};
use super::{Shared, status};
use crate::Exit;

/// How long the end of killed processes is waited for. One that takes longer is stuck in the kernel.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// How long pipes may stay open when every process that is known has ended.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);
/// Between two looks at processes that are ending: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));
/// Longer than any engine runs, and short enough for instants to be calculated.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The one task that watches a process.
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    pidfd: Option<AsyncFd<OwnedFd>>,
    timeout: Option<Instant>,
    grace: Duration,
}

/// How far the main process is from its end. Each instant is when the next phase begins.
#[derive(Clone, Copy)]
enum Phase {
    /// It has its time, if that is limited.
    Running(Option<Instant>),
    /// It was asked to end.
    Asked(Instant),
    /// It was sent SIGKILL.
    Killed(Instant),
    /// Not even that has helped.
    Stuck,
}

/// How the main process came to its end.
struct End {
    phase: Phase,
    timed_out: bool,
    killed: bool,
}

impl Supervisor {
    /// For a process that has just been started.
    pub(super) fn new(
        shared: Arc<Shared>,
        pidfd: Option<OwnedFd>,
        timeout: Option<Duration>,
        grace: Duration,
    ) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` is open and the same for as long as it lives, and the `AsyncFd` owns it.
        let register = |fd| unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        let pidfd = pidfd.map(register).transpose()?;
        let timeout = timeout.map(|timeout| Instant::now() + timeout.min(FOR_EVER));
        Ok(Self { shared, pidfd, timeout, grace: grace.min(FOR_EVER) })
    }

    /// Sends the exit when everything is over; nothing if the output could not be taken.
    pub(super) async fn run(self, pump: Pump, exit: watch::Sender<Option<Exit>>) {
        let (stop, stopped) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        // Within this task: a task of its own would be one more to be woken, and mostly by another thread.
        let pump = async {
            // A sink that panics ends its process, not the supervision. What it may have broken is dropped.
            let counts = AssertUnwindSafe(pump.run(stopped)).catch_unwind().await;
            let _ = ended.send(counts.ok());
        };
        tokio::join!(pump, self.watch(Output { end, result: None }, stop, exit));
    }

    async fn watch(self, mut output: Output, stop: oneshot::Sender<()>, exit: watch::Sender<Option<Exit>>) {
        let End { phase, timed_out, killed } = self.await_end(&mut output).await;
        let tree = &self.shared.tree;
        let ((code, signal), survivors) = match phase {
            Phase::Stuck => ((None, Some(libc::SIGKILL)), true),
            Phase::Running(_) | Phase::Asked(_) | Phase::Killed(_) => {
                if let Phase::Asked(deadline) = phase {
                    // What the main process has started may use the rest of the grace.
                    until(deadline, || tree.is_alone()).await;
                }
                let is_clear = until(Instant::now() + KILL_LIMIT, || tree.clear()).await;
                (tree.collect(), !is_clear)
            }
        };
        // The pipes end with their writers. One may have escaped, though, or the sink may still be busy.
        if timeout(DRAIN_LIMIT, output.end()).await.is_err() {
            let _ = stop.send(());
            output.end().await;
        }
        if let Some(Some(Counts { stdout, stderr })) = output.result {
            let (stdout_lines, stderr_lines) = (stdout, stderr);
            let done = Exit { code, signal, timed_out, killed, stdout_lines, stderr_lines, survivors };
            exit.send_replace(Some(done));
        }
    }

    async fn await_end(&self, output: &mut Output) -> End {
        let tree = &self.shared.tree;
        let mut end = End { phase: Phase::Running(self.timeout), timed_out: false, killed: false };
        let main_ended = self.main_ended();
        tokio::pin!(main_ended);
        loop {
            let alarm = match end.phase {
                Phase::Running(limit) => limit,
                Phase::Asked(limit) | Phase::Killed(limit) => Some(limit),
                Phase::Stuck => return end,
            };
            tokio::select! {
                biased;
                () = &mut main_ended => return end,
                () = at(alarm) => match end.phase {
                    Phase::Running(_) => {
                        end.timed_out = true;
                        end.phase = Phase::Asked(Instant::now() + self.grace);
                        // It fails where the main process has taken another user's identity; then SIGKILL must do.
                        let _ = tree.signal(libc::SIGTERM);
                    }
                    Phase::Asked(_) => {
                        end.phase = Phase::Killed(Instant::now() + KILL_LIMIT);
                        tree.kill();
                    }
                    Phase::Killed(_) | Phase::Stuck => end.phase = Phase::Stuck,
                },
                () = self.shared.kill.notified() => {
                    end.killed = true;
                    if let Phase::Running(_) = end.phase {
                        end.phase = Phase::Asked(Instant::now() + self.grace);
                    }
                }
                // Both streams closed, which is fine; or the sink has panicked.
                () = output.end(), if output.result.is_none() => if let Some(None) = output.result {
                    end.phase = Phase::Killed(Instant::now() + KILL_LIMIT);
                    tree.kill();
                },
            }
        }
    }

    async fn main_ended(&self) {
        let pid = self.shared.tree.pid();
        if let Some(pidfd) = &self.pidfd
            && pidfd.readable().await.is_ok()
        {
            return;
        }
        // Without pidfds: systems other than Linux, kernels before 5.3, some sandboxes.
        let _ = tokio::task::spawn_blocking(move || status::await_end(pid)).await;
    }
}

/// When the output has been read, and how that ended: without counts if the sink has panicked.
struct Output {
    end: oneshot::Receiver<Option<Counts>>,
    result: Option<Option<Counts>>,
}

impl Output {
    /// Waits for its end; it may be given up and called again.
    async fn end(&mut self) {
        if self.result.is_none() {
            self.result = Some((&mut self.end).await.unwrap_or_default());
        }
    }
}

async fn at(alarm: Option<Instant>) {
    match alarm {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

/// Asks again and again until it is so, or until the deadline, and tells whether it is so.
async fn until(deadline: Instant, mut is_so: impl FnMut() -> bool) -> bool {
    let (mut pause, longest) = PAUSE;
    while !is_so() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
        pause = (pause * 2).min(longest);
    }
    true
}
