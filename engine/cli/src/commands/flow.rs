//! `weft flow`: a flow without running it.

use std::path::Path;
use std::process::ExitCode;

use weft_flow::{Flow, Graph, ParseOptions};

use super::{diagnostics, files};
use crate::app::{self, App, RunSettings, usage};
use crate::args::{FlowArgs, FlowCommand, GraphFormat};

/// Does what is asked for.
pub fn run(app: &App, args: FlowArgs) -> anyhow::Result<ExitCode> {
    let FlowCommand::Graph { file, format } = args.command;
    let flow = load(app, &file)?;
    app::print(&match format {
        GraphFormat::Tree => weft_flow::draw_tree(&flow),
        GraphFormat::Mermaid => Graph::of(&flow).to_mermaid(),
        GraphFormat::Dot => Graph::of(&flow).to_dot(),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn load(app: &App, file: &Path) -> anyhow::Result<Flow> {
    let source = files::read_flow(file)?;
    let runtime = app::runtime()?;
    let engine = runtime.block_on(async { app.engine(RunSettings::default()) })?;
    let catalogue = runtime.block_on(engine.catalogue());
    let outcome = weft_flow::parse(&source.text, &catalogue, &ParseOptions::default());
    outcome.flow.ok_or_else(|| {
        diagnostics::show(app, &outcome.diagnostics, &source);
        usage(format!("`{}` cannot be drawn as it is", source.name))
    })
}
