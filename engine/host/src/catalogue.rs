//! Which plugin provides which type.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;
use weft_model::Failure;

use crate::descriptor::{Descriptor, TaskType};
use crate::host::Inner;
use crate::plugin::{Plugin, Source};
use crate::problem::Severity;
use crate::rights::TypeRights;
use crate::store::Identity;
use crate::{Grants, PluginProblem};

/// Whether a type is for tasks or for triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Task,
    Trigger,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Trigger => "trigger",
        }
    }
}

/// A plugin whose description is known.
#[derive(Debug)]
pub struct PluginInfo {
    /// The name, as in messages and `--grant`: that of the file without `.wasm`.
    pub name: String,
    /// The file; `bundled:NAME` for a plugin in the binary.
    pub path: PathBuf,
    /// Whether it is part of the binary.
    pub bundled: bool,
    /// SHA-256 of the component, in hexadecimal.
    pub sha256: String,
    /// The version that the plugin gives itself.
    pub version: String,
    /// What the plugin says it is for.
    pub description: Option<String>,
    /// What it may use.
    pub grants: Grants,
    /// Its task types, among them those that another plugin provides.
    pub tasks: Vec<TaskType>,
    /// Its trigger types, likewise.
    pub triggers: Vec<TaskType>,
}

/// All plugins and types, as found when the host was first asked.
pub struct Catalogue {
    infos: Vec<PluginInfo>,
    /// In step with `infos`.
    plugins: Vec<Arc<Plugin>>,
    /// Canonical names and aliases.
    names: HashMap<String, TypeRef>,
    problems: Vec<PluginProblem>,
}

#[derive(Clone, Copy)]
struct TypeRef {
    plugin: usize,
    kind: Kind,
    index: usize,
}

impl Catalogue {
    /// The task type with this name or alias.
    pub fn get(&self, type_name: &str) -> Option<&TaskType> {
        self.find(type_name, Kind::Task)
    }

    /// The trigger type with this name or alias.
    pub fn trigger(&self, type_name: &str) -> Option<&TaskType> {
        self.find(type_name, Kind::Trigger)
    }

    /// Every name that can be written, aliases too, in no particular order.
    pub fn type_names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The plugins, bundled ones first, then files in the order of their directories and names.
    pub fn plugins(&self) -> &[PluginInfo] {
        &self.infos
    }

    /// What is wrong with plugins and the cache.
    pub fn problems(&self) -> &[PluginProblem] {
        &self.problems
    }

    /// Why there is no type with this name, as far as broken plugins can be the reason: lines to add to an error.
    pub fn explain_missing(&self, type_name: &str) -> Option<String> {
        let broken = || self.problems.iter().filter(|problem| problem.severity == Severity::Error);
        let claims = |problem: &&PluginProblem| problem.types.iter().any(|name| name == type_name);
        if let Some(problem) = broken().find(claims) {
            return Some(format!("its plugin cannot be used\n{problem}"));
        }
        // One of these may be the one: a plugin that cannot be asked does not say what it would provide.
        let silent: Vec<_> =
            broken().filter(|problem| problem.types.is_empty()).map(|problem| problem.to_string()).collect();
        (!silent.is_empty()).then(|| format!("these plugins cannot be used:\n{}", silent.join("\n")))
    }

    /// The plugin that provides a type.
    pub(crate) fn entry(&self, type_name: &str, kind: Kind) -> Result<&Arc<Plugin>, Failure> {
        if let Some(found) = self.names.get(type_name).filter(|found| found.kind == kind) {
            return Ok(&self.plugins[found.plugin]);
        }
        let mut message = format!("there is no {} type `{type_name}`", kind.as_str());
        if let Some(reason) = self.explain_missing(type_name) {
            message.push_str(": ");
            message.push_str(&reason);
        }
        Err(Failure::new("plugin.unknown-type", message))
    }

