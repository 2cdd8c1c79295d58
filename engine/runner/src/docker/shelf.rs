//! Containers that wait for the next task of their directory.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWrite;

use super::remains::Remains;

/// The idle containers of one working directory that several tasks share. Dropping it removes them.
#[derive(Default)]
pub struct Shelf {
    kept: Mutex<Vec<Kept>>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelf")
    }
}

/// The way to a container's standard input. In a lock only so that threads may share what holds it.
pub(super) type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// A container whose first process waits, see `keeper`. Dropping it removes it.
pub(super) struct Kept {
    /// What it is: image, options and daemon.
    pub(super) key: String,
    pub(super) remains: Remains,
    /// Its standard input: that it is open is what the container waits for to end.
    pub(super) _input: Mutex<Input>,
}

impl Shelf {
    /// An empty one.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Takes a container of this kind, if there is an idle one.
    pub(super) fn take(&self, key: &str) -> Option<Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let index = kept.iter().position(|container| container.key == key)?;
        Some(kept.swap_remove(index))
    }

    /// Puts a container (back), for the next task.
    pub(super) fn put(&self, container: Kept) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(container);
    }
}
