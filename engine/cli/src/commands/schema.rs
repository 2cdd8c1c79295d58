//! `weft schema`: what makes YAML editors complete and check flows.

use std::process::ExitCode;

use crate::app::{self, App, RunSettings};

/// Prints a JSON Schema of flows, made from the catalogue, or that of test files.
pub fn run(app: &App, tests: bool) -> anyhow::Result<ExitCode> {
    if tests {
        app::print_json(&weft_flow::testing::tests_schema())?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = app::runtime()?;
    let engine = runtime.block_on(async { app.engine(RunSettings::default()) })?;
    // The types of all plugins, which nobody has named here.
    runtime.block_on(engine.host().full_catalogue());
    let catalogue = runtime.block_on(engine.catalogue());
    app::print_json(&weft_flow::flow_schema(&catalogue))?;
    Ok(ExitCode::SUCCESS)
}
