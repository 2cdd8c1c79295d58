//! `weft store`: everything that is stored as JSON lines, for a backup or another store.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::process::ExitCode;

use anyhow::Context;

use crate::app::App;
use crate::args::{StoreArgs, StoreCommand};
use crate::ui::text;

/// Exports or imports.
pub fn run(app: &App, args: StoreArgs) -> anyhow::Result<ExitCode> {
    let layout = app.layout()?;
    let counts = match args.command {
        StoreCommand::Export { file: Some(path) } => {
            let file = File::create(&path).with_context(|| format!("cannot write `{}`", path.display()))?;
            let mut out = BufWriter::new(file);
            let counts = weft_state::export(layout.root(), &mut out)?;
            out.flush()?;
            counts
        }
        StoreCommand::Export { file: None } => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            let counts = weft_state::export(layout.root(), &mut out)?;
            out.flush()?;
            counts
        }
        StoreCommand::Import { file: Some(path) } => {
            let file = File::open(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
            weft_state::import(layout.root(), BufReader::new(file))?
        }
        StoreCommand::Import { file: None } => weft_state::import(layout.root(), std::io::stdin().lock())?,
    };
    let label = text::styled("done:", text::BOLD, app.terminal.stderr_color);
    writeln!(std::io::stderr(), "{label} {counts}")?;
    Ok(ExitCode::SUCCESS)
}
