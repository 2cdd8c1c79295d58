//! `weft executions`: what has run, and what came of it.

use std::borrow::Cow;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use weft_files::{ExecutionFiles, Storage, StorageUri};
use weft_local::Local;
use weft_model::{Execution, State, TaskRun};
use weft_state::{KeptExecution, Listing, LogFilter, Summary};
use weft_worker::Masker;

use super::run::{document, document_of, level};
use crate::app::{self, App, RunSettings, usage};
use crate::args::{ExecutionsArgs, ExecutionsCommand, LevelChoice};
use crate::ui::printable::{inline, json, line};
use crate::ui::text::{self, Cell};

/// Shows what is asked for.
pub fn run(app: &App, args: ExecutionsArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        ExecutionsCommand::Resume { id, inputs, how } => super::run::resume(app, &id, &inputs, &how),
        ExecutionsCommand::Restart { id, how } => super::run::restart(app, &id, &how),
        ExecutionsCommand::Replay { id, from, flow, how } => {
            super::run::replay(app, &id, from.as_deref(), flow.as_deref(), &how)
        }
        ExecutionsCommand::ChangeStatus { id, task, state, how } => {
            super::run::change_status(app, &id, &task, state, &how)
        }
        command => look(app, command),
    }
}

fn look(app: &App, command: ExecutionsCommand) -> anyhow::Result<ExitCode> {
    let runtime = app::runtime()?;
    runtime.block_on(async {
        let engine = app.engine(RunSettings::default())?;
        // What a dead engine left is ended before it is shown.
        engine.clean_up().wait();
        match command {
            ExecutionsCommand::List { limit, flow, state, json } => {
                let listing = listing(&engine)?;
                for (id, error) in &listing.unreadable {
                    let label = text::styled("warning:", text::WARNING, app.terminal.stderr_color);
                    app::say(&format!("{label} execution `{id}` cannot be read: {error}\n"));
                }
                list(app, listing.executions, limit, flow.as_deref(), state, json)
            }
            ExecutionsCommand::Show { id, json, reveal } => {
                let mut found = Found::look_up(app, &id, reveal)?;
                let kept = &found.execution;
                if engine.store().is_interrupted(kept)? && engine.end_interrupted(&kept.id).is_ok() {
                    let id = kept.id.clone();
                    found = Found::look_up(app, &id, reveal)?;
                }
                let interrupted = engine.store().is_interrupted(&found.execution)?;
                let execution = found.shown();
                let mut document = match (json, reveal) {
                    (false, _) => return show(app, &execution, interrupted),
                    (true, false) => document(&engine, &execution)?,
                    (true, true) => {
                        let metrics = engine.store().metrics(&execution.id)?.read()?;
                        document_of(&execution, &metrics)?
                    }
                };
                if interrupted {
                    document["interrupted"] = true.into();
                }
                app::print_json(&document)
            }
            ExecutionsCommand::Logs { id, task, level, tail, json, raw, reveal } => {
                let found = Found::look_up(app, &id, reveal)?;
                logs(app, &found, task, level, tail, if json { Form::Json } else { Form::Text { raw } })
            }
            ExecutionsCommand::Outputs { id, task, reveal, .. } => {
                outputs(&Found::look_up(app, &id, reveal)?.shown(), task.as_deref())
            }
            ExecutionsCommand::Files { id, name, output, json, reveal } => {
                let found = Found::look_up(app, &id, reveal)?;
                match name {
                    Some(name) => fetch(engine.storage(), &found, &name, output.as_deref()).await,
                    None => files(app, engine.storage(), &found, json).await,
                }
            }
            ExecutionsCommand::Delete { ids } => {
                for id in ids {
                    let execution = find(app, &id)?;
                    engine.store().delete(&execution.id)?;
                    let place = ExecutionFiles::new(&execution.namespace, &execution.flow_id, &execution.id)?;
                    engine.storage().delete_prefix(place.prefix()).await?;
                }
                Ok(())
            }
            // Handled before: they run an execution.
            ExecutionsCommand::Resume { .. }
            | ExecutionsCommand::Restart { .. }
            | ExecutionsCommand::Replay { .. }
            | ExecutionsCommand::ChangeStatus { .. } => Ok(()),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// All executions. Those that say they are running and whose engine is gone are ended first: the clean-up has done that
/// with those that are marked, and none is left without an end that can be written.
fn listing(engine: &Local) -> anyhow::Result<Listing> {
    let listing = engine.store().list_all()?;
    let interrupted = listing.executions.iter().filter(|summary| summary.interrupted);
    let ended = interrupted.filter(|summary| engine.end_interrupted(&summary.id).is_ok()).count();
    Ok(if ended > 0 { engine.store().list_all()? } else { listing })
}

/// The execution that the user means: an id, its beginning, or `last`. It is as it is stored, and not to be shown.
pub fn find(app: &App, id: &str) -> anyhow::Result<Execution> {
    Ok(find_kept(app, id)?.execution)
}

fn find_kept(app: &App, id: &str) -> anyhow::Result<KeptExecution> {
    let store = app.store()?;
    let id = match id {
        "last" => store
            .list()?
            .into_iter()
            // What somebody started, and not what that has started.
            .find(|summary| summary.parent_id.is_none())
            .map(|summary| summary.id)
            .ok_or_else(|| anyhow!("there are no executions"))?,
        id => store.find(id)?,
    };
    store.load_kept(&id)?.with_context(|| format!("execution `{id}` has no readable journal"))
}

/// An execution to be shown.
pub struct Found {
    /// As it is stored.
    execution: Execution,
    /// What is not to be shown of it.
    masker: Masker,
}

impl Found {
    /// The execution that the user means; with `reveal`, nothing of it is to be hidden.
    pub fn look_up(app: &App, id: &str, reveal: bool) -> anyhow::Result<Self> {
        let KeptExecution { execution, hidden } = find_kept(app, id)?;
        let masker = match reveal {
            true => Masker::default(),
            false => app.veil()?.masker(&hidden).map_err(|error| {
                anyhow!(
                    "it is not known what is secret in execution `{}`: {error}\n\
                     hint: configure the key it was run with as `encryption.secretKey`, or see it as it is stored with \
                     `--reveal`",
                    execution.id
                )
            })?,
        };
        Ok(Self { execution, masker })
    }

    /// The execution as it may be seen.
    pub fn shown(&self) -> Execution {
        let mut execution = self.execution.clone();
        self.masker.mask_execution(&mut execution);
        execution
    }
}

/// The task run that the user means: its id or the beginning of it, or the id of its task where that ran once.
pub fn task_run<'e>(execution: &'e Execution, name: &str) -> anyhow::Result<&'e TaskRun> {
    let runs = &execution.task_run_list;
    let of_task: Vec<&TaskRun> = runs.iter().filter(|run| run.task_id == name).collect();
    let by_id = || runs.iter().filter(|run| run.id.starts_with(name)).collect();
    let found: Vec<&TaskRun> = if of_task.is_empty() { by_id() } else { of_task };
    match found.as_slice() {
        [run] => Ok(run),
        [] => Err(has_not_run(execution, name)),
        several => {
            let ids: Vec<_> = several
                .iter()
                .map(|run| format!("`{}` ({})", run.id, run.value.as_deref().unwrap_or("no value")))
                .collect();
            let count = several.len();
            Err(usage(format!(
                "the task `{name}` has run {count} times\nhint: name one of its task runs: {}",
                ids.join(", ")
            )))
        }
    }
}

/// The task runs of a task, of which there must be some.
fn runs_of<'e>(execution: &'e Execution, task: &str) -> anyhow::Result<Vec<&'e TaskRun>> {
    let runs: Vec<&TaskRun> = execution.task_run_list.iter().filter(|run| run.task_id == task).collect();
    if runs.is_empty() { Err(has_not_run(execution, task)) } else { Ok(runs) }
}

