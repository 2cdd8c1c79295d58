//! What triggers that need no plugin may say. They are part of the engine, so their schemas are here.

use std::sync::LazyLock;

use serde_json::{Value, json};
use weft_model::State;

use crate::TypeInfo;
use crate::aliases::{ENGINE_TRIGGERS, EngineTrigger};

/// States that an execution can be in, also those that only Kestra's server knows.
pub(crate) static STATES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    State::ALL.into_iter().map(State::as_str).chain(["BREAKPOINT", "RESUBMITTED"]).collect()
});

static INFOS: LazyLock<Vec<(EngineTrigger, TypeInfo)>> = LazyLock::new(|| {
    ENGINE_TRIGGERS
        .iter()
        .map(|names| {
            let (properties, outputs) = schemas(names.what);
            let info = TypeInfo {
                type_name: names.canonical().to_owned(),
                aliases: names.aliases(),
                properties,
                outputs,
                title: names.title.to_owned(),
                deprecated: None,
            };
            (names.what, info)
        })
        .collect()
});

/// What a trigger of the engine may say.
pub(crate) fn info(trigger: EngineTrigger) -> Option<&'static TypeInfo> {
    INFOS.iter().find(|(what, _)| *what == trigger).map(|(_, info)| info)
}

/// Properties, and what expressions see as `trigger`.
fn schemas(trigger: EngineTrigger) -> (Value, Value) {
    let date = json!({"type": "string", "description": "A date with time and zone."});
    match trigger {
        EngineTrigger::Schedule => (
            json!({
                "type": "object",
                "required": ["cron"],
                "additionalProperties": false,
                "properties": {
                    "cron": {"type": "string", "x-weft-static": true, "description":
                        "Five fields (minute, hour, day of month, month, day of week), or a name such as `@daily`."},
                    "withSeconds": {"type": "boolean", "x-weft-static": true, "description":
                        "Whether `cron` has a field for seconds before the others."},
                    "timezone": {"type": "string", "x-weft-static": true, "description":
                        "The time zone in which `cron` is meant, such as `Europe/Paris`."},
                    "lateMaximumDelay": {"type": "string", "format": "duration", "x-weft-static": true, "description":
                        "Executions that are later than this are left out."},
                    "recoverMissedSchedules": {"enum": ["ALL", "LAST", "NONE"], "x-weft-static": true, "description":
                        "What to do at the start about dates that were missed."},
                    "scheduleConditions": {"type": "array", "description": "Old name of `conditions`."},
                    "backfill": {"type": "object", "description": "Old way to ask for past dates."}
                }
            }),
            json!({"type": "object", "properties": {"date": date, "next": date, "previous": date}}),
        ),
        EngineTrigger::ScheduleOnDates => (
            json!({
                "type": "object",
                "required": ["dates"],
                "additionalProperties": false,
                "properties": {
                    "dates": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description":
                        "The dates, with time and zone."},
                    "timezone": {"type": "string", "x-weft-static": true, "description":
                        "The time zone of dates that have none."},
                    "recoverMissedSchedules": {"enum": ["ALL", "LAST", "NONE"], "x-weft-static": true, "description":
                        "What to do at the start about dates that were missed."}
                }
            }),
            json!({"type": "object", "properties": {"date": date, "next": date, "previous": date}}),
        ),
        EngineTrigger::Webhook => (
            json!({
                "type": "object",
                "required": ["key"],
                "additionalProperties": false,
                "properties": {
                    "key": {"type": "string", "minLength": 1, "maxLength": 256, "description":
                        "Last part of the address; whoever knows it can start the flow."},
                    "wait": {"type": "boolean", "description": "Whether the answer waits for the execution's end."},
                    "returnOutputs": {"type": "boolean", "description": "Whether the answer is the flow's outputs."},
                    "responseContentType": {"type": "string", "description": "Content type of the answer."},
                    "responseCode": {"type": "integer", "description": "Status code of the answer."}
                }
            }),
            json!({"type": "object", "properties": {
                "body": {}, "headers": {"type": "object"}, "parameters": {"type": "object"}
            }}),
        ),
        EngineTrigger::Flow => (
            json!({
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "states": {"type": "array", "items": {"enum": *STATES}, "description":
                        "States of the other execution that start one of this flow."},
                    "preconditions": {"type": "object", "description":
                        "Which flows must have ended: `id`, `flows`, `where`, `timeWindow`, `resetOnSuccess`."},
                    "preconditionsRef": {"type": "string"}
                }
            }),
            json!({"type": "object", "properties": {
                "executionId": {"type": "string"}, "namespace": {"type": "string"}, "flowId": {"type": "string"},
                "flowRevision": {"type": "integer"}, "state": {"type": "string"}, "outputs": {"type": "object"}
            }}),
        ),
    }
}
