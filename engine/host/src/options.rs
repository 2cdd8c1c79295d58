//! What the embedder decides: where plugins and caches are, and how much a plugin may use.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use weft_network::Network;

use crate::{Bounds, Compiler, GrantRules, Grants, PluginDirectory};

/// A plugin that is part of the binary. Bundled plugins are trusted by their hash: they may use every capability.
#[derive(Debug, Clone, Copy)]
pub struct Bundled {
    /// Short name, as in messages and `--grant`: `core`.
    pub name: &'static str,
    /// The component.
    pub wasm: &'static [u8],
    /// SHA-256 of `wasm` in lower-case hexadecimal, computed when the binary was built; never computed again.
    pub sha256: &'static str,
    /// What `describe` answers, where the build knows it. Without it the first start has to compile the plugin to ask.
    pub descriptor: Option<&'static str>,
}

/// What the host is doing that may take long enough for a person to wonder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A plugin's code is being compiled; it is cached afterwards.
    Compiling {
        /// The plugin's name.
        plugin: &'a str,
    },
    /// It has been compiled.
    Compiled {
        /// The plugin's name.
        plugin: &'a str,
        /// How long it took.
        took: Duration,
    },
}

/// Is told of [`Progress`].
pub type OnProgress = Arc<dyn Fn(Progress<'_>) + Send + Sync>;

/// How to set up a [`Host`](crate::Host).
#[derive(Clone)]
pub struct HostOptions {
    /// The engine's own directory for compiled code and descriptions. Created with mode 0700 where missing; not used
    /// if others could write to it.
    pub cache_dir: PathBuf,
    /// Plugins in the binary. They win over files that claim the same type.
    pub bundled: Vec<Bundled>,
    /// Directories whose `*.wasm` files are plugins, in the order in which they go before each other.
    pub directories: Vec<PluginDirectory>,
    /// The file in which it is recorded what is trusted; see [`TrustStore`](crate::TrustStore). Without it, nothing of a
    /// project is, and grants are for whatever file has the name.
    pub trust: Option<PathBuf>,
    /// How plugin files are compiled.
    pub compiler: Compiler,
    /// What a plugin file may take before it runs.
    pub bounds: Bounds,
    /// Types that no plugin may claim: those the engine performs itself.
    pub reserved_types: Vec<String>,
    /// What plugin files may use beyond [`Grants::default`], in this process and as they are.
    pub grants: GrantRules,
    /// The same for good: for files in the operator's directories, or named by path or hash, and as long as they do not
    /// change.
    pub configured_grants: GrantRules,
    /// What a plugin may not use although it would, by name: bundled ones too.
    pub withheld: BTreeMap<String, Grants>,
    /// The way out of the machine, for plugins that may use it.
    pub network: Network,
    /// What one run may use.
    pub limits: Limits,
    /// Told when something slow begins and ends; called on any thread.
    pub progress: Option<OnProgress>,
}

impl HostOptions {
    /// Options with this cache directory, no plugins and default limits.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            bundled: Vec::new(),
            directories: Vec::new(),
            reserved_types: Vec::new(),
            trust: None,
            compiler: Compiler::default(),
            bounds: Bounds::default(),
            grants: GrantRules::default(),
            configured_grants: GrantRules::default(),
            withheld: BTreeMap::new(),
            network: Network::default(),
            limits: Limits::default(),
            progress: None,
        }
    }
}

/// What one run of a plugin may use, and how many may run at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all linear memories of one run together.
    pub memory: usize,
    /// Processor time of the guest's own code; waiting and host calls do not count.
    pub cpu: Duration,
    /// Time from start to end. None: the caller's cancellation alone decides.
    pub wall_clock: Option<Duration>,
    /// Elements of one table.
    pub table_elements: usize,
    /// Core instances of one component.
    pub instances: usize,
    /// Files, streams and children that a run may hold at a time.
    pub resources: usize,
    /// Bytes of one JSON text that a guest hands over: a result, an output, a change; of a poll, of all that it returns.
    pub json_bytes: usize,
    /// Values in one such text, and names of members of objects.
    pub json_nodes: u64,
    /// Events that one poll of a trigger may return.
    pub events: usize,
    /// Bytes that a guest may write to its stdout and stderr together; the rest is dropped.
    pub stdio_bytes: usize,
    /// Runs at a time; further ones wait their turn.
    pub concurrency: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            cpu: Duration::from_secs(60),
            wall_clock: None,
            table_elements: 20_000,
            instances: 64,
            resources: 1000,
            json_bytes: 16 << 20,
            json_nodes: 1_000_000,
            events: 1_000,
            stdio_bytes: 1 << 20,
            concurrency: 128,
        }
    }
}
