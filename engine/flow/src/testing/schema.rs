//! JSON Schema of a test file, for YAML editors. The reader is what decides.

use serde_json::{Map, Value, json};

use super::Operator;

/// The JSON Schema of a test file.
pub fn tests_schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Tests of a flow",
        "description": "Cases: each is an execution of the flow, and what is expected of it.",
        "type": "object",
        "required": ["id", "testCases"],
        "anyOf": [{"required": ["flow"]}, {"required": ["namespace", "flowId"]}],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string", "description": "Names the tests in reports."},
            "flow": {"type": "string", "description": "The flow's file, relative to this one."},
            "namespace": {"type": "string", "description": "The flow's namespace."},
            "flowId": {"type": "string", "description": "The flow's id."},
            "description": {"type": "string"},
            "disabled": {"type": "boolean", "description": "None of the cases is run."},
            "fixtures": {"$ref": "#/definitions/fixtures", "description": "For all cases; what a case says wins."},
            "testCases": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/case"}},
        },
        "definitions": {
            "case": case(),
            "fixtures": fixtures(),
            "task": task(),
            "answer": {"type": "object", "additionalProperties": false, "properties": answer()},
            "file": file(),
            "files": {"type": "object", "additionalProperties": {"$ref": "#/definitions/file"}},
            "assertion": assertion(),
            "texts": {"anyOf": [
                {"type": ["string", "number", "boolean"], "description": "A text that is contained."},
                {"type": "object", "minProperties": 1, "additionalProperties": false, "properties": operators()},
            ]},
            "states": {"anyOf": [
                {"$ref": "#/definitions/state"},
                {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/state"}},
            ]},
            "state": {"enum": [
                "SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "PAUSED", "RETRIED", "SKIPPED",
            ]},
            "level": {"enum": ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]},
            "scalar": {"type": ["string", "number", "boolean"]},
            "tags": {"type": "object", "additionalProperties": {"$ref": "#/definitions/scalar"}},
        },
    })
}

fn case() -> Value {
    json!({
        "type": "object",
        "required": ["id"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string", "description": "Unique in the file."},
            "type": {"const": "io.kestra.core.tests.flow.UnitTest"},
            "description": {"type": "string"},
            "disabled": {"type": "boolean", "description": "The case is not run."},
            "fixtures": {"$ref": "#/definitions/fixtures"},
            "state": {"$ref": "#/definitions/states", "description":
                "How the execution must end; SUCCESS or WARNING where nothing is said."},
            "refused": {"type": ["boolean", "string"], "description":
                "The inputs must be refused, with this text in the message."},
            "timeout": {"type": "string", "description": "Ends the case, as in PT30S."},
            "realTime": {"type": "boolean", "description":
                "Whether retries, pauses and loops wait as long as the flow says."},
            "assertions": {"type": "array", "items": {"$ref": "#/definitions/assertion"}},
        },
    })
}

fn fixtures() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "inputs": {"type": "object", "description": "Values of inputs."},
            "files": {"$ref": "#/definitions/files", "description": "Files of the flow's namespace."},
            "tasks": {"type": "array", "items": {"$ref": "#/definitions/task"}, "description":
                "What stands in for tasks: they are not run."},
            "others": {"enum": ["RUN", "SUCCEED", "FAIL"], "description":
                "What becomes of tasks without a fixture; RUN where nothing is said."},
            "trigger": {"$ref": "#/definitions/fixtures/properties/triggers/items"},
            "triggers": {"type": "array", "maxItems": 1, "items": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "id": {"type": "string"}, "type": {"type": "string"},
                    "variables": {"type": "object", "description": "What expressions see as `trigger`."},
                },
            }},
            "labels": {"type": ["object", "array"]},
            "secrets": {"$ref": "#/definitions/tags", "description": "What `secret()` finds."},
            "kv": {"description": "What `kv()` finds.", "anyOf": [
                {"type": "object"},
                {"type": "array", "items": {
                    "type": "object",
                    "required": ["key", "value"],
                    "additionalProperties": false,
                    "properties": {"namespace": {"type": "string"}, "key": {"type": "string"}, "value": {}},
                }},
            ]},
            "envs": {"type": "object", "description": "What expressions see as `envs`."},
        },
    })
}

