//! The limits of one run: memory, tables and processor time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::Limits;
use crate::ticker::Ticker;

/// Bounds the linear memories and tables of one store.
pub(crate) struct MemoryLimit {
    limit: usize,
    used: usize,
    table_elements: usize,
    instances: usize,
    /// Whether the last wish for memory was refused: what ends the guest next is most likely that.
    refused: bool,
}

impl MemoryLimit {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            limit: limits.memory,
            used: 0,
            table_elements: limits.table_elements,
            instances: limits.instances,
            refused: false,
        }
    }

    pub(crate) fn refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.used.saturating_sub(current).saturating_add(desired);
        self.refused = total > self.limit || maximum.is_some_and(|maximum| desired > maximum);
        if !self.refused {
            self.used = total;
        }
        Ok(!self.refused)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.table_elements && maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn instances(&self) -> usize {
        self.instances
    }
}

/// Counts the processor time of one guest. Shared between the future that runs the guest and the callback that looks
/// whether it has had enough; both are on the same thread while it runs.
#[derive(Default)]
pub(crate) struct CpuMeter {
    /// Nanoseconds up to the last time that the guest was left.
    before: AtomicU64,
    /// The thread's clock when the guest was entered.
    entered: AtomicU64,
}

impl CpuMeter {
    /// Runs `future`, a call into a guest, and counts the processor time it takes. What the guest waits for does not
    /// count, nor what other guests do on the same thread meanwhile.
    pub(crate) async fn measure<F: Future>(&self, ticker: &Ticker, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _running = ticker.running();
            self.entered.store(thread_time(), Relaxed);
            let poll = future.as_mut().poll(context);
            self.before.store(self.used_now(), Relaxed);
            poll
        })
        .await
    }

    /// Time used so far; to be called while the guest is entered.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used_now())
    }

    fn used_now(&self) -> u64 {
        let since = thread_time().saturating_sub(self.entered.load(Relaxed));
        self.before.load(Relaxed).saturating_add(since)
    }
}

/// Processor time of this thread in nanoseconds.
#[cfg(unix)]
fn thread_time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    // Both parts are non-negative and far below the range: a thread does not run for centuries.
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

/// Where a thread's processor time cannot be had cheaply, time on the wall: never less.
#[cfg(not(unix))]
fn thread_time() -> u64 {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_all_memories_together_is_bounded() {
        let mut limit = MemoryLimit::new(&Limits { memory: 10, ..Limits::default() });
        for (current, desired, maximum, expected) in [
            (0, 4, None, true),
            (0, 4, None, true),
            (4, 7, None, false),
            (4, 6, None, true),
            (4, 5, None, false),
            (4, 4, Some(3), false),
        ] {
            let allowed = limit.memory_growing(current, desired, maximum).unwrap();
            assert_eq!((allowed, limit.refused()), (expected, !expected), "{current} -> {desired}");
        }
    }

    #[tokio::test]
    async fn waiting_is_not_counted() {
        let ticker = Ticker::start(wasmtime::Engine::default().weak()).unwrap();
        let meter = CpuMeter::default();
        meter.measure(&ticker, tokio::time::sleep(Duration::from_millis(50))).await;
        let waited = Duration::from_nanos(meter.before.load(Relaxed));
        assert!(waited < Duration::from_millis(20), "{waited:?}");

        let busy = async {
            let start = thread_time();
            while thread_time() - start < 20_000_000 {}
        };
        meter.measure(&ticker, busy).await;
        let worked = Duration::from_nanos(meter.before.load(Relaxed));
        assert!(worked >= Duration::from_millis(20), "{worked:?}");
    }
}
