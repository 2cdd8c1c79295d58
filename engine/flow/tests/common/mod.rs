//! Plugins that do not exist, and short ways to say what is wrong with a flow.

// Each test file uses a part of it.
#![allow(dead_code)]

use serde_json::{Value, json};
use weft_flow::{Catalogue, Flow, Outcome, ParseOptions, TypeInfo};

pub struct Plugins {
    tasks: Vec<TypeInfo>,
    triggers: Vec<TypeInfo>,
}

fn info(type_name: &str, properties: Value) -> TypeInfo {
    TypeInfo {
        type_name: type_name.to_owned(),
        properties,
        title: "A test type.".to_owned(),
        ..TypeInfo::default()
    }
}

impl Plugins {
    pub fn new() -> Self {
        let log = TypeInfo {
            aliases: vec!["org.example.old.Log".to_owned()],
            ..info(
                "org.example.log.Log",
                json!({
                    "type": "object",
                    "required": ["message"],
                    "additionalProperties": false,
                    "properties": {
                        "message": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                        "level": {"enum": ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]},
                    },
                }),
            )
        };
        let shell = TypeInfo {
            outputs: json!({"type": "object", "properties": {"vars": {}, "exitCode": {}, "outputFiles": {}}}),
            ..info(
                "org.example.shell.Commands",
                json!({
                    "type": "object",
                    "required": ["commands"],
                    "additionalProperties": false,
                    "properties": {
                        "commands": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                        "env": {"type": "object", "additionalProperties": {"type": "string"}},
                        "failFast": {"type": "boolean"},
                        "exitCode": {"type": "integer", "minimum": 0},
                        "wait": {"type": "string", "format": "duration"},
                        "runner": {"enum": ["DOCKER", "PROCESS"], "x-weft-static": true},
                        "docker": {"$ref": "#/$defs/docker"},
                        "taskRunner": {"oneOf": [
                            {
                                "type": "object",
                                "required": ["type"],
                                "additionalProperties": false,
                                "properties": {"type": {"const": "org.example.runner.Process"}},
                            },
                            {
                                "type": "object",
                                "required": ["type"],
                                "additionalProperties": false,
                                "properties": {
                                    "type": {"const": "org.example.runner.Docker"},
                                    "image": {"type": "string"},
                                    "cpus": {"type": "number"},
                                },
                            },
                        ]},
                    },
                    "$defs": {"docker": {
                        "type": "object",
                        "required": ["image"],
                        "additionalProperties": false,
                        "properties": {"image": {"type": "string"}, "volumes": {"type": "array", "items": {"type": "string"}}},
                    }},
                }),
            )
        };
        let set_variables = info(
            "org.example.execution.SetVariables",
            json!({"properties": {"variables": {"type": "object", "x-weft-role": "set-variables"}}}),
        );
        let echo = TypeInfo {
            deprecated: Some("use `org.example.log.Log`".to_owned()),
            ..info("org.example.debug.Echo", json!({"properties": {"format": {"type": "string"}}}))
        };
        let return_ = info("org.example.debug.Return", json!({"properties": {"format": {"type": "string"}}}));
        let broken = info("org.example.Broken", json!({"type": "no such type"}));
        let trigger = info(
            "org.example.files.Trigger",
            json!({"required": ["path"], "properties": {"path": {"type": "string"}}}),
        );
        Self { tasks: vec![log, shell, set_variables, echo, return_, broken], triggers: vec![trigger] }
    }
}

fn find<'i>(infos: &'i [TypeInfo], type_name: &str) -> Option<&'i TypeInfo> {
    infos
        .iter()
        .find(|info| info.type_name == type_name || info.aliases.iter().any(|alias| alias == type_name))
}

impl Catalogue for Plugins {
    fn task(&self, type_name: &str) -> Option<&TypeInfo> {
        find(&self.tasks, type_name)
    }

    fn trigger(&self, type_name: &str) -> Option<&TypeInfo> {
        find(&self.triggers, type_name)
    }

    fn type_names(&self) -> Vec<&str> {
        self.tasks.iter().chain(&self.triggers).map(|info| info.type_name.as_str()).collect()
    }
}

pub fn parse(source: &str) -> Outcome {
    weft_flow::parse(source, &Plugins::new(), &ParseOptions::default())
}

/// A flow without any mistake.
#[track_caller]
pub fn flow(source: &str) -> Flow {
    let outcome = parse(source);
    assert_eq!(lines(&outcome), "", "{source}");
    outcome.flow.expect("a flow without diagnostics")
}

/// `line:column code message`, one line each; warnings begin with `~`, errors at runtime with `?`.
pub fn lines(outcome: &Outcome) -> String {
    let line = |diagnostic: &weft_flow::Diagnostic| {
        let start = diagnostic.span.start;
        let mark = match (diagnostic.severity, diagnostic.runtime) {
            (weft_flow::Severity::Warning, _) => "~",
            (_, true) => "?",
            _ => "",
        };
        // The words about a wrong expression are another crate's.
        let message = if diagnostic.code == "expression-syntax" { "" } else { &diagnostic.message };
        format!("{mark}{}:{} {} {message}", start.line, start.column, diagnostic.code).trim_end().to_owned()
    };
    outcome.diagnostics.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Compares what is wrong with each flow to what is expected, one diagnostic a line.
#[track_caller]
pub fn check(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(lines(&parse(source)), expected.trim(), "\n{source}");
    }
}

/// A flow with these tasks, which begin in line 4.
pub fn with_tasks(tasks: &str) -> String {
    format!("id: f\nnamespace: n\ntasks:\n{tasks}")
}

/// As [`check`], for the tasks of a flow, which begin in line 4.
#[track_caller]
pub fn check_tasks(cases: &[(&str, &str)]) {
    for (tasks, expected) in cases {
        let source = with_tasks(tasks);
        assert_eq!(lines(&parse(&source)), expected.trim(), "\n{source}");
    }
}
