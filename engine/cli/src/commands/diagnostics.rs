//! What is wrong with flows and plugins, on stderr.

use weft_flow::{Diagnostic, RenderOptions, Severity};
use weft_host::PluginProblem;

use super::files::Source;
use crate::app::{self, App};
use crate::ui::text;

/// Prints each mistake with its place.
pub fn show(app: &App, diagnostics: &[Diagnostic], source: &Source) {
    let options = RenderOptions { color: app.terminal.stderr_color, ..RenderOptions::default() };
    let rendered = weft_flow::render(diagnostics, &source.text, &source.name, options);
    app::say(&rendered);
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
