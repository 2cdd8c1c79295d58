//! What is wrong with flows and plugins, on stderr.

use std::io::Write;
use std::path::Path;

use weft_flow::{Diagnostic, RenderOptions, Severity};
use weft_host::PluginProblem;

use super::files::Source;
use crate::app::App;
use crate::ui::text;

/// Prints each mistake with its place.
pub fn show(app: &App, diagnostics: &[Diagnostic], source: &Source) {
    let options = RenderOptions { color: app.terminal.stderr_color, ..RenderOptions::default() };
    let rendered = weft_flow::render(diagnostics, &source.text, &source.name, options);
    // With stderr closed there is nobody to tell.
    let _ = std::io::stderr().write_all(rendered.as_bytes());
}

/// Prints a mistake that has no place in a flow.
pub fn show_error(app: &App, message: &str) {
    let label = text::styled("error:", text::ERROR, app.terminal.stderr_color);
    // With stderr closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{label} {message}");
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
    // With stderr closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{label} {message}");
}

/// Says that a project's plugins are not used, where all plugins are what matters.
pub fn show_untrusted(app: &App, folder: &Path) {
    let folder = folder.display();
    let note = format!(
        "note: the plugins in `{folder}` are not trusted, so they are not here; look at them, then `weft trust {folder}`"
    );
    let _ = writeln!(std::io::stderr(), "{}", text::styled(&note, text::DIM, app.terminal.stderr_color));
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
