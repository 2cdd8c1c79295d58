//! One plugin: where it comes from, and its code made ready to run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OnceCell;
use wasmtime::component::{Component, InstancePre};

use crate::bindings::exports::weft::plugin::{descriptor, task, trigger};
use crate::cache::{self, Cache};
use crate::compile::{self, Attempts, Compiler};
use crate::engine::{Runtime, RuntimeError, engine_key};
use crate::inspect::{inspect, not_offered, require_component, wrong_world};
use crate::store::{Identity, RunState};
use crate::{HostOptions, PluginProblem, Progress, open};

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
    /// More than a plugin can be, or than compiling may take.
    #[error("{0}")]
    TooLarge(String),
    /// The compiler could not bear it.
    #[error("{0}")]
    Crashed(String),
    /// Compiling was broken off, which says nothing about the plugin.
    #[error("{0}")]
    Interrupted(String),
    /// Compiling was broken off so often that it is not begun again.
    #[error(
        "compiling it was begun several times and broken off each time; for an hour it is not begun again\n\
         hint: `weft plugins precompile` begins it at once"
    )]
    GivenUp,
    /// There is nothing that compiles it.
    #[error("{0}")]
    Compiler(String),
}

impl LoadError {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Runtime(_) => "plugin.engine",
            Self::Unreadable(_) | Self::Changed => "plugin.unreadable",
            Self::NotAComponent(_) => "plugin.not-a-component",
            Self::World(_) => "plugin.world",
            Self::TooLarge(_) => "plugin.too-large",
            Self::Crashed(_) | Self::Interrupted(_) | Self::GivenUp | Self::Compiler(_) => "plugin.compile",
        }
    }

    /// Whether the same bytes will always have this problem.
    pub(crate) fn is_permanent(&self) -> bool {
        matches!(self, Self::NotAComponent(_) | Self::World(_) | Self::TooLarge(_) | Self::Crashed(_))
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

    /// The plugin's code: mapped from the cache, or compiled and stored there.
    pub(crate) async fn load(
        self: &Arc<Self>,
        runtime: &Arc<Runtime>,
        cache: &Arc<Cache>,
        options: &Arc<HostOptions>,
    ) -> Result<&Loaded, LoadError> {
        let load = || async {
            let key = engine_key(&runtime.engine);
            let path = cache.code_path(&self.sha256, key);
            if let Some(component) = path.as_deref().and_then(|path| mapped(runtime, path)) {
                return Loaded::new(runtime, &component);
            }
            let component = match &self.source {
                Source::File(file) => {
                    let account = cache.attempts_path(&self.sha256, key);
                    let place = (path, account.as_deref());
                    self.compile_file(file, place, (runtime, cache, options)).await?
                }
                Source::Bundled { wasm, .. } => {
                    let wasm: &'static [u8] = wasm;
                    let (plugin, runtime) = (Arc::clone(self), Arc::clone(runtime));
                    let (cache, options) = (Arc::clone(cache), Arc::clone(options));
                    let work = move || {
                        require_component(wasm)?;
                        plugin.compile_here(wasm, path.as_deref(), (&runtime, &cache, &options))
                    };
                    on_a_thread(work).await?
                }
            };
            Loaded::new(runtime, &component)
        };
        self.loaded.get_or_try_init(load).await
    }

    /// Has a file compiled, unless somebody else does meanwhile.
    async fn compile_file(
        self: &Arc<Self>,
        file: &Path,
        (path, account): (Option<PathBuf>, Option<&Path>),
        (runtime, cache, options): (&Arc<Runtime>, &Arc<Cache>, &Arc<HostOptions>),
    ) -> Result<Component, LoadError> {
        let bounds = &options.bounds;
        let wasm: Arc<[u8]> = {
            let (plugin, options, file) = (Arc::clone(self), Arc::clone(options), file.to_owned());
            on_a_thread(move || plugin.read(&file, &options)).await?
        };
        let Attempts::Go(attempt) = Attempts::begin(account, bounds.compile.wall_clock).await else {
            return Err(LoadError::GivenUp);
        };
        if let Some(component) = path.as_deref().and_then(|path| mapped(runtime, path)) {
            attempt.ended();
            return Ok(component);
        }
        let result = match &options.compiler {
            Compiler::InProcess => {
                let (plugin, runtime) = (Arc::clone(self), Arc::clone(runtime));
                let (cache, options) = (Arc::clone(cache), Arc::clone(options));
                let work = move || plugin.compile_here(&wasm, path.as_deref(), (&runtime, &cache, &options));
                on_a_thread(work).await
            }
            Compiler::Program { path: program, arguments } => {
                let program = (program.as_path(), arguments.as_slice());
                self.compile_elsewhere(program, wasm, path.as_deref(), (runtime, cache, options)).await
            }
        };
        if !matches!(result, Err(LoadError::Interrupted(_))) {
            attempt.ended();
        }
        result
    }

    /// The file's bytes, which are those that the plugin was described by, and may be a plugin's.
    fn read(&self, file: &Path, options: &HostOptions) -> Result<Arc<[u8]>, LoadError> {
        let bytes = open::read(file, options.bounds.file_bytes)
            .map_err(|error| LoadError::Unreadable(error.to_string()))?;
        if cache::sha256(&bytes) != self.sha256 {
            return Err(LoadError::Changed);
        }
        inspect(&bytes, &options.bounds.component)?;
        Ok(bytes.into())
    }

    /// Compiles in this process.
    fn compile_here(
        &self,
        wasm: &[u8],
        path: Option<&Path>,
        (runtime, cache, options): (&Runtime, &Cache, &HostOptions),
    ) -> Result<Component, LoadError> {
        let done = self.announce(options);
        let code = compile::here(&runtime.engine, wasm)?;
        done();
        let stored = path.filter(|path| cache.store_code(path, &code).is_ok());
        if let Some(component) = stored.and_then(|path| mapped(runtime, path)) {
            return Ok(component);
        }
        // SAFETY: `code` was made by this very engine, a few lines above.
        unsafe { Component::deserialize(&runtime.engine, &code) }.map_err(|error| unusable(&error))
    }

    /// Compiles in a process of its own.
    async fn compile_elsewhere(
        &self,
        program: (&Path, &[std::ffi::OsString]),
        wasm: Arc<[u8]>,
        path: Option<&Path>,
        (runtime, cache, options): (&Runtime, &Cache, &HostOptions),
    ) -> Result<Component, LoadError> {
        let done = self.announce(options);
        let no_room = |error: std::io::Error| {
            LoadError::Compiler(format!("there is no room for its compiled code: {error}"))
        };
        let file = cache.new_code().map_err(no_room)?;
        let output = file.as_file().try_clone().map_err(no_room)?;
        compile::elsewhere(program, runtime, &options.bounds.compile, wasm, output).await?;
        done();
        // SAFETY: the file was made for this user only and has a name that nobody knows; what stands in it was made by the
        // program that the embedder named, for an engine with the key of this one. wasmtime refuses any other.
        let component = unsafe { Component::deserialize_file(&runtime.engine, file.path()) };
        let component = component.map_err(|error| unusable(&error))?;
        if let Some(path) = path {
            // What cannot be stored is compiled again by the next start.
            let _ = cache.keep_code(file, path);
        }
        Ok(component)
    }

    /// Says that the plugin is being compiled; what is returned, that it has been.
    fn announce<'o>(&'o self, options: &'o HostOptions) -> impl FnOnce() + 'o {
        let tell = |event: Progress<'_>| {
            if let Some(progress) = &options.progress {
                progress(event);
            }
        };
        tell(Progress::Compiling { plugin: self.name() });
        let start = Instant::now();
        move || tell(Progress::Compiled { plugin: self.name(), took: start.elapsed() })
    }
}