fn has_not_run(execution: &Execution, task: &str) -> anyhow::Error {
    let known: std::collections::BTreeSet<_> =
        execution.task_run_list.iter().map(|run| format!("`{}`", run.task_id)).collect();
    let known: Vec<_> = known.into_iter().collect();
    usage(format!("no task `{task}` has run\nhint: there are {}", known.join(", ")))
}

fn list(
    app: &App,
    all: Vec<Summary>,
    limit: usize,
    flow: Option<&str>,
    state: Option<State>,
    json: bool,
) -> anyhow::Result<()> {
    let is_wanted = |summary: &&Summary| {
        let full = format!("{}.{}", summary.namespace, summary.flow_id);
        flow.is_none_or(|flow| flow == summary.flow_id || flow == full)
            && state.is_none_or(|state| summary.state == state)
    };
    let wanted: Vec<&Summary> = all.iter().filter(is_wanted).take(limit).collect();
    if json {
        return app::print_json(&wanted);
    }
    let row = |summary: &&Summary| {
        let took = summary.end_date.map(|end| text::duration(end.duration_since(summary.start_date)));
        let state = if summary.interrupted {
            Cell::styled(gone(summary.state), text::WARNING)
        } else {
            Cell::state(summary.state)
        };
        vec![
            Cell::plain(&summary.id),
            Cell::plain(format!("{}.{}", summary.namespace, summary.flow_id)),
            state,
            Cell::plain(text::moment(summary.start_date)),
            Cell::plain(took.unwrap_or_default()),
        ]
    };
    let rows: Vec<_> = wanted.iter().map(row).collect();
    app::print(&text::table(&["ID", "FLOW", "STATE", "STARTED", "TOOK"], &rows, app.terminal.stdout_color))
}

