//! The file as a whole.

use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;
use weft_files::regular;
use weft_model::AttemptLimits;

use crate::{ConfigError, DockerConfig, EnvironmentConfig, NetworkConfig, PluginsConfig, SecretsConfig};

/// Bytes of a configuration file; a larger one is something else.
const MOST_BYTES: u64 = 1 << 20;

/// What a configuration file says. A key that is left out keeps its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a map")]
pub struct Config {
    /// Runs scripts this way whatever the flow says.
    pub runner: Option<Runner>,
    /// Worker groups whose tasks may run here.
    pub worker_groups: Vec<String>,
    /// Plugin files.
    pub plugins: PluginsConfig,
    /// Connections of plugins.
    pub network: NetworkConfig,
    /// Where secrets are, beside the environment.
    pub secrets: SecretsConfig,
    /// What one attempt at a task run may hand to the engine.
    pub limits: AttemptLimits,
    /// Containers.
    pub docker: DockerConfig,
    /// What is encrypted at rest.
    pub encryption: EncryptionConfig,
    /// The environment of scripts that run as processes.
    pub environment: EnvironmentConfig,
    /// Flows that flows call.
    pub subflows: SubflowsConfig,
}

/// Flows that flows call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a map")]
pub struct SubflowsConfig {
    /// How deep they may call each other.
    pub max_depth: Option<u32>,
}

/// What is encrypted at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a map")]
pub struct EncryptionConfig {
    /// Base64 of 16 or 32 bytes. Where none is given, a key is made and kept in the data directory.
    pub secret_key: Option<String>,
}

/// How scripts are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// As local processes.
    Process,
    /// In containers.
    Docker,
}

impl Config {
    /// Reads the file that somebody named: it must be there.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = regular::read(path, MOST_BYTES)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| ErrorKind::InvalidData.into()))
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads the file in its usual place; without one, everything has its default.
    pub fn read_if_present(path: &Path) -> Result<Self, ConfigError> {
        match Self::read(path) {
            Err(ConfigError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Ok(Self::default())
            }
            result => result,
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        // An empty file and one of comments are configurations that change nothing.
        let config: Option<Self> = serde_yaml::from_str(text).map_err(|error| {
            let place = error
                .location()
                .map_or_else(String::new, |place| format!("{}:{}:", place.line(), place.column()));
            // The reader repeats the place at the end of its message.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
            ConfigError::Invalid { path: path.to_owned(), place, message }
        })?;
        Ok(config.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{DependencyCaches, FileHandling, GrantItem};

    fn item(text: &str) -> GrantItem {
        serde_yaml::from_str(text).unwrap()
    }

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("config.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn what_can_be_said() {
        for (text, expected) in [
            ("", Config::default()),
            ("# nothing yet\n", Config::default()),
            ("runner: process", Config { runner: Some(Runner::Process), ..Config::default() }),
            ("workerGroups: [gpu]", Config { worker_groups: vec!["gpu".into()], ..Config::default() }),
            (
                "plugins:\n  grants:\n    s3: [secrets, {kv: [a.b]}]\n",
                Config {
                    plugins: PluginsConfig {
                        grants: BTreeMap::from([("s3".into(), vec![item("secrets"), item("{kv: [a.b]}")])]),
                        ..PluginsConfig::default()
                    },
                    ..Config::default()
                },
            ),
            (
                "limits: {outputBytes: 1048576, labels: 5}",
                Config {
                    limits: AttemptLimits { output_bytes: 1 << 20, labels: 5, ..AttemptLimits::default() },
                    ..Config::default()
                },
            ),
            (
                "docker:\n  volumesEnabled: true\n  fileHandlingStrategy: volume\n  dependencyCaches: {maxMebibytes: 100}\n",
                Config {
                    docker: DockerConfig {
                        volumes_enabled: true,
                        file_handling_strategy: Some(FileHandling::Volume),
                        dependency_caches: DependencyCaches {
                            max_mebibytes: Some(100),
                            ..DependencyCaches::default()
                        },
                        ..DockerConfig::default()
                    },
                    ..Config::default()
                },
            ),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn the_environment_of_scripts() {
        let text = "environment:\n  pass: [JAVA_HOME, APP_*, '*']\n  set: {STAGE: test}\n";
        let environment = parse(text).unwrap().environment;
        assert_eq!(environment.pass(), ["JAVA_HOME", "APP_*", "*"]);
        assert_eq!(environment.set().collect::<Vec<_>>(), [("STAGE", "test")]);
        let error = parse("environment:\n  set: {\"A*\": x}").unwrap_err();
        assert!(error.contains("`A*` is no name of a variable"), "{error}");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, expected) in [
            ("runer: process", "config.yaml:1:1: unknown field `runer`, expected one of"),
            (
                "runner: podman",
                "config.yaml:1:9: runner: unknown variant `podman`, expected `process` or `docker`",
            ),
            (
                "plugins:\n  grants: 3\n",
                "config.yaml:2:11: plugins.grants: invalid type: integer `3`, expected a map",
            ),
            (
                "plugins:\n  grants:\n    s3: [{secrets: []}]",
                "config.yaml:3:20: plugins.grants.s3[0].secrets: invalid length 0, expected at least one scope",
            ),
            ("docker:\n  hosts: [ftp://x]", "config.yaml:2:11: docker.hosts[0]: `ftp://x` is no daemon"),
            (
                "docker:\n  volumeEnabled: true\n",
                "config.yaml:2:3: docker: unknown field `volumeEnabled`, expected one of",
            ),
            (
                "docker:\n  maxContainers: many\n",
                "config.yaml:2:18: docker.maxContainers: invalid type: string",
            ),
            ("limits:\n  output: 3\n", "config.yaml:2:3: limits: unknown field `output`, expected one of"),
            ("limits:\n  labels: -1\n", "config.yaml:2:11: limits.labels: invalid "),
            ("plugins: [s3]", "config.yaml:1:10: plugins: invalid type: sequence, expected a map"),
            ("plugins: {", "config.yaml:2:1: did not find expected"),
            (
                "secrets:\n  command: []",
                "config.yaml:2:12: secrets.command: expected a program and its arguments",
            ),
            (
                "network:\n  deny: [10.0.0.0/33]",
                "config.yaml:2:10: network.deny[0]: `10.0.0.0/33` is no address",
            ),
            (
                "environment:\n  pass: [APP_*, \"A=B\"]",
                "config.yaml:2:17: environment.pass[1]: `A=B` is no name of a variable, nor",
            ),
            (
                "network:\n  readTimeout: soon",
                "config.yaml:2:16: network.readTimeout: `soon` is no length of time",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        assert!(matches!(Config::read(&path), Err(ConfigError::Unreadable { .. })));
        assert_eq!(Config::read_if_present(&path).unwrap(), Config::default());
    }
}
