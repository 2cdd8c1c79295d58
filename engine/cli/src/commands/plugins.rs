//! `weft plugins`: which types there are, and what each of them takes.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};
use weft_flow::EngineType;
use weft_host::{Catalogue, Grants, Needs, PluginInfo, PluginProblem, TaskType};

use super::diagnostics;
use crate::app::{self, App, RunSettings, usage};
use crate::args::{PluginsArgs, PluginsCommand};
use crate::ui::text::{self, Cell};

/// Shows what is asked for.
pub fn run(app: &App, args: PluginsArgs) -> anyhow::Result<ExitCode> {
    let runtime = app::runtime()?;
    runtime.block_on(async {
        let engine = app.engine(RunSettings::default())?;
        match args.command {
            PluginsCommand::List { json } => {
                let catalogue = engine.host().full_catalogue().await;
                diagnostics::show_all_plugins(app, &catalogue.problems());
                if let Some(folder) = catalogue.untrusted() {
                    diagnostics::show_untrusted(app, folder);
                }
                list(app, catalogue, json)
            }
            PluginsCommand::Show { type_name, json } => {
                // The catalogue is asked on this thread, which serves nobody else.
                show(app, engine.host().catalogue().await, &type_name, json)
            }
            PluginsCommand::Precompile => {
                diagnostics::show_all_plugins(app, &engine.host().precompile().await);
                Ok(())
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What the table and the pages call the plugin of the types that need none.
const ENGINE: &str = "engine";

fn list(app: &App, catalogue: &Catalogue, json: bool) -> anyhow::Result<()> {
    let engine = weft_flow::describe_engine_types();
    if json {
        let own = |is_trigger: bool| -> Vec<Value> {
            let infos = engine.iter().filter(|found| found.is_trigger == is_trigger).map(|found| &found.info);
            infos.map(|info| type_document(&info.type_name, &info.aliases, Some(&info.title))).collect()
        };
        let own = json!({"name": ENGINE, "version": env!("CARGO_PKG_VERSION"), "path": null, "bundled": true,
            "sha256": null, "problems": [], "tasks": own(false), "triggers": own(true)});
        let problems = catalogue.problems();
        let documents: Vec<Value> = std::iter::once(own)
            .chain(catalogue.plugins().map(|plugin| plugin_document(plugin, &problems)))
            .chain(unusable_documents(catalogue, &problems))
            .collect();
        return app::print_json(&documents);
    }
    let kind = |is_trigger| if is_trigger { "trigger" } else { "task" };
    let row = |name: &str, is_trigger: bool, plugin: &str, title: &str| {
        vec![Cell::plain(name), Cell::plain(kind(is_trigger)), Cell::plain(plugin), Cell::plain(title)]
    };
    let mut rows: Vec<Vec<Cell>> = engine
        .iter()
        .map(|found| row(&found.info.type_name, found.is_trigger, ENGINE, &found.info.title))
        .collect();
    for plugin in catalogue.plugins() {
        for (is_trigger, types) in [(false, &plugin.tasks), (true, &plugin.triggers)] {
            let title = |found: &TaskType| found.title.clone().unwrap_or_default();
            rows.extend(
                types.iter().map(|found| row(&found.type_name, is_trigger, &plugin.name, &title(found))),
            );
        }
    }
    app::print(&text::table(&["TYPE", "KIND", "PLUGIN", "TITLE"], &rows, app.terminal.stdout_color))
}

fn type_document(type_name: &str, aliases: &[String], title: Option<&str>) -> Value {
    json!({"type": type_name, "aliases": aliases, "title": title})
}

/// What is wrong with a file.
fn problem_documents(path: &Path, problems: &[PluginProblem]) -> Vec<Value> {
    let of_it = problems.iter().filter(|problem| problem.path == path);
    of_it
        .map(|problem| {
            json!({"code": problem.code, "severity": problem.severity, "message": problem.message, "types": problem.types})
        })
        .collect()
}

/// Files that are no plugins, and directories with which something is wrong.
fn unusable_documents(catalogue: &Catalogue, problems: &[PluginProblem]) -> Vec<Value> {
    let usable: HashSet<&Path> = catalogue.plugins().map(|plugin| plugin.path.as_path()).collect();
    let mut paths: Vec<&Path> = problems.iter().map(|problem| problem.path.as_path()).collect();
    paths.retain(|path| !usable.contains(path));
    paths.dedup();
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            json!({"name": name, "version": null, "path": path, "bundled": false, "sha256": null,
                "problems": problem_documents(path, problems), "tasks": [], "triggers": []})
        })
        .collect()
}

fn plugin_document(plugin: &PluginInfo, problems: &[PluginProblem]) -> Value {
    let names = |types: &[TaskType]| -> Vec<Value> {
        types
            .iter()
            .map(|found| type_document(&found.type_name, &found.aliases, found.title.as_deref()))
            .collect()
    };
    json!({
        "name": plugin.name,
        "version": plugin.version,
        "path": plugin.path,
        "bundled": plugin.bundled,
        "sha256": plugin.sha256,
        "grants": plugin.grants.texts(),
        "withheld": plugin.grants.withheld_texts(),
        "problems": problem_documents(&plugin.path, problems),
        "tasks": names(&plugin.tasks),
        "triggers": names(&plugin.triggers),
    })
}

fn show(app: &App, catalogue: &Catalogue, type_name: &str, json: bool) -> anyhow::Result<()> {
    let plugin = catalogue
        .get(type_name)
        .or_else(|| catalogue.trigger(type_name))
        .map(|found| Page::of_plugin(found, catalogue));
    let Some(found) = plugin.or_else(|| Page::of_engine(type_name)) else {
        let why = catalogue.explain_missing(type_name).map(|why| format!("\n{why}")).unwrap_or_default();
        let engine = weft_flow::engine_types().map(str::to_owned);
        let known: Vec<String> = catalogue.type_names().map(str::to_owned).chain(engine).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let near =
            weft_flow::type_hint(type_name, &known).map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        return Err(usage(format!("there is no type `{type_name}`{why}{near}")));
    };
    if json { app::print_json(&found) } else { app::print(&found.to_text(app.terminal.stdout_color)) }
}

/// The documentation of a type.
#[derive(Serialize)]
struct Page {
    #[serde(rename = "type")]
    type_name: String,
    aliases: Vec<String>,
    plugin: String,
    needs: Option<Needs>,
    /// What its plugin is granted, and what of that is taken away.
    grants: Vec<String>,
    withheld: Vec<String>,
    title: Option<String>,
    description: Option<String>,
    deprecated: Option<String>,
    properties: Value,
    outputs: Value,
    examples: Value,
}

impl Page {
    fn of_plugin(found: &TaskType, catalogue: &Catalogue) -> Self {
        let plugin = catalogue.plugins().find(|plugin| plugin.name == found.plugin);
        let grants = plugin.map_or_else(Grants::none, |plugin| plugin.grants.clone());
        Self {
            needs: Some(found.needs.clone()),
            grants: grants.texts(),
            withheld: grants.withheld_texts(),
            type_name: found.type_name.clone(),
            aliases: found.aliases.clone(),
            plugin: found.plugin.clone(),
            title: found.title.clone(),
            description: found.description.clone(),
            deprecated: found.deprecated.clone(),
            properties: found.properties().clone(),
            outputs: found.outputs().clone(),
            examples: found.examples().clone(),
        }
    }

    fn of_engine(type_name: &str) -> Option<Self> {
        let is_it = |found: &EngineType| {
            found.info.type_name == type_name || found.info.aliases.iter().any(|alias| alias == type_name)
        };
        let info = weft_flow::describe_engine_types().into_iter().find(is_it)?.info;
        Some(Self {
            type_name: info.type_name,
            aliases: info.aliases,
            plugin: ENGINE.to_owned(),
            needs: None,
            grants: Vec::new(),
            withheld: Vec::new(),
            title: Some(info.title),
            description: None,
            deprecated: info.deprecated,
            properties: info.properties,
            outputs: info.outputs,
            examples: Value::Null,
        })
    }

    /// What the type says that it needs, and what its plugin may use.
    fn rights_to_text(&self, page: &mut String, color: bool) {
        let Some(needs) = &self.needs else { return };
        let asked = needs.capabilities.iter().flatten();
        let lists: [(&str, Vec<&String>); 7] = [
            ("needs", asked.collect()),
            ("hosts", needs.hosts.iter().collect()),
            ("programs", needs.commands.iter().collect()),
            ("images", needs.images.iter().collect()),
            ("looks at", needs.variables.iter().chain(&needs.files).collect()),
            ("granted", self.grants.iter().collect()),
            ("withheld", self.withheld.iter().collect()),
        ];
        let _ = writeln!(page, "\n{}", text::styled("Rights", text::BOLD, color));
        for (title, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            let list: Vec<&str> = list.into_iter().map(String::as_str).collect();
            let _ = writeln!(page, "  {} {}", text::styled(title, text::HINT, color), list.join(", "));
        }
    }

    /// A page for a terminal.
    fn to_text(&self, color: bool) -> String {
        let mut page = format!("{}\n", text::styled(&self.type_name, text::BOLD, color));
        // Writing to a text does not fail, here and below.
        if let Some(deprecated) = &self.deprecated {
            let _ = writeln!(page, "{} {deprecated}", text::styled("deprecated:", text::WARNING, color));
        }
        // The first sentence of a description is often its title.
        let description = self.description.as_deref().unwrap_or_default();
        let title = self.title.as_deref().filter(|title| !description.starts_with(title));
        for part in title.into_iter().chain([description]).filter(|part| !part.is_empty()) {
            let _ = writeln!(page, "\n{part}");
        }
        let _ = writeln!(page, "\nfrom plugin `{}`", self.plugin);
        for alias in &self.aliases {
            let _ = writeln!(page, "also known as {alias}");
        }
        self.rights_to_text(&mut page, color);
        for (title, schema) in [("Properties", &self.properties), ("Outputs", &self.outputs)] {
            let mut lines = String::new();
            members(&mut lines, schema, schema, 1, color);
            if !lines.is_empty() {
                let _ = write!(page, "\n{}\n{lines}", text::styled(title, text::BOLD, color));
            }
        }
        for example in self.examples.as_array().into_iter().flatten() {
            let title = example["title"].as_str().unwrap_or("Example");
            let _ = writeln!(page, "\n{}", text::styled(title, text::BOLD, color));
            for line in example["yaml"].as_str().unwrap_or_default().trim_end().lines() {
                let _ = writeln!(page, "  {line}");
            }
        }
        page
    }
}

/// How deep maps in maps are shown.
const DEPTH: usize = 3;

/// One entry for each property of a schema, and below it those of the maps that it takes.
fn members(page: &mut String, schema: &Value, root: &Value, depth: usize, color: bool) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let indent = "    ".repeat(depth - 1);
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in properties {
        let needed = if required.contains(&name.as_str()) { " (required)" } else { "" };
        let default = match property.get("default") {
            None | Some(Value::Null) => String::new(),
            Some(default) => format!(", default {default}"),
        };
        let kind = kind(property, root);
        let _ = writeln!(
            page,
            "{indent}  {}{needed} {}",
            text::styled(name, text::HINT, color),
            text::styled(&format!("{kind}{default}"), text::DIM, color)
        );
        for line in property["description"].as_str().unwrap_or_default().lines() {
            let _ = writeln!(page, "{indent}      {line}");
        }
        if depth < DEPTH {
            for form in forms(property, root) {
                members(page, form, root, depth + 1, color);
            }
        }
    }
}

/// The schema that a reference leads to, or the schema itself.
fn resolved<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    let target =
        schema["$ref"].as_str().and_then(|reference| root.pointer(reference.trim_start_matches('#')));
    target.unwrap_or(schema)
}

/// The forms that a value may have.
fn forms<'s>(schema: &'s Value, root: &'s Value) -> Vec<&'s Value> {
    let schema = resolved(schema, root);
    let several = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
    match several {
        Some(several) => several.iter().map(|form| resolved(form, root)).collect(),
        None => vec![schema],
    }
}

/// How deep lists in lists and forms of forms are told: a schema may lead back to itself.
const KIND_DEPTH: usize = 4;

/// What a property takes, in a word or two.
fn kind(property: &Value, root: &Value) -> String {
    kind_within(property, root, KIND_DEPTH)
}

fn kind_within(property: &Value, root: &Value, depth: usize) -> String {
    let Some(depth) = depth.checked_sub(1) else { return "anything".to_owned() };
    let schema = resolved(property, root);
    if let Some(value) = schema.get("const") {
        return text_of(value);
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().filter(|value| !value.is_null()).map(text_of).collect::<Vec<_>>().join("|");
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => {
            format!("list of {}", kind_within(&schema["items"], root, depth))
        }
        Value::String(name) if name == "object" => "map".to_owned(),
        Value::String(name) if schema["oneOf"].is_null() => name.clone(),
        Value::Array(names) => {
            names.iter().filter(|name| *name != "null").map(text_of).collect::<Vec<_>>().join(" or ")
        }
        _ => match schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
            Some(members) => {
                let constants = members.iter().all(|member| member.get("const").is_some());
                let mut kinds: Vec<String> =
                    members.iter().map(|member| kind_within(member, root, depth)).collect();
                kinds.retain(|kind| kind != "null");
                kinds.dedup();
                kinds.join(if constants { "|" } else { " or " })
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
        let schema = json!({"$defs": {
            "Level": {"enum": ["A", "B"]},
            "Lists": {"type": "array", "items": {"$ref": "#/$defs/Lists"}},
        }});
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
            (json!({"oneOf": [{"const": "A"}, {"const": "B"}]}), "A|B"),
            (json!({"type": "string", "oneOf": [{"const": "A"}, {"const": "B"}]}), "A|B"),
            (json!({}), "anything"),
            (json!({"$ref": "#/$defs/Lists"}), "list of list of list of list of anything"),
        ] {
            assert_eq!(kind(&property, &schema), expected, "{property}");
        }
    }
}
