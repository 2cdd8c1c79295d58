//! Waits for a direct child of this process.

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};

/// Exit code, or the signal that ended it.
pub(super) type Status = (Option<i32>, Option<i32>);

/// Blocks until it has ended, without collecting it: until then its process id is nobody else's.
pub(super) fn await_end(pid: i32) {
    let _ = wait(pid, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
}

/// Whether it has ended; also where it is no child of this process any more.
#[cfg(target_os = "linux")]
pub(super) fn has_ended(pid: i32) -> bool {
    match wait(pid, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG) {
        Ok(status) => status.is_some(),
        Err(_) => true,
    }
}

/// Blocks until it has ended, and collects it. What somebody else has collected (by waiting for any child) is lost.
pub(super) fn collect(pid: i32) -> Status {
    match wait(pid, WaitIdOptions::EXITED) {
        Ok(Some(status)) => (status.exit_status(), status.terminating_signal()),
        Ok(None) | Err(_) => (None, None),
    }
}

fn wait(pid: i32, options: WaitIdOptions) -> rustix::io::Result<Option<WaitIdStatus>> {
    let pid = Pid::from_raw(pid).ok_or(rustix::io::Errno::CHILD)?;
    rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), options))
}
