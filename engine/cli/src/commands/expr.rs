//! `weft expr`: evaluates an expression, to try one out or to check the engine against another.

use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use weft_expr::{Serde, Template, Value};

use super::files::{self, Source};
use crate::app::{self, App, RunSettings, usage};
use crate::args::ExprArgs;

/// Prints the rendered text.
pub fn run(app: &App, args: ExprArgs) -> anyhow::Result<ExitCode> {
    // Whose secrets, files and values are meant.
    let mut namespace = String::new();
    let context = match &args.context {
        Some(path) => {
            let Source { name, text } = files::read_flow(path)?;
            let json: serde_json::Value = serde_json::from_str(&text)
                .map_err(|error| usage(format!("{name}:{}:{}: {error}", error.line(), error.column())))?;
            if !json.is_object() {
                let expected =
                    "expected an object of what the expression sees, as in `{\"inputs\": {\"name\": \"x\"}}`";
                return Err(usage(format!("{name}:1:1: {expected}")));
            }
            namespace = json["flow"]["namespace"].as_str().unwrap_or_default().to_owned();
            Value::from(Serde(json))
        }
        None => Value::from(Serde(serde_json::json!({}))),
    };
    let runtime = app::runtime()?;
    let (mut rendered, masker) = runtime.block_on(async {
        let engine = app.engine(RunSettings::default())?;
        let env = engine.environment(&namespace)?;
        let text = match args.template.as_str() {
            "-" => files::read_flow(Path::new("-"))?.text,
            // Shells make it hard to put a line break into an argument.
            text => text.replace("\\n", "\n"),
        };
        let template = Template::parse(&text).map_err(|error| anyhow!("{error}"))?;
        match template.render(&context, &env) {
            Ok(rendered) => Ok((rendered, env.masker)),
            Err(error) => Err(anyhow!("{}", env.masker.mask(&error.to_string()))),
        }
    })?;
    if !args.reveal {
        masker.mask_text(&mut rendered);
    }
    app::print_data(&(rendered + "\n"))?;
    Ok(ExitCode::SUCCESS)
}
