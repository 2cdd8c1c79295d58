//! A mark that a process cannot lose by accident: neither by clearing its environment nor by leaving its session.
//!
//! Resource limits are inherited by everything that a process starts and survive `exec`. `RLIMIT_LOCKS` has had no
//! effect since Linux 2.4.25 (getrlimit(2)), so its soft limit can carry a number of ours: which engine started the
//! process, and as its how-manieth. The hard limit is left alone, so an engine inside a task can set tags of its own.

use libc::pid_t;

use super::procfs;

const MAGIC: u64 = 0x5EF7;
const PID_BITS: u32 = 22; // the kernel's PID_MAX_LIMIT on 64-bit machines
const SEQUENCE_BITS: u32 = 26;

/// The number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(u64);

impl Tag {
    /// The tag of an engine's `sequence`-th process; the sequence may wrap around.
    pub(super) fn new(engine: pid_t, sequence: u64) -> Self {
        let engine = engine as u64 & ((1 << PID_BITS) - 1);
        let sequence = sequence & ((1 << SEQUENCE_BITS) - 1);
        Self(MAGIC << (PID_BITS + SEQUENCE_BITS) | engine << SEQUENCE_BITS | sequence)
    }

    /// What a process carries, if it is a tag.
    pub(super) fn of(pid: pid_t) -> Option<Self> {
        Self::from_limit(procfs::lock_limit(pid)?)
    }

    fn from_limit(limit: u64) -> Option<Self> {
        (limit >> (PID_BITS + SEQUENCE_BITS) == MAGIC).then_some(Self(limit))
    }

    /// Process id of the engine.
    pub(super) fn engine(self) -> pid_t {
        (self.0 >> SEQUENCE_BITS & ((1 << PID_BITS) - 1)) as pid_t
    }

    /// The limit to set.
    pub(super) fn limit(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_tags() {
        for (engine, sequence) in [(1, 0), (4_194_303, 1), (31_337, 1 << 26)] {
            let tag = Tag::new(engine, sequence);
            assert_eq!(Tag::from_limit(tag.limit()), Some(tag));
            assert_eq!(tag.engine(), engine);
        }
        assert_ne!(Tag::new(1, 1), Tag::new(1, 2));
        for limit in [0, 1024, libc::RLIM_INFINITY] {
            assert_eq!(Tag::from_limit(limit), None, "{limit}");
        }
    }
}
