//! What all flows, tasks and triggers may say, for editors. The parser (`parse`) is what decides.

use serde_json::{Map, Value, json};

use crate::parse::INPUT_TYPES;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Properties of a flow.
pub(super) fn flow_properties() -> Value {
    json!({
        "id": {"type": "string", "pattern": "^[a-zA-Z0-9][a-zA-Z0-9._-]*$", "maxLength": 100, "description":
            "Unique in the namespace."},
        "namespace": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]*$", "maxLength": 150, "description":
            "Dots make a hierarchy."},
        "revision": {"type": "integer", "minimum": 1},
        "description": {"type": "string", "description": "Markdown."},
        "labels": {"$ref": "#/definitions/labels"},
        "inputs": {"type": "array", "items": {"$ref": "#/definitions/input"}, "description":
            "What an execution is started with."},
        "variables": {"type": "object", "description": "What expressions see as `vars`."},
        "tasks": {"$ref": "#/definitions/tasks", "minItems": 1, "description": "Run one after the other."},
        "errors": {"$ref": "#/definitions/tasks", "description": "Run when a task failed."},
        "finally": {"$ref": "#/definitions/tasks", "description": "Run at the end whatever happened."},
        "afterExecution": {"$ref": "#/definitions/tasks", "description": "Run when the execution has ended."},
        "triggers": {"type": "array", "items": {"$ref": "#/definitions/trigger"}, "description":
            "What starts executions by itself."},
        "pluginDefaults": {"$ref": "#/definitions/defaults"},
        "taskDefaults": {"$ref": "#/definitions/defaults", "description": "Old name of `pluginDefaults`."},
        "concurrency": {"type": "object", "required": ["limit"], "additionalProperties": false, "properties": {
            "limit": {"type": "integer", "minimum": 1, "description": "How many executions may run at a time."},
            "behavior": {"enum": ["QUEUE", "CANCEL", "FAIL"], "description": "What happens to one more."},
        }},
        "retry": {"$ref": "#/definitions/retry"},
        "outputs": {"type": "array", "description": "Values that an execution hands out at its end.", "items": {
            "type": "object",
            "required": ["id", "type", "value"],
            "properties": {
                "id": {"type": "string"}, "type": {"enum": input_types()}, "value": {}, "itemType": {"enum": input_types()},
                "description": {"type": "string"}, "displayName": {"type": "string"}, "required": {"type": "boolean"},
            },
        }},
        "sla": {"type": "array", "description": "Promises on an execution.", "items": {
            "type": "object",
            "required": ["id", "type", "behavior"],
            "additionalProperties": false,
            "properties": {
                "id": {"type": "string"},
                "type": {"enum": ["MAX_DURATION", "EXECUTION_ASSERTION"]},
                "duration": {"$ref": "#/definitions/duration"},
                "assert": {"type": "string"},
                "behavior": {"enum": ["FAIL", "CANCEL", "NONE"]},
                "labels": {"$ref": "#/definitions/labels"},
            },
        }},
        "disabled": {"type": "boolean", "description": "A disabled flow cannot be executed."},
    })
}

/// Properties of every task but `type`.
pub(super) fn task_properties() -> Map<String, Value> {
    object(json!({
        "id": {"type": "string", "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_-]*$", "maxLength": 256, "description":
            "Unique in the flow."},
        "description": {"type": "string", "description": "Markdown."},
        "disabled": {"type": "boolean", "description": "A disabled task is left out."},
        "retry": {"$ref": "#/definitions/retry"},
        "timeout": {"$ref": "#/definitions/duration", "description": "Time for one attempt."},
        "runIf": {"type": ["string", "boolean"], "description": "The task is skipped if this is false."},
        "allowFailure": {"type": "boolean", "description": "A failure becomes a warning."},
        "allowWarning": {"type": "boolean", "description": "A warning becomes a success."},
        "logLevel": {"enum": ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], "description": "The least level that is kept."},
        "logToFile": {"type": "boolean", "description": "Whether the log is also kept as a file."},
        "workerGroup": {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}}, "description":
            "The workers that may run it."},
    }))
}

