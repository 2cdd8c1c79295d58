//! `weft test`: runs test files beside flows.

mod cases;
mod find;
mod junit;
mod load;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use serde_json::json;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use weft_flow::Severity;
use weft_worker::{EnvironmentSecrets, RunnerKind, Secrets};

use super::diagnostics;
use crate::app::{self, App, RunSettings, usage};
use crate::args::{RunnerChoice, TestArgs};

pub use find::Found;
pub use load::{Loader, Suite};

/// Runs the cases; status 0 if all are as expected.
pub fn run(app: &App, args: TestArgs) -> anyhow::Result<ExitCode> {
    let settings = RunSettings {
        runner: args.runner.map(|runner| match runner {
            RunnerChoice::Process => RunnerKind::Process,
            RunnerChoice::Docker => RunnerKind::Docker,
        }),
        groups: args.worker_groups.clone(),
    };
    let begin = Instant::now();
    if let Some(folder) = args.flows.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(usage(format!("--flows: there is no folder `{}`", folder.display())));
    }
    if !args.real_secrets {
        forget_secrets();
    }
    let runtime = app::runtime()?;
    let status = runtime.block_on(async {
        let engine = app.engine(settings)?;
        let suites = {
            let catalogue = engine.catalogue().await;
            load_suites(app, &args, &Loader::new(&catalogue, args.flows.iter().cloned().collect()))?
        };
        let suites = chosen(suites, &args)?;
        let place = Place::new(args.keep)?;
        let (stop, stopped) = watch::channel(false);
        let signals = tokio::spawn(stop_on_signals(stop));
        let secrets = args.real_secrets.then(|| Arc::new(EnvironmentSecrets) as Arc<dyn Secrets>);
        let plan = cases::Plan {
            data: place.path.clone(),
            keep: args.keep,
            jobs: args.jobs.map_or_else(default_jobs, |jobs| usize::from(jobs.get())),
            timeout: args.timeout,
            fail_fast: args.fail_fast,
            secrets,
            stopped,
        };
        let printer = report::Printer::new(app.terminal, &args);
        let results = cases::run_all(&engine, &suites, plan, printer).await?;
        signals.abort();
        let summary = report::Summary::new(&results, begin.elapsed());
        if let Some(path) = &args.junit {
            junit::write(path, &suites, &results)?;
        }
        if args.json {
            app::print_json(&report::document(&suites, &results, &summary, place.kept().as_deref()))?;
        }
        report::finish(app.terminal, &args, &summary, place.kept().as_deref())?;
        Ok::<_, anyhow::Error>(if summary.is_success() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    })?;
    // What is still under way (a guest that does not listen) ends with the process.
    runtime.shutdown_background();
    Ok(status)
}

/// Takes the machine's secrets out of the environment, which scripts inherit.
fn forget_secrets() {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_string_lossy().starts_with("SECRET_")) {
        // SAFETY: the runtime is not there yet, so this is the only thread and nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
}

/// Reads every test file that was asked for. Nothing is run unless all of them are valid.
fn load_suites(app: &App, args: &TestArgs, loader: &Loader<'_>) -> anyhow::Result<Vec<Suite>> {
    let (found, left_out) = find::find(&args.paths)?;
    diagnostics::show_left_out(app, &left_out);
    if found.is_empty() {
        let places: Vec<String> = args.paths.iter().map(|path| format!("`{}`", path.display())).collect();
        return Err(usage(format!(
            "there are no test files in {}\nhint: a test file is YAML with `testCases`; `docs/testing.md` shows how to write one",
            places.join(", ")
        )));
    }
    let mut suites = Vec::new();
    let (mut invalid, mut shown) = (0, false);
    let mut mistakes = Vec::new();
    for file in found {
        let source = match super::files::read(&file.path) {
            Ok(source) => source,
            Err(error) => {
                invalid += 1;
                diagnostics::show_error(app, &error.to_string());
                mistakes.push(error.to_machine()?);
                continue;
            }
        };
        let loaded = loader.load(source, &file);
        if loaded.is_of_another_flow(&file) {
            continue;
        }
        if shown && !loaded.diagnostics.is_empty() {
            app::say("\n");
        }
        shown |= !loaded.diagnostics.is_empty();
        diagnostics::show(app, &loaded.diagnostics, &loaded.source);
        if loaded.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            invalid += 1;
        }
        diagnostics::list(&mut mistakes, &loaded.diagnostics, &loaded.source)?;
        suites.extend(loaded.into_suite());
    }
    if invalid == 0 {
        return Ok(suites);
    }
    if args.json {
        app::print_json(&json!({ "files": [], "diagnostics": mistakes }))?;
    }
    Err(usage(match invalid {
        1 => "1 test file is invalid: nothing was run".to_owned(),
        count => format!("{count} test files are invalid: nothing was run"),
    }))
}

/// The cases that were asked for by name.
fn chosen(mut suites: Vec<Suite>, args: &TestArgs) -> anyhow::Result<Vec<Suite>> {
    if suites.is_empty() {
        return Err(usage("none of the test files is for this flow"));
    }
    if args.filters.is_empty() {
        return Ok(suites);
    }
    let names: Vec<String> = suites.iter().flat_map(Suite::names).collect();
    for suite in &mut suites {
        let id = suite.tests.id.clone();
        suite.tests.cases.retain(|case| {
            let name = format!("{id}/{}", case.id);
            args.filters.iter().any(|filter| name.contains(filter.as_str()))
        });
    }
    suites.retain(|suite| !suite.tests.cases.is_empty());
    if suites.is_empty() {
        let shown = names.iter().take(10).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let more = if names.len() > 10 { ", ..." } else { "" };
        return Err(usage(format!("no test case has this name\nhint: there are {shown}{more}")));
    }
    Ok(suites)
}

/// Where the data directories of cases are: gone at the end, unless they are to be kept.
struct Place {
    path: PathBuf,
    throw_away: Option<TempDir>,
}

impl Place {
    fn new(keep: bool) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("weft-test-")
            .tempdir()
            .context("cannot make a directory for the tests")?;
        Ok(match keep {
            true => Self { path: directory.keep(), throw_away: None },
            false => Self { path: directory.path().to_owned(), throw_away: Some(directory) },
        })
    }

    fn kept(&self) -> Option<PathBuf> {
        self.throw_away.is_none().then(|| self.path.clone())
    }
}

fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The first SIGINT or SIGTERM ends all executions in order; the second ends this process at once, and everything it
/// started with it.
async fn stop_on_signals(stop: watch::Sender<bool>) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if stop.send_replace(true) {
            std::process::exit(130);
        }
    }
}
