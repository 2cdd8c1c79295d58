//! `weft store`: everything that is stored as JSON lines, for a backup or another store.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::ExitCode;

use anyhow::Context;
use weft_state::{Counts, JournalStore, KvStore};

use crate::app::App;
use crate::args::{StoreArgs, StoreCommand};
use crate::ui::text;

/// Exports or imports.
pub fn run(app: &App, args: StoreArgs) -> anyhow::Result<ExitCode> {
    let layout = app.layout()?;
    let (executions, values) = (JournalStore::new(layout.root()), KvStore::new(layout.root()));
    let counts = match args.command {
        StoreCommand::Export { file } => {
            let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match &file {
                Some(path) => Box::new(
                    File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?,
                ),
                None => Box::new(std::io::stdout().lock()),
            });
            let counts = weft_state::export(&executions, &values, &mut out)?;
            out.flush()?;
            counts
        }
        StoreCommand::Import { file } => {
            let mut input: Box<dyn BufRead> = match &file {
                Some(path) => Box::new(BufReader::new(
                    File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?,
                )),
                None => Box::new(std::io::stdin().lock()),
            };
            weft_state::import(&executions, &values, &mut input)?
        }
    };
    let label = text::styled("done:", text::BOLD, app.terminal.stderr_color);
    let Counts { executions, logs, metrics, .. } = counts;
    writeln!(std::io::stderr(), "{label} {executions} executions, {logs} log lines, {metrics} metrics")?;
    Ok(ExitCode::SUCCESS)
}