/// Properties of every trigger but `type`.
pub(super) fn trigger_properties() -> Map<String, Value> {
    object(json!({
        "id": {"type": "string", "pattern": "^[a-zA-Z0-9][a-zA-Z0-9_-]*$", "maxLength": 256, "description":
            "Unique in the flow."},
        "description": {"type": "string", "description": "Markdown."},
        "disabled": {"type": "boolean", "description": "A disabled trigger starts nothing."},
        "inputs": {"type": "object", "description": "Inputs of the executions."},
        "labels": {"$ref": "#/definitions/labels"},
        "conditions": {"type": "array", "items": {"type": "object"}, "description": "What must hold as well."},
        "when": {"type": ["string", "boolean"], "description": "Nothing is started if this is false."},
        "stopAfter": {"type": "array", "items": {"type": "string"}, "description":
            "States of an execution after which the trigger disables itself."},
        "logLevel": {"enum": ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]},
        "workerGroup": {"type": "object"},
        "allowConcurrent": {"type": "boolean"},
        "failOnTriggerError": {"type": "boolean"},
    }))
}

/// What the others refer to.
pub(super) fn definitions() -> Map<String, Value> {
    object(json!({
        "expression": {"type": "string", "pattern": "\\{\\{|\\{%", "description": "An expression of the value."},
        "duration": {"type": "string", "description": "ISO-8601, such as `PT30S`, `PT1H30M` or `P1D`.", "pattern":
            "^[-+]?[pP][-+0-9.,dDtThHmMsS]+$|\\{\\{"},
        "tasks": {"type": "array", "items": {"$ref": "#/definitions/task"}},
        "labels": {"anyOf": [
            {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
            {"type": "array", "items": {"type": "object", "required": ["key", "value"], "properties": {
                "key": {"type": "string"}, "value": {"type": ["string", "number", "boolean", "null"]},
            }}},
        ]},
        "retry": {
            "type": "object",
            "required": ["type"],
            "additionalProperties": false,
            "properties": {
                "type": {"enum": ["constant", "exponential", "random"]},
                "interval": {"$ref": "#/definitions/duration", "description": "The (first) wait."},
                "minInterval": {"$ref": "#/definitions/duration", "description": "The shortest wait."},
                "maxInterval": {"$ref": "#/definitions/duration", "description": "The longest wait."},
                "delayFactor": {"type": "number", "minimum": 1, "description": "How much longer each wait is."},
                "maxAttempts": {"type": "integer", "minimum": 1, "description": "All attempts, the first included."},
                "maxAttempt": {"type": "integer", "minimum": 1, "description": "Old name of `maxAttempts`."},
                "maxDuration": {"$ref": "#/definitions/duration", "description": "From the start of the first attempt."},
                "warningOnRetry": {"type": "boolean", "description": "Whether success after a retry is a warning."},
                "behavior": {"enum": ["RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION"]},
            },
        },
        "defaults": {"type": "array", "description": "Values for all tasks of a type or a package.", "items": {
            "type": "object",
            "required": ["type", "values"],
            "additionalProperties": false,
            "properties": {
                "type": {"type": "string", "description": "A type, or the beginning of types."},
                "forced": {"type": "boolean", "description": "Whether it wins over what the task says."},
                "values": {"type": "object"},
            },
        }},
        "input": input(),
    }))
}

fn input_types() -> Vec<&'static str> {
    INPUT_TYPES.iter().map(|(name, _)| *name).collect()
}

fn input() -> Value {
    let bound = json!({"type": ["number", "string"]});
    json!({
        "type": "object",
        "required": ["type"],
        "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string", "pattern": "^[a-zA-Z0-9][a-zA-Z0-9._-]*$", "description": "Dots make maps."},
            "name": {"type": "string", "description": "Old name of `id`."},
            "type": {"enum": input_types()},
            "required": {"type": "boolean", "description": "True where it is not said."},
            "defaults": {"description": "The value where none is given."},
            "description": {"type": "string"},
            "displayName": {"type": "string", "maxLength": 64},
            "dependsOn": {"type": "object", "required": ["inputs"], "properties": {
                "inputs": {"type": "array", "items": {"type": "string"}}, "condition": {"type": ["string", "boolean"]},
            }},
            "validator": {"type": "string", "description": "A regular expression for the whole text."},
            "min": bound, "max": bound,
            "after": {"type": "string"}, "before": {"type": "string"},
            "extension": {"type": "string"},
            "allowedFileExtensions": {"type": "array", "items": {"type": "string"}},
            "accept": {"type": "array", "items": {"type": "string"}},
            "itemType": {"enum": input_types()},
            "values": {"type": "array"}, "options": {"type": "array"},
            "expression": {"type": "string"},
            "allowCustomValue": {"type": "boolean"}, "autoSelectFirst": {"type": "boolean"}, "isRadio": {"type": "boolean"},
            "prefill": {},
        },
    })
}
