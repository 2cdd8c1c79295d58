//! Who may run when a flow limits how many of its executions do so at a time (`concurrency`).
//!
//! Executions of this process wait for each other in memory; only the first of them stands in the queue that processes
//! share, so that thousands of them cost one waiting thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use weft_executor::Event;
use weft_flow::{Concurrency, ConcurrencyBehavior};
use weft_model::{Level, LogEntry, State};
use weft_state::{Entry, Slot, Slots, StateError, Ticket, Turn};

use crate::execution::Driver;
use crate::{Layout, LocalError};

/// How often the first in the queue looks for a free slot: soon at first, then with patience.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LAST_LOOK: Duration = Duration::from_millis(50);

/// Where the executions of one flow wait for each other, first come first served.
type Line = tokio::sync::Mutex<()>;

/// The flows of this process whose executions wait, by namespace and id.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    lines: Mutex<HashMap<(String, String), Arc<Line>>>,
}

impl Admission {
    fn line(&self, namespace: &str, flow_id: &str) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|_, line| Arc::strong_count(line) > 1);
        Arc::clone(lines.entry((namespace.to_owned(), flow_id.to_owned())).or_default())
    }
}

/// The right to run while it is kept; nothing for flows without a limit.
pub(crate) type Admitted = Option<Slot>;

/// Asks for the right to go on with an execution that has run before: it waits, or is refused with an error.
pub(crate) async fn readmit(
    layout: &Layout,
    admission: &Admission,
    (namespace, flow_id, execution): (&str, &str, &str),
    limit: Option<&Concurrency>,
) -> Result<Admitted, LocalError> {
    let Some(limit) = limit else { return Ok(None) };
    let wish = Wish::new(layout, namespace, flow_id, execution, limit);
    match wish.enter().await? {
        Entry::Slot(slot) => Ok(Some(slot)),
        Entry::Full(holders) => Err(LocalError::Again(full(flow_id, limit, &holders))),
        Entry::Queued(ticket) => {
            let line = admission.line(namespace, flow_id);
            wish.wait(ticket, &line).await.map(Some)
        }
    }
}

impl Driver {
    /// Waits until the new execution may run, or ends it where its flow says so. Meanwhile it can be killed.
    pub(crate) async fn admit(&mut self) -> Result<Admitted, LocalError> {
        let execution = self.machine.execution();
        let is_new = execution.current() == State::Created;
        let Some(limit) = self.machine.flow().concurrency.clone().filter(|_| is_new) else { return Ok(None) };
        let (namespace, flow_id) = (execution.namespace.clone(), execution.flow_id.clone());
        let wish = Wish::new(&self.inner.layout, &namespace, &flow_id, &execution.id, &limit);
        let ticket = match wish.enter().await? {
            Entry::Slot(slot) => return Ok(Some(slot)),
            Entry::Full(holders) => {
                let state = match limit.behavior {
                    ConcurrencyBehavior::Cancel => State::Cancelled,
                    ConcurrencyBehavior::Fail | ConcurrencyBehavior::Queue => State::Failed,
                };
                self.tell(Event::Refuse { state, reason: full(&flow_id, &limit, &holders) })?;
                return Ok(None);
            }
            Entry::Queued(ticket) => ticket,
        };
        self.tell(Event::Queue)?;
        self.records.engine_line(&LogEntry {
            timestamp: jiff::Timestamp::now(),
            level: Level::Info,
            task_id: None,
            task_run_id: None,
            attempt_number: 0,
            message: format!("queued: flow `{flow_id}` runs at most {} at a time", executions(limit.limit)),
        });
        let line = self.inner.admission.line(&namespace, &flow_id);
        let waiting = wish.wait(ticket, &line);
        tokio::pin!(waiting);
        loop {
            tokio::select! {
                slot = &mut waiting => return slot.map(Some),
                event = self.next_event() => {
                    if let Some(event) = event {
                        self.tell(event)?;
                    }
                    if self.is_done() {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// An execution that wants to run.
#[derive(Clone)]
struct Wish {
    slots: Slots,
    execution: String,
    limit: u32,
    queues: bool,
}

impl Wish {
    fn new(layout: &Layout, namespace: &str, flow_id: &str, execution: &str, limit: &Concurrency) -> Self {
        Self {
            slots: Slots::new(layout.root(), namespace, flow_id),
            execution: execution.to_owned(),
            limit: limit.limit,
            queues: limit.behavior == ConcurrencyBehavior::Queue,
        }
    }

    async fn enter(&self) -> Result<Entry, LocalError> {
        let wish = self.clone();
        blocking(move || wish.slots.enter(wish.limit, &wish.execution, wish.queues)).await
    }

    /// Waits for those of this process that came before, then for those of others, then for a slot.
    async fn wait(self, ticket: Ticket, line: &Line) -> Result<Slot, LocalError> {
        let _first = line.lock().await;
        let ticket = Arc::new(ticket);
        let mut pause = FIRST_LOOK;
        loop {
            let (wish, own) = (self.clone(), Arc::clone(&ticket));
            match blocking(move || wish.slots.turn_of(&own, wish.limit, &wish.execution)).await? {
                Turn::Slot(slot) => return Ok(slot),
                Turn::Behind(ahead) => blocking(move || ahead.wait()).await?,
                Turn::First => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_LOOK);
                }
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StateError> + Send + 'static,
) -> Result<T, LocalError> {
    let joined = spawn_blocking(work).await;
    // Only when the runtime shuts down: the work itself does not panic.
    Ok(joined.map_err(|error| LocalError::Again(error.to_string()))??)
}

fn full(flow_id: &str, limit: &Concurrency, holders: &[String]) -> String {
    format!(
        "flow `{flow_id}` runs at most {} at a time, and as many run: {}",
        executions(limit.limit),
        holders.join(", ")
    )
}

fn executions(count: u32) -> String {
    if count == 1 { "1 execution".to_owned() } else { format!("{count} executions") }
}
