//! Where to run: the words of both eras, and the command line's wish, brought to one decision. Pure.

use serde_json::{Map, Value};
use weft_sdk::{Error, Result};

use crate::language::Language;
use crate::properties::{Reader, plain};

/// Where commands run.
#[derive(Debug, Clone, PartialEq)]
pub enum Runner {
    /// As a process on the worker's machine.
    Process,
    /// In a container.
    Docker {
        /// Its image.
        image: String,
        /// What the engine's container runner takes, in the newer words.
        settings: Map<String, Value>,
    },
}

/// The two ways, before settings are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As a process.
    Process,
    /// In a container.
    Docker,
}

/// Values of `taskRunner.type`, and which way each is.
const TYPES: [(&str, Way); 4] = [
    ("io.kestra.plugin.core.runner.Process", Way::Process),
    ("io.kestra.plugin.scripts.runner.docker.Docker", Way::Docker),
    ("io.kestra.core.models.tasks.runners.types.ProcessTaskRunner", Way::Process),
    ("io.kestra.plugin.scripts.runner.docker.DockerTaskRunner", Way::Docker),
];

/// Former names of settings.
const RENAMED: [(&str, &str); 2] = [("dockerHost", "host"), ("dockerConfig", "config")];

impl Runner {
    /// Decides. `forced` is what whoever started the execution insists on; `default` and what the language has hold
    /// where nobody says anything.
    pub fn read(
        reader: &mut Reader,
        forced: Option<&str>,
        default: Way,
        language: &Language,
    ) -> Result<Self> {
        let mut settings = reader.map("taskRunner")?;
        let typed = match settings.remove("type") {
            Some(name) => Some(Way::of_type(&plain(name))?),
            None => None,
        };
        let named = reader.text("runner").map(|name| Way::of_name(&name)).transpose()?;
        let caches = reader.flag("dependencyCacheEnabled")?.unwrap_or(true);
        let way = match forced {
            Some(name) => Way::of_name(name)?,
            None => named.or(typed).unwrap_or(default),
        };
        if way == Way::Process {
            return Ok(Self::Process);
        }
        if typed == Some(Way::Process) {
            settings.clear();
        }
        for name in ["docker", "dockerOptions"] {
            settings.extend(reader.map(name)?);
        }
        for (former, name) in RENAMED {
            if let Some(value) = settings.shift_remove(former) {
                settings.entry(name).or_insert(value);
            }
        }
        settings.retain(|_, value| !value.is_null());
        if caches && !language.caches.is_empty() {
            settings.entry("dependencyCaches").or_insert_with(|| language.caches.into());
        }
        let image = settings.shift_remove("image").map(plain);
        let image =
            image.or_else(|| reader.text("containerImage")).unwrap_or_else(|| language.image.to_owned());
        Ok(Self::Docker { image, settings })
    }
}

impl Way {
    fn of_name(name: &str) -> Result<Self> {
        match name {
            "PROCESS" | "process" => Ok(Self::Process),
            "DOCKER" | "docker" => Ok(Self::Docker),
            _ => Err(unknown("runner", name, ["PROCESS", "DOCKER"])),
        }
    }

    fn of_type(name: &str) -> Result<Self> {
        let known = TYPES.iter().find(|(known, _)| *known == name);
        known.map(|(_, way)| *way).ok_or_else(|| unknown("task runner", name, [TYPES[0].0, TYPES[1].0]))
    }

    /// The values of `taskRunner.type`, those of today first.
    pub fn type_names() -> Vec<&'static str> {
        TYPES.iter().map(|(name, _)| *name).collect()
    }
}

fn unknown(what: &str, name: &str, known: [&str; 2]) -> Error {
    Error::new(
        "script.runner",
        format!("there is no {what} `{name}`\nhint: use `{}` or `{}`", known[0], known[1]),
    )
}