/// Work that keeps a processor busy.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => Err(LoadError::Crashed(format!("it cannot be compiled: {panic}"))),
    }
}

fn unusable(error: &wasmtime::Error) -> LoadError {
    LoadError::Compiler(format!("its compiled code cannot be loaded: {error:#}"))
}

/// Compiled code from the cache, if it is there and made for this engine.
fn mapped(runtime: &Runtime, path: &Path) -> Option<Component> {
    // Only a file: opening anything else could wait for ever.
    if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
        return None;
    }
    // SAFETY: the file is in the engine's own cache directory, which `Cache::open` found to belong to this user and to
    // be writable by nobody else. Only `Cache` puts code there: whole (written elsewhere, synced, then renamed) and
    // made by `Engine::precompile_component`. Code is never replaced in place, so the mapping stays as it
    // is. wasmtime itself refuses code of another version or for other settings.
    unsafe { Component::deserialize_file(&runtime.engine, path) }.ok()
}

impl Loaded {
    fn new(runtime: &Runtime, component: &Component) -> Result<Self, LoadError> {
        let pre =
            runtime.linker.instantiate_pre(component).map_err(|error| not_offered(&format!("{error:#}")))?;
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
            _ => {
                let component_type = component.component_type();
                let exports: Vec<_> = component_type.exports(&runtime.engine).map(|(name, _)| name).collect();
                Err(wrong_world(&exports))
            }
        }
    }
}
