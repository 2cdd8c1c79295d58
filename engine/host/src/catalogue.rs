//! Which plugin provides which type.
//!
//! What comes with the engine is known from the start. Files are looked at when somebody asks for a type that does not: first
//! those that were described before, then, in the order of their folders and names, those that were not, until one has the
//! type. The first file that has a type provides it, whether it was described before or not.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use weft_model::Failure;

use crate::descriptor::{Descriptor, TaskType};
use crate::files::{FileEntry, Files};
use crate::host::Inner;
use crate::plugin::{Plugin, Source};
use crate::problem::Severity;
use crate::rights::TypeRights;
use crate::store::Identity;
use crate::{Bundled, Grants, HostOptions, PluginProblem};

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

/// What a plugin turned out to be.
pub(crate) struct Described {
    found: Option<(Arc<Plugin>, PluginInfo)>,
    problems: Vec<PluginProblem>,
}

impl Described {
    /// What is no plugin that can be used.
    pub(crate) fn problem(problem: PluginProblem) -> Self {
        Self { found: None, problems: vec![problem] }
    }

    /// A plugin and its description, with what else there is to say about it.
    pub(crate) fn new(
        plugin: Arc<Plugin>,
        description: Result<Descriptor, PluginProblem>,
        mut problems: Vec<PluginProblem>,
    ) -> Self {
        let mut descriptor = match description {
            Ok(descriptor) => descriptor,
            Err(problem) => {
                problems.insert(0, problem);
                return Self { found: None, problems };
            }
        };
        for task in descriptor.tasks.iter_mut().chain(&mut descriptor.triggers) {
            plugin.name().clone_into(&mut task.plugin);
        }
        let is_own = matches!(plugin.source, Source::Bundled { .. });
        let types = descriptor.tasks.iter().chain(&descriptor.triggers);
        let Identity { plugin: name, grants, .. } = &plugin.identity;
        // It is described once.
        let _ = plugin.identity.types.set(TypeRights::of(name, grants, is_own, types));
        let info = PluginInfo {
            name: plugin.name().to_owned(),
            path: plugin.path(),
            bundled: is_own,
            sha256: plugin.sha256.clone(),
            version: descriptor.plugin.version,
            description: descriptor.plugin.description,
            grants: Grants::clone(&plugin.identity.grants),
            tasks: descriptor.tasks,
            triggers: descriptor.triggers,
        };
        Self { found: Some((plugin, info)), problems }
    }
}

/// A plugin that is there, described or not.
enum Entry {
    Bundled(Box<BundledEntry>),
    File(Arc<FileEntry>),
}

/// A plugin of the binary and what is known of it.
struct BundledEntry {
    plugin: Arc<Plugin>,
    described: OnceCell<Described>,
}

impl Entry {
    fn described(&self) -> &OnceCell<Described> {
        match self {
            Self::Bundled(bundled) => &bundled.described,
            Self::File(file) => &file.described,
        }
    }

    fn info(&self) -> Option<&PluginInfo> {
        Some(&self.described().get()?.found.as_ref()?.1)
    }

    /// Where one of its types has this name.
    fn provides(&self, type_name: &str) -> Option<(Kind, usize)> {
        let info = self.info()?;
        let at =
            |types: &[TaskType]| types.iter().position(|found| found.names().any(|name| name == type_name));
        let task = at(&info.tasks).map(|index| (Kind::Task, index));
        task.or_else(|| at(&info.triggers).map(|index| (Kind::Trigger, index)))
    }

    /// Describes it, unless somebody else does at the same time.
    async fn describe(&self, inner: &Arc<Inner>) -> &Described {
        match self {
            Self::Bundled(bundled) => {
                let plugin = &bundled.plugin;
                let describe =
                    || async { Described::new(Arc::clone(plugin), inner.describe(plugin).await, Vec::new()) };
                bundled.described.get_or_init(describe).await
            }
            Self::File(file) => {
                file.described.get_or_init(|| Arc::clone(file).describe(Arc::clone(inner))).await
            }
        }
    }
}

/// All plugins and types, as far as they were asked for.
pub struct Catalogue {
    inner: Arc<Inner>,
    bundled: Vec<Arc<Entry>>,
    /// Canonical names and aliases of what comes with the engine.
    names: HashMap<String, TypeRef>,
    files: OnceLock<(Files, Vec<Arc<Entry>>)>,
    /// What was found for other names.
    found: Mutex<HashMap<String, Option<TypeRef>>>,
}

#[derive(Clone, Copy)]
struct TypeRef {
    /// Among what is bundled and the files after it.
    entry: usize,
    kind: Kind,
    index: usize,
}