fn show(app: &App, execution: &Execution, interrupted: bool) -> anyhow::Result<()> {
    let color = app.terminal.stdout_color;
    let state = match interrupted {
        true => text::styled(&gone(execution.current()), text::WARNING, color),
        false => text::styled(execution.current().as_str(), text::state_style(execution.current()), color),
    };
    let took = execution.state.duration().map(text::duration).unwrap_or_default();
    let mut shown = format!(
        "{} of {}.{} (revision {})\n{state} {took}, started {}\n",
        text::styled(&execution.id, text::BOLD, color),
        execution.namespace,
        execution.flow_id,
        execution.flow_revision,
        text::moment(execution.state.start_date()),
    );
    if let Some(error) = &execution.error {
        shown += &format!("{} {}\n", text::styled("error:", text::ERROR, color), error.message);
    }
    for (title, values) in [("inputs", Some(&execution.inputs)), ("outputs", execution.outputs.as_ref())] {
        if let Some(values) = values.filter(|values| !values.is_empty()) {
            shown += &format!("{title}: {}\n", json(&serde_json::to_string(values)?));
        }
    }
    shown.push('\n');
    let rows: Vec<Vec<Cell>> =
        execution.task_run_list.iter().map(|run| task_run_row(execution, run)).collect();
    shown += &text::table(&["TASK", "STATE", "ATTEMPTS", "TOOK", "ID"], &rows, color);
    for task_run in execution.task_run_list.iter().filter(|run| run.current() == State::Failed) {
        if let Some(failure) = task_run.attempts.last().and_then(|attempt| attempt.failure.as_ref()) {
            let label = text::styled(&format!("error[{}]:", inline(&failure.code)), text::ERROR, color);
            shown += &format!("\n{label} task `{}`: {}\n", task_run.task_id, failure.message);
        }
    }
    app::print(&shown)
}

/// The state of an execution that nobody runs any more, and whose end cannot be written.
fn gone(state: State) -> String {
    format!("{state} (engine gone)")
}

