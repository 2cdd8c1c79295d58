//! `weft trust`: which plugins of projects may be used.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use weft_host::{Bounds, Recorded, TrustError, TrustStore};

use crate::app::{self, App, usage};
use crate::args::TrustArgs;
use crate::ui::text::{self, Cell};

/// Records, forgets or shows.
pub fn run(app: &App, args: TrustArgs) -> anyhow::Result<ExitCode> {
    let store = app.trust()?;
    match &args.path {
        Some(path) if args.remove => remove(&store, path)?,
        Some(path) => trust(app, &store, path, args.json)?,
        None => list(app, &store, args.json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn trust(app: &App, store: &TrustStore, path: &Path, json: bool) -> anyhow::Result<()> {
    let recorded = store.trust(path, &Bounds::default()).map_err(|error| match error {
        TrustError::NotAPlugin { .. } => usage(error.to_string()),
        error => error.into(),
    })?;
    if json {
        return app::print_json(&document(&recorded));
    }
    let shown = recorded.path.display();
    let mut page = match recorded.files.len() {
        1 if !recorded.is_folder => format!("`{shown}` is trusted as it is now\n"),
        count => format!("`{shown}` is trusted as it is now: {}\n", text::count(count, "plugin")),
    };
    // Writing to a text does not fail, here and below.
    for (name, sha256) in &recorded.files {
        let _ = writeln!(page, "  {name}  {}", text::styled(sha256, text::DIM, app.terminal.stdout_color));
    }
    for (name, why) in &recorded.left_out {
        let _ = writeln!(page, "  {name}  left out: {why}");
    }
    app::print(&page)
}

fn remove(store: &TrustStore, path: &Path) -> anyhow::Result<()> {
    if !store.remove(path)? {
        let shown = path.display();
        return Err(usage(format!("`{shown}` is not trusted\nhint: `weft trust --list` shows what is")));
    }
    app::print(&format!("`{}` is not trusted any more\n", path.display()))
}

fn list(app: &App, store: &TrustStore, json: bool) -> anyhow::Result<()> {
    let trusted = store.read()?;
    if json {
        return app::print_json(&trusted);
    }
    let mut rows = Vec::new();
    for (folder, files) in &trusted.folders {
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        rows.push(vec![Cell::plain("folder"), Cell::plain(folder), Cell::plain(names.join(", "))]);
    }
    for (file, sha256) in &trusted.granted {
        rows.push(vec![Cell::plain("file with grants"), Cell::plain(file), Cell::plain(sha256)]);
    }
    app::print(&text::table(&["WHAT", "PATH", "AS IT WAS"], &rows, app.terminal.stdout_color))
}

fn document(recorded: &Recorded) -> serde_json::Value {
    let entries = |list: &[(String, String)], what: &str| -> Vec<serde_json::Value> {
        list.iter().map(|(name, value)| json!({"name": name, what: value})).collect()
    };
    json!({
        "path": recorded.path,
        "files": entries(&recorded.files, "sha256"),
        "leftOut": entries(&recorded.left_out, "reason"),
    })
}
