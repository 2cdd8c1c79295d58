//! The configuration file of whoever operates the engine: which runner, what containers may do, which plugins may use what.
//!
//! Owns: the file's format (YAML), its defaults and what is said about a mistake in it. A key that does not exist is an
//! error, because a limit that is silently not applied is worse than none.
//! Never does: act on what it reads, look at the environment or at command-line options, which go before the file.
//! Called by: the binary, once at its start.

mod docker;
mod environment;
mod error;
mod file;
mod network;
mod plugins;
mod secrets;
mod text;

pub use docker::{DaemonAddress, DependencyCaches, DockerConfig, FileHandling};
pub use environment::EnvironmentConfig;
pub use error::ConfigError;
pub use file::{Config, EncryptionConfig, Runner, SubflowsConfig};
pub use network::NetworkConfig;
pub use plugins::{GrantItem, PluginsConfig};
pub use secrets::SecretsConfig;