fn task_run_row(execution: &Execution, task_run: &TaskRun) -> Vec<Cell> {
    let mut depth = 0;
    let mut parent = task_run.parent_task_run_id.as_deref();
    while let Some(id) = parent {
        depth += 1;
        parent = execution
            .task_run_list
            .iter()
            .find(|run| run.id == id)
            .and_then(|run| run.parent_task_run_id.as_deref());
    }
    let name = match &task_run.value {
        Some(value) => format!("{:depth$}{}[{value}]", "", task_run.task_id, depth = depth * 2),
        None => format!("{:depth$}{}", "", task_run.task_id, depth = depth * 2),
    };
    vec![
        Cell::plain(name),
        Cell::state(task_run.current()),
        Cell::plain(task_run.attempts.len().to_string()),
        Cell::plain(task_run.state.duration().map(text::duration).unwrap_or_default()),
        Cell::styled(&task_run.id, text::DIM),
    ]
}

/// How lines of a log are printed.
#[derive(Clone, Copy)]
enum Form {
    Json,
    /// For a person, or with `raw` as they were written.
    Text {
        raw: bool,
    },
}

fn logs(
    app: &App,
    Found { execution, masker }: &Found,
    task: Option<String>,
    least: LevelChoice,
    tail: Option<usize>,
    form: Form,
) -> anyhow::Result<()> {
    if let Some(task) = &task {
        runs_of(execution, task)?;
    }
    let filter = LogFilter { min_level: Some(level(least)), task_id: task, ..LogFilter::default() };
    let mut reader = app.store()?.log_reader(&execution.id)?.with_filter(filter);
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    let color = app.terminal.stdout_color;
    let zone = jiff::tz::TimeZone::system();
    let mut masker = masker.lines();
    let mut print = |mut entry: weft_model::LogEntry| -> anyhow::Result<()> {
        if let Cow::Owned(masked) = masker.mask(entry.message.as_bytes()) {
            entry.message = String::from_utf8_lossy(&masked).into_owned();
        }
        let raw = match form {
            Form::Json => return Ok(writeln!(stdout, "{}", json(&serde_json::to_string(&entry)?))?),
            Form::Text { raw } => raw,
        };
        let time = text::styled(&text::time_of_day(entry.timestamp, &zone), text::DIM, color);
        let name =
            text::styled(&format!("{:<5}", entry.level.as_str()), text::level_style(entry.level), color);
        let task = entry.task_id.as_deref().map(inline);
        let task = task.map(|task| format!("{} ", text::styled(&task, text::BOLD, color)));
        let message = if raw { Cow::Borrowed(entry.message.as_str()) } else { line(&entry.message) };
        Ok(writeln!(stdout, "{time} {name} {}{message}", task.unwrap_or_default())?)
    };
    match tail {
        Some(count) => reader.tail(count)?.into_iter().try_for_each(&mut print)?,
        None => reader.try_for_each(|entry| print(entry?))?,
    }
    Ok(stdout.flush()?)
}

fn outputs(execution: &Execution, task: Option<&str>) -> anyhow::Result<()> {
    let of = |task_run: &TaskRun| json!({"taskId": task_run.task_id, "value": task_run.value, "outputs": task_run.outputs});
    match task {
        Some(task) => match runs_of(execution, task)?.as_slice() {
            [run] => app::print_json(&run.outputs),
            runs => app::print_json(&runs.iter().map(|run| of(run)).collect::<Vec<_>>()),
        },
        None => {
            let tasks: Vec<Value> =
                execution.task_run_list.iter().filter(|run| run.outputs.is_some()).map(of).collect();
            app::print_json(&json!({"outputs": execution.outputs, "tasks": tasks}))
        }
    }
}

/// A file that an output names.
struct NamedFile {
    task: String,
    name: String,
    uri: String,
}

