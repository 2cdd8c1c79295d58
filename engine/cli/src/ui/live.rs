//! A run on a terminal: log lines scroll by, and below them stands a tree of the task runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use weft_local::Observer;
use weft_model::{Execution, Level, State, TaskRun};
use weft_worker::LogSource;

use super::lines::{LineFormat, named};
use super::{Show, text};

/// How often the tree is drawn.
const TICK: Duration = Duration::from_millis(80);
const SPINNER: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Draws on stderr.
pub struct Live {
    shared: Arc<Shared>,
    drawer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    format: LineFormat,
    color: bool,
    state: Mutex<Tree>,
    stop: AtomicBool,
}

#[derive(Default)]
struct Tree {
    /// Log lines that are not on the terminal yet.
    lines: Vec<u8>,
    /// Task runs in the order of their creation.
    runs: Vec<Node>,
    places: HashMap<String, usize>,
}

struct Node {
    name: String,
    depth: usize,
    state: State,
    since: Timestamp,
    until: Option<Timestamp>,
    attempts: usize,
}

impl Live {
    /// Begins to draw.
    pub fn start(color: bool, least: Level) -> Arc<Self> {
        let shared = Arc::new(Shared {
            format: LineFormat::new(color, least),
            color,
            state: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let drawn = Arc::clone(&shared);
        let drawer =
            std::thread::Builder::new().name("weft-terminal".to_owned()).spawn(move || draw(&drawn)).ok();
        Arc::new(Self { shared, drawer: Mutex::new(drawer) })
    }

    fn with(&self, change: impl FnOnce(&LineFormat, &mut Tree)) {
        change(&self.shared.format, &mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Observer for Live {
    fn execution(&self, _: &Execution) {}

    fn task_run(&self, execution: &Execution, task_run: &TaskRun) {
        self.with(|_, tree| tree.update(execution, task_run));
    }

    fn log(&self, source: Option<&LogSource>, timestamp: Timestamp, level: Level, message: &[u8]) {
        self.with(|format, tree| format.log(&mut tree.lines, source, timestamp, level, message));
    }
}

impl Show for Live {
    fn finish(&self, execution: Option<&Execution>) {
        if let Some(execution) = execution {
            self.with(|format, tree| {
                // The tree stays on the terminal as it ended, above the last line.
                let rows = tree.rows(usize::MAX, 0, self.shared.color);
                for row in rows {
                    tree.lines.extend_from_slice(row.as_bytes());
                    tree.lines.push(b'\n');
                }
                tree.runs.clear();
                tree.places.clear();
                format.finished(&mut tree.lines, execution);
            });
        }
        self.shared.stop.store(true, Ordering::Release);
        if let Some(drawer) = self.drawer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = drawer.join();
        }
    }
}

impl Tree {
    fn update(&mut self, execution: &Execution, task_run: &TaskRun) {
        let place = match self.places.get(&task_run.id) {
            Some(&place) => place,
            None => {
                let parent = task_run.parent_task_run_id.as_ref().and_then(|id| self.places.get(id));
                let subflow = usize::from(execution.parent_id.is_some());
                let depth = parent.map_or(subflow, |&place| self.runs[place].depth + 1);
                self.places.insert(task_run.id.clone(), self.runs.len());
                self.runs.push(Node {
                    name: named(task_run),
                    depth,
                    state: task_run.current(),
                    since: task_run.state.start_date(),
                    until: None,
                    attempts: 0,
                });
                self.runs.len() - 1
            }
        };
        let node = &mut self.runs[place];
        node.state = task_run.current();
        node.until = task_run.state.end_date();
        node.attempts = task_run.attempts.len();
    }

    /// The tree as rows. Where it has more than `most`, those that ended make room for those that have not.
    fn rows(&self, most: usize, tick: usize, color: bool) -> Vec<String> {
        let open = self.runs.iter().filter(|node| !node.state.is_terminal()).count();
        let mut spare = most.saturating_sub(open.min(most));
        // The last ones that ended are of more interest than the first.
        let mut shown: Vec<&Node> = Vec::new();
        for node in self.runs.iter().rev() {
            if !node.state.is_terminal() {
                if shown.len() < most {
                    shown.push(node);
                }
            } else if spare > 0 {
                spare -= 1;
                shown.push(node);
            }
        }
        shown.reverse();
        let mut rows: Vec<String> = Vec::new();
        let hidden = self.runs.len() - shown.len();
        if hidden > 0 {
            rows.push(text::styled(&format!("  … {hidden} more"), text::DIM, color));
        }
        rows.extend(shown.into_iter().map(|node| node.row(tick, color)));
        rows
    }
}

impl Node {
    fn row(&self, tick: usize, color: bool) -> String {
        let sign = match self.state {
            State::Running | State::Killing => SPINNER[tick % SPINNER.len()],
            state => text::state_sign(state),
        };
        let style = text::state_style(self.state);
        let took = self.until.unwrap_or_else(Timestamp::now).duration_since(self.since);
        let tries = if self.attempts > 1 { format!(" attempt {}", self.attempts) } else { String::new() };
        format!(
            "{:indent$}{} {} {}",
            "",
            text::styled(sign, style, color),
            text::styled(&self.name, if self.state.is_terminal() { text::DIM } else { text::BOLD }, color),
            text::styled(
                &format!("{} {}{tries}", self.state.as_str().to_lowercase(), text::duration(took)),
                text::DIM,
                color
            ),
            indent = self.depth * 2
        )
    }
}

/// Draws until told to stop. Lines are gathered between two drawings, so that a chatty task does not slow the run.
fn draw(shared: &Shared) {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg}") {
        bar.set_style(style);
    }
    let terminal = console::Term::stderr();
    for tick in 0.. {
        let stop = shared.stop.load(Ordering::Acquire);
        let (lines, rows) = {
            let mut tree = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            let most = usize::from(terminal.size().0).saturating_sub(4).max(4);
            (std::mem::take(&mut tree.lines), tree.rows(most, tick, shared.color))
        };
        if !lines.is_empty() {
            bar.println(String::from_utf8_lossy(&lines).trim_end_matches('\n'));
        }
        bar.set_message(rows.join("\n"));
        if stop {
            bar.finish_and_clear();
            return;
        }
        bar.tick();
        std::thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_tree_shows_what_is_open() {
        let now = Timestamp::now();
        let node = |name: &str, state| Node {
            name: name.to_owned(),
            depth: 0,
            state,
            since: now,
            until: Some(now),
            attempts: 1,
        };
        let mut tree = Tree::default();
        for n in 0..10 {
            tree.runs.push(node(&format!("done{n}"), State::Success));
        }
        tree.runs.insert(3, node("open", State::Running));
        let rows = tree.rows(3, 0, false);
        assert_eq!(rows, ["  … 8 more", "⠋ open running 0ms", "✓ done8 success 0ms", "✓ done9 success 0ms"]);
    }
}