impl Catalogue {
    /// What comes with the engine.
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        let bundled: Vec<_> =
            inner.options.bundled.iter().map(|found| bundled(&inner, found)).map(Arc::new).collect();
        let mut names = HashMap::new();
        for (entry, found) in bundled.iter().enumerate() {
            let Some(info) = found.info() else { continue };
            for (kind, types) in [(Kind::Task, &info.tasks), (Kind::Trigger, &info.triggers)] {
                for (index, found) in types.iter().enumerate() {
                    for name in found.names().filter(|name| !is_reserved(&inner.options, name)) {
                        names.entry(name.to_owned()).or_insert(TypeRef { entry, kind, index });
                    }
                }
            }
        }
        Self { inner, bundled, names, files: OnceLock::new(), found: Mutex::default() }
    }

    /// The task type with this name or alias. Waits where a plugin must be asked whether it has it.
    pub fn get(&self, type_name: &str) -> Option<&TaskType> {
        self.of_kind(type_name, Kind::Task)
    }

    /// The trigger type with this name or alias. Waits likewise.
    pub fn trigger(&self, type_name: &str) -> Option<&TaskType> {
        self.of_kind(type_name, Kind::Trigger)
    }

    /// Every name that can be written, aliases too, in no particular order: of what comes with the engine and the files
    /// that are described.
    pub fn type_names(&self) -> impl Iterator<Item = &str> {
        self.plugins().flat_map(|info| info.tasks.iter().chain(&info.triggers)).flat_map(TaskType::names)
    }

    /// The plugins that are described: bundled ones first, then files in the order of their directories and names.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginInfo> {
        self.entries().filter_map(|entry| entry.info())
    }

    /// What is wrong with the cache, and with plugins as far as they were looked at.
    pub fn problems(&self) -> Vec<PluginProblem> {
        let mut problems: Vec<_> = self.inner.cache_problem.iter().cloned().collect();
        problems.extend(self.files.get().into_iter().flat_map(|(files, _)| files.problems.iter().cloned()));
        let mut first: HashMap<&str, &PluginInfo> = HashMap::new();
        for entry in self.entries() {
            let Some(described) = entry.described().get() else { continue };
            problems.extend(described.problems.iter().cloned());
            let Some(info) = entry.info() else { continue };
            for name in info.tasks.iter().chain(&info.triggers).flat_map(TaskType::names) {
                if is_reserved(&self.inner.options, name) {
                    let message = format!(
                        "it claims the type `{name}`, which the engine performs itself; the claim is ignored"
                    );
                    problems.push(PluginProblem::warning(&info.path, "plugin.reserved-type", message));
                } else if let Some(first) = first.get(name) {
                    let first = first.path.display();
                    let message = format!("type `{name}` is provided by {first} as well; that one is used");
                    problems.push(PluginProblem::warning(&info.path, "plugin.conflict", message));
                } else {
                    first.insert(name, info);
                }
            }
        }
        problems
    }

    /// The folder of a project that has plugins and is not trusted, if files were looked for.
    pub fn untrusted(&self) -> Option<&std::path::Path> {
        self.files.get()?.0.untrusted.as_deref()
    }

    /// Why there is no type with this name, as far as broken plugins can be the reason: lines to add to an error.
    pub fn explain_missing(&self, type_name: &str) -> Option<String> {
        let problems = self.problems();
        let broken = || problems.iter().filter(|problem| problem.severity == Severity::Error);
        let claims = |problem: &&PluginProblem| problem.types.iter().any(|name| name == type_name);
        if let Some(problem) = broken().find(claims) {
            return Some(format!("its plugin cannot be used\n{problem}"));
        }
        // One of these may be the one: a plugin that cannot be asked does not say what it would provide.
        let silent: Vec<_> = broken().filter(|problem| problem.types.is_empty()).collect();
        let untrusted = self.untrusted().map(|folder| {
            let folder = folder.display();
            format!(
                "the plugins in `{folder}` are not trusted\nhint: look at them, then `weft trust {folder}`"
            )
        });
        if silent.is_empty() {
            return untrusted;
        }
        let mut lines: Vec<_> = silent.iter().take(SHOWN).map(|problem| problem.to_string()).collect();
        if silent.len() > SHOWN {
            lines.push(format!(
                "and {} more\nhint: `weft plugins list` shows all of them",
                silent.len() - SHOWN
            ));
        }
        lines.extend(untrusted);
        Some(format!("these plugins cannot be used:\n{}", lines.join("\n")))
    }

    /// Asks every plugin that was not asked yet. Waits for all of them.
    pub fn describe_all(&self) {
        self.on_a_thread(self.describe_these(0..self.count()));
    }

    /// The plugin that provides a type.
    pub(crate) fn entry(&self, type_name: &str, kind: Kind) -> Result<&Arc<Plugin>, Failure> {
        let found = self.find(type_name).filter(|found| found.kind == kind);
        if let Some((plugin, _)) = found.and_then(|found| self.described(found.entry)) {
            return Ok(plugin);
        }
        let mut message = format!("there is no {} type `{type_name}`", kind.as_str());
        if let Some(reason) = self.explain_missing(type_name) {
            message.push_str(": ");
            message.push_str(&reason);
        }
        Err(Failure::new("plugin.unknown-type", message))
    }

    /// Whether the answer for this name is there: then nothing waits for it.
    pub(crate) fn is_known(&self, type_name: &str) -> bool {
        self.known(type_name).is_some()
    }

    /// Plugins that have a description.
    pub(crate) fn usable(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        (0..self.count()).filter_map(|index| Some(&self.described(index)?.0))
    }

    fn of_kind(&self, type_name: &str, kind: Kind) -> Option<&TaskType> {
        let found = self.find(type_name).filter(|found| found.kind == kind)?;
        let (_, info) = self.described(found.entry)?;
        match kind {
            Kind::Task => info.tasks.get(found.index),
            Kind::Trigger => info.triggers.get(found.index),
        }
    }

    fn find(&self, type_name: &str) -> Option<TypeRef> {
        if let Some(known) = self.known(type_name) {
            return known;
        }
        // Where no thread can be had, nothing is known, and nothing is remembered.
        let found = self.on_a_thread(self.search(type_name))?;
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(type_name.to_owned(), found);
        found
    }

    fn known(&self, type_name: &str) -> Option<Option<TypeRef>> {
        if let Some(found) = self.names.get(type_name) {
            return Some(Some(*found));
        }
        if is_reserved(&self.inner.options, type_name) {
            return Some(None);
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).get(type_name).copied()
    }

    /// Looks for a type that does not come with the engine.
    async fn search(&self, type_name: &str) -> Option<TypeRef> {
        for index in 0..self.count() {
            if let Some(Entry::File(file)) = self.entry_at(index).map(|entry| &**entry)
                && file.described.get().is_none()
                && let Some(known) = file.known(&self.inner)
            {
                // Somebody else may have been faster.
                let _ = file.described.set(known);
            }
        }
        let provides = |index: usize| Some((index, self.entry_at(index)?.provides(type_name)?));
        let known = (0..self.count()).find_map(provides);
        let end = known.map_or(self.count(), |(index, _)| index);
        let asked =
            |index: &usize| self.entry_at(*index).is_some_and(|entry| entry.described().get().is_some());
        let new: Vec<usize> = (0..end).filter(|index| !asked(index)).collect();
        let mut found = known;
        for some in new.chunks(at_once()) {
            self.describe_these(some.iter().copied()).await;
            if let Some(first) = some.iter().copied().find_map(provides) {
                found = Some(first);
                break;
            }
        }
        found.map(|(entry, (kind, index))| TypeRef { entry, kind, index })
    }

    async fn describe_these(&self, indices: impl IntoIterator<Item = usize>) {
        let mut under_way = JoinSet::new();
        for index in indices {
            let Some(entry) = self.entry_at(index).filter(|entry| entry.described().get().is_none()) else {
                continue;
            };
            if under_way.len() >= at_once() {
                under_way.join_next().await;
            }
            let (entry, inner) = (Arc::clone(entry), Arc::clone(&self.inner));
            under_way.spawn(async move {
                entry.describe(&inner).await;
            });
        }
        while under_way.join_next().await.is_some() {}
        if let Some((files, _)) = self.files.get() {
            files.save();
        }
    }

    /// Does what takes its time on a thread of its own: whoever asks may be a part of any runtime, or of none, and what is
    /// asked for must not wait for it.
    fn on_a_thread<T: Send>(&self, work: impl Future<Output = T> + Send) -> Option<T> {
        // Made and dropped there, too: a part of a runtime must not drop one.
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            Some(runtime.block_on(work))
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("plugins".to_owned());
            thread.spawn_scoped(scope, run).ok()?.join().ok().flatten()
        })
    }

    fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.bundled.iter().chain(self.files.get().into_iter().flat_map(|(_, entries)| entries))
    }

    fn files(&self) -> &(Files, Vec<Arc<Entry>>) {
        self.files.get_or_init(|| {
            let files = Files::discover(&self.inner);
            let entries = files.entries.iter().cloned().map(Entry::File).map(Arc::new).collect();
            (files, entries)
        })
    }

    fn count(&self) -> usize {
        self.bundled.len() + self.files().1.len()
    }

    fn entry_at(&self, index: usize) -> Option<&Arc<Entry>> {
        match index.checked_sub(self.bundled.len()) {
            None => self.bundled.get(index),
            Some(index) => self.files().1.get(index),
        }
    }

    fn described(&self, index: usize) -> Option<&(Arc<Plugin>, PluginInfo)> {
        self.entry_at(index)?.described().get()?.found.as_ref()
    }
}

/// So many broken plugins are named in an error.
const SHOWN: usize = 3;

/// How many plugins are asked at the same time: it is work for a processor.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn is_reserved(options: &HostOptions, type_name: &str) -> bool {
    options.reserved_types.iter().any(|reserved| reserved == type_name)
}

/// A plugin of the binary, described where the build knows how.
fn bundled(inner: &Inner, found: &Bundled) -> Entry {
    let withheld = inner.options.withheld.get(found.name).cloned().unwrap_or_else(Grants::none);
    let grants = Grants::all().without(withheld);
    let identity = Identity { plugin: found.name.into(), grants, types: Arc::default() };
    let source = Source::Bundled { wasm: found.wasm, descriptor: found.descriptor };
    let plugin = Arc::new(Plugin::new(identity, source, found.sha256.to_owned()));
    let known = inner.known(&plugin).map(|known| Described::new(Arc::clone(&plugin), known, Vec::new()));
    Entry::Bundled(Box::new(BundledEntry { plugin, described: OnceCell::new_with(known) }))
}