fn task() -> Value {
    let mut properties = answer();
    let own = json!({
        "id": {"type": "string", "description": "The task that is not run."},
        "type": {"type": "string", "description":
            "All tasks of this type are not run; `*` at the end stands for any type that begins so."},
        "description": {"type": "string"},
        "value": {"description": "Only for this value of the loop; a list, outermost loop first, in nested loops."},
        "iteration": {"type": "integer", "minimum": 0, "description": "Only in this iteration."},
        "attempts": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/answer"}, "description":
            "What each attempt comes to; the last one is also what further attempts come to."},
    });
    if let Value::Object(own) = own {
        properties.extend(own);
    }
    json!({
        "type": "object",
        "anyOf": [{"required": ["id"]}, {"required": ["type"]}],
        "additionalProperties": false,
        "properties": properties,
    })
}

fn answer() -> Map<String, Value> {
    let answer = json!({
        "state": {"enum": ["SUCCESS", "WARNING", "FAILED", "KILLED"], "description": "SUCCESS where nothing is said."},
        "outputs": {"type": "object", "description": "What it puts out; may have expressions."},
        "outputFiles": {"$ref": "#/definitions/files", "description": "Files that it puts out."},
        "error": {"type": "string", "description": "Why it failed; makes the state FAILED."},
        "logs": {"type": "array", "items": {"anyOf": [
            {"$ref": "#/definitions/scalar"},
            {"type": "object", "required": ["message"], "additionalProperties": false, "properties": {
                "level": {"$ref": "#/definitions/level"}, "message": {"type": "string"},
            }},
        ]}},
        "metrics": {"type": "array", "items": {
            "type": "object",
            "required": ["name", "value"],
            "additionalProperties": false,
            "properties": {
                "name": {"type": "string"}, "type": {"enum": ["counter", "timer", "gauge"]},
                "value": {"type": "number"}, "tags": {"$ref": "#/definitions/tags"},
            },
        }},
    });
    match answer {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn file() -> Value {
    json!({"anyOf": [
        {"type": ["string", "number", "boolean", "null"], "description": "The content."},
        {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false, "properties": {
            "path": {"type": "string", "description": "A file, relative to this one."},
            "content": {"type": "string"},
        }},
    ]})
}

fn assertion() -> Value {
    let mut properties = operators();
    let own = json!({
        "description": {"type": "string"},
        "errorMessage": {"type": "string", "description": "What to say where it does not hold."},
        "taskId": {"type": "string", "description": "The task that it is about."},
        "value": {"description": "An expression; write operators beside it."},
        "metric": {"type": "string", "description": "The name of a metric; write operators beside it."},
        "tags": {"$ref": "#/definitions/tags", "description": "Only metrics with these tags."},
        "log": {"$ref": "#/definitions/texts", "description": "A line of the log."},
        "level": {"$ref": "#/definitions/level", "description": "Only lines of this level or a higher one."},
        "times": {"type": "integer", "minimum": 0, "description": "How many lines; at least one where nothing is said."},
        "state": {"$ref": "#/definitions/states", "description": "The state of the task's runs, or of the execution."},
        "attempts": {"type": "integer", "minimum": 0, "description": "Attempts of each run of the task."},
        "runs": {"type": "integer", "minimum": 0, "description": "How often the task ran."},
        "error": {"$ref": "#/definitions/texts", "description": "The message of a failure."},
    });
    if let Value::Object(own) = own {
        properties.extend(own);
    }
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn operators() -> Map<String, Value> {
    let operator = |(name, operator): &(&str, Operator)| {
        let schema = match operator {
            operator if operator.is_predicate() => json!({"type": "boolean"}),
            Operator::In | Operator::NotIn => json!({"type": ["array", "string"]}),
            Operator::StartsWith | Operator::EndsWith | Operator::Matches => {
                json!({"$ref": "#/definitions/scalar"})
            }
            _ => json!({}),
        };
        ((*name).to_owned(), schema)
    };
    Operator::ALL.iter().map(operator).collect()
}
