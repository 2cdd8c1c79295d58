//! The types: three generic ones over the rows of the language table.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};
use weft_sdk::{Context, Example, Needs, Output, Result, Task};

use crate::job::{Job, Kind};
use crate::language::{Face, Former, LANGUAGES, Language};
use crate::properties::{Reader, former_schema, schema};
use crate::run::{Outputs, run};

/// Commands and images are whatever the flow names.
const NEEDS: Needs = Needs { commands: &["*"], images: &["*"], ..Needs::NOTHING };

/// Runs a script given inline, in the language of that row of the table.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Script<const LANGUAGE: usize>(Map<String, Value>);

/// Runs commands in an environment for the language of that row of the table.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Commands<const LANGUAGE: usize>(Map<String, Value>);

/// The type that came before the other two.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Before<const LANGUAGE: usize>(Map<String, Value>);

fn perform(
    properties: Map<String, Value>,
    kind: Kind,
    language: &'static Language,
    cx: &Context,
) -> Result<Outputs> {
    run(Job::read(Reader(properties), kind, language, cx.runner())?, cx)
}

/// The same from JSON to JSON: one function for all types.
fn perform_json(properties: &str, kind: Kind, language: &'static Language, cx: &Context) -> Result<String> {
    let outputs = perform(serde_json::from_str(properties)?, kind, language, cx)?;
    Ok(serde_json::to_string(&outputs)?)
}

/// The row of a type that came before.
const fn former(language: usize) -> &'static Former {
    match &LANGUAGES[language].former {
        Some(former) => former,
        None => panic!("the language has no former type"),
    }
}

/// Implements a type: its part of the table, its kind, its schema.
macro_rules! task {
    ($name:ident, $face:expr, $kind:expr, $deprecated:expr, |$generator:ident| $schema:expr) => {
        impl<const LANGUAGE: usize> $name<LANGUAGE> {
            const FACE: &'static Face = $face;
            const KIND: Kind = $kind;
        }

        impl<const LANGUAGE: usize> Task for $name<LANGUAGE> {
            const TYPE: &'static str = Self::FACE.type_name;
            const TITLE: &'static str = Self::FACE.title;
            const DESCRIPTION: &'static str = Self::FACE.description;
            const EXAMPLES: &'static [Example] = Self::FACE.examples;
            const DEPRECATED: Option<&'static str> = $deprecated;
            const NEEDS: Needs = NEEDS;

            fn run(self, cx: &Context) -> Result<impl Output> {
                perform(self.0, Self::KIND, &LANGUAGES[LANGUAGE], cx)
            }

            fn run_json(properties: &str, cx: &Context) -> Result<String> {
                perform_json(properties, Self::KIND, &LANGUAGES[LANGUAGE], cx)
            }
        }

        impl<const LANGUAGE: usize> JsonSchema for $name<LANGUAGE> {
            fn schema_name() -> Cow<'static, str> {
                Self::TYPE.into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

task!(Script, &LANGUAGES[LANGUAGE].script, Kind::Script, None, |generator| {
    schema(generator, "script", LANGUAGES[LANGUAGE].install.is_some())
});

task!(Commands, &LANGUAGES[LANGUAGE].commands, Kind::Commands, None, |generator| {
    schema(generator, "commands", LANGUAGES[LANGUAGE].install.is_some())
});

task!(
    Before,
    &former(LANGUAGE).face,
    Kind::Former(former(LANGUAGE).main),
    Some(former(LANGUAGE).instead),
    |generator| {
        let language = &LANGUAGES[LANGUAGE];
        former_schema(generator, former(LANGUAGE).main.is_some(), language.install.is_some())
    }
);
