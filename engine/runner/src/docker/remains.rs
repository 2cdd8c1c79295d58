//! Containers that must go, and the account of what is not gone yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bollard::query_parameters::RemoveContainerOptionsBuilder;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Core;
use super::daemon::Daemon;
use super::error::status;

/// How long the last removals are waited for at the end of an engine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts at a removal.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(5)];

/// How much is under way that must end before the engine does.
#[derive(Debug)]
pub(super) struct Tracker {
    count: watch::Sender<usize>,
    /// Something could not be removed.
    failed: AtomicBool,
}

/// One thing that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Ticket(watch::Sender<usize>);

impl Default for Tracker {
    fn default() -> Self {
        Self { count: watch::Sender::new(0), failed: AtomicBool::new(false) }
    }
}

impl Tracker {
    pub(super) fn ticket(&self) -> Ticket {
        self.count.send_modify(|count| *count += 1);
        Ticket(self.count.clone())
    }

    /// Waits until nothing is under way; whether nothing is left behind.
    pub(super) async fn settle(&self) -> bool {
        let mut count = self.count.subscribe();
        let settled = tokio::time::timeout(PATIENCE, count.wait_for(|count| *count == 0)).await.is_ok();
        settled && !self.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// A container that is removed when this is dropped, in the background.
pub(super) struct Remains {
    core: Arc<Core>,
    pub(super) daemon: Arc<Daemon>,
    /// The daemon's id of it, or the name that it is to get.
    pub(super) id: String,
    /// The daemon was asked to create it, and has not answered yet.
    uncertain: bool,
    kept: bool,
}

impl Remains {
    /// The container that the daemon is about to be asked for, under this name.
    pub(super) fn expected(core: &Arc<Core>, daemon: &Arc<Daemon>, name: &str) -> Self {
        Self {
            core: Arc::clone(core),
            daemon: Arc::clone(daemon),
            id: name.to_owned(),
            uncertain: true,
            kept: false,
        }
    }

    /// It has been created.
    pub(super) fn created(&mut self, id: String) {
        (self.id, self.uncertain) = (id, false);
    }

    /// It is not to be removed after all.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }

    /// Removes it in the background; the task ends when it is gone.
    pub(super) fn send_off(mut self) -> JoinHandle<()> {
        self.kept = true;
        self.begin_removal()
    }

    fn begin_removal(&mut self) -> JoinHandle<()> {
        let (core, daemon, id) =
            (Arc::clone(&self.core), Arc::clone(&self.daemon), std::mem::take(&mut self.id));
        let uncertain = self.uncertain;
        let ticket = core.tracker.ticket();
        self.core.runtime.spawn(async move {
            if !remove(&daemon, &id, uncertain).await {
                core.tracker.failed.store(true, Ordering::Relaxed);
            }
            drop(ticket);
        })
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        if !self.kept {
            self.begin_removal();
        }
    }
}

/// Removes a container, running or not; whether it is gone. One that may be about to be created is looked for again.
pub(super) async fn remove(daemon: &Daemon, id: &str, uncertain: bool) -> bool {
    for pause in PAUSES.map(Some).into_iter().chain([None]) {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match daemon.api.remove_container(id, Some(options)).await {
            Ok(()) => return true,
            Err(error) if status(&error) == Some(404) && !uncertain => return true,
            // Somebody else, or the daemon itself, is removing it.
            Err(error) if status(&error) == Some(409) => return true,
            Err(error) if status(&error) == Some(404) && pause.is_none() => return true,
            Err(_) => {}
        }
        let Some(pause) = pause else { break };
        tokio::time::sleep(pause).await;
    }
    false
}
