//! `plugins`: where plugin files are, and what they may use.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// What the operator says of plugin files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a map")]
pub struct PluginsConfig {
    /// Directories with `*.wasm` files, beside those named by options.
    pub directories: Vec<PathBuf>,
    /// Capabilities beyond the default, by file name without `.wasm`: `{s3: [secrets, kv]}`. `all` stands for every one.
    pub grants: BTreeMap<String, Vec<String>>,
    /// Capabilities that a plugin is not to have, by its name; bundled ones too: `{aws: [environment]}`.
    pub withhold: BTreeMap<String, Vec<String>>,
}
