//! `weft validate`: everything that can be known about flows and their tests without running them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use weft_flow::testing::is_test_file;
use weft_flow::{Catalogue, Diagnostic, ParseOptions, Severity};

use super::test::{Found, Loader};
use super::{diagnostics, files, files::Source};
use crate::app::{self, App, RunSettings};
use crate::args::ValidateArgs;

/// Checks each file; status 2 if one cannot be used.
pub fn run(app: &App, args: ValidateArgs) -> anyhow::Result<ExitCode> {
    let runtime = app::runtime()?;
    let engine = runtime.block_on(async { app.engine(RunSettings::default()) })?;
    let catalogue = runtime.block_on(engine.catalogue());
    diagnostics::show_plugins(app, runtime.block_on(engine.host().problems()));
    // The flow of a test file may be in the folder of any other file that is checked.
    let folder = |path: &PathBuf| match path.parent()? {
        here if here.as_os_str().is_empty() => Some(PathBuf::from(".")),
        folder => Some(folder.to_owned()),
    };
    let mut folders: Vec<PathBuf> = args.files.iter().filter_map(folder).collect();
    folders.sort();
    folders.dedup();
    let loader = Loader::new(&catalogue, folders);
    let mut failed = 0;
    let mut found = Vec::new();
    for path in &args.files {
        let source = files::read_flow(path)?;
        let (source, diagnostics) = check(source, path, &loader, &catalogue);
        let has_errors = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        failed += usize::from(has_errors);
        if args.json {
            for diagnostic in &diagnostics {
                found.push(serde_json::to_value(diagnostic.to_machine(&source.name))?);
            }
        } else {
            diagnostics::show(app, &diagnostics, &source);
            if !has_errors {
                let note = match diagnostics.len() {
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

/// What is wrong with a flow, or with a test file and what it says of its flow.
fn check(
    source: Source,
    path: &Path,
    loader: &Loader<'_>,
    catalogue: &dyn Catalogue,
) -> (Source, Vec<Diagnostic>) {
    if is_test_file(&source.text) {
        let loaded = loader.load(source, &Found::named(path));
        return (loaded.source, loaded.diagnostics);
    }
    let outcome = weft_flow::parse(&source.text, catalogue, &ParseOptions::default());
    (source, outcome.diagnostics)
}
