//! Properties that the engine carries out: before and after a task runs, and between two polls of a trigger. A type that
//! has one gets the behaviour, and nothing to read: these types hold nothing. All are optional; give their fields
//! `#[serde(default)]`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, IgnoredAny};

/// Defines a type that is read as nothing and described by a schema.
macro_rules! by_engine {
    ($(#[$doc:meta])* $name:ident, $schema:tt) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name;

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                IgnoredAny::deserialize(deserializer).map(|_| Self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }

            fn inline_schema() -> bool {
                true
            }
        }
    };
}

by_engine!(
    /// Files to put into the working directory first: a map from name to content, or to the `kestra://` URI of a
    /// stored file; or a JSON text of such a map.
    InputFiles,
    {
        "type": ["object", "string", "null"],
        "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
        "x-weft-role": "input-files"
    }
);

by_engine!(
    /// Globs of files in the working directory to keep, whether the task fails or not. The output `outputFiles` (or
    /// what the keyword `x-weft-output` on the property says) maps their paths to `kestra://` URIs.
    OutputFiles,
    { "type": ["array", "null"], "items": { "type": "string" }, "x-weft-role": "output-files" }
);

by_engine!(
    /// Whether there is a directory, `{{ outputDir }}` to expressions, all of whose files are kept like output files.
    OutputDirectory,
    { "type": ["boolean", "null"], "x-weft-role": "output-directory" }
);

by_engine!(
    /// Which files of the namespace to put into the working directory first.
    NamespaceFiles,
    {
        "type": ["object", "null"],
        "properties": {
            "enabled": { "description": "Whether any are.", "type": "boolean", "default": true },
            "include": {
                "description": "Globs of those that are; all where there are none.",
                "type": "array",
                "items": { "type": "string" }
            },
            "exclude": {
                "description": "Globs of those that are not.",
                "type": "array",
                "items": { "type": "string" }
            },
            "namespaces": {
                "description": "Whose files; those of the flow's own namespace where there are none.",
                "type": "array",
                "items": { "type": "string" }
            },
            "folderPerNamespace": {
                "description": "Whether the files of each namespace go into a folder named like it.",
                "type": "boolean",
                "default": false
            },
            "ifExists": {
                "description": "What becomes of a file that is in the directory already.",
                "type": "string",
                "enum": ["OVERWRITE", "FAIL", "WARN", "IGNORE"],
                "default": "OVERWRITE"
            }
        },
        "additionalProperties": false,
        "x-weft-role": "namespace-files"
    }
);

by_engine!(
    /// How long a trigger waits between two polls, as an ISO-8601 duration. The field belongs to a trigger; one without
    /// it is polled once a minute.
    Interval,
    {
        "type": "string",
        "format": "duration",
        "default": "PT60S",
        "description": "Time between two polls.",
        "x-weft-role": "interval"
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_is_read_as_nothing() {
        for json in ["null", "true", "\"{}\"", "[\"*.csv\"]", "{\"a\": {\"b\": [1]}}"] {
            assert!(serde_json::from_str::<InputFiles>(json).is_ok(), "{json}");
        }
    }
}
