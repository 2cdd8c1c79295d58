//! `weft run --watch`: evaluates the triggers of a flow until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use weft_local::{Ended, LoadedFlow, Local, LocalError, OnEnd, Unwatched, WatchRequest, Watching};
use weft_model::Execution;

use super::run::{document, level};
use crate::app::{self, App, usage};
use crate::args::HowArgs;
use crate::ui::{Plain, Show, text};

/// What a person may still do, one signal after the other.
enum Signals {
    Stop,
    Kill,
    Exit,
}

/// Watches until every trigger has ended.
pub async fn watch(
    app: &App,
    engine: &Local,
    how: &HowArgs,
    request: impl FnOnce(Arc<Plain>, OnEnd) -> WatchRequest,
) -> anyhow::Result<ExitCode> {
    let least = (!how.quiet).then(|| level(how.log_level));
    let show = Plain::new(app.terminal.stderr_color, least);
    let on_end = on_end(engine, Arc::clone(&show), how.json);
    let request = request(show, on_end);
    let flow = request.flow.clone();
    let mut watching = engine.watch(request).await.map_err(|error| match error {
        LocalError::Disabled(_) => usage(error.to_string()),
        error => error.into(),
    })?;
    for unwatched in &watching.unwatched {
        say_unwatched(app, &flow, unwatched);
    }
    if watching.watched.is_empty() {
        let why = if flow.flow.triggers.is_empty() { "it has none" } else { "none of them can be watched" };
        return Err(usage(format!(
            "flow `{}` has no trigger to watch: {why}\nhint: run it once with `weft run` without `--watch`",
            flow.flow.id
        )));
    }
    until_the_end(app, &mut watching).await
}

/// Waits for the end of the triggers and for signals. The first signal ends the watching and lets executions go on to
/// their end; the second kills them, in order; the third ends this process at once.
async fn until_the_end(app: &App, watching: &mut Watching) -> anyhow::Result<ExitCode> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut next = Signals::Stop;
    let mut failed = false;
    loop {
        let name = tokio::select! {
            ended = watching.next() => {
                let Some((trigger, ended)) = ended else { break };
                failed |= ended.is_err();
                say_ended(app, &trigger, ended);
                continue;
            }
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        match next {
            Signals::Stop => {
                watching.stop();
                if watching.under_way() > 0 {
                    note(
                        app,
                        &format!(
                            "{name}: waits for {} under way; once more kills what runs",
                            text::count(watching.under_way(), "execution")
                        ),
                    );
                }
                next = Signals::Kill;
            }
            Signals::Kill => {
                watching.kill(&format!("the engine was sent {name}")).await;
                next = Signals::Exit;
            }
            Signals::Exit => std::process::exit(130),
        }
    }
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Shows the end of each execution, and prints it as one line of JSON if that is wanted.
fn on_end(engine: &Local, show: Arc<Plain>, json: bool) -> OnEnd {
    let engine = engine.clone();
    Arc::new(move |execution: &Execution| {
        show.finish(Some(execution));
        if json && let Ok(document) = document(&engine, execution) {
            // Nobody reads stdout any more: the triggers go on all the same.
            let _ = app::print_json_line(&document);
        }
    })
}

fn say_unwatched(app: &App, flow: &LoadedFlow, unwatched: &Unwatched) {
    let (trigger, start) = (&unwatched.trigger, unwatched.trigger.span.start);
    let place = format!("{}:{}", start.line, start.column);
    let why = match &unwatched.why {
        None => return note(app, &format!("trigger `{}` is disabled", trigger.id)),
        Some(why) => why,
    };
    let label = text::styled("warning:", text::WARNING, app.terminal.stderr_color);
    let name = &flow.flow.id;
    app::say(&format!("{label} trigger `{}` of flow `{name}` ({place}) is not watched: {why}\n", trigger.id));
}

fn say_ended(app: &App, trigger: &str, ended: Result<Ended, weft_state::StateError>) {
    match ended {
        Ok(Ended::Asked) => {}
        Ok(Ended::NothingMore) => note(app, &format!("trigger `{trigger}`: its last date has passed")),
        Ok(Ended::StoppedAfter(state)) => note(
            app,
            &format!(
                "trigger `{trigger}` is stopped: an execution ended as {state} (`stopAfter`)\n\
             hint: let it go on with `weft triggers reset {trigger}`"
            ),
        ),
        Err(error) => {
            let label = text::styled("error:", text::ERROR, app.terminal.stderr_color);
            app::say(&format!("{label} trigger `{trigger}`: {error}\n"));
        }
    }
}

fn note(app: &App, message: &str) {
    let label = text::styled("note:", text::BOLD, app.terminal.stderr_color);
    app::say(&format!("{label} {message}\n"));
}