    /// Plugins that have a description.
    pub(crate) fn usable(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    fn find(&self, type_name: &str, kind: Kind) -> Option<&TaskType> {
        let found = *self.names.get(type_name)?;
        (found.kind == kind).then(|| self.type_at(found))
    }

    fn type_at(&self, found: TypeRef) -> &TaskType {
        let info = &self.infos[found.plugin];
        match found.kind {
            Kind::Task => &info.tasks[found.index],
            Kind::Trigger => &info.triggers[found.index],
        }
    }

    /// Finds and describes all plugins.
    pub(crate) async fn build(inner: &Arc<Inner>) -> Self {
        let mut catalogue = Self {
            infos: Vec::new(),
            plugins: Vec::new(),
            names: HashMap::new(),
            problems: inner.cache_problem.iter().cloned().collect(),
        };
        let found = discover(inner, &mut catalogue.problems);
        for (plugin, description) in describe_all(inner, found).await {
            match description {
                Ok(descriptor) => catalogue.add(plugin, descriptor, &inner.options.reserved_types),
                Err(problem) => catalogue.problems.push(problem),
            }
        }
        catalogue
    }

    fn add(&mut self, plugin: Arc<Plugin>, mut descriptor: Descriptor, reserved: &[String]) {
        for task in descriptor.tasks.iter_mut().chain(&mut descriptor.triggers) {
            plugin.name().clone_into(&mut task.plugin);
        }
        let is_own = matches!(plugin.source, Source::Bundled { .. });
        let types = descriptor.tasks.iter().chain(&descriptor.triggers);
        let Identity { plugin: name, grants, .. } = &plugin.identity;
        // It is described once.
        let _ = plugin.identity.types.set(TypeRights::of(name, grants, is_own, types));
        let index = self.infos.len();
        let path = plugin.path();
        let tasks = descriptor.tasks.iter().enumerate().map(|(index, task)| (Kind::Task, index, task));
        let triggers =
            descriptor.triggers.iter().enumerate().map(|(index, task)| (Kind::Trigger, index, task));
        for (kind, at, task) in tasks.chain(triggers) {
            for name in task.names() {
                if reserved.iter().any(|reserved| reserved == name) {
                    let message = format!(
                        "it claims the type `{name}`, which the engine performs itself; the claim is ignored"
                    );
                    self.problems.push(PluginProblem::warning(&path, "plugin.reserved-type", message));
                } else if let Some(first) = self.names.get(name) {
                    let first = self.infos[first.plugin].path.display();
                    let message = format!("type `{name}` is provided by {first} as well; that one is used");
                    self.problems.push(PluginProblem::warning(&path, "plugin.conflict", message));
                } else {
                    self.names.insert(name.to_owned(), TypeRef { plugin: index, kind, index: at });
                }
            }
        }
        self.infos.push(PluginInfo {
            name: plugin.name().to_owned(),
            path,
            bundled: is_own,
            sha256: plugin.sha256.clone(),
            version: descriptor.plugin.version,
            description: descriptor.plugin.description,
            grants: plugin.identity.grants.clone(),
            tasks: descriptor.tasks,
            triggers: descriptor.triggers,
        });
        self.plugins.push(plugin);
    }
}

/// Every plugin there is, bundled ones first.
fn discover(inner: &Inner, problems: &mut Vec<PluginProblem>) -> Vec<Arc<Plugin>> {
    let options = &inner.options;
    let mut found: Vec<_> = options
        .bundled
        .iter()
        .map(|bundled| {
            let withheld = options.withheld.get(bundled.name).cloned().unwrap_or_else(Grants::none);
            let grants = Grants::all().without(withheld);
            let identity = Identity { plugin: bundled.name.into(), grants, types: Arc::default() };
            let source = Source::Bundled { wasm: bundled.wasm, descriptor: bundled.descriptor };
            Arc::new(Plugin::new(identity, source, bundled.sha256.to_owned()))
        })
        .collect();
    let mut hashes = inner.cache.hashes();
    for directory in &options.directories {
        let files = match plugin_files(directory) {
            Ok(files) => files,
            Err(error) => {
                let message = format!("the plugin directory cannot be read: {error}");
                problems.push(PluginProblem::error(directory, "plugin.unreadable", message));
                continue;
            }
        };
        for file in files {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match hashes.hash(&file) {
                Ok(sha256) => {
                    let granted = options.grants.get(&name).cloned().unwrap_or_else(Grants::none);
                    let withheld = options.withheld.get(&name).cloned().unwrap_or_else(Grants::none);
                    let grants = Grants::default().union(granted).without(withheld);
                    let identity = Identity { plugin: name.into(), grants, types: Arc::default() };
                    found.push(Arc::new(Plugin::new(identity, Source::File(file), sha256)));
                }
                Err(error) => {
                    let message = format!("it cannot be read: {error}");
                    problems.push(PluginProblem::error(file, "plugin.unreadable", message));
                }
            }
        }
    }
    hashes.save();
    found
}

/// The `*.wasm` files of a directory, sorted by name.
fn plugin_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

type Described = (Arc<Plugin>, Result<Descriptor, PluginProblem>);

/// Descriptions in the order of `plugins`. Those that must be asked for are asked at the same time.
async fn describe_all(inner: &Arc<Inner>, plugins: Vec<Arc<Plugin>>) -> Vec<Described> {
    let mut asked = JoinSet::new();
    for (index, plugin) in plugins.into_iter().enumerate() {
        let inner = Arc::clone(inner);
        asked.spawn(async move {
            let description = inner.describe(&plugin).await;
            (index, (plugin, description))
        });
    }
    let mut described = asked.join_all().await;
    described.sort_by_key(|(index, _)| *index);
    described.into_iter().map(|(_, described)| described).collect()
}
