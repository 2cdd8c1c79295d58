//! `weft store`: everything that is stored as JSON lines, for a backup or another store.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use weft_state::{Counts, JournalStore, KeptExecution, KvStore};

use crate::app::{self, App};
use crate::args::{StoreArgs, StoreCommand};
use crate::ui::text;

/// Exports or imports.
pub fn run(app: &App, args: StoreArgs) -> anyhow::Result<ExitCode> {
    let (layout, veil) = (app.closed_layout()?, app.veil()?);
    let (executions, values) = (JournalStore::new(layout.root()), KvStore::new(layout.root()));
    let is_export = matches!(args.command, StoreCommand::Export { .. });
    let counts = match args.command {
        StoreCommand::Export { file, reveal } => {
            let export = |out: &mut dyn Write| -> anyhow::Result<Counts> {
                let mut out = BufWriter::new(out);
                let counts = match reveal {
                    true => weft_state::export(&executions, &values, &mut out)?,
                    false => {
                        let masks = |kept: &KeptExecution| veil.mask(kept);
                        weft_state::export_masked(&executions, &values, &masks, &mut out)?
                    }
                };
                out.flush()?;
                Ok(counts)
            };
            match &file {
                Some(path) => {
                    let failed = || format!("cannot write `{}`", path.display());
                    let folder = path
                        .parent()
                        .filter(|folder| !folder.as_os_str().is_empty())
                        .unwrap_or(Path::new("."));
                    // A former export stays until this one is complete. Others may not read it: outputs are not all secret
                    // for being no secrets.
                    let mut new = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
                    let counts = export(&mut new).with_context(failed)?;
                    new.as_file().sync_all().with_context(failed)?;
                    new.persist(path).with_context(failed)?;
                    counts
                }
                None => export(&mut std::io::stdout().lock())?,
            }
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
    let Counts { executions, logs, metrics, values, masked, skipped } = counts;
    app::say(&format!(
        "{label} {executions} executions, {logs} log lines, {metrics} metrics, {values} values\n"
    ));
    if masked > 0 {
        let label = text::styled("note:", text::BOLD, app.terminal.stderr_color);
        let hint = text::styled("hint:", text::HINT, app.terminal.stderr_color);
        let count = text::count(masked, "execution");
        app::say(&match is_export {
            true => format!(
                "{label} `******` stands for secrets in {count}, also for those who import them\n\
                 {hint} `weft store export --reveal` writes them\n"
            ),
            false => format!(
                "{label} `******` stands for secrets in {count}: they were exported without, and tasks that go on from \
                 them see it so\n"
            ),
        });
    }
    if skipped > 0 {
        let label = text::styled("warning:", text::WARNING, app.terminal.stderr_color);
        app::say(&format!(
            "{label} left out, as they cannot be read, are there already, or have secrets that another key has \
             encrypted: {skipped}\n"
        ));
    }
    Ok(ExitCode::SUCCESS)
}
