//! What is said about cases: lines as they end, a summary, one JSON document.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use weft_model::{Level, LogEntry};
use weft_testing::{CaseReport, CaseResult, DiffLine, Shortfall};
use weft_worker::LogSource;

use super::cases::Results;
use super::load::Suite;
use crate::app;
use crate::args::TestArgs;
use crate::ui::{LineFormat, Terminal, text};

/// How far what is said about a failure is set in.
const INDENT: &str = "      ";
/// Names of running cases that are shown.
const RUNNING: usize = 3;

/// Shows cases while they run. Reports go to stdout, or to stderr where stdout is for JSON.
pub struct Printer {
    to_stderr: bool,
    quiet: bool,
    color: bool,
    /// The file whose cases are being shown.
    file: Option<String>,
    /// Whether the data directories are kept.
    keep: bool,
    bar: Option<ProgressBar>,
    running: Vec<String>,
}

impl Printer {
    /// Shows nothing yet.
    pub fn new(terminal: Terminal, args: &TestArgs) -> Self {
        let bar = (terminal.live && !args.quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self {
            to_stderr: args.json,
            quiet: args.quiet,
            color: if args.json { terminal.stderr_color } else { terminal.stdout_color },
            file: None,
            keep: args.keep,
            bar,
            running: Vec::new(),
        }
    }

    /// A case runs.
    pub fn begun(&mut self, name: &str) {
        self.running.push(name.to_owned());
        self.draw();
    }

    /// A case has ended.
    pub fn ended(&mut self, name: &str) {
        if let Some(index) = self.running.iter().position(|running| running == name) {
            self.running.remove(index);
        }
        self.draw();
    }

    fn draw(&self) {
        let Some(bar) = &self.bar else { return };
        let names = self.running.iter().take(RUNNING).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = match self.running.len().saturating_sub(RUNNING) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        bar.set_message(format!("{names}{more}"));
    }

    /// Shows what came of a case, whose data directory is `data`.
    pub fn case(&mut self, suite: &Suite, report: &CaseReport, data: &Path) -> anyhow::Result<()> {
        if self.quiet && report.result != CaseResult::Failed {
            return Ok(());
        }
        let mut out = String::new();
        if self.file.as_ref() != Some(&suite.name) {
            let flow = format!("{}.{}", suite.flow.flow.namespace, suite.flow.flow.id);
            let _ = writeln!(
                out,
                "{} {}",
                text::styled(&suite.name, text::BOLD, self.color),
                text::styled(&flow, text::DIM, self.color)
            );
            self.file = Some(suite.name.clone());
        }
        out.push_str(&self.lines(suite, report, data));
        match &self.bar {
            Some(bar) => bar.suspend(|| self.write(&out)),
            None => self.write(&out),
        }
    }

    fn lines(&self, suite: &Suite, report: &CaseReport, data: &Path) -> String {
        let color = self.color;
        let (sign, style) = match report.result {
            CaseResult::Passed => ("✓", text::SUCCESS),
            CaseResult::Failed => ("✗", text::ERROR),
            CaseResult::Skipped => ("-", text::DIM),
        };
        let mut out = format!("  {} {}", text::styled(sign, style, color), report.id);
        let aside = match report.result {
            CaseResult::Skipped => "disabled".to_owned(),
            _ => text::duration(report.duration.try_into().unwrap_or_default()),
        };
        let _ = writeln!(out, " {}", text::styled(&aside, text::DIM, color));
        for failure in &report.failures {
            out.push_str(&self::failure(&suite.name, failure, color));
        }
        for note in &report.notes {
            let label = text::styled("note:", text::WARNING, color);
            let _ = writeln!(out, "    {label} {note}");
        }
        if !report.log.is_empty() {
            let _ = writeln!(out, "    {}", text::styled("the end of the log:", text::DIM, color));
            for line in log(&report.log, color).lines() {
                let _ = writeln!(out, "{INDENT}{line}");
            }
        }
        if let (true, Some(id), CaseResult::Failed) = (self.keep, &report.execution_id, report.result) {
            let label = text::styled("hint:", text::HINT, color);
            let _ = writeln!(out, "    {label} weft executions show {id} --data-dir {}", data.display());
        }
        out
    }

    fn write(&self, out: &str) -> anyhow::Result<()> {
        if self.to_stderr {
            app::say(out);
            return Ok(());
        }
        app::print(out)
    }

    /// Nothing runs any more.
    pub fn close(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// One thing that was not as expected.
pub fn failure(file: &str, failure: &Shortfall, color: bool) -> String {
    let place = text::styled(&format!("{file}:{}:{}", failure.line, failure.column), text::DIM, color);
    let mut out = format!("    {} {place}\n", text::styled(&failure.subject, text::BOLD, color));
    for said in [&failure.description, &failure.message].into_iter().flatten() {
        paragraph(&mut out, INDENT, said);
    }
    if failure.diff.is_empty() {
        let (expected, actual) = (format!("{INDENT}expected  "), format!("{INDENT}found     "));
        paragraph(&mut out, &text::styled(&expected, text::SUCCESS, color), &failure.expected);
        paragraph(&mut out, &text::styled(&actual, text::ERROR, color), &failure.actual);
    } else {
        let legend = text::styled("- expected  + found", text::DIM, color);
        let _ = writeln!(out, "{INDENT}{legend}");
        for line in &failure.diff {
            let _ = writeln!(out, "{INDENT}{}", diff_line(line, color));
        }
    }
    out
}

fn diff_line(line: &DiffLine, color: bool) -> String {
    match line.sign {
        '.' => text::styled("...", text::DIM, color),
        sign => {
            let style = match sign {
                '-' => text::SUCCESS,
                '+' => text::ERROR,
                _ => text::DIM,
            };
            text::styled(&format!("{sign} {}", line.text), style, color)
        }
    }
}

/// Text whose further lines begin below the first.
fn paragraph(out: &mut String, head: &str, text: &str) {
    let width = console::measure_text_width(head);
    for (index, line) in text.lines().enumerate() {
        let _ = match index {
            0 => writeln!(out, "{head}{line}"),
            _ => writeln!(out, "{:width$}{line}", ""),
        };
    }
}

/// Lines of a log.
pub fn log(entries: &[LogEntry], color: bool) -> String {
    let format = LineFormat::new(color, Level::Trace);
    let mut out = Vec::new();
    for entry in entries {
        let source = entry.task_id.as_ref().map(|task_id| LogSource {
            task_id: task_id.clone(),
            task_run_id: entry.task_run_id.clone().unwrap_or_default(),
            attempt: entry.attempt_number,
        });
        format.log(&mut out, source.as_ref(), entry.timestamp, entry.level, entry.message.as_bytes());
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// How many cases came out how.
pub struct Summary {
    passed: usize,
    failed: usize,
    skipped: usize,
    not_run: usize,
    took: Duration,
}

impl Summary {
    /// Counts.
    pub fn new(results: &Results, took: Duration) -> Self {
        let mut summary = Self { passed: 0, failed: 0, skipped: 0, not_run: 0, took };
        for report in results.iter().flatten() {
            match report.as_ref().map(|report| report.result) {
                Some(CaseResult::Passed) => summary.passed += 1,
                Some(CaseResult::Failed) => summary.failed += 1,
                Some(CaseResult::Skipped) => summary.skipped += 1,
                None => summary.not_run += 1,
            }
        }
        summary
    }

    /// Whether every case that was to be run passed.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.not_run == 0
    }
}

/// The last line.
pub fn finish(
    terminal: Terminal,
    args: &TestArgs,
    summary: &Summary,
    kept: Option<&Path>,
) -> anyhow::Result<()> {
    let color = if args.json { terminal.stderr_color } else { terminal.stdout_color };
    let count = |number: usize, what: &str, style| {
        (number > 0).then(|| text::styled(&format!("{number} {what}"), style, color))
    };
    let passed = text::styled(&format!("{} passed", summary.passed), text::SUCCESS, color);
    let counts: Vec<String> = [
        count(summary.failed, "failed", text::ERROR),
        Some(passed),
        count(summary.skipped, "skipped", text::DIM),
        count(summary.not_run, "not run", text::WARNING),
    ]
    .into_iter()
    .flatten()
    .collect();
    let took = text::duration(summary.took.try_into().unwrap_or_default());
    let mut out = format!("{} in {took}\n", counts.join(", "));
    if let Some(kept) = kept {
        let _ = writeln!(out, "the data directories of the cases are in {}", kept.display());
    }
    if args.json {
        app::say(&out);
        return Ok(());
    }
    app::print(&out)
}

/// Everything as one JSON document.
pub fn document(suites: &[Suite], results: &Results, summary: &Summary, kept: Option<&Path>) -> Value {
    let files: Vec<Value> = suites
        .iter()
        .zip(results)
        .map(|(suite, reports)| {
            json!({
                "file": suite.name,
                "id": suite.tests.id,
                "description": suite.tests.description,
                "namespace": suite.flow.flow.namespace,
                "flowId": suite.flow.flow.id,
                "flowFile": suite.flow_file,
                "cases": reports.iter().flatten().collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "passed": summary.passed,
        "failed": summary.failed,
        "skipped": summary.skipped,
        "notRun": summary.not_run,
        "durationMs": u64::try_from(summary.took.as_millis()).unwrap_or(u64::MAX),
        "dataDir": kept,
        "files": files,
    })
}
