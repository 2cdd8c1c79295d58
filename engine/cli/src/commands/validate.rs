//! `weft validate`: everything that can be known about flows without running them.

use std::process::ExitCode;

use weft_flow::{ParseOptions, Severity};

use super::{diagnostics, files};
use crate::app::{self, App, RunSettings};
use crate::args::ValidateArgs;

/// Checks each file; status 2 if one cannot be used.
pub fn run(app: &App, args: ValidateArgs) -> anyhow::Result<ExitCode> {
    let runtime = app::runtime()?;
    let engine = runtime.block_on(async { app.engine(RunSettings::default()) })?;
    let catalogue = runtime.block_on(engine.catalogue());
    diagnostics::show_plugins(app, runtime.block_on(engine.host().problems()));
    let mut failed = 0;
    let mut found = Vec::new();
    for path in &args.files {
        let source = files::read_flow(path)?;
        let outcome = weft_flow::parse(&source.text, &catalogue, &ParseOptions::default());
        failed += usize::from(outcome.has_errors());
        if args.json {
            for diagnostic in &outcome.diagnostics {
                found.push(serde_json::to_value(diagnostic.to_machine(&source.name))?);
            }
        } else {
            diagnostics::show(app, &outcome.diagnostics, &source);
            if !outcome.has_errors() {
                let warnings =
                    outcome.diagnostics.iter().filter(|found| found.severity == Severity::Warning).count();
                let note = match warnings {
                    0 => "valid".to_owned(),
                    1 => "valid, with 1 warning".to_owned(),
                    count => format!("valid, with {count} warnings"),
                };
                app::print(&format!("{}: {note}\n", source.name))?;
            }
        }
    }
    if args.json {
        app::print_json(&found)?;
    }
    Ok(if failed > 0 { ExitCode::from(2) } else { ExitCode::SUCCESS })
}
