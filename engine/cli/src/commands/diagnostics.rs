//! What is wrong with flows and plugins, on stderr.

use weft_flow::{Diagnostic, RenderOptions, Severity, Told};
use weft_host::PluginProblem;

use super::files::{LeftOut, Source};
use crate::app::{self, App};
use crate::ui::text;

/// Mistakes of one file that are shown to a person.
const MOST_SHOWN: usize = 100;

/// Mistakes of one file that are listed for a program.
const MOST_LISTED: usize = 1_000;

/// What is left out of a folder that is named one by one.
const MOST_LEFT_OUT: usize = 10;

/// Prints each mistake with its place; of many, the first, and how many more there are.
pub fn show(app: &App, diagnostics: &[Diagnostic], source: &Source) {
    let options = RenderOptions { color: app.terminal.stderr_color, ..RenderOptions::default() };
    let told = Told::most_of(diagnostics, MOST_SHOWN);
    let mut rendered = weft_flow::render(told.shown.iter().copied(), &source.text, &source.name, options);
    if let Some(summary) = told.summary() {
        let label = text::styled("note:", text::BOLD, app.terminal.stderr_color);
        rendered += &format!("\n{label} {}: {summary}\n", source.name);
    }
    app::say(&rendered);
}

/// Adds each mistake in the form for programs; of many, the first, and one entry that counts the others.
pub fn list(
    found: &mut Vec<serde_json::Value>,
    diagnostics: &[Diagnostic],
    source: &Source,
) -> serde_json::Result<()> {
    let told = Told::most_of(diagnostics, MOST_LISTED);
    for diagnostic in &told.shown {
        found.push(serde_json::to_value(diagnostic.to_machine(&source.name))?);
    }
    if let Some(rest) = told.rest_to_machine(&source.name) {
        found.push(serde_json::to_value(rest)?);
    }
    Ok(())
}

/// Prints what was left out of folders: it does not matter to what is there.
pub fn show_left_out(app: &App, left_out: &[LeftOut]) {
    let label = text::styled("warning:", text::WARNING, app.terminal.stderr_color);
    for left_out in left_out.iter().take(MOST_LEFT_OUT) {
        app::say(&format!("{label} {}\n", left_out.message()));
    }
    if let Some(more) = left_out.len().checked_sub(MOST_LEFT_OUT).filter(|&more| more > 0) {
        app::say(&format!("{label} and {more} more are left out\n"));
    }
}

/// Prints a mistake that has no place in a flow.
pub fn show_error(app: &App, message: &str) {
    let label = text::styled("error:", text::ERROR, app.terminal.stderr_color);
    app::say(&format!("{label} {message}\n"));
}

/// Prints what is wrong with plugins as warnings: a broken plugin does not matter to flows that do not name it.
pub fn show_plugins(app: &App, problems: &[PluginProblem]) {
    for problem in problems {
        let label = text::styled("warning:", text::WARNING, app.terminal.stderr_color);
        app::say(&format!("{label} {problem}\n"));
    }
}

/// Whether the flow cannot be run: what is only certain to fail later is a warning then.
pub fn as_warnings(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let soften = |mut diagnostic: Diagnostic| {
        if diagnostic.runtime {
            diagnostic.severity = Severity::Warning;
        }
        diagnostic
    };
    diagnostics.into_iter().map(soften).collect()
}
