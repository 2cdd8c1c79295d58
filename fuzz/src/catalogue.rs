//! The task types and the trigger type that flows of the targets can use.

use std::sync::OnceLock;

use serde_json::json;
use weft_flow::{Catalogue, TypeInfo, Validator};

/// A few types whose properties are of every kind.
pub struct Plugins {
    tasks: Vec<TypeInfo>,
    trigger: TypeInfo,
}

impl Plugins {
    /// The same for all: schemas are compiled once.
    pub fn get() -> &'static Self {
        static PLUGINS: OnceLock<Plugins> = OnceLock::new();
        PLUGINS.get_or_init(Self::new)
    }

    fn new() -> Self {
        let info = |type_name: &str, properties| TypeInfo {
            type_name: type_name.to_owned(),
            properties,
            ..TypeInfo::default()
        };
        let run = TypeInfo {
            aliases: vec!["p.Old".to_owned()],
            outputs: json!({"type": "object", "properties": {"value": {}, "uri": {"type": "string"}}}),
            ..info(
                "p.T",
                json!({
                    "type": "object",
                    "required": ["commands"],
                    "additionalProperties": false,
                    "properties": {
                        "commands": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                        "env": {"type": "object", "additionalProperties": {"type": "string"}},
                        "wait": {"type": "string", "format": "duration"},
                        "count": {"type": "integer", "minimum": 0},
                        "ratio": {"type": "number"},
                        "flag": {"type": ["boolean", "null"]},
                        "fixed": {"type": "boolean", "x-weft-static": true},
                        "mode": {"enum": ["FAST", "SLOW"]},
                        "any": {},
                        "inner": {"$ref": "#/$defs/inner"},
                        "either": {"oneOf": [
                            {
                                "type": "object",
                                "required": ["type"],
                                "additionalProperties": false,
                                "properties": {"type": {"const": "p.A"}},
                            },
                            {
                                "type": "object",
                                "required": ["type"],
                                "additionalProperties": false,
                                "properties": {"type": {"const": "p.B"}, "size": {"type": "integer"}},
                            },
                        ]},
                        "ends": {"enum": ["SUCCESS", "WARNING", "FAILED", "KILLED"], "x-weft-static": true},
                    },
                    "$defs": {"inner": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {"image": {"type": "string"}, "inner": {"$ref": "#/$defs/inner"}},
                    }},
                }),
            )
        };
        let set = info(
            "p.Set",
            json!({"properties": {"variables": {"type": "object", "x-weft-role": "set-variables"}}}),
        );
        let trigger =
            info("p.Trigger", json!({"required": ["path"], "properties": {"path": {"type": "string"}}}));
        Self { tasks: vec![run, set], trigger }
    }
}

impl Catalogue for Plugins {
    fn task(&self, type_name: &str) -> Option<&TypeInfo> {
        let named = |info: &&TypeInfo| {
            info.type_name == type_name || info.aliases.iter().any(|name| name == type_name)
        };
        self.tasks.iter().find(named)
    }

    fn trigger(&self, type_name: &str) -> Option<&TypeInfo> {
        (type_name == self.trigger.type_name).then_some(&self.trigger)
    }

    fn type_names(&self) -> Vec<&str> {
        self.tasks.iter().chain([&self.trigger]).map(|info| info.type_name.as_str()).collect()
    }
}

/// Does something with a validator that knows [`Plugins`]; each thread has one, for it keeps compiled schemas.
pub fn with_validator<T>(use_it: impl FnOnce(&Validator<'static>) -> T) -> T {
    thread_local! {
        static VALIDATOR: Validator<'static> = Validator::new(Plugins::get());
    }
    VALIDATOR.with(use_it)
}
