//! The ten types: two generic ones over the rows of the language table.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use weft_sdk::{Context, Error, Example, Needs, Output, Result, Task, Text};

use crate::docker::{Runner, Wishes};
use crate::job::{Body, Job};
use crate::language::{LANGUAGES, Language};
use crate::properties::{Properties, RunnerKind, TargetOs, schema};
use crate::run::run;

/// Commands and images are whatever the flow names.
pub const NEEDS: Needs = Needs { hosts: &[], commands: &["*"], images: &["*"] };

/// Runs a script given inline, in the language of that row of the table.
#[derive(Debug)]
pub struct Script<const LANGUAGE: usize>(Properties);

/// Runs commands in an environment for the language of that row of the table.
#[derive(Debug)]
pub struct Commands<const LANGUAGE: usize>(Properties);

impl<const LANGUAGE: usize> Task for Script<LANGUAGE> {
    const TYPE: &'static str = LANGUAGES[LANGUAGE].script.type_name;
    const TITLE: &'static str = LANGUAGES[LANGUAGE].script.title;
    const DESCRIPTION: &'static str = LANGUAGES[LANGUAGE].script.description;
    const EXAMPLES: &'static [Example] = LANGUAGES[LANGUAGE].script.examples;
    const NEEDS: Needs = NEEDS;
    fn run_json(properties: &str, cx: &Context) -> Result<String> { shared(properties, true, &LANGUAGES[LANGUAGE], cx) }

    fn run(mut self, cx: &Context) -> Result<impl Output> {
        let script = self.0.script.take().ok_or_else(|| Error::new("plugin.properties", "there is no `script`"))?;
        run(understand(self.0, Body::Script(script.0), &LANGUAGES[LANGUAGE], cx)?, cx)
    }
}

impl<const LANGUAGE: usize> Task for Commands<LANGUAGE> {
    const TYPE: &'static str = LANGUAGES[LANGUAGE].commands.type_name;
    const TITLE: &'static str = LANGUAGES[LANGUAGE].commands.title;
    const DESCRIPTION: &'static str = LANGUAGES[LANGUAGE].commands.description;
    const EXAMPLES: &'static [Example] = LANGUAGES[LANGUAGE].commands.examples;
    const NEEDS: Needs = NEEDS;
    fn run_json(properties: &str, cx: &Context) -> Result<String> { shared(properties, false, &LANGUAGES[LANGUAGE], cx) }

    fn run(mut self, cx: &Context) -> Result<impl Output> {
        let commands = texts(std::mem::take(&mut self.0.commands));
        run(understand(self.0, Body::Commands(commands), &LANGUAGES[LANGUAGE], cx)?, cx)
    }
}

fn shared(properties: &str, is_script: bool, language: &'static Language, cx: &Context) -> Result<String> {
    let mut p: Properties = serde_json::from_str(properties)?;
    let body = if is_script { Body::Script(p.script.take().unwrap_or_default().0) } else { Body::Commands(texts(std::mem::take(&mut p.commands))) };
    Ok(serde_json::to_string(&run(understand(p, body, language, cx)?, cx)?)?)
}
fn understand(
    properties: Properties,
    body: Body,
    language: &'static Language,
    cx: &Context,
) -> Result<Job> {
    for (name, given) in [
        ("pythonVersion", properties.python_version.is_some()),
        ("packageManager", properties.package_manager.as_deref() == Some("UV")),
        ("dependencyCacheEnabled", properties.dependency_cache_enabled == Some(true)),
        ("executionContext", properties.execution_context == Some(true)),
    ] {
        if given {
            cx.log().warn(format!("the property `{name}` has no effect"));
        }
    }
    let wishes = Wishes {
        forced: cx.runner(),
        runner: properties.runner,
        task_runner: properties.task_runner,
        docker: properties.docker,
        container_image: properties.container_image.map(|image| image.0),
    };
    Ok(Job {
        language,
        body,
        interpreter: match properties.interpreter {
            Some(interpreter) => texts(interpreter),
            None => language.interpreter.iter().map(|&word| word.to_owned()).collect(),
        },
        fail_fast: properties.fail_fast,
        windows: properties.target_os == TargetOs::Windows,
        packages: texts(properties.dependencies),
        before: texts(properties.before_commands.unwrap_or_default()),
        env: properties.env.unwrap_or_default().into_iter().map(|(name, value)| (name, text(value))).collect(),
        runner: Runner::choose(wishes, RunnerKind::Docker, language.image)?,
        warning_on_stderr: properties.warning_on_std_err,
    })
}

fn text(v: serde_json::Value) -> String { match v { serde_json::Value::String(s) => s, v => serde_json::to_string(&v).unwrap_or_default() } }
/// As plain strings.
pub fn texts(texts: Vec<Text>) -> Vec<String> {
    texts.into_iter().map(|text| text.0).collect()
}

/// A type whose JSON is that of [`Properties`], and whose schema is the part of theirs that it has.
macro_rules! of_properties {
    ($name:ident, $required:literal) => {
        impl<'de, const LANGUAGE: usize> Deserialize<'de> for $name<LANGUAGE> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Properties::deserialize(deserializer).map(Self)
            }
        }

        impl<const LANGUAGE: usize> JsonSchema for $name<LANGUAGE> {
            fn schema_name() -> Cow<'static, str> {
                Self::TYPE.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                schema(generator, $required, LANGUAGES[LANGUAGE].install.is_some())
            }
        }
    };
}

of_properties!(Script, "script");
of_properties!(Commands, "commands");
