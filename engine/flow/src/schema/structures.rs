//! What tasks that run other tasks may say, for editors. The parser (`parse/flowable.rs`) is what decides.

use serde_json::{Map, Value, json};

use crate::aliases::Structure;

/// The schema of a flowable's own properties.
pub(super) fn properties(structure: Structure) -> Value {
    let tasks = |text: &str| json!({"$ref": "#/definitions/tasks", "description": text});
    let limit =
        |text: &str| json!({"type": "integer", "minimum": 0, "description": text, "x-weft-static": true});
    let children = || tasks("The tasks.");
    let (required, mut own) = match structure {
        Structure::Sequential | Structure::AllowFailure => (&["tasks"][..], json!({"tasks": children()})),
        Structure::Parallel => (
            &["tasks"][..],
            json!({"tasks": children(), "concurrent": limit("How many at a time; 0 is no limit.")}),
        ),
        Structure::Dag => (
            &["tasks"][..],
            json!({
                "tasks": {"type": "array", "minItems": 1, "description": "The tasks with what they wait for.", "items": {
                    "type": "object",
                    "required": ["task"],
                    "additionalProperties": false,
                    "properties": {
                        "task": {"$ref": "#/definitions/task"},
                        "dependsOn": {"type": "array", "items": {"type": "string"}, "description":
                            "Ids of tasks of this Dag that must have ended.", "x-weft-static": true},
                    },
                }, "x-weft-static": true},
                "concurrent": limit("How many at a time; 0 is no limit."),
            }),
        ),
        Structure::If => (
            &["condition", "then"][..],
            json!({
                "condition": {"description": "False if it renders to `false`, `0`, `-0` or nothing."},
                "then": tasks("Run if the condition is true."),
                "else": tasks("Run if the condition is false."),
            }),
        ),
        Structure::Switch => (
            &["value"][..],
            json!({
                "value": {"description": "Compared to the keys of `cases`."},
                "cases": {"type": "object", "additionalProperties": {"$ref": "#/definitions/tasks"}, "x-weft-static": true,
                    "description": "Tasks by value."},
                "defaults": tasks("Run if no case matches."),
            }),
        ),
        Structure::EachSequential => {
            (&["value", "tasks"][..], json!({"value": values(), "tasks": children()}))
        }
        Structure::EachParallel => (
            &["value", "tasks"][..],
            json!({
                "value": values(),
                "tasks": children(),
                "concurrent": limit("How many values at a time; 0 is no limit."),
            }),
        ),
        Structure::ForEach => (
            &["values", "tasks"][..],
            json!({
                "values": values(),
                "tasks": children(),
                "concurrencyLimit": limit("How many values at a time; 1 where it is not said, 0 is no limit."),
            }),
        ),
        Structure::WorkingDirectory => (&["tasks"][..], working_directory(children())),
        Structure::LoopUntil => (
            &["tasks", "condition"][..],
            json!({
                "tasks": children(),
                "condition": {"description": "The loop ends when this is true after a round."},
                "failOnMaxReached": {"type": "boolean", "description": "Whether giving up is a failure.",
                    "x-weft-static": true},
                "checkFrequency": {"type": "object", "additionalProperties": false, "x-weft-static": true, "properties": {
                    "maxIterations": {"type": "integer", "minimum": 1, "description": "Rounds before giving up.",
                        "x-weft-static": true},
                    "maxDuration": duration("Time before giving up."),
                    "interval": duration("Pause between two rounds; PT1M where it is not said."),
                }},
            }),
        ),
        Structure::Pause => (&[][..], pause(&tasks)),
        Structure::Subflow | Structure::DetachedSubflow => (&["namespace", "flowId"][..], subflow()),
        Structure::ForEachItem => {
            let mut own = subflow();
            own["items"] = json!({"type": "string", "description": "Address of a file in internal storage."});
            own["batch"] = json!({"type": "object", "description": "How the file is cut.", "properties": {
                "rows": {"type": "integer", "minimum": 1}, "partitions": {"type": "integer", "minimum": 1},
                "bytes": {"type": ["string", "integer"]}, "separator": {"type": "string"},
            }});
            (&["items", "namespace", "flowId"][..], own)
        }
        Structure::TemplatedTask => (
            &["spec"][..],
            json!({"spec": {"type": "string", "description": "YAML of a task, rendered first."}}),
        ),
    };
    own["errors"] = tasks("Run if one of the tasks fails.");
    own["finally"] = tasks("Run at the end whatever happened.");
    json!({"type": "object", "required": required, "properties": own, "additionalProperties": false})
}

fn values() -> Value {
    json!({"type": ["array", "string"], "description": "A list, or an expression of one."})
}

fn duration(text: &str) -> Value {
    json!({"$ref": "#/definitions/duration", "description": text, "x-weft-static": true})
}

fn working_directory(children: Value) -> Value {
    json!({
        "tasks": children,
        "inputFiles": {"type": ["object", "string"], "description": "Files to put in: name to content or address."},
        "outputFiles": {"type": "array", "items": {"type": "string"}, "description": "Files to keep: glob patterns."},
        "namespaceFiles": {"type": "object", "description": "Files of the namespace to put in."},
        "cache": {"type": "object", "required": ["patterns"], "additionalProperties": false, "properties": {
            "patterns": {"type": "array", "items": {"type": "string"}, "description": "Files to keep for later runs."},
            "ttl": {"$ref": "#/definitions/duration", "description": "How long they are kept."},
        }},
    })
}

fn pause(tasks: &impl Fn(&str) -> Value) -> Value {
    json!({
        "pauseDuration": {"$ref": "#/definitions/duration", "description": "How long; a person must resume without it."},
        "delay": {"$ref": "#/definitions/duration", "description": "Old name of `pauseDuration`."},
        "behavior": {"enum": ["RESUME", "WARN", "FAIL", "CANCEL"], "description": "What happens when the time is over.",
            "x-weft-static": true},
        "onPause": {"$ref": "#/definitions/task", "description": "Run when the pause begins.", "x-weft-static": true},
        "onResume": {"type": "array", "items": {"$ref": "#/definitions/input"}, "x-weft-static": true,
            "description": "What the person who resumes is asked for."},
        "tasks": tasks("Run after the pause."),
    })
}

fn subflow() -> Value {
    let boolean = |text: &str| json!({"type": "boolean", "description": text, "x-weft-static": true});
    let map: Map<String, Value> = Map::from_iter([
        ("namespace".to_owned(), json!({"type": "string", "description": "The other flow's namespace."})),
        ("flowId".to_owned(), json!({"type": "string", "description": "The other flow's id."})),
        (
            "revision".to_owned(),
            json!({"type": "integer", "minimum": 1, "description": "The newest where it is not said."}),
        ),
        ("inputs".to_owned(), json!({"type": "object", "description": "Inputs of the other flow."})),
        (
            "labels".to_owned(),
            json!({"$ref": "#/definitions/labels", "description": "Labels of its execution."}),
        ),
        ("wait".to_owned(), boolean("Whether the task ends when the other flow ends.")),
        ("transmitFailed".to_owned(), boolean("Whether the task fails when the other flow fails.")),
        ("inheritLabels".to_owned(), boolean("Whether it gets this execution's labels.")),
        (
            "outputs".to_owned(),
            json!({"type": "object", "description": "Old form; use `outputs` of the other flow."}),
        ),
        ("scheduleDate".to_owned(), json!({"type": "string", "description": "When it is to be started."})),
    ]);
    Value::Object(map)
}
