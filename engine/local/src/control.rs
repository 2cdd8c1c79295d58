//! How somebody outside speaks to an execution that runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use weft_executor::Event;

/// Speaks to a running execution, and to those that follow it where its flow's retry makes new ones.
#[derive(Debug, Clone)]
pub struct Control {
    events: Arc<Mutex<mpsc::Sender<Event>>>,
    killed: Arc<watch::Sender<bool>>,
    over: Arc<AtomicBool>,
}

impl Control {
    pub(crate) fn new(events: mpsc::Sender<Event>) -> Self {
        Self {
            events: Arc::new(Mutex::new(events)),
            killed: Arc::new(watch::Sender::new(false)),
            over: Arc::default(),
        }
    }

    /// Ends the execution: what runs is asked to end, and killed after its grace period; what waits is not started.
    pub async fn kill(&self, reason: &str) {
        self.killed.send_replace(true);
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // An execution that has ended needs no killing.
        let _ = events.send(Event::Kill { reason: reason.to_owned() }).await;
    }

    /// From now on, what is said goes to another loop.
    pub(crate) fn hand_over(&self, events: mpsc::Sender<Event>) {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = events;
    }

    /// Waits until somebody ends the execution.
    pub(crate) async fn killed(&self) {
        let mut killed = self.killed.subscribe();
        // The sender is `self`'s own, so that this ends with `true` only.
        let _ = killed.wait_for(|killed| *killed).await;
    }

    pub(crate) fn is_killed(&self) -> bool {
        *self.killed.borrow()
    }

    /// Nothing follows any more.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}
