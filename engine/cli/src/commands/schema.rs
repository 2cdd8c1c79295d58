//! `weft schema`: what makes YAML editors complete and check flows.

use std::process::ExitCode;

use crate::app::{self, App, RunSettings};

/// Prints a JSON Schema of flows, made from the catalogue.
pub fn run(app: &App) -> anyhow::Result<ExitCode> {
    let runtime = app::runtime()?;
    let engine = runtime.block_on(async { app.engine(RunSettings::default()) })?;
    let catalogue = runtime.block_on(engine.catalogue());
    app::print_json(&weft_flow::flow_schema(&catalogue))?;
    Ok(ExitCode::SUCCESS)
}
