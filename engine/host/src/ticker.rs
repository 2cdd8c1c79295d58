//! The clock that interrupts guests: a thread that advances the engine's epoch while guests run, and sleeps otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::EngineWeak;

/// How long a guest may run before it makes way for others, and how exactly its processor time is bounded.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Ticks without a running guest before the thread goes to sleep: waking it costs more than a few idle ticks.
const LINGER: u32 = 50;

/// Handle of the thread. The thread ends with the handle and never keeps the process alive.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    /// Threads that are executing guest code at this moment.
    running: AtomicUsize,
    awake: AtomicBool,
    ended: AtomicBool,
}

impl Ticker {
    /// Starts the thread, asleep.
    pub(crate) fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let handle = thread::Builder::new()
            .name("weft-ticker".to_owned())
            .stack_size(64 << 10)
            .spawn(move || for_thread.tick(&engine))?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Keeps the clock ticking until the guard is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        // Order matters, see `tick`: either this sees the thread asleep, or the thread sees this one running.
        self.shared.running.fetch_add(1, SeqCst);
        if !self.shared.awake.load(SeqCst) && !self.shared.awake.swap(true, SeqCst) {
            self.thread.unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        self.thread.unpark();
    }
}

pub(crate) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

impl Shared {
    fn tick(&self, engine: &EngineWeak) {
        let mut idle = 0;
        while !self.ended.load(SeqCst) {
            if idle == LINGER {
                self.awake.store(false, SeqCst);
                if self.running.load(SeqCst) > 0 {
                    self.awake.store(true, SeqCst);
                }
                idle = 0;
            }
            if !self.awake.load(SeqCst) {
                thread::park();
                continue;
            }
            thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
            idle = if self.running.load(SeqCst) == 0 { idle + 1 } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::Engine;

    use super::*;

    #[test]
    fn ticks_only_while_needed() {
        let engine = Engine::default();
        let ticker = Ticker::start(engine.weak()).unwrap();
        let awake = || ticker.shared.awake.load(SeqCst);
        assert!(!awake());
        let guard = ticker.running();
        assert!(awake());
        drop(guard);
        let deadline = std::time::Instant::now() + 20 * LINGER * TICK;
        while awake() && std::time::Instant::now() < deadline {
            thread::sleep(TICK);
        }
        assert!(!awake(), "still ticking with nothing to do");
        let _guard = ticker.running();
        assert!(awake());
    }
}
