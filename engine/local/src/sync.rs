//! Brings commits to the disk without making anybody wait for it.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};

use crate::LocalError;

/// How long commits are collected between two syncs: each makes the file system's other users wait, and a flow of many
/// short tasks is one of them.
const PAUSE: Duration = Duration::from_millis(50);

/// Syncs a journal in the background: at once after a commit, then every [`PAUSE`] while commits go on.
pub struct DiskSync {
    shared: Arc<Shared>,
    file: Arc<File>,
    task: JoinHandle<()>,
}

struct Shared {
    wake: Notify,
    dirty: AtomicBool,
    /// The first sync that failed. The system tells it once: the next one would succeed with the data lost.
    failed: Mutex<Option<io::Error>>,
}

impl Shared {
    fn keep(&self, synced: Result<io::Result<()>, JoinError>) {
        if let Err(error) = synced.map_err(io::Error::other).flatten() {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }
}

impl DiskSync {
    /// Watches over one file.
    pub fn new(file: File) -> Self {
        let shared =
            Arc::new(Shared { wake: Notify::new(), dirty: AtomicBool::new(true), failed: Mutex::default() });
        let file = Arc::new(file);
        let (watched, state) = (Arc::clone(&file), Arc::clone(&shared));
        let task = tokio::spawn(async move {
            loop {
                state.wake.notified().await;
                if state.dirty.swap(false, Ordering::AcqRel) {
                    let file = Arc::clone(&watched);
                    state.keep(tokio::task::spawn_blocking(move || file.sync_data()).await);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        Self { shared, file, task }
    }

    /// Something was written.
    pub fn touch(&self) {
        self.shared.dirty.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// Ends when everything is on the disk.
    pub async fn finish(self) -> Result<(), LocalError> {
        self.task.abort();
        let file = Arc::clone(&self.file);
        self.shared.keep(tokio::task::spawn_blocking(move || file.sync_data()).await);
        let failed = self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), |source| Err(LocalError::Sync(source)))
    }
}

impl Drop for DiskSync {
    fn drop(&mut self) {
        self.task.abort();
    }
}
