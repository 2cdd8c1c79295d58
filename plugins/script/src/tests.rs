//! What flows of both eras lead to: command lines, environments, runners, and what comes of an exit.

mod commands;
mod ends;
mod runners;

use serde_json::{Value, json};
use weft_sdk::testing::{Harness, Run};

use crate::WeftPlugin;

/// One `python.Script`, `shell.Commands`, ... as the engine calls it, in a process unless it says otherwise.
fn call(host: &Harness, name: &str, properties: &Value) -> Run {
    let mut all = json!({"runner": "PROCESS"});
    all.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
    host.call::<WeftPlugin>(&full_name(name), &all)
}

fn full_name(name: &str) -> String {
    match name {
        "Bash" | "Python" | "Node" => format!("io.kestra.core.tasks.scripts.{name}"),
        _ => format!("io.kestra.plugin.scripts.{name}"),
    }
}

/// The command line of a run, with the working directory written as `$W`.
fn argv(host: &Harness, run: &Run) -> Vec<String> {
    let directory = host.directory().display().to_string();
    let [spawned] = &run.commands[..] else { panic!("{:?} started {:?}", run.result, run.commands) };
    spawned.command.argv.iter().map(|word| word.replace(&directory, "$W")).collect()
}

#[test]
fn every_property_of_a_schema_is_read_or_carried_out_by_the_engine() {
    let descriptor = <WeftPlugin as weft_sdk::Plugin>::describe();
    let source = [include_str!("job.rs"), include_str!("runner.rs")].concat();
    for task in descriptor["tasks"].as_array().unwrap() {
        for (name, property) in task["properties"]["properties"].as_object().unwrap() {
            let role = property["x-weft-role"].as_str().unwrap_or_default();
            let by_engine =
                ["input-files", "output-files", "output-directory", "namespace-files"].contains(&role);
            assert!(by_engine || source.contains(&format!("\"{name}\"")), "nobody reads `{name}`");
        }
    }
}
