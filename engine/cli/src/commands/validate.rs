//! `weft validate`: everything that can be known about flows and their tests without running them.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use weft_flow::testing::is_test_file;
use weft_flow::{Called, Catalogue, Diagnostic, Outcome, ParseOptions, Severity, check_calls};
use weft_local::FlowIndex;

use super::diagnostics;
use super::files::{self, LeftOut, Source};
use super::test::{Found, Loader};
use crate::app::{self, App, RunSettings, usage};
use crate::args::ValidateArgs;

/// Checks each file; status 2 if one cannot be used.
pub fn run(app: &App, args: ValidateArgs) -> anyhow::Result<ExitCode> {
    let runtime = app::runtime()?;
    let engine = runtime.block_on(async { app.engine(RunSettings::default()) })?;
    let catalogue = runtime.block_on(engine.catalogue());
    // The flow of a test file may be in the folder of any other file that is checked.
    let folder = |path: &PathBuf| match path.parent()? {
        here if here.as_os_str().is_empty() => Some(PathBuf::from(".")),
        folder => Some(folder.to_owned()),
    };
    let (paths, left_out) = files_of(&args.files)?;
    let mut folders: Vec<PathBuf> = paths.iter().filter_map(folder).collect();
    folders.sort();
    folders.dedup();
    let called = OnceCell::new();
    let find = |namespace: &str, id: &str| {
        let folders = args.flows.iter().chain(&folders);
        let index = called.get_or_init(|| FlowIndex::read(&folders.cloned().collect::<Vec<_>>(), &catalogue));
        index.find(namespace, id)
    };
    let loader = Loader::new(&catalogue, folders.clone());
    let mut failed = 0;
    let mut found = Vec::new();
    if args.json {
        found = left_out.iter().map(LeftOut::to_machine).collect::<Result<_, _>>()?;
    } else {
        diagnostics::show_left_out(app, &left_out);
    }
    for path in &paths {
        let source = match files::read(path) {
            Ok(source) => source,
            Err(error) => {
                failed += 1;
                if args.json {
                    found.push(error.to_machine()?);
                } else {
                    diagnostics::show_error(app, &error.to_string());
                }
                continue;
            }
        };
        let (source, diagnostics) = check(source, path, &loader, &catalogue, &find);
        let has_errors = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        failed += usize::from(has_errors);
        if args.json {
            diagnostics::list(&mut found, &diagnostics, &source)?;
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
    // What was found out while their types were looked for.
    diagnostics::show_plugins(app, &runtime.block_on(engine.host().catalogue()).problems());
    if args.json {
        app::print_json(&found)?;
    }
    Ok(if failed > 0 { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

/// The files that are meant: of a folder, the flows and test files below it. And what of them cannot be read.
fn files_of(paths: &[PathBuf]) -> anyhow::Result<(Vec<PathBuf>, Vec<LeftOut>)> {
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let is_ours = |text: &str| files::looks_like_flow(text) || is_test_file(text);
        let below = files::yaml_files(path, usize::MAX, is_ours);
        let nothing = below.files.is_empty();
        found.extend(below.files);
        left_out.extend(below.left_out);
        if nothing {
            return Err(usage(format!(
                "there are no flows in `{}`\nhint: a flow is a YAML file with `tasks`",
                path.display()
            )));
        }
    }
    Ok((found, left_out))
}

/// What is wrong with a flow, or with a test file and what it says of its flow.
fn check(
    source: Source,
    path: &Path,
    loader: &Loader<'_>,
    catalogue: &dyn Catalogue,
    find: &dyn Fn(&str, &str) -> Called,
) -> (Source, Vec<Diagnostic>) {
    if is_test_file(&source.text) {
        let loaded = loader.load(source, &Found::named(path));
        return (loaded.source, loaded.diagnostics);
    }
    let Outcome { flow, mut diagnostics, .. } =
        weft_flow::parse(&source.text, catalogue, &ParseOptions::default());
    if let Some(flow) = flow {
        diagnostics.extend(check_calls(&flow, &source.text, find));
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    }
    (source, diagnostics)
}