/// Every `kestra://` URI in the outputs and inputs, with the key it stands under.
fn named_files(execution: &Execution) -> Vec<NamedFile> {
    fn walk(value: &Value, key: &str, task: &str, files: &mut Vec<NamedFile>) {
        match value {
            Value::String(uri) if uri.starts_with("kestra://") => {
                files.push(NamedFile { task: task.to_owned(), name: key.to_owned(), uri: uri.clone() });
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, key, task, files)),
            Value::Object(members) => members.iter().for_each(|(key, member)| walk(member, key, task, files)),
            _ => {}
        }
    }
    let mut files = Vec::new();
    for (key, value) in &execution.inputs {
        walk(value, key, "(input)", &mut files);
    }
    for task_run in &execution.task_run_list {
        for (key, value) in task_run.outputs.iter().flatten() {
            walk(value, key, &task_run.task_id, &mut files);
        }
    }
    files
}

async fn files(app: &App, storage: &Storage, found: &Found, json: bool) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut documents = Vec::new();
    for mut file in named_files(&found.execution) {
        // A file that was deleted, or that belongs to another data directory, has no size.
        let size = match StorageUri::parse(&file.uri) {
            Ok(uri) => storage.size(&uri).await.ok(),
            Err(_) => None,
        };
        found.masker.mask_text(&mut file.name);
        found.masker.mask_text(&mut file.uri);
        documents.push(json!({"task": file.task, "name": file.name, "uri": file.uri, "size": size}));
        rows.push(vec![
            Cell::plain(file.name),
            Cell::plain(file.task),
            Cell::plain(size.map_or_else(|| "gone".to_owned(), text::size)),
            Cell::styled(file.uri, text::DIM),
        ]);
    }
    if json {
        return app::print_json(&documents);
    }
    app::print(&text::table(&["NAME", "TASK", "SIZE", "URI"], &rows, app.terminal.stdout_color))
}

async fn fetch(
    storage: &Storage,
    Found { execution, masker }: &Found,
    name: &str,
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let uri = if name.starts_with("kestra://") {
        name.to_owned()
    } else {
        let files = named_files(execution);
        // A name may be given as it is listed.
        let is_meant = |file: &&NamedFile| file.name == name || masker.mask(&file.name) == name;
        let mut uris: Vec<&str> = files.iter().filter(is_meant).map(|file| file.uri.as_str()).collect();
        uris.sort_unstable();
        uris.dedup();
        match uris.as_slice() {
            [uri] => (*uri).to_owned(),
            [] => {
                let known: Vec<_> =
                    files.iter().map(|file| format!("`{}`", inline(&masker.mask(&file.name)))).collect();
                let known = if known.is_empty() { "no files".to_owned() } else { known.join(", ") };
                return Err(anyhow!(
                    "execution `{}` has no file `{name}`\nhint: it has {known}",
                    execution.id
                ));
            }
            several => {
                return Err(usage(format!(
                    "execution `{}` has {} files `{name}`\nhint: name one by its address: {}",
                    execution.id,
                    several.len(),
                    masker.mask(&several.join(", "))
                )));
            }
        }
    };
    write_out(storage, &StorageUri::parse(&uri)?, output).await
}

/// Writes a stored file to a path, or to stdout.
pub async fn write_out(storage: &Storage, uri: &StorageUri, output: Option<&Path>) -> anyhow::Result<()> {
    match output {
        Some(path) => {
            storage.get_file(uri, path).await?;
        }
        None => {
            let temporary = tempfile::tempdir()?;
            let copy = temporary.path().join("file");
            storage.get_file(uri, &copy).await?;
            let mut file = std::fs::File::open(copy)?;
            if !std::io::stdout().is_terminal() {
                let mut stdout = std::io::stdout().lock();
                std::io::copy(&mut file, &mut stdout)?;
                stdout.flush()?;
                return Ok(());
            }
            let mut reader = BufReader::new(file);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 {
                app::print(&String::from_utf8_lossy(&line))?;
                line.clear();
            }
        }
    }
    Ok(())
}
