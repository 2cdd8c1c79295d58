//! `docker`: what tasks in containers may do, and how they are run.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::Deserializer;

use crate::text;

/// What the operator says of containers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a map")]
pub struct DockerConfig {
    /// The daemon's address, where a task does not name one.
    pub host: Option<String>,
    /// Other daemons that a task may name: `unix:///PATH`, a socket or a folder of sockets, and `tcp://HOST:PORT`.
    pub hosts: Vec<DaemonAddress>,
    /// A folder with `ca.pem`, `cert.pem` and `key.pem`, for TCP addresses with TLS.
    pub certificates: Option<PathBuf>,
    /// A file with credentials for registries, in the form of Docker's `config.json`.
    pub registry_config: Option<PathBuf>,
    /// Whether tasks may have `volumes`.
    pub volumes_enabled: bool,
    /// Whether tasks may be `privileged`.
    pub privileged_enabled: bool,
    /// How often pulling an image is tried.
    pub pull_attempts: Option<u32>,
    /// How many containers may run at once.
    pub max_containers: Option<usize>,
    /// How working directories get into containers.
    pub file_handling_strategy: Option<FileHandling>,
    /// Whether tasks of one `WorkingDirectory` share a container where they can.
    pub reuse: Option<bool>,
    /// The daemon's driver for logs.
    pub log_driver: Option<String>,
    /// Downloads that are kept from run to run.
    pub dependency_caches: DependencyCaches,
}

/// A daemon's address, looked at when the file is read: so a mistake in it has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonAddress(String);

impl DaemonAddress {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for DaemonAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::parsed(deserializer, |text| {
            let rest = ["unix:///", "tcp://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
            match rest {
                Some(rest) if !rest.is_empty() => Ok(Self(text.to_owned())),
                _ => Err(format!("`{text}` is no daemon: expected `unix:///PATH` or `tcp://HOST:PORT`")),
            }
        })
    }
}

/// How working directories get into containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileHandling {
    /// They are mounted.
    Mount,
    /// They are copied in and out.
    Volume,
}

/// Downloads of package managers that are kept from run to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a map")]
pub struct DependencyCaches {
    /// Whether they are.
    pub enabled: Option<bool>,
    /// How many MiB one image and package manager may have; over that they are thrown away.
    pub max_mebibytes: Option<u64>,
}
