//! `weft plugins`: which types there are, and what each of them takes.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};
use weft_host::{Catalogue, PluginInfo, TaskType};

use super::diagnostics;
use crate::app::{self, App, RunSettings, usage};
use crate::args::{PluginsArgs, PluginsCommand};
use crate::ui::text::{self, Cell};

/// Shows what is asked for.
pub fn run(app: &App, args: PluginsArgs) -> anyhow::Result<ExitCode> {
    let runtime = app::runtime()?;
    runtime.block_on(async {
        let engine = app.engine(RunSettings::default())?;
        let catalogue = engine.host().catalogue().await;
        match args.command {
            PluginsCommand::List { json } => {
                diagnostics::show_plugins(app, catalogue.problems());
                list(app, catalogue, json)
            }
            PluginsCommand::Show { type_name, json } => show(app, catalogue, &type_name, json),
            PluginsCommand::Precompile => {
                let problems = engine.host().precompile().await;
                diagnostics::show_plugins(app, &problems);
                Ok(())
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn list(app: &App, catalogue: &Catalogue, json: bool) -> anyhow::Result<()> {
    if json {
        let documents: Vec<Value> = catalogue.plugins().iter().map(plugin_document).collect();
        return app::print_json(&documents);
    }
    let mut rows = Vec::new();
    for plugin in catalogue.plugins() {
        for (kind, types) in [("task", &plugin.tasks), ("trigger", &plugin.triggers)] {
            rows.extend(types.iter().map(|found| {
                vec![
                    Cell::plain(&found.type_name),
                    Cell::plain(kind),
                    Cell::plain(&plugin.name),
                    Cell::plain(found.title.clone().unwrap_or_default()),
                ]
            }));
        }
    }
    app::print(&text::table(&["TYPE", "KIND", "PLUGIN", "TITLE"], &rows, app.terminal.stdout_color))
}

fn plugin_document(plugin: &PluginInfo) -> Value {
    let names = |types: &[TaskType]| -> Vec<Value> {
        types
            .iter()
            .map(|found| json!({"type": found.type_name, "aliases": found.aliases, "title": found.title}))
            .collect()
    };
    json!({
        "name": plugin.name,
        "version": plugin.version,
        "path": plugin.path,
        "bundled": plugin.bundled,
        "sha256": plugin.sha256,
        "tasks": names(&plugin.tasks),
        "triggers": names(&plugin.triggers),
    })
}

fn show(app: &App, catalogue: &Catalogue, type_name: &str, json: bool) -> anyhow::Result<()> {
    let Some(found) = catalogue.get(type_name).or_else(|| catalogue.trigger(type_name)) else {
        let why = catalogue.explain_missing(type_name).map(|why| format!("\n{why}")).unwrap_or_default();
        let known: Vec<&str> = catalogue.type_names().collect();
        let near =
            weft_flow::type_hint(type_name, &known).map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        return Err(usage(format!("there is no type `{type_name}`{why}{near}")));
    };
    if json {
        return app::print_json(&json!({
            "type": found.type_name,
            "aliases": found.aliases,
            "plugin": found.plugin,
            "title": found.title,
            "description": found.description,
            "deprecated": found.deprecated,
            "properties": found.properties(),
            "outputs": found.outputs(),
            "examples": found.examples(),
        }));
    }
    app::print(&page(found, app.terminal.stdout_color))
}

/// A page of documentation for a terminal.
fn page(found: &TaskType, color: bool) -> String {
    let mut page = format!("{}\n", text::styled(&found.type_name, text::BOLD, color));
    // Writing to a text does not fail, here and below.
    if let Some(deprecated) = &found.deprecated {
        let _ = writeln!(page, "{} {deprecated}", text::styled("deprecated:", text::WARNING, color));
    }
    for part in [&found.title, &found.description].into_iter().flatten() {
        let _ = writeln!(page, "\n{part}");
    }
    let _ = writeln!(page, "\nfrom plugin `{}`", found.plugin);
    for alias in &found.aliases {
        let _ = writeln!(page, "also known as {alias}");
    }
    section(&mut page, "Properties", found.properties(), color);
    section(&mut page, "Outputs", found.outputs(), color);
    for example in found.examples().as_array().into_iter().flatten() {
        let title = example["title"].as_str().unwrap_or("Example");
        let _ = writeln!(page, "\n{}", text::styled(title, text::BOLD, color));
        for line in example["yaml"].as_str().unwrap_or_default().trim_end().lines() {
            let _ = writeln!(page, "  {line}");
        }
    }
    page
}

fn section(page: &mut String, title: &str, schema: &Value, color: bool) {
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty())
    else {
        return;
    };
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let _ = writeln!(page, "\n{}", text::styled(title, text::BOLD, color));
    for (name, property) in properties {
        let needed = if required.contains(&name.as_str()) { " (required)" } else { "" };
        let default = match property.get("default") {
            None | Some(Value::Null) => String::new(),
            Some(default) => format!(", default {default}"),
        };
        let kind = kind(property, schema);
        let _ = writeln!(
            page,
            "  {}{needed} {}",
            text::styled(name, text::HINT, color),
            text::styled(&format!("{kind}{default}"), text::DIM, color)
        );
        for line in property["description"].as_str().unwrap_or_default().lines() {
            let _ = writeln!(page, "      {line}");
        }
    }
}

/// What a property takes, in a word or two.
fn kind(property: &Value, schema: &Value) -> String {
    let resolved = property["$ref"]
        .as_str()
        .and_then(|reference| schema.pointer(reference.trim_start_matches('#')))
        .unwrap_or(property);
    if let Some(values) = resolved["enum"].as_array() {
        return values.iter().filter(|value| !value.is_null()).map(text_of).collect::<Vec<_>>().join("|");
    }
    match &resolved["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(&resolved["items"], schema)),
        Value::String(name) if name == "object" => "map".to_owned(),
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            names.iter().filter(|name| *name != "null").map(text_of).collect::<Vec<_>>().join(" or ")
        }
        _ => match resolved["anyOf"].as_array().or_else(|| resolved["oneOf"].as_array()) {
            Some(members) => {
                let mut kinds: Vec<String> = members.iter().map(|member| kind(member, schema)).collect();
                kinds.retain(|kind| kind != "null");
                kinds.dedup();
                kinds.join(" or ")
            }
            None => "anything".to_owned(),
        },
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_words() {
        let schema = json!({"$defs": {"Level": {"enum": ["A", "B"]}}});
        for (property, expected) in [
            (json!({"type": "string"}), "string"),
            (json!({"type": ["boolean", "null"]}), "boolean"),
            (json!({"type": "array", "items": {"type": "string"}}), "list of string"),
            (json!({"type": "object"}), "map"),
            (json!({"$ref": "#/$defs/Level"}), "A|B"),
            (json!({"anyOf": [{"$ref": "#/$defs/Level"}, {"type": "null"}]}), "A|B"),
            (
                json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
                "string or list of string",
            ),
            (json!({}), "anything"),
        ] {
            assert_eq!(kind(&property, &schema), expected, "{property}");
        }
    }
}
