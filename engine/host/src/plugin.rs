//! One plugin: where it comes from, and its code made ready to run.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OnceCell;
use wasmtime::component::{Component, InstancePre};

use crate::bindings::exports::weft::plugin::{descriptor, task, trigger};
use crate::cache::{self, Cache};
use crate::engine::{Runtime, RuntimeError};
use crate::store::{Identity, RunState};
use crate::{HostOptions, PluginProblem, Progress};

/// A larger file is no plugin.
const MAX_WASM: u64 = 256 << 20;

/// What this host can run, for messages.
const SUPPORTED: &str = "`weft:plugin@0.1.x`";

/// Where a plugin's code is.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Bundled { wasm: &'static [u8], descriptor: Option<&'static str> },
    File(PathBuf),
}

/// A plugin that was found; its code is loaded when it is first needed.
pub(crate) struct Plugin {
    pub(crate) identity: Identity,
    pub(crate) source: Source,
    pub(crate) sha256: String,
    loaded: OnceCell<Loaded>,
}

/// A plugin's code, compiled, linked and probed.
pub(crate) struct Loaded {
    pub(crate) pre: InstancePre<RunState>,
    pub(crate) descriptor: descriptor::GuestIndices,
    pub(crate) task: Option<task::GuestIndices>,
    pub(crate) trigger: Option<trigger::GuestIndices>,
    /// Slots of the pool that a run takes.
    pub(crate) slots: u32,
}

/// Why a plugin's code cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("the file has changed since the engine started\nhint: start the engine again")]
    Changed,
    #[error("{0}")]
    NotAComponent(String),
    #[error("{0}")]
    World(String),
}

impl LoadError {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Runtime(_) => "plugin.engine",
            Self::Unreadable(_) | Self::Changed => "plugin.unreadable",
            Self::NotAComponent(_) => "plugin.not-a-component",
            Self::World(_) => "plugin.world",
        }
    }

    /// Whether the same bytes will always have this problem.
    pub(crate) fn is_permanent(&self) -> bool {
        matches!(self, Self::NotAComponent(_) | Self::World(_))
    }
}

impl Plugin {
    pub(crate) fn new(identity: Identity, source: Source, sha256: String) -> Self {
        Self { identity, source, sha256, loaded: OnceCell::new() }
    }

    /// The name, as in messages and `--grant`.
    pub(crate) fn name(&self) -> &str {
        &self.identity.plugin
    }

    /// The file, or `bundled:NAME`.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.source {
            Source::Bundled { .. } => PathBuf::from(format!("bundled:{}", self.name())),
            Source::File(path) => path.clone(),
        }
    }

    pub(crate) fn problem(&self, error: &LoadError) -> PluginProblem {
        PluginProblem::error(self.path(), error.code(), error.to_string())
    }

    /// The plugin's code: mapped from the cache, or compiled on a thread of its own and stored there.
    pub(crate) async fn load(
        self: &Arc<Self>,
        runtime: &Arc<Runtime>,
        cache: &Arc<Cache>,
        options: &Arc<HostOptions>,
    ) -> Result<&Loaded, LoadError> {
        let load = || async {
            let path = cache.code_path(&self.sha256, engine_key(runtime));
            if let Some(component) = path.as_deref().and_then(|path| mapped(runtime, path)) {
                return Loaded::new(runtime, &component);
            }
            let (plugin, runtime) = (Arc::clone(self), Arc::clone(runtime));
            let (cache, options) = (Arc::clone(cache), Arc::clone(options));
            let compile = move || {
                let component = plugin.compile(&runtime, &cache, path.as_deref(), &options)?;
                Loaded::new(&runtime, &component)
            };
            match tokio::task::spawn_blocking(compile).await {
                Ok(loaded) => loaded,
                Err(panic) => Err(LoadError::NotAComponent(format!("it cannot be compiled: {panic}"))),
            }
        };
        self.loaded.get_or_try_init(load).await
    }

    fn compile(
        &self,
        runtime: &Runtime,
        cache: &Cache,
        path: Option<&Path>,
        options: &HostOptions,
    ) -> Result<Component, LoadError> {
        let progress = |event: Progress<'_>| {
            if let Some(progress) = &options.progress {
                progress(event);
            }
        };
        let from_file;
        let wasm: &[u8] = match &self.source {
            Source::Bundled { wasm, .. } => wasm,
            Source::File(file) => {
                from_file = read(file)?;
                if cache::sha256(&from_file) != self.sha256 {
                    return Err(LoadError::Changed);
                }
                &from_file
            }
        };
        require_component(wasm)?;
        progress(Progress::Compiling { plugin: self.name() });
        let start = Instant::now();
        let code = runtime
            .engine
            .precompile_component(wasm)
            .map_err(|error| LoadError::NotAComponent(format!("it is not a valid component: {error:#}")))?;
        progress(Progress::Compiled { plugin: self.name(), took: start.elapsed() });
        let stored = path.filter(|path| cache.store_code(path, &code).is_ok());
        if let Some(component) = stored.and_then(|path| mapped(runtime, path)) {
            return Ok(component);
        }
        // SAFETY: `code` was made by this very engine, a few lines above.
        unsafe { Component::deserialize(&runtime.engine, &code) }.map_err(|error| {
            LoadError::NotAComponent(format!("its compiled code cannot be loaded: {error:#}"))
        })
    }
}

