//! The host itself: what is made once and shared, each part when it is first needed.

use std::sync::{Arc, OnceLock};

use crate::cache::Cache;
use crate::catalogue::Catalogue;
use crate::engine::{Runtime, RuntimeError};
use crate::plugin::{LoadError, Loaded, Plugin};
use crate::{HostOptions, PluginProblem};

/// Plugins and the machinery to run them. Cheap to clone; all methods that wait need a tokio runtime.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) options: Arc<HostOptions>,
    pub(crate) cache: Arc<Cache>,
    /// What is wrong with the cache directory.
    pub(crate) cache_problem: Option<PluginProblem>,
    runtime: OnceLock<Result<Arc<Runtime>, RuntimeError>>,
    catalogue: tokio::sync::OnceCell<Catalogue>,
}

impl Host {
    /// A host. Looks at the cache directory and at nothing else.
    pub fn new(options: HostOptions) -> Self {
        let (cache, cache_problem) = Cache::open(&options.cache_dir);
        Self(Arc::new(Inner {
            options: Arc::new(options),
            cache: Arc::new(cache),
            cache_problem,
            runtime: OnceLock::new(),
            catalogue: tokio::sync::OnceCell::new(),
        }))
    }

    /// Every plugin and type. The first call looks through the directories and asks plugins that were never seen before
    /// for their description, which means compiling them; after that it is a matter of reading a few files.
    pub async fn catalogue(&self) -> &Catalogue {
        self.0.catalogue.get_or_init(|| Catalogue::build(&self.0)).await
    }

    /// What is wrong with plugins and the cache; see [`Catalogue::problems`].
    pub async fn problems(&self) -> &[PluginProblem] {
        self.catalogue().await.problems()
    }

    /// Compiles what is not in the cache yet, for an installer.
    pub async fn precompile(&self) -> Vec<PluginProblem> {
        let mut problems = Vec::new();
        for plugin in self.catalogue().await.usable() {
            if let Err(error) = self.0.load(plugin).await {
                problems.push(plugin.problem(&error));
            }
        }
        problems
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
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
