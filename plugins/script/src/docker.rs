//! Container settings: the words of both eras, brought to one.

use schemars::JsonSchema;
use serde_json::{Map, Value};
use weft_sdk::{Error, Result, Text};

use crate::properties::RunnerKind;

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

/// What a flow and whoever started it say about where to run.
#[derive(Debug, Default)]
pub struct Wishes<'a> {
    /// `process` or `docker`, from the command line: goes before everything.
    pub forced: Option<&'a str>,
    /// The property `runner`.
    pub runner: Option<RunnerKind>,
    /// The property `taskRunner`.
    pub task_runner: Option<Map<String, Value>>,
    /// The property `docker`.
    pub docker: Option<Map<String, Value>>,
    /// The property `containerImage`.
    pub container_image: Option<String>,
}

const PROCESS_TYPES: [&str; 2] =
    ["io.kestra.plugin.core.runner.Process", "io.kestra.core.models.tasks.runners.types.ProcessTaskRunner"];
const DOCKER_TYPES: [&str; 2] =
    ["io.kestra.plugin.scripts.runner.docker.Docker", "io.kestra.plugin.scripts.runner.docker.DockerTaskRunner"];

/// Former names of settings.
const RENAMED: [(&str, &str); 2] = [("dockerHost", "host"), ("dockerConfig", "config")];

impl Runner {
    /// Decides. `default` and `default_image` hold where nobody says anything.
    pub fn choose(wishes: Wishes<'_>, default: RunnerKind, default_image: &str) -> Result<Self> {
        let mut task_runner = wishes.task_runner.unwrap_or_default();
        let typed = match task_runner.remove("type") {
            Some(Value::String(name)) => Some(kind_of(&name)?),
            _ => None,
        };
        let kind = match wishes.forced {
            Some(forced) => forced_kind(forced)?,
            None => wishes.runner.or(typed).unwrap_or(default),
        };
        if kind == RunnerKind::Process {
            return Ok(Self::Process);
        }
        let mut settings = match typed {
            Some(RunnerKind::Process) => Map::new(),
            _ => task_runner,
        };
        settings.extend(wishes.docker.unwrap_or_default());
        for (former, name) in RENAMED {
            if let Some(value) = settings.remove(former) {
                settings.entry(name).or_insert(value);
            }
        }
        settings.retain(|_, value| !value.is_null());
        let image = match settings.remove("image") {
            Some(Value::String(image)) => image,
            _ => wishes.container_image.unwrap_or_else(|| default_image.to_owned()),
        };
        Ok(Self::Docker { image, settings })
    }
}

fn kind_of(type_name: &str) -> Result<RunnerKind> {
    if PROCESS_TYPES.contains(&type_name) {
        Ok(RunnerKind::Process)
    } else if DOCKER_TYPES.contains(&type_name) {
        Ok(RunnerKind::Docker)
    } else {
        Err(Error::new(
            "script.runner",
            format!(
                "there is no task runner `{type_name}`\nhint: use `{}` or `{}`",
                PROCESS_TYPES[0], DOCKER_TYPES[0]
            ),
        ))
    }
}

fn forced_kind(name: &str) -> Result<RunnerKind> {
    match name {
        "process" => Ok(RunnerKind::Process),
        "docker" => Ok(RunnerKind::Docker),
        _ => Err(Error::new(
            "script.runner",
            format!("there is no runner `{name}`\nhint: use `process` or `docker`"),
        )),
    }
}

/// Settings of the container.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
#[allow(dead_code, reason = "only its schema is used: the engine's container runner reads the settings")]
pub struct DockerSettings {
    /// The image. Without it, `containerImage` or the language's own.
    image: Option<Text>,
    #[schemars(flatten)]
    settings: Settings,
    /// The former name of `host`.
    docker_host: Option<Text>,
    /// The former name of `config`.
    docker_config: Option<Config>,
}

/// Where the commands run, and settings for that.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = true))]
#[allow(dead_code, reason = "only its schema is used")]
pub struct TaskRunner {
    /// `io.kestra.plugin.core.runner.Process` or `io.kestra.plugin.scripts.runner.docker.Docker`.
    #[schemars(rename = "type")]
    type_name: String,
    #[schemars(flatten)]
    settings: Settings,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used")]
struct Settings {
    /// The address of the container service, such as `unix:///var/run/docker.sock`.
    host: Option<Text>,
    /// Credentials for registries, in the form of Docker's `config.json`: a map or its JSON text.
    config: Option<Config>,
    /// Credentials for the image's registry.
    credentials: Option<Credentials>,
    /// When the image is pulled.
    pull_policy: Option<PullPolicy>,
    /// The user, and perhaps group, that commands run as.
    user: Option<Text>,
    /// The container's entry point; none by default, whatever the image says.
    entry_point: Option<Vec<Text>>,
    /// Entries for `/etc/hosts`, as `name:address`.
    extra_hosts: Option<Vec<Text>>,
    /// The container's network, such as `host` or the name of one.
    network_mode: Option<Text>,
    /// Port bindings, as `host:container`.
    port_bindings: Option<Vec<Text>>,
    /// Directories of the worker's machine, as `host:container[:mode]`. The operator must have allowed volumes.
    volumes: Option<Vec<Text>>,
    /// Devices such as GPUs.
    device_requests: Option<Vec<Value>>,
    /// Bounds on processor time: `cpus` is a number of cores.
    cpu: Option<Cpu>,
    /// Bounds on memory.
    memory: Option<Memory>,
    /// The size of `/dev/shm`, such as `512MB`.
    shm_size: Option<Text>,
    /// Whether the container may do what the machine's root may. The operator must have allowed it.
    privileged: Option<bool>,
    /// Whether the working directory is mounted (`MOUNT`) or copied (`VOLUME`).
    file_handling_strategy: Option<FileHandlingStrategy>,
    /// Whether the container is deleted afterwards.
    delete: Option<bool>,
    /// Whether its end is waited for.
    wait: Option<bool>,
    /// Whether a container left by an interrupted attempt is taken up again.
    resume: Option<bool>,
    /// How long it may take to end by itself before it is killed, as an ISO-8601 duration.
    kill_grace_period: Option<Text>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum Config {
    Map(Map<String, Value>),
    Json(String),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
#[allow(dead_code, reason = "only its schema is used")]
struct Credentials {
    /// The registry's address; without it, the image's.
    registry: Option<Text>,
    /// User name.
    username: Option<Text>,
    /// Password or token.
    password: Option<Text>,
    /// A token of the registry.
    registry_token: Option<Text>,
    /// A token of an identity service.
    identity_token: Option<Text>,
    /// User name and password, as `base64(name:password)`.
    auth: Option<Text>,
}

#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
#[allow(dead_code, reason = "only its schema is used")]
struct Cpu {
    /// Number of cores; fractions are allowed.
    cpus: Option<f64>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
#[allow(dead_code, reason = "only its schema is used")]
struct Memory {
    /// The most it may use, such as `512MB`.
    memory: Option<Text>,
    /// The same with swap.
    memory_swap: Option<Text>,
    /// From 0, never swap, to 100.
    memory_swappiness: Option<Text>,
    /// What it is held to when the machine runs short.
    memory_reservation: Option<Text>,
    /// The most kernel memory it may use.
    kernel_memory: Option<Text>,
    /// Whether it is spared when memory runs out.
    oom_kill_disable: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(dead_code, reason = "only its schema is used")]
enum PullPolicy {
    IfNotPresent,
    Always,
    Never,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "only its schema is used")]
enum FileHandlingStrategy {
    Volume,
    Mount,
}
