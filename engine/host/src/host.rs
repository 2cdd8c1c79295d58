//! The host itself: what is made once and shared, each part when it is first needed.

use std::sync::{Arc, OnceLock};

use weft_model::Failure;

use crate::cache::Cache;
use crate::catalogue::{Catalogue, Kind};
use crate::engine::{Runtime, RuntimeError};
use crate::plugin::{LoadError, Loaded, Plugin};
use crate::{HostOptions, PluginProblem};

/// Plugins and the machinery to run them. Cheap to clone; all methods that wait need a tokio runtime.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
    catalogue: Arc<OnceLock<Catalogue>>,
}

pub(crate) struct Inner {
    pub(crate) options: Arc<HostOptions>,
    pub(crate) cache: Arc<Cache>,
    /// What is wrong with the cache directory.
    pub(crate) cache_problem: Option<PluginProblem>,
    runtime: OnceLock<Result<Arc<Runtime>, RuntimeError>>,
}

impl Host {
    /// A host. Looks at the cache directory and at nothing else.
    pub fn new(options: HostOptions) -> Self {
        let (cache, cache_problem) = Cache::open(&options.cache_dir);
        let inner = Inner {
            options: Arc::new(options),
            cache: Arc::new(cache),
            cache_problem,
            runtime: OnceLock::new(),
        };
        Self { inner: Arc::new(inner), catalogue: Arc::default() }
    }

    /// Plugins and types: what comes with the engine, and of files what somebody asks for.
    pub async fn catalogue(&self) -> &Catalogue {
        self.ready()
    }

    fn ready(&self) -> &Catalogue {
        self.catalogue.get_or_init(|| Catalogue::new(Arc::clone(&self.inner)))
    }

    /// The same with the files: plugins that were never seen before are asked for their description, which means compiling
    /// them; after that it is a matter of reading a few files.
    pub async fn full_catalogue(&self) -> &Catalogue {
        let host = self.clone();
        // Fails where the runtime ends; then nobody reads what is missing.
        let _ = tokio::task::spawn_blocking(move || host.ready().describe_all()).await;
        self.ready()
    }

    /// What is wrong with plugins and the cache; see [`Catalogue::problems`].
    pub async fn problems(&self) -> Vec<PluginProblem> {
        self.full_catalogue().await.problems()
    }

    /// Compiles what is not in the cache yet, for an installer. What was refused because compiling took too much is tried
    /// again.
    pub async fn precompile(&self) -> Vec<PluginProblem> {
        self.inner.cache.forget_refusals();
        let catalogue = self.full_catalogue().await;
        let mut problems = catalogue.problems();
        for plugin in catalogue.usable() {
            if let Err(error) = self.inner.load(plugin).await {
                problems.push(plugin.problem(&error));
            }
        }
        problems
    }

    /// The plugin that provides a type.
    pub(crate) async fn provider(&self, type_name: &str, kind: Kind) -> Result<&Arc<Plugin>, Failure> {
        if !self.ready().is_known(type_name) {
            let (host, name) = (self.clone(), type_name.to_owned());
            let _ = tokio::task::spawn_blocking(move || host.ready().get(&name).is_some()).await;
        }
        self.ready().entry(type_name, kind)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl Inner {
    /// The engine, made at the first call.
    pub(crate) fn runtime(&self) -> Result<&Arc<Runtime>, RuntimeError> {
        let runtime = self.runtime.get_or_init(|| Runtime::new(&self.options.limits).map(Arc::new));
        runtime.as_ref().map_err(Clone::clone)
    }

    pub(crate) async fn load<'a>(&self, plugin: &'a Arc<Plugin>) -> Result<&'a Loaded, LoadError> {
        plugin.load(self.runtime()?, &self.cache, &self.options).await
    }
}
