//! What a command may say to the container runner: the JSON of `command.options` in the plugin contract, beside
//! `stdoutLevel` and `stderrLevel`. The names are Kestra's (`docker` of a script task), so flows are passed on as they are.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{IsoDuration, Text};

/// How a container is run. Everything may be left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// The address of the container service, such as `unix:///var/run/docker.sock` or `tcp://10.0.0.5:2376`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// Credentials for registries, in the form of Docker's `config.json`: a map or its JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
    /// Credentials for the image's registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// When the image is pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "IF_NOT_PRESENT"))]
    pub pull_policy: Option<PullPolicy>,
    /// The user, and perhaps group, that commands run as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Text>,
    /// The container's entry point; none by default, whatever the image says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_point: Option<Vec<Text>>,
    /// Entries for `/etc/hosts`, as `name:address`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_hosts: Option<Vec<Text>>,
    /// The container's network, such as `host`, `none` or the name of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<Text>,
    /// Port bindings, as `[address:]host:container[/protocol]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_bindings: Option<Vec<Text>>,
    /// Directories of the daemon's machine, or volumes, as `host:container[:mode]`. The operator must have allowed them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<Text>>,
    /// Devices such as GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_requests: Option<Vec<DeviceRequest>>,
    /// Bounds on processor time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Bounds on memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// The size of `/dev/shm`, such as `512MB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<Text>,
    /// Whether the container may do what the machine's root may. The operator must have allowed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// Whether the working directory is mounted (`MOUNT`) or copied in and out (`VOLUME`). By default it is mounted where
    /// the daemon sees it, and copied where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_handling_strategy: Option<FileHandlingStrategy>,
    /// Whether the container is deleted afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub delete: Option<bool>,
    /// Whether its end is waited for. Without, the task ends when the container has started, and has no output.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub wait: Option<bool>,
    /// Has no effect: what a killed engine has left is removed, and a task that is still wanted runs again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<bool>,
    /// How long it may take to end by itself before it is killed, as an ISO-8601 duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_grace_period: Option<IsoDuration>,
    /// Whether the tasks of a `WorkingDirectory` that have the same image and options run in one container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub reuse: Option<bool>,
    /// Tools whose downloads are kept from run to run, of `pip`, `uv`, `npm` and `R`. By default those of the task's
    /// language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependency_caches: Option<Vec<Text>>,
}

/// Docker's `config.json`, of which `auths` and the credential helpers are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Config {
    /// As YAML.
    Map(Map<String, Value>),
    /// As JSON text.
    Json(String),
}

/// Who one is to a registry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Credentials {
    /// The registry's address; without it, the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<Text>,
    /// User name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<Text>,
    /// Password or token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Text>,
    /// A token of the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_token: Option<Text>,
    /// A token of an identity service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_token: Option<Text>,
    /// User name and password, as `base64(name:password)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Text>,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PullPolicy {
    /// Where the daemon does not have it.
    #[default]
    IfNotPresent,
    /// Each time.
    Always,
    /// Not at all: the daemon must have it.
    Never,
}

/// Devices to hand into the container, as `docker run --gpus` does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeviceRequest {
    /// The driver, such as `nvidia`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<Text>,
    /// How many; -1 for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// Which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_ids: Option<Vec<Text>>,
    /// What the driver must be able to do: one of these lists, all of its entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<Vec<Text>>>,
    /// What the driver understands besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, Text>>,
}

/// Bounds on processor time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cpu {
    /// Number of cores; fractions are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
}

/// Bounds on memory. Sizes are bytes, or have a unit: `512MB`, `1.5g`; units are powers of 1024.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Memory {
    /// The most it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Text>,
    /// The same with swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swap: Option<Text>,
    /// From 0, never swap, to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swappiness: Option<Text>,
    /// What it is held to when the machine runs short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<Text>,
    /// The most kernel memory it may use. Current daemons know no such bound any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_memory: Option<Text>,
    /// Whether it is spared when memory runs out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kill_disable: Option<bool>,
}

/// How the files of the working directory get into the container and out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FileHandlingStrategy {
    /// Copied through the daemon.
    Volume,
    /// Mounted.
    Mount,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn options_are_read_as_flows_write_them() {
        for (written, expected) in [
            (json!({}), Options::default()),
            (json!({"user": 1000}), Options { user: Some("1000".into()), ..Options::default() }),
            (
                json!({"pullPolicy": "IF_NOT_PRESENT", "killGracePeriod": "PT3S"}),
                Options {
                    pull_policy: Some(PullPolicy::IfNotPresent),
                    kill_grace_period: "PT3S".parse().ok(),
                    ..Options::default()
                },
            ),
            (
                json!({"config": "{\"auths\": {}}"}),
                Options { config: Some(Config::Json("{\"auths\": {}}".to_owned())), ..Options::default() },
            ),
            (
                json!({"deviceRequests": [{"count": -1, "capabilities": [["gpu"]]}]}),
                Options {
                    device_requests: Some(vec![DeviceRequest {
                        count: Some(-1),
                        capabilities: Some(vec![vec!["gpu".into()]]),
                        ..DeviceRequest::default()
                    }]),
                    ..Options::default()
                },
            ),
        ] {
            assert_eq!(serde_json::from_value::<Options>(written.clone()).unwrap(), expected, "{written}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (written, part) in [
            (json!({"pullPolcy": "ALWAYS"}), "unknown field `pullPolcy`"),
            (json!({"pullPolicy": "SOMETIMES"}), "unknown variant `SOMETIMES`"),
            (json!({"killGracePeriod": "10"}), "`10` is not a duration"),
            (json!({"credentials": {"token": "a"}}), "unknown field `token`"),
        ] {
            let error = serde_json::from_value::<Options>(written.clone()).unwrap_err().to_string();
            assert!(error.contains(part), "{written}: {error}");
        }
    }

    #[test]
    fn what_is_not_said_is_not_written() {
        assert_eq!(serde_json::to_value(Options::default()).unwrap(), json!({}));
    }
}
