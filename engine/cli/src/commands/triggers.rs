//! `weft triggers`: what is remembered of triggers.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;
use weft_state::{TriggerRecord, TriggerStore};

use crate::app::{self, App, usage};
use crate::args::{TriggersArgs, TriggersCommand};
use crate::ui::text;

/// A trigger with what is remembered of it.
struct Known {
    namespace: String,
    flow: String,
    id: String,
    record: TriggerRecord,
}

/// Lists or resets.
pub fn run(app: &App, args: TriggersArgs) -> anyhow::Result<ExitCode> {
    let store = TriggerStore::new(app.layout()?.root());
    match args.command {
        TriggersCommand::List { json } => list(app, &store, json)?,
        TriggersCommand::Reset { trigger } => reset(app, &store, &trigger)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn known(store: &TriggerStore) -> anyhow::Result<Vec<Known>> {
    let mut known = Vec::new();
    for (namespace, flow, id) in store.list()? {
        if let Some(record) = store.load(&namespace, &flow, &id)? {
            known.push(Known { namespace, flow, id, record });
        }
    }
    Ok(known)
}

fn list(app: &App, store: &TriggerStore, json: bool) -> anyhow::Result<()> {
    let known = known(store)?;
    if json {
        let veil = app.veil()?;
        let mut triggers = Vec::new();
        for Known { namespace, flow, id, mut record } in known {
            let masker = veil.masker(&std::mem::take(&mut record.hidden)).with_context(|| {
                format!("it is not known what is secret in what is remembered of trigger `{namespace}.{flow}.{id}`")
            })?;
            masker.mask_json(&mut record.state);
            for execution in &mut record.executions {
                masker.mask_map(&mut execution.variables);
                execution.failure.iter_mut().for_each(|failure| masker.mask_text(failure));
            }
            triggers.push(json!({"namespace": namespace, "flowId": flow, "id": id, "record": record}));
        }
        return app::print_json(&triggers);
    }
    let mut lines = String::new();
    for Known { namespace, flow, id, record } in known {
        let fired = record.fired.map_or_else(|| "never".to_owned(), text::moment);
        lines.push_str(&format!("{namespace}.{flow}.{id}  last started an execution: {fired}"));
        if let Some(date) = record.next_date {
            lines.push_str(&format!("  next: {}", text::moment(date)));
        }
        if let Some(state) = record.stopped {
            lines.push_str(&format!("  stopped after {state}"));
        }
        lines.push('\n');
    }
    app::print(&lines)
}

/// Forgets what a trigger remembers; not the executions that it started.
fn reset(app: &App, store: &TriggerStore, name: &str) -> anyhow::Result<()> {
    let named = |known: &Known| {
        known.id == name || format!("{}.{}.{}", known.namespace, known.flow, known.id) == name
    };
    let mut found: Vec<Known> = known(store)?.into_iter().filter(named).collect();
    let Some(Known { namespace, flow, id, .. }) = found.pop() else {
        return Err(usage(format!(
            "nothing is remembered of a trigger `{name}`\nhint: see `weft triggers list`"
        )));
    };
    if let Some(other) = found.pop() {
        return Err(usage(format!(
            "there is more than one trigger `{name}`\nhint: write `{namespace}.{flow}.{id}` or `{}.{}.{}`",
            other.namespace, other.flow, other.id
        )));
    }
    let mut file = store.open(&namespace, &flow, &id)?;
    let TriggerRecord { executions, hidden, .. } = file.record().clone();
    file.commit(TriggerRecord { executions, hidden, ..TriggerRecord::new() })?;
    let label = text::styled("done:", text::BOLD, app.terminal.stderr_color);
    app::say(&format!("{label} trigger `{namespace}.{flow}.{id}` begins anew\n"));
    Ok(())
}
