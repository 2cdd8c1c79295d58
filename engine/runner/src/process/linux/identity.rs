//! Tells one engine from another, and a living one from a dead one.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;

use libc::pid_t;

use super::procfs;

/// One engine process. Its text, `<pid>.<start time>.<pid namespace>`, stands in the environment of everything that
/// it starts and in the names of its control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) pid: pid_t,
    started: u64,
    /// Inode of the pid namespace: the same process id means another process in another container.
    namespace: u64,
}

impl Identity {
    /// The process that is running this code.
    pub(super) fn own() -> io::Result<Self> {
        let pid = std::process::id() as pid_t;
        let stat = procfs::stat(pid).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "`/proc` is not mounted or not readable")
        })?;
        Ok(Self { pid, started: stat.started, namespace: namespace("self")? })
    }

    /// Whether this engine has certainly ended, as far as `own` can see: an engine in another pid namespace cannot
    /// be judged, and is left in peace.
    pub(super) fn is_dead(&self, own: &Self) -> bool {
        self.namespace == own.namespace
            && procfs::stat(self.pid).is_none_or(|stat| stat.is_dead() || stat.started != self.started)
    }

    /// Whether a process sees the same process ids as this engine.
    pub(super) fn shares_namespace(&self, pid: pid_t) -> bool {
        namespace(&pid.to_string()).is_ok_and(|namespace| namespace == self.namespace)
    }
}

fn namespace(pid: &str) -> io::Result<u64> {
    Ok(std::fs::metadata(format!("/proc/{pid}/ns/pid"))?.ino())
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.pid, self.started, self.namespace)
    }
}

impl FromStr for Identity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(())?.parse::<u64>().map_err(drop);
        let (pid, started, namespace) = (next()?, next()?, next()?);
        let pid = pid_t::try_from(pid).map_err(drop)?;
        if parts.next().is_some() { Err(()) } else { Ok(Self { pid, started, namespace }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let own = Identity::own().unwrap();
        assert_eq!(own.to_string().parse(), Ok(own));
        for text in ["", "1", "1.2", "1.2.3.4", "a.2.3", "1.-2.3", "99999999999.1.1"] {
            assert_eq!(text.parse::<Identity>(), Err(()), "{text}");
        }
    }

    #[test]
    fn who_is_dead() {
        let own = Identity::own().unwrap();
        for (engine, dead) in [
            (own, false),
            (Identity { started: own.started + 1, ..own }, true),
            (Identity { pid: pid_t::MAX, ..own }, true),
            (Identity { pid: pid_t::MAX, namespace: own.namespace + 1, ..own }, false),
        ] {
            assert_eq!(engine.is_dead(&own), dead, "{engine}");
        }
    }
}
