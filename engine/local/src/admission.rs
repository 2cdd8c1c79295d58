//! Who may run when a flow limits how many of its executions do so at a time (`concurrency`).
//!
//! Executions of this process wait for each other in memory; only the first of them stands in the queue that processes
//! share, so that thousands of them cost one waiting thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;
use weft_executor::Event;
use weft_flow::{Concurrency, ConcurrencyBehavior};
use weft_model::{Level, State};
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
    match wish.ask(admission.line(namespace, flow_id)).await? {
        Answer::Slot(slot) => Ok(Some(slot)),
        Answer::Full(holders) => Err(LocalError::Again(full(flow_id, limit, &holders))),
        Answer::Wait(waiting) => waiting.slot().await.map(Some),
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
        let waiting = match wish.ask(self.inner.admission.line(&namespace, &flow_id)).await? {
            Answer::Slot(slot) => return Ok(Some(slot)),
            Answer::Full(holders) => {
                let state = match limit.behavior {
                    ConcurrencyBehavior::Cancel => State::Cancelled,
                    ConcurrencyBehavior::Fail | ConcurrencyBehavior::Queue => State::Failed,
                };
                self.tell(Event::Refuse { state, reason: full(&flow_id, &limit, &holders) })?;
                return Ok(None);
            }
            Answer::Wait(waiting) => waiting,
        };
        self.tell(Event::Queue)?;
        let message = format!("queued: flow `{flow_id}` runs at most {} at a time", executions(limit.limit));
        self.records.say(Level::Info, message);
        let waiting = waiting.slot();
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

    /// Asks for a slot. One that would wait asks only when it is the first of this process: whoever has a ticket waits for
    /// those with older ones, so that none of them may be behind it in the line.
    async fn ask(self, line: Arc<Line>) -> Result<Answer, LocalError> {
        let first = Arc::clone(&line).try_lock_owned().ok();
        if self.queues && first.is_none() {
            return Ok(Answer::Wait(Waiting { wish: self, line, first: None }));
        }
        Ok(match self.enter().await? {
            Entry::Slot(slot) => Answer::Slot(slot),
            Entry::Full(holders) => Answer::Full(holders),
            Entry::Queued(ticket) => {
                let first = first.map(|held| (held, ticket));
                Answer::Wait(Waiting { wish: self, line, first })
            }
        })
    }

    async fn enter(&self) -> Result<Entry, LocalError> {
        let wish = self.clone();
        blocking(move || wish.slots.enter(wish.limit, &wish.execution, wish.queues)).await
    }

    /// Waits for the executions of other processes that came before, then for a slot.
    async fn turn(self, ticket: Ticket) -> Result<Slot, LocalError> {
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

/// What comes of asking for a slot.
enum Answer {
    Slot(Slot),
    /// Others have all of them, and the flow does not want to wait.
    Full(Vec<String>),
    Wait(Waiting),
}

/// An execution that waits for a slot.
struct Waiting {
    wish: Wish,
    line: Arc<Line>,
    /// Its place at the head of the line and in the queue that processes share, if it has them.
    first: Option<(OwnedMutexGuard<()>, Ticket)>,
}

impl Waiting {
    async fn slot(self) -> Result<Slot, LocalError> {
        let Self { wish, line, first } = self;
        let (_head, ticket) = match first {
            Some(first) => first,
            None => {
                let head = line.lock_owned().await;
                match wish.enter().await? {
                    Entry::Slot(slot) => return Ok(slot),
                    Entry::Queued(ticket) => (head, ticket),
                    // Only those are refused that do not queue.
                    Entry::Full(holders) => return Err(LocalError::Again(holders.join(", "))),
                }
            }
        };
        wish.turn(ticket).await
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
