//! Brings commits to the disk without making anybody wait for it.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::LocalError;

/// How long commits are collected between two syncs: each makes the file system's other users wait, and a flow of many
/// short tasks is one of them.
const PAUSE: Duration = Duration::from_millis(50);

/// Syncs a journal in the background: at once after a commit, then every [`PAUSE`] while commits go on.
pub struct DiskSync {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    file: File,
    wake: Notify,
    dirty: AtomicBool,
    /// The first sync that failed. The system tells it once: the next one would succeed with the data lost.
    failed: Mutex<Option<io::Error>>,
}

impl Shared {
    /// Syncs on a thread that may wait. It is carried through also if nobody waits for it any more.
    async fn sync(self: Arc<Self>) {
        let synced = spawn_blocking(move || {
            if let Err(error) = self.file.sync_data() {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        });
        // It fails only when the runtime shuts down.
        let _ = synced.await;
    }
}

impl DiskSync {
    /// Watches over one file.
    pub fn new(file: File) -> Self {
        let shared = Arc::new(Shared {
            file,
            wake: Notify::new(),
            dirty: AtomicBool::new(true),
            failed: Mutex::default(),
        });
        let watched = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                watched.wake.notified().await;
                if watched.dirty.swap(false, Ordering::AcqRel) {
                    Arc::clone(&watched).sync().await;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        Self { shared, task }
    }

    /// Something was written.
    pub fn touch(&self) {
        self.shared.dirty.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// Ends when everything is on the disk.
    pub async fn finish(self) -> Result<(), LocalError> {
        self.task.abort();
        Arc::clone(&self.shared).sync().await;
        let failed = self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), |source| Err(LocalError::Sync(source)))
    }
}

impl Drop for DiskSync {
    fn drop(&mut self) {
        self.task.abort();
    }
}
