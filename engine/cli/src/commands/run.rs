//! `weft run`: runs a flow and waits for its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use weft_flow::{Given, ParseOptions};
use weft_local::{Control, FlowSource, Local, LocalError, LoadedFlow, RunRequest};
use weft_model::{Execution, Label, State};
use weft_worker::RunnerKind;

use super::{diagnostics, files};
use crate::app::{self, App, RunSettings, usage};
use crate::args::{LevelChoice, RunArgs, RunnerChoice};
use crate::ui::{self, Show};

/// Runs the flow; the status says how it ended.
pub fn run(app: &App, args: RunArgs) -> anyhow::Result<ExitCode> {
    let inputs = args.inputs.iter().map(|text| input(text)).collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    let labels = args.labels.iter().map(|text| label(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let source = files::read_flow(&args.file)?;
    let settings = RunSettings {
        runner: args.runner.map(|runner| match runner {
            RunnerChoice::Process => RunnerKind::Process,
            RunnerChoice::Docker => RunnerKind::Docker,
        }),
        groups: args.worker_groups.clone(),
    };
    let runtime = app::runtime()?;
    let status = runtime.block_on(async {
        let engine = app.engine(settings)?;
        let cleanup = engine.clean_up();
        let flow = load(app, &engine, &source).await?;
        let show = ui::show(app.terminal, level(args.log_level), args.quiet);
        let request = RunRequest {
            flow,
            inputs,
            labels,
            flows: FlowSource::directory(flows_directory(&args)),
            observer: Arc::clone(&show) as _,
        };
        let ended = run_until_end(&engine, request).await;
        show.finish(ended.as_ref().ok());
        cleanup.wait();
        let execution = ended.map_err(|error| match error {
            LocalError::Inputs(_) | LocalError::Disabled(_) => usage(error.to_string()),
            error => error.into(),
        })?;
        if args.json {
            print(&engine, &execution)?;
        }
        Ok::<_, anyhow::Error>(status(&execution))
    })?;
    // What is still under way (a guest that does not listen) ends with the process.
    runtime.shutdown_background();
    Ok(status)
}

async fn load(app: &App, engine: &Local, source: &files::Source) -> anyhow::Result<LoadedFlow> {
    let catalogue = engine.catalogue().await;
    let outcome = weft_flow::parse(&source.text, &catalogue, &ParseOptions::default());
    diagnostics::show(app, &diagnostics::as_warnings(outcome.diagnostics), source);
    match outcome.flow {
        Some(flow) => Ok(LoadedFlow { flow: Arc::new(flow), source: source.text.as_str().into() }),
        None => {
            diagnostics::show_plugins(app, engine.host().problems().await);
            Err(usage(format!("`{}` cannot be run as it is", source.name)))
        }
    }
}

/// Runs to the end. The first SIGINT or SIGTERM kills the execution, which ends in order; the second ends this process
/// at once, and everything it started with it.
async fn run_until_end(engine: &Local, request: RunRequest) -> Result<Execution, LocalError> {
    let (started, running) = oneshot::channel();
    let signals = tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        let Ok((_, control)): Result<(String, Control), _> = running.await else { return };
        let mut told = false;
        loop {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            };
            if told {
                std::process::exit(130);
            }
            told = true;
            control.kill(&format!("the engine was sent {name}")).await;
        }
    });
    let ended = engine.run(request, started).await;
    signals.abort();
    ended
}

fn print(engine: &Local, execution: &Execution) -> anyhow::Result<()> {
    app::print_json(&document(engine, execution)?)
}

/// The execution with its metrics: what `--json` prints.
pub fn document(engine: &Local, execution: &Execution) -> anyhow::Result<serde_json::Value> {
    let mut document = serde_json::to_value(execution)?;
    document["metrics"] = serde_json::to_value(engine.store().metrics(&execution.id)?.read()?)?;
    Ok(document)
}

/// The exit status that an execution's state stands for.
pub fn status(execution: &Execution) -> ExitCode {
    match execution.current() {
        State::Success | State::Warning | State::Paused => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    }
}

fn flows_directory(args: &RunArgs) -> PathBuf {
    let beside = || args.file.parent().map(PathBuf::from).filter(|parent| !parent.as_os_str().is_empty());
    args.flows.clone().or_else(beside).unwrap_or_else(|| PathBuf::from("."))
}

fn input(text: &str) -> anyhow::Result<(String, Given)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            let given = match value.strip_prefix('@') {
                Some(path) => Given::FilePath(PathBuf::from(path)),
                None => Given::Text(value.to_owned()),
            };
            Ok((key.to_owned(), given))
        }
        _ => Err(usage(format!("expected `key=value` or `key=@file` for an input, found `{text}`"))),
    }
}

fn label(text: &str) -> anyhow::Result<Label> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Label { key: key.to_owned(), value: value.to_owned() }),
        _ => Err(usage(format!("expected `key=value` for a label, found `{text}`"))),
    }
}

/// A level as the model knows it.
pub fn level(choice: LevelChoice) -> weft_model::Level {
    match choice {
        LevelChoice::Trace => weft_model::Level::Trace,
        LevelChoice::Debug => weft_model::Level::Debug,
        LevelChoice::Info => weft_model::Level::Info,
        LevelChoice::Warn => weft_model::Level::Warn,
        LevelChoice::Error => weft_model::Level::Error,
    }
}
