//! Log lines and the ends of task runs as text, the same on a terminal and elsewhere.

use std::borrow::Cow;
use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use weft_model::{Execution, Level, State, TaskRun};
use weft_worker::LogSource;

use super::{printable, text};

/// Writes lines in one time zone, in colour or not.
pub struct LineFormat {
    zone: TimeZone,
    color: bool,
    least: Level,
}

impl LineFormat {
    /// Lines of this level and above.
    pub fn new(color: bool, least: Level) -> Self {
        Self { zone: TimeZone::system(), color, least }
    }

    /// Adds a log line to `out`, if its level is enough.
    pub fn log(
        &self,
        out: &mut Vec<u8>,
        source: Option<&LogSource>,
        timestamp: Timestamp,
        level: Level,
        message: &[u8],
    ) {
        if level < self.least {
            return;
        }
        self.time(out, timestamp);
        let name = text::styled(&format!("{:<5}", level.as_str()), text::level_style(level), self.color);
        let task = source.map_or(Cow::Borrowed(""), |source| printable::inline(&source.task_id));
        let task = text::styled(&task, text::BOLD, self.color);
        // Writing to a vector does not fail.
        let _ = write!(out, "{name} {task}{}", if source.is_some() { " " } else { "" });
        out.extend_from_slice(printable::line(&String::from_utf8_lossy(message)).as_bytes());
        out.push(b'\n');
    }

    /// Adds a line about a task run that has ended to `out`.
    pub fn ended(&self, out: &mut Vec<u8>, task_run: &TaskRun) {
        let state = task_run.current();
        if let Some(end) = task_run.state.end_date() {
            self.time(out, end);
        }
        let sign = text::styled(text::state_sign(state), text::state_style(state), self.color);
        let name = text::styled(&named(task_run), text::BOLD, self.color);
        let state_name = text::styled(state.as_str(), text::state_style(state), self.color);
        let took = task_run.state.duration().map(text::duration).unwrap_or_default();
        let took = text::styled(&took, text::DIM, self.color);
        // What `weft explain` is asked for.
        let failure = task_run.attempts.last().and_then(|attempt| attempt.failure.as_ref());
        let code = failure
            .filter(|_| state == State::Failed)
            .map(|failure| format!(" [{}]", printable::inline(&failure.code)));
        let code = text::styled(&code.unwrap_or_default(), text::DIM, self.color);
        let _ = writeln!(out, "{sign}     {name} {state_name} {took}{code}");
    }

    /// Adds the last line about an execution to `out`.
    pub fn finished(&self, out: &mut Vec<u8>, execution: &Execution) {
        let state = execution.current();
        let sign = text::styled(text::state_sign(state), text::state_style(state), self.color);
        let name = format!("{}.{}", execution.namespace, execution.flow_id);
        let name = text::styled(&name, text::BOLD, self.color);
        let state_name = text::styled(state.as_str(), text::state_style(state), self.color);
        let took = execution.state.duration().map(text::duration).unwrap_or_default();
        let id = text::styled(&execution.id, text::DIM, self.color);
        let _ = writeln!(out, "{sign} {name} {state_name} {took} {id}");
        if let Some(error) = &execution.error {
            let label = text::styled("error:", text::ERROR, self.color);
            let _ = writeln!(out, "{label} {}", printable::clean(&error.message));
        }
        if state == State::Paused {
            let label = text::styled("hint:", text::HINT, self.color);
            let _ = writeln!(out, "{label} let it go on with `weft executions resume {}`", execution.id);
        }
    }

    fn time(&self, out: &mut Vec<u8>, timestamp: Timestamp) {
        let time = text::styled(&text::time_of_day(timestamp, &self.zone), text::DIM, self.color);
        let _ = write!(out, "{time} ");
    }
}

/// A task run's name, with the loop value it runs for, in one line.
pub fn named(task_run: &TaskRun) -> String {
    let task = printable::inline(&task_run.task_id);
    match &task_run.value {
        Some(value) => format!("{task}[{}]", printable::inline(value)),
        None => task.into_owned(),
    }
}