/// Compiled code from the cache, if it is there and made for this engine.
fn mapped(runtime: &Runtime, path: &Path) -> Option<Component> {
    if !path.exists() {
        return None;
    }
    // SAFETY: the file is in the engine's own cache directory, which `Cache::open` found to belong to this user and to
    // be writable by nobody else. Only `Cache::store_code` puts files there: whole (written elsewhere, synced, then
    // renamed) and made by `Engine::precompile_component`. Code is never replaced in place, so the mapping stays as it
    // is. wasmtime itself refuses code of another version or for other settings.
    unsafe { Component::deserialize_file(&runtime.engine, path) }.ok()
}

/// Names the engine in file names: code made under another key cannot be used.
fn engine_key(runtime: &Runtime) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Covers wasmtime's full version, every setting that shapes code, and the CPU's features.
    runtime.engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn read(file: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |error: io::Error| LoadError::Unreadable(error.to_string());
    let size = fs::metadata(file).map_err(unreadable)?.len();
    if size > MAX_WASM {
        let message = format!("it is {size} bytes long; a plugin has at most {MAX_WASM}");
        return Err(LoadError::NotAComponent(message));
    }
    fs::read(file).map_err(unreadable)
}

/// Says plainly what a file is that is not a component.
fn require_component(bytes: &[u8]) -> Result<(), LoadError> {
    const HINT: &str = "hint: build it for the target `wasm32-wasip2`, which makes components";
    let what = match bytes {
        [] => "the file is empty".to_owned(),
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            format!("it is a core WebAssembly module, not a component\n{HINT}")
        }
        [0, b'a', b's', b'm', rest @ ..] if rest.len() < 4 => {
            "it ends in the middle of its header".to_owned()
        }
        [0, b'a', b's', b'm', ..] => format!("it is WebAssembly of an unknown version\n{HINT}"),
        [0x7f, b'E', b'L', b'F', ..] => format!("it is native code, not a component\n{HINT}"),
        _ if std::str::from_utf8(&bytes[..bytes.len().min(64)]).is_ok() => {
            format!("it is text, not a component in the binary format\n{HINT}")
        }
        _ => format!("it is not WebAssembly\n{HINT}"),
    };
    Err(LoadError::NotAComponent(what))
}

impl Loaded {
    fn new(runtime: &Runtime, component: &Component) -> Result<Self, LoadError> {
        let pre = runtime.linker.instantiate_pre(component).map_err(|error| {
            LoadError::World(format!(
                "it needs what this engine does not offer: {error:#}\nhint: the engine offers {SUPPORTED} and WASI 0.2"
            ))
        })?;
        // The lookups accept any compatible version, 0.1.x.
        let descriptor = descriptor::GuestIndices::new(&pre).ok();
        let task = task::GuestIndices::new(&pre).ok();
        let trigger = trigger::GuestIndices::new(&pre).ok();
        let needed = component.resources_required();
        let slots = needed.map_or(1, |needed| Runtime::slots_needed(needed.num_memories, needed.num_tables));
        if slots > runtime.slot_count {
            let message =
                format!("it needs {slots} instance slots, but the engine has {} in all", runtime.slot_count);
            return Err(LoadError::World(message));
        }
        match descriptor {
            Some(descriptor) if task.is_some() || trigger.is_some() => {
                Ok(Self { pre, descriptor, task, trigger, slots })
            }
            _ => Err(LoadError::World(wrong_world(runtime, component))),
        }
    }
}

/// What a component is that is no plugin of a version that this host knows.
fn wrong_world(runtime: &Runtime, component: &Component) -> String {
    let component_type = component.component_type();
    let exports: Vec<_> =
        component_type.exports(&runtime.engine).map(|(name, _)| format!("`{name}`")).collect();
    let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
    format!(
        "it is not a plugin of a version that this engine knows: it exports {exports}; expected are \
         `weft:plugin/descriptor` and `weft:plugin/task` or `weft:plugin/trigger` of {SUPPORTED}\n\
         hint: build it with a `weft-sdk` for this engine"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_components() {
        for (bytes, expected) in [
            (&b""[..], "the file is empty"),
            (b"\0asm", "it ends in the middle of its header"),
            (b"\0asm\x01\0\0\0\x01", "it is a core WebAssembly module"),
            (b"\0asm\x09\0\x01\0", "it is WebAssembly of an unknown version"),
            (b"\x7fELF\x02", "it is native code"),
            (b"(component)", "it is text"),
            (b"\xff\xfe\0\0", "it is not WebAssembly"),
        ] {
            let error = require_component(bytes).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(require_component(b"\0asm\x0d\0\x01\0").is_ok());
    }
}
