//! Asking a plugin what it is: once per file hash, in tight bounds, with nothing to reach for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::Instance;
use weft_model::{Failure, Level, MetricKind};
use weft_network::Network;

use crate::bindings::exports::weft::plugin::descriptor;
use crate::descriptor::{Descriptor, DescriptorError};
use crate::host::Inner;
use crate::plugin::{Loaded, Plugin, Source};
use crate::run::GuestCall;
use crate::store::RunState;
use crate::{Capabilities, Child, Command, Limits, Located, PluginProblem};

const MEMORY: usize = 64 << 20;
const CPU: Duration = Duration::from_secs(1);
/// For a description that waits for something that never comes.
const WALL_CLOCK: Duration = Duration::from_secs(5);
/// A larger description is refused.
pub(crate) const JSON_BYTES: u64 = 4 << 20;
const CODE: &str = "plugin.describe";

impl Inner {
    /// The description of a plugin: from the cache, or asked for and stored there.
    pub(crate) async fn describe(&self, plugin: &Arc<Plugin>) -> Result<Descriptor, PluginProblem> {
        if let Some(known) = self.known(plugin) {
            return known;
        }
        let loaded = match self.load(plugin).await {
            Ok(loaded) => loaded,
            Err(error) => {
                let problem = plugin.problem(&error);
                if error.is_permanent() {
                    self.cache.store_problem(&plugin.sha256, &problem);
                }
                return Err(problem);
            }
        };
        let answer = self.ask(plugin, loaded).await;
        let checked = answer.map_err(|failure| (failure.message, Vec::new())).and_then(|text| {
            if text.len() as u64 > JSON_BYTES {
                let size = text.len();
                return Err((
                    format!("`describe` returned {size} bytes; at most {JSON_BYTES} are accepted"),
                    Vec::new(),
                ));
            }
            let descriptor = check(&text, loaded)
                .map_err(|error| (error.to_string(), Descriptor::claimed_types(&text)))?;
            Ok((text, descriptor))
        });
        match checked {
            Ok((text, descriptor)) => {
                self.cache.store_description(&plugin.sha256, &text);
                Ok(descriptor)
            }
            Err((message, types)) => {
                let problem = PluginProblem { types, ..PluginProblem::error(plugin.path(), CODE, message) };
                self.cache.store_problem(&plugin.sha256, &problem);
                Err(problem)
            }
        }
    }

    /// The description of a plugin, where nothing has to run for it: what a start can afford.
    pub(crate) fn known(&self, plugin: &Plugin) -> Option<Result<Descriptor, PluginProblem>> {
        if let Some(descriptor) = self.known_description(plugin) {
            return Some(Ok(descriptor));
        }
        let mut problem = self.cache.problem(&plugin.sha256)?;
        // The same bytes may have been found under another name.
        problem.path = plugin.path();
        Some(Err(problem))
    }

    fn known_description(&self, plugin: &Plugin) -> Option<Descriptor> {
        if let Source::Bundled { descriptor: Some(text), .. } = plugin.source {
            return Descriptor::read(text).ok();
        }
        Descriptor::read(&self.cache.description(&plugin.sha256)?).ok()
    }

    async fn ask(&self, plugin: &Plugin, loaded: &Loaded) -> Result<String, Failure> {
        let limits = Limits {
            memory: MEMORY.min(self.options.limits.memory),
            cpu: CPU,
            wall_clock: Some(WALL_CLOCK),
            ..self.options.limits.clone()
        };
        let call = Describe(&loaded.descriptor);
        self.perform(plugin, loaded, &limits, Arc::new(NothingToReach), call).await
    }
}

struct Describe<'a>(&'a descriptor::GuestIndices);

impl GuestCall for Describe<'_> {
    type Output = String;

    async fn call(self, store: &mut Store<RunState>, instance: &Instance) -> wasmtime::Result<String> {
        self.0.load(&mut *store, instance)?.call_describe(store).await
    }
}

fn check(text: &str, loaded: &Loaded) -> Result<Descriptor, DescriptorError> {
    let descriptor = Descriptor::check(text)?;
    let not_exported = |kind, interface| Err(DescriptorError::NotExported { kind, interface });
    if !descriptor.tasks.is_empty() && loaded.task.is_none() {
        return not_exported("task", "task");
    }
    if !descriptor.triggers.is_empty() && loaded.trigger.is_none() {
        return not_exported("trigger", "trigger");
    }
    Ok(descriptor)
}

/// What a plugin finds behind its imports while it describes itself.
struct NothingToReach;

fn not_now<T>() -> Result<T, Failure> {
    Err(Failure::new(CODE, "`describe` may not use any capability: it must give the same answer everywhere"))
}

#[async_trait]
impl Capabilities for NothingToReach {
    fn log(&self, _: Level, _: &str, _: Option<Value>) {}

    fn emit_output(&self, _: &str, _: Value) -> Result<(), Failure> {
        not_now()
    }

    fn emit_metric(&self, _: &str, _: MetricKind, _: f64, _: Vec<(String, String)>) {}

    fn mark_warning(&self, _: &str) {}

    fn working_dir(&self) -> &Path {
        Path::new("")
    }

    fn cancel_requested(&self) -> bool {
        false
    }

    fn namespace(&self) -> &str {
        ""
    }

    fn locate(&self, _: &str) -> Result<Located, Failure> {
        not_now()
    }

    fn names(&self, _: &str, _: &str) -> bool {
        false
    }

    fn flow_may_read(&self, _: &str) -> Result<(), Failure> {
        not_now()
    }

    fn flow_may_remove(&self, _: &str) -> Result<(), Failure> {
        not_now()
    }

    fn update_execution(&self, _: Value) -> Result<(), Failure> {
        not_now()
    }

    fn exceed(&self, _: &Failure) {}

    async fn secret(&self, _: &str) -> Result<String, Failure> {
        not_now()
    }

    async fn kv_get(&self, _: Option<&str>, _: &str) -> Result<Option<Value>, Failure> {
        not_now()
    }

    async fn kv_set(
        &self,
        _: Option<&str>,
        _: &str,
        _: Value,
        _: Option<Duration>,
        _: bool,
    ) -> Result<(), Failure> {
        not_now()
    }

    async fn kv_delete(&self, _: Option<&str>, _: &str) -> Result<bool, Failure> {
        not_now()
    }

    async fn kv_keys(&self, _: Option<&str>, _: &str) -> Result<Vec<String>, Failure> {
        not_now()
    }

    async fn git_clone(&self, _: Value, _: &Network) -> Result<Value, Failure> {
        not_now()
    }

    async fn put_file(&self, _: &str, _: &str) -> Result<String, Failure> {
        not_now()
    }

    async fn move_file(&self, _: &str, _: &str) -> Result<String, Failure> {
        not_now()
    }

    async fn get_file(&self, _: &str, _: &str) -> Result<u64, Failure> {
        not_now()
    }

    async fn file_size(&self, _: &str) -> Result<u64, Failure> {
        not_now()
    }

    async fn delete_file(&self, _: &str) -> Result<bool, Failure> {
        not_now()
    }

    async fn digest(&self, _: &str, _: &str, _: Option<(u64, u64)>) -> Result<String, Failure> {
        not_now()
    }

    fn hide(&self, _: &str) -> Result<(), Failure> {
        not_now()
    }

    async fn spawn(&self, _: Command) -> Result<Box<dyn Child>, Failure> {
        not_now()
    }

    async fn run_container(&self, _: &str, _: Command) -> Result<Box<dyn Child>, Failure> {
        not_now()
    }
}
