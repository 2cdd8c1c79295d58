//! What the operator decides about containers.

use std::path::PathBuf;

use weft_contract::container::FileHandlingStrategy;

/// What the operator decides about containers. The default is that of a machine with one user and his own daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerSettings {
    /// The daemon's address, where a task does not name one; without it, it is looked for.
    pub host: Option<String>,
    /// Other daemons that a task may name: `unix:///run/docker` (a socket, or a folder of sockets) and `tcp://HOST:PORT`. Sockets
    /// that are not here are refused, and other hosts fall under the rules of the network.
    pub hosts: Vec<String>,
    /// A folder with `ca.pem`, `cert.pem` and `key.pem`: TCP addresses are spoken to with TLS.
    pub certificates: Option<PathBuf>,
    /// Whether tasks may have `volumes`.
    pub volumes_enabled: bool,
    /// Whether tasks may be `privileged`.
    pub privileged_enabled: bool,
    /// How often pulling an image is tried before it is given up.
    pub pull_attempts: u32,
    /// How many containers may run at once; further ones wait.
    pub max_containers: usize,
    /// How working directories get into containers; without it, mounted where that works and copied elsewhere.
    pub file_handling: Option<FileHandlingStrategy>,
    /// Whether tasks of one `WorkingDirectory` share a container where they can.
    pub reuse: bool,
    /// Whether downloads of package managers are kept from run to run.
    pub dependency_caches: bool,
    /// Bytes that the kept downloads of one image and package manager may take; over that they are thrown away.
    pub cache_bytes: u64,
    /// The daemon's driver for logs of containers whose output the engine takes. `none` is by far the fastest; any other
    /// keeps what is written while no engine is there to take it.
    pub log_driver: String,
    /// The operator's own `config.json` with credentials, before that of the engine's user.
    pub registry_config: Option<PathBuf>,
    /// Which engine's containers these are: stands in their label `io.weft.engine`.
    pub engine: String,
    /// Which process of it: stands in their label `io.weft.owner`.
    pub owner: String,
    /// A folder for the marks of engines that have containers, see [`Docker::remove_orphans`](super::Docker::remove_orphans).
    pub marks: Option<PathBuf>,
}

impl Default for DockerSettings {
    fn default() -> Self {
        Self {
            host: None,
            hosts: Vec::new(),
            certificates: None,
            volumes_enabled: false,
            privileged_enabled: false,
            pull_attempts: 5,
            max_containers: 50,
            file_handling: None,
            reuse: true,
            dependency_caches: true,
            cache_bytes: 5 << 30,
            log_driver: "none".to_owned(),
            registry_config: None,
            engine: String::new(),
            owner: String::new(),
            marks: None,
        }
    }
}
