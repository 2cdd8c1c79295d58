//! Which process runs an execution, and whether it still does.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Result, StateError, disk};

/// A process, told apart from later ones that get the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// When it started: clock ticks since the system did. None where the system does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// Which start of the system that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

impl Owner {
    /// This process.
    pub fn current() -> Self {
        let pid = std::process::id();
        Self { pid, started: start_ticks(pid), boot: boot_id() }
    }

    /// Whether the process is still there. A process in another container may be taken for dead.
    pub fn is_alive(&self) -> bool {
        if self.started.is_some() {
            return self.boot == boot_id() && self.started == start_ticks(self.pid);
        }
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        // A process of somebody else cannot be signalled, but is there.
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
    }

    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Writes it to a file, replacing another's. It is not waited for the disk: with the power the process is gone too.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        disk::write_atomically(path, &self.json(path)?, false)
    }

    /// Writes it to a file that nobody looks for yet.
    pub(crate) fn write_first(&self, path: &Path) -> Result<()> {
        let json = self.json(path)?;
        let mut options = disk::private();
        let opened = options.write(true).create(true).truncate(true).open(path);
        opened
            .and_then(|mut file| file.write_all(&json))
            .map_err(|error| StateError::io("write", path, error))
    }

    fn json(&self, path: &Path) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| StateError::io("encode for", path, error.into()))
    }
}

/// Field 22 of `/proc/<pid>/stat`. The second one, the program's name in parentheses, may contain anything.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn boot_id() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_others_of_its_number_are_not() {
        let me = Owner::current();
        assert!(me.is_alive());
        for other in [
            Owner { started: me.started.map(|ticks| ticks + 1), ..me.clone() },
            Owner { boot: Some("another".to_owned()), ..me },
            Owner { pid: u32::MAX, started: None, boot: None },
        ] {
            assert!(!other.is_alive(), "{other:?}");
        }
        assert!(Owner { started: None, boot: None, ..me }.is_alive());
    }

    #[test]
    fn owners_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.json");
        let me = Owner::current();
        Owner { pid: 1, ..me.clone() }.write_first(&path).unwrap();
        me.write(&path).unwrap();
        assert_eq!(Owner::read(&path), Some(me));
        fs::write(&path, "{").unwrap();
        assert_eq!(Owner::read(&path), None);
    }
}
