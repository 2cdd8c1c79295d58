//! `weft run`: runs a flow and waits for its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use weft_flow::testing::is_test_file;
use weft_flow::{Given, ParseOptions};
use weft_local::{
    Again, Control, FlowSource, GoOnRequest, LoadedFlow, Local, LocalError, Observer, ReplayRequest,
    RunRequest, Started, WatchRequest,
};
use weft_model::{Execution, Label, Metric, State};
use weft_worker::RunnerKind;

use super::executions::Found;
use super::{diagnostics, files};
use crate::app::{self, App, RunSettings, usage};
use crate::args::{HowArgs, LevelChoice, RunArgs, RunnerChoice};
use crate::ui;

/// Runs the flow; the status says how it ended.
pub fn run(app: &App, args: RunArgs) -> anyhow::Result<ExitCode> {
    std::thread::spawn(warm_up);
    let inputs = inputs(&args.inputs)?;
    let labels = args.labels.iter().map(|text| label(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let source = files::read_flow(&args.file)?;
    if is_test_file(&source.text) {
        return Err(usage(format!(
            "`{0}` holds tests of a flow\nhint: run them with `weft test {0}`",
            source.name
        )));
    }
    let beside = || args.file.parent().map(PathBuf::from).filter(|parent| !parent.as_os_str().is_empty());
    let directory = beside().unwrap_or_else(|| PathBuf::from("."));
    let flows = args.how.flows.clone().unwrap_or_else(|| directory.clone());
    if args.watch {
        return watch(app, &args.how, &source, inputs, labels, flows);
    }
    in_foreground(app, &args.how, Leftovers::Meanwhile, async |engine, observer, started| {
        let flow = load(app, engine, &source).await?;
        super::namespace::mount(engine, &args.how.namespace_files, &flow.flow.namespace, Some(&directory))?;
        let request = RunRequest { flow, inputs, labels, flows: FlowSource::directory(flows), observer };
        Ok(engine.run(request, started).await)
    })
}

/// What every run needs and the first thread would wait for: the other processor has nothing to do yet.
fn warm_up() {
    weft_schema::warm_up();
    // Finding its name means to look through the whole database.
    jiff::tz::TimeZone::system();
}

/// Evaluates the flow's triggers until it is told to stop.
fn watch(
    app: &App,
    how: &HowArgs,
    source: &files::Source,
    inputs: BTreeMap<String, Given>,
    labels: Vec<Label>,
    flows: PathBuf,
) -> anyhow::Result<ExitCode> {
    let runtime = app::runtime()?;
    let status = runtime.block_on(async {
        let engine = app.engine(settings(how))?;
        // What a former engine left must be settled before it is known which executions are still to begin.
        engine.clean_up().wait();
        let flow = load(app, &engine, source).await?;
        super::watch::watch(app, &engine, how, |observer, on_end| WatchRequest {
            flow,
            inputs,
            labels,
            flows: FlowSource::directory(flows),
            observer,
            on_end,
        })
        .await
    })?;
    runtime.shutdown_background();
    Ok(status)
}

fn settings(how: &HowArgs) -> RunSettings {
    RunSettings {
        runner: how.runner.map(|runner| match runner {
            RunnerChoice::Process => RunnerKind::Process,
            RunnerChoice::Docker => RunnerKind::Docker,
        }),
        groups: how.worker_groups.clone(),
    }
}

/// Runs the failed tasks of an execution again.
pub fn restart(app: &App, id: &str, how: &HowArgs) -> anyhow::Result<ExitCode> {
    go_on(app, id, how, Again::Restart)
}

/// Lets a paused execution go on.
pub fn resume(app: &App, id: &str, given: &[String], how: &HowArgs) -> anyhow::Result<ExitCode> {
    go_on(app, id, how, Again::Resume(inputs(given)?))
}

/// Gives a task run another final state, and goes on from there.
pub fn change_status(
    app: &App,
    id: &str,
    task: &str,
    state: State,
    how: &HowArgs,
) -> anyhow::Result<ExitCode> {
    let execution = Found::look_up(app, id, false)?.shown();
    let task_run_id = super::executions::task_run(&execution, task)?.id.clone();
    go_on(app, &execution.id, how, Again::ChangeState { task_run_id, state })
}

/// Runs an execution again as a new one.
pub fn replay(
    app: &App,
    id: &str,
    from: Option<&str>,
    file: Option<&Path>,
    how: &HowArgs,
) -> anyhow::Result<ExitCode> {
    let flows = how.flows.clone().map_or_else(FlowSource::default, FlowSource::directory);
    in_foreground(app, how, Leftovers::First, async |engine, observer, started| {
        let execution = Found::look_up(app, id, false)?.shown();
        let from = from.map(|task| super::executions::task_run(&execution, task)).transpose()?;
        let source = match file {
            Some(file) => files::read_flow(file)?,
            None => kept_source(engine, &execution)?,
        };
        let flow = load(app, engine, &source).await?;
        if (&flow.flow.namespace, &flow.flow.id) != (&execution.namespace, &execution.flow_id) {
            return Err(usage(format!(
                "`{}` is the flow `{}.{}`, and the execution is of `{}.{}`",
                source.name, flow.flow.namespace, flow.flow.id, execution.namespace, execution.flow_id
            )));
        }
        let beside = file.and_then(Path::parent);
        super::namespace::mount(engine, &how.namespace_files, &execution.namespace, beside)?;
        let from = from.map(|run| run.id.clone());
        let request = ReplayRequest { id: execution.id, flow, from, flows, observer };
        Ok(engine.replay(request, started).await)
    })
}

/// The flow as an execution was run with it.
fn kept_source(engine: &Local, execution: &Execution) -> anyhow::Result<files::Source> {
    let text = engine.store().flow_source(&execution.id)?.unwrap_or_default();
    Ok(files::Source { name: format!("{}.{}", execution.namespace, execution.flow_id), text })
}

fn go_on(app: &App, id: &str, how: &HowArgs, again: Again) -> anyhow::Result<ExitCode> {
    let flows = how.flows.clone().map_or_else(FlowSource::default, FlowSource::directory);
    in_foreground(app, how, Leftovers::First, async |engine, observer, started| {
        let execution = super::executions::find(app, id)?;
        let source = kept_source(engine, &execution)?;
        let flow = load(app, engine, &source).await?;
        super::namespace::mount(engine, &how.namespace_files, &execution.namespace, None)?;
        let request = GoOnRequest { id: execution.id, flow, again, flows, observer };
        Ok(engine.go_on(request, started).await)
    })
}

/// When what dead engines left behind is ended.
enum Leftovers {
    /// While the execution runs: it has nothing to do with them.
    Meanwhile,
    /// Before it goes on: it may be one of them.
    First,
}

/// Runs an execution in this process to its end, shows it meanwhile, and lets signals end it in order.
fn in_foreground(
    app: &App,
    how: &HowArgs,
    leftovers: Leftovers,
    work: impl AsyncFnOnce(&Local, Arc<dyn Observer>, Started) -> anyhow::Result<Result<Execution, LocalError>>,
) -> anyhow::Result<ExitCode> {
    let runtime = app::runtime()?;
    let status = runtime.block_on(async {
        let engine = app.engine(settings(how))?;
        let cleanup = engine.clean_up();
        let meanwhile = match leftovers {
            Leftovers::First => {
                cleanup.wait();
                None
            }
            Leftovers::Meanwhile => Some(cleanup),
        };
        let show = ui::show(app.terminal, level(how.log_level), how.quiet);
        let (started, running) = oneshot::channel();
        let signals = tokio::spawn(end_on_signals(running));
        let ended = work(&engine, Arc::clone(&show) as _, started).await;
        signals.abort();
        show.finish(ended.as_ref().ok().and_then(|ended| ended.as_ref().ok()));
        if let Some(cleanup) = meanwhile {
            cleanup.wait();
        }
        let execution = ended?.map_err(|error| match error {
            LocalError::Inputs(_) | LocalError::Disabled(_) | LocalError::Again(_) => {
                usage(error.to_string())
            }
            error => error.into(),
        })?;
        if how.json {
            app::print_json(&document(&engine, &execution)?)?;
        }
        engine.leave();
        Ok::<_, anyhow::Error>(status(&execution))
    })?;
    // What is still under way (a guest that does not listen) ends with the process.
    runtime.shutdown_background();
    Ok(status)
}

/// Reads and checks a flow; what is only certain to fail later is a warning.
async fn load(app: &App, engine: &Local, source: &files::Source) -> anyhow::Result<LoadedFlow> {
    let catalogue = engine.catalogue().await;
    let outcome = weft_flow::parse(&source.text, &catalogue, &ParseOptions::default());
    diagnostics::show(app, &diagnostics::as_warnings(outcome.diagnostics), source);
    match outcome.flow {
        Some(flow) => Ok(LoadedFlow {
            flow: Arc::new(flow),
            source: source.text.as_str().into(),
            name: source.name.as_str().into(),
        }),
        None => {
            diagnostics::show_plugins(app, &engine.host().catalogue().await.problems());
            Err(usage(format!("`{}` cannot be run as it is", source.name)))
        }
    }
}

/// The first SIGINT or SIGTERM kills the execution, which ends in order; the second ends this process at once, and
/// everything it started with it.
async fn end_on_signals(running: oneshot::Receiver<(String, Control)>) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    // Nothing has begun, or it waits for a slot that others have.
    let control = tokio::select! {
        running = running => match running {
            Ok((_, control)) => control,
            Err(_) => return,
        },
        _ = interrupt.recv() => std::process::exit(130),
        _ = terminate.recv() => std::process::exit(130),
    };
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
}

/// An execution without its secrets and with its metrics: what `--json` prints.
pub fn document(engine: &Local, execution: &Execution) -> anyhow::Result<serde_json::Value> {
    let mut metrics = engine.store().metrics(&execution.id)?.read()?;
    if !metrics.is_empty() {
        // They were masked when they were written; more may have become known since.
        let masker = engine.masker(&execution.id)?;
        metrics.iter_mut().for_each(|metric| masker.mask_metric(metric));
    }
    document_of(execution, &metrics)
}

/// An execution and its metrics as one document.
pub fn document_of(execution: &Execution, metrics: &[Metric]) -> anyhow::Result<serde_json::Value> {
    let mut document = serde_json::to_value(execution)?;
    document["metrics"] = serde_json::to_value(metrics)?;
    Ok(document)
}

/// The exit status that an execution's state stands for.
pub fn status(execution: &Execution) -> ExitCode {
    match execution.current() {
        State::Success | State::Warning | State::Paused => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    }
}

fn inputs(texts: &[String]) -> anyhow::Result<BTreeMap<String, Given>> {
    texts.iter().map(|text| input(text)).collect()
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
