//! What is wrong with flows and plugins, on stderr.

use std::path::Path;

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

/// So many plugin files are named where a flow is what matters.
const FILES_NAMED: usize = 3;

/// Prints what is wrong with plugins as one warning: a broken plugin does not matter to flows that do not name it.
pub fn show_plugins(app: &App, problems: &[PluginProblem]) {
    let text = match problems {
        [] => return,
        [problem] => problem.to_string(),
        [..] => {
            let mut files: Vec<_> =
                problems.iter().map(|problem| format!("`{}`", problem.path.display())).collect();
            files.dedup();
            let more = files.len().saturating_sub(FILES_NAMED);
            files.truncate(FILES_NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                "{} with plugins: {}{more}\nhint: `weft plugins list` says what is wrong with them",
                text::count(problems.len(), "problem"),
                files.join(", ")
            )
        }
    };
    show_warning(app, &text);
}

/// Prints everything that is wrong with plugins, still as one warning.
pub fn show_all_plugins(app: &App, problems: &[PluginProblem]) {
    if let [_, _, ..] = problems {
        let lines: Vec<_> = problems.iter().map(|problem| format!("\n{problem}")).collect();
        show_warning(
            app,
            &format!("{} with plugins:{}", text::count(problems.len(), "problem"), lines.concat()),
        );
    } else {
        show_plugins(app, problems);
    }
}

fn show_warning(app: &App, message: &str) {
    let label = text::styled("warning:", text::WARNING, app.terminal.stderr_color);
    app::say(&format!("{label} {message}\n"));
}

/// Says that a project's plugins are not used, where all plugins are what matters.
pub fn show_untrusted(app: &App, folder: &Path) {
    let folder = folder.display();
    let note = format!(
        "note: the plugins in `{folder}` are not trusted, so they are not here; look at them, then `weft trust {folder}`"
    );
    app::say(&format!("{}\n", text::styled(&note, text::DIM, app.terminal.stderr_color)));
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
