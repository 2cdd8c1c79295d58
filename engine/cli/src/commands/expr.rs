//! `weft expr`: evaluates an expression, to try one out or to check the engine against another.

use std::process::ExitCode;

use anyhow::anyhow;
use weft_expr::{Serde, Template, Value};

use crate::app::{self, App, RunSettings, usage};
use crate::args::ExprArgs;

/// Prints the rendered text.
pub fn run(app: &App, args: ExprArgs) -> anyhow::Result<ExitCode> {
    let context = match &args.context {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| usage(format!("cannot read `{}`: {error}", path.display())))?;
            let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
                usage(format!("{}:{}:{}: {error}", path.display(), error.line(), error.column()))
            })?;
            Value::from(Serde(json))
        }
        None => Value::from(Serde(serde_json::json!({}))),
    };
    let runtime = app::runtime()?;
    let rendered = runtime.block_on(async {
        let engine = app.engine(RunSettings::default())?;
        let env = engine.environment("")?;
        // Shells make it hard to put a line break into an argument.
        let template =
            Template::parse(&args.template.replace("\\n", "\n")).map_err(|error| anyhow!("{error}"))?;
        template.render(&context, &env).map_err(|error| anyhow!("{error}"))
    })?;
    app::print(&(rendered + "\n"))?;
    Ok(ExitCode::SUCCESS)
}
