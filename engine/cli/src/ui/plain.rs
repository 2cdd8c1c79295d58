//! A run as lines, for files, pipes and CI.

use std::collections::HashSet;
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use weft_local::Observer;
use weft_model::{Execution, Level, TaskRun};
use weft_worker::LogSource;

use super::Show;
use super::lines::LineFormat;

/// Lines may wait this long in memory, or until so many bytes are there: a write for each line would be slow.
const MAX_WAIT: Duration = Duration::from_millis(50);
const MAX_WAITING: usize = 64 << 10;

/// Writes lines to stderr.
pub struct Plain {
    format: Option<LineFormat>,
    state: Mutex<Waiting>,
    me: Weak<Self>,
    /// Writes what waits while nothing more comes. Started with the first line that waits.
    flusher: OnceLock<()>,
}

struct Waiting {
    bytes: Vec<u8>,
    since: Instant,
    /// Task runs whose end was shown.
    ended: HashSet<String>,
}

impl Plain {
    /// Lines of this level and above; only the end if there is none.
    pub fn new(color: bool, least: Option<Level>) -> Arc<Self> {
        let waiting = Waiting { bytes: Vec::new(), since: Instant::now(), ended: HashSet::new() };
        Arc::new_cyclic(|me| Self {
            format: least.map(|least| LineFormat::new(color, least)),
            state: Mutex::new(waiting),
            me: me.clone(),
            flusher: OnceLock::new(),
        })
    }

    /// A line that is the last for an hour must not wait for the next one.
    fn flush_later(&self) {
        self.flusher.get_or_init(|| {
            let me = self.me.clone();
            let flush = move || {
                while let Some(plain) = me.upgrade() {
                    let mut state = plain.state.lock().unwrap_or_else(PoisonError::into_inner);
                    if !state.bytes.is_empty() && state.since.elapsed() >= MAX_WAIT {
                        state.write();
                    }
                    drop(state);
                    drop(plain);
                    std::thread::sleep(MAX_WAIT);
                }
            };
            // Without the thread, lines come with the next ones.
            let _ = std::thread::Builder::new().name("weft-lines".to_owned()).spawn(flush);
        });
    }

    fn with(&self, at_once: bool, write: impl FnOnce(&LineFormat, &mut Waiting)) {
        let Some(format) = &self.format else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.bytes.is_empty() {
            state.since = Instant::now();
        }
        write(format, &mut state);
        if at_once || state.bytes.len() >= MAX_WAITING || state.since.elapsed() >= MAX_WAIT {
            state.write();
        } else {
            self.flush_later();
        }
    }
}

impl Waiting {
    fn write(&mut self) {
        // Nobody reads stderr any more: the run goes on all the same.
        let _ = std::io::stderr().write_all(&self.bytes);
        self.bytes.clear();
    }
}

impl Observer for Plain {
    fn execution(&self, _: &Execution) {}

    fn task_run(&self, _: &Execution, task_run: &TaskRun) {
        if task_run.current().is_terminal() {
            self.with(true, |format, state| {
                if state.ended.insert(task_run.id.clone()) {
                    format.ended(&mut state.bytes, task_run);
                }
            });
        }
    }

    fn log(&self, source: Option<&LogSource>, timestamp: Timestamp, level: Level, message: &[u8]) {
        self.with(false, |format, state| format.log(&mut state.bytes, source, timestamp, level, message));
    }
}

impl Show for Plain {
    fn finish(&self, execution: Option<&Execution>) {
        self.with(true, |format, state| {
            if let Some(execution) = execution {
                format.finished(&mut state.bytes, execution);
            }
        });
    }
}
