//! Reads `/proc`: which processes there are, and what marks them as something that an engine started.
//!
//! A process id read here may have been freed when a signal is sent to it. It is not somebody else's by then: ids are
//! given out in turn, and all of them would have to be used between two adjacent system calls.

use std::fs::{self, File};
use std::io::{self, Read};

use libc::pid_t;

/// What is needed of `/proc/<pid>/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: pid_t,
    pub(super) state: u8,
    pub(super) parent: pid_t,
    pub(super) group: pid_t,
    /// Clock ticks since boot: with `pid` it names a process for as long as the machine is up.
    pub(super) started: u64,
}

impl Stat {
    /// Has ended, and is only an entry in the table.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Fields are counted as in proc_pid_stat(5). The second is the program's name in parentheses, which may itself
    /// contain spaces and parentheses.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let (pid, rest) = text.split_once(' ')?;
        let (_, rest) = rest.rsplit_once(") ")?;
        let mut fields = rest.split_ascii_whitespace();
        Some(Self {
            pid: pid.parse().ok()?,
            state: *fields.next()?.as_bytes().first()?,
            parent: fields.next()?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
            started: fields.nth(16)?.parse().ok()?,
        })
    }
}

/// One process; nothing where there is none.
pub(super) fn stat(pid: pid_t) -> Option<Stat> {
    // The line is never as long, and comes with the first read.
    let mut buffer = [0; 1024];
    let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut buffer).ok()?;
    Stat::parse(&buffer[..length])
}

/// The ids of all processes that can be seen.
pub(super) fn ids() -> impl Iterator<Item = pid_t> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// All processes that can be seen.
pub(super) fn processes() -> impl Iterator<Item = Stat> {
    ids().filter_map(stat)
}

/// The process group of a process.
pub(super) fn group(pid: pid_t) -> Option<pid_t> {
    // SAFETY: no memory is involved.
    let group = unsafe { libc::getpgid(pid) };
    (group > 0).then_some(group)
}

/// The environment that a process was started with; empty where it may not be read or the process has ended.
pub(super) fn environment(pid: pid_t) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

/// The value of a variable in what [`environment`] returned.
pub(super) fn variable<'a>(environment: &'a [u8], name: &str) -> Option<&'a str> {
    let entries = environment.split(|&byte| byte == 0);
    let value = entries.filter_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).next()?;
    std::str::from_utf8(value).ok()
}

/// The soft limit that [`super::tag`] uses as a mark.
pub(super) fn lock_limit(pid: pid_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a null new limit only reads; `limit` outlives the call.
    let result = unsafe { libc::prlimit(pid, libc::RLIMIT_LOCKS, std::ptr::null(), &mut limit) };
    (result == 0).then_some(limit.rlim_cur)
}

/// Sends a signal. It is no error that a process has ended in the meantime.
pub(super) fn signal(pid: pid_t, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is involved.
    if unsafe { libc::kill(pid, signal) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines() {
        let tail = "1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 0 0";
        for (line, expected) in [
            (format!("42 (sh) S 7 42 {tail}"), Some((42, b'S', 7, 42, 123_456))),
            (format!("42 (a b) c)) Z 7 40 {tail}"), Some((42, b'Z', 7, 40, 123_456))),
            ("42 (sh) S 7".to_owned(), None),
            (String::new(), None),
        ] {
            let stat = Stat::parse(line.as_bytes());
            let found = stat.map(|stat| (stat.pid, stat.state, stat.parent, stat.group, stat.started));
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn this_process_is_found() {
        let pid = std::process::id() as pid_t;
        let own = stat(pid).unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id() as pid_t);
        assert!(!own.is_dead());
        assert!(processes().any(|process| process.pid == pid && process.started == own.started));
        assert!(lock_limit(pid).is_some());
    }

    #[test]
    fn variables() {
        let environment = b"A=1\0WEFT_TASK_X=no\0WEFT_TASK=e/t/1\0EMPTY=\0BAD=\xff\0";
        for (name, expected) in [
            ("A", Some("1")),
            ("WEFT_TASK", Some("e/t/1")),
            ("EMPTY", Some("")),
            ("BAD", None),
            ("TASK", None),
        ] {
            assert_eq!(variable(environment, name), expected, "{name}");
        }
    }
}
