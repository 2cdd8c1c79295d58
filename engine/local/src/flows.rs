//! Flows in files: the one that is run, and those that it calls.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use weft_files::regular;
use weft_flow::testing::is_test_file;
use weft_flow::{Called, Catalogue, Diagnostic, Flow, ParseOptions, Places};

use crate::stamps::{Stamp, Stamps};

/// Bytes of a file in a folder of flows; a larger one is not read. Twice of what a flow may have.
pub const MOST_FLOW_BYTES: u64 = 16 << 20;

/// Names of which is known what came of looking for them.
const MOST_KNOWN: usize = 256;

/// A flow with the text it was read from.
#[derive(Debug, Clone)]
pub struct LoadedFlow {
    /// The typed flow.
    pub flow: Arc<Flow>,
    /// The text, kept with each execution.
    pub source: Arc<str>,
    /// What to call it in messages: its file.
    pub name: Arc<str>,
}

impl Places for LoadedFlow {
    fn place(&self, task_id: &str, property: &str, bytes: Option<Range<usize>>) -> Option<String> {
        let span = weft_flow::locate(&self.source, task_id, property, bytes)?;
        Some(format!("{}:{}:{}", self.name, span.start.line, span.start.column))
    }
}

/// Where flows are found that others call: the `*.yaml` and `*.yml` files of a directory, read when they are asked for. What
/// was found once is read again when a file of the directory has changed. Cheap to clone; clones share what was found.
#[derive(Clone, Default)]
pub struct FlowSource {
    directory: Option<PathBuf>,
    found: Arc<Mutex<HashMap<(String, String), Found>>>,
}

impl fmt::Debug for FlowSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowSource").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// What came of looking for a flow, and as long as what it holds.
struct Found {
    result: Result<Option<(PathBuf, LoadedFlow)>, String>,
    holds: Holds,
}

enum Holds {
    /// The flow was found: while its file and the list of files are as they were.
    File { directory: Stamp, file: Stamp },
    /// It was not: while all files are as they were.
    Files(Stamps),
}

impl FlowSource {
    /// The flows in a directory.
    pub fn directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), found: Arc::default() }
    }

    /// The flow with this name.
    ///
    /// # Errors
    /// A text for the task that calls it: no such flow, or what is wrong with it.
    pub fn find(&self, namespace: &str, id: &str, catalogue: &dyn Catalogue) -> Result<LoadedFlow, String> {
        let Some(directory) = &self.directory else {
            return Err(format!(
                "flow `{namespace}.{id}` cannot be found\nhint: name the directory of flows with `--flows DIR`"
            ));
        };
        match self.locate(namespace, id, catalogue)? {
            Some((_, flow)) => Ok(flow),
            None => Err(format!("there is no flow `{namespace}.{id}` in `{}`", directory.display())),
        }
    }

    /// The flow with this name and its file; none if it is not here.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn locate(
        &self,
        namespace: &str,
        id: &str,
        catalogue: &dyn Catalogue,
    ) -> Result<Option<(PathBuf, LoadedFlow)>, String> {
        let Some(directory) = &self.directory else { return Ok(None) };
        // Thousands of subflows may be started from here: they wait for each other rather than read the same.
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (namespace.to_owned(), id.to_owned());
        if let Some(found) = known.get(&name).filter(|found| found.still_holds(directory)) {
            return found.result.clone();
        }
        // Looked at before the files are read: what changes meanwhile is seen the next time.
        let (before, files) = (Stamp::of(directory), yaml_files(directory));
        let stamps = Stamps::of(&files);
        let result = search(&files, namespace, id, catalogue);
        let holds = match &result {
            Ok(Some((path, _))) => {
                Option::zip(before, stamps.get(path)).map(|(directory, file)| Holds::File { directory, file })
            }
            _ => Some(Holds::Files(stamps)),
        };
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        match holds {
            Some(holds) => drop(known.insert(name, Found { result: result.clone(), holds })),
            None => drop(known.remove(&name)),
        }
        result
    }
}

impl Found {
    fn still_holds(&self, directory: &Path) -> bool {
        match (&self.holds, &self.result) {
            (Holds::File { directory: before, file }, Ok(Some((path, _)))) => {
                before.still_holds(directory) && file.still_holds(path)
            }
            (Holds::Files(stamps), _) => stamps.still_hold(&yaml_files(directory)),
            (Holds::File { .. }, _) => false,
        }
    }
}

/// Looks for a flow in some files: first in those that seem to be it, then in all others that have its id anywhere.
fn search(
    files: &[PathBuf],
    namespace: &str,
    id: &str,
    catalogue: &dyn Catalogue,
) -> Result<Option<(PathBuf, LoadedFlow)>, String> {
    let mut broken = None;
    let mut others = Vec::new();
    for path in files {
        let Some(source) = read(path).filter(|source| !is_test_file(source)) else { continue };
        if !mentions(&source, id) {
            // One written as JSON, or with its keys indented, does not look like a flow at first sight.
            if source.contains(id) {
                others.push(path);
            }
            continue;
        }
        let outcome = weft_flow::parse(&source, catalogue, &ParseOptions::default());
        match outcome.flow {
            Some(flow) if flow.id == id && flow.namespace == namespace => {
                return Ok(Some((path.clone(), loaded(flow, source, path))));
            }
            Some(_) => {}
            None => broken = Some((path, outcome.diagnostics)),
        }
    }
    for path in others {
        let Some(source) = read(path).filter(|source| is_named(source, namespace, id)) else { continue };
        let outcome = weft_flow::parse(&source, catalogue, &ParseOptions::default());
        match outcome.flow {
            Some(flow) => return Ok(Some((path.clone(), loaded(flow, source, path)))),
            None => broken = Some((path, outcome.diagnostics)),
        }
    }
    match broken {
        Some((path, diagnostics)) => Err(invalid(path, &diagnostics, &format!("flow `{namespace}.{id}`"))),
        None => Ok(None),
    }
}

fn loaded(flow: Flow, source: String, path: &Path) -> LoadedFlow {
    LoadedFlow { flow: Arc::new(flow), source: source.into(), name: path.display().to_string().into() }
}

impl LoadedFlow {
    /// The flow in a file.
    ///
    /// # Errors
    /// Why the file cannot be read, or what is wrong with the flow.
    pub fn read(path: &Path, catalogue: &dyn Catalogue) -> Result<Self, String> {
        let failed = |why: String| format!("cannot read the flow `{}`: {why}", path.display());
        let bytes = regular::read(path, MOST_FLOW_BYTES).map_err(|error| failed(error.to_string()))?;
        let source = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".to_owned()))?;
        let outcome = weft_flow::parse(&source, catalogue, &ParseOptions::default());
        let flow = outcome.flow.ok_or_else(|| invalid(path, &outcome.diagnostics, "the flow"))?;
        Ok(loaded(flow, source, path))
    }
}

/// All flows of some folders, read once: for checking what flows say of each other.
#[derive(Debug, Default)]
pub struct FlowIndex {
    /// By `namespace.id`.
    flows: BTreeMap<String, Arc<Flow>>,
    /// The names of all of them, for whoever looks for one that is not there.
    names: Arc<[String]>,
    /// The ids of those that cannot be read as flows, as far as that can be told.
    broken: HashSet<String>,
}

impl FlowIndex {
    /// Reads the folders, without those inside. Where two have a flow of the same name, the first counts.
    pub fn read(folders: &[PathBuf], catalogue: &dyn Catalogue) -> Self {
        let mut index = Self::default();
        let sources = folders.iter().flat_map(|folder| yaml_files(folder)).filter_map(|path| read(&path));
        for source in sources.filter(|source| !is_test_file(source)) {
            match weft_flow::parse(&source, catalogue, &ParseOptions::default()).flow {
                Some(flow) => {
                    let name = format!("{}.{}", flow.namespace, flow.id);
                    index.flows.entry(name).or_insert_with(|| Arc::new(flow));
                }
                None => index.broken.extend(ids_of(&source)),
            }
        }
        index.names = index.flows.keys().cloned().collect();
        index
    }

    /// The flow with this name.
    pub fn find(&self, namespace: &str, id: &str) -> Called {
        match self.flows.get(&format!("{namespace}.{id}")) {
            Some(flow) => Called::Found(Arc::clone(flow)),
            None if self.broken.contains(id) => Called::Unusable,
            None => Called::Missing { others: Arc::clone(&self.names) },
        }
    }
}

/// The ids that a flow with this source can have, without reading it as a flow.
pub(crate) fn ids_of(source: &str) -> Vec<String> {
    let seen: Vec<String> = ids(source).flat_map(words).map(str::to_owned).collect();
    if !seen.is_empty() {
        return seen;
    }
    // One written as JSON, or with its keys indented, does not look like a flow at first sight.
    let read = weft_flow::yaml_to_json(source, &ParseOptions::default()).ok();
    read.and_then(|flow| flow.get("id")?.as_str().map(str::to_owned)).into_iter().collect()
}

/// The text of a file in a folder of flows. What cannot be read, is not text, or is too large for a flow is left out: it
/// may be there for somebody else.
pub(crate) fn read(path: &Path) -> Option<String> {
    String::from_utf8(regular::read(path, MOST_FLOW_BYTES).ok()?).ok()
}

pub(crate) fn yaml_files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_yaml).collect();
    files.sort();
    files
}

/// What stands behind `id:` in lines that are not indented.
fn ids(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| line.strip_prefix("id:"))
}

/// The parts of a text that can be ids.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
        .filter(|word| !word.is_empty())
}

/// Whether a file is worth parsing in search of the flow `id`: parsing a directory of flows for each call would be slow.
fn mentions(source: &str, id: &str) -> bool {
    ids(source).any(|line| line.contains(id))
}

/// Whether a source says that it is the flow with this name, however it is written.
fn is_named(source: &str, namespace: &str, id: &str) -> bool {
    let read = weft_flow::yaml_to_json(source, &ParseOptions::default());
    read.is_ok_and(|flow| flow["id"] == id && flow["namespace"] == namespace)
}

fn invalid(path: &Path, diagnostics: &[Diagnostic], what: &str) -> String {
    let first = diagnostics.iter().find(|diagnostic| diagnostic.is_fatal());
    let why = first.map_or_else(String::new, |first| {
        format!(" ({}:{}: {})", first.span.start.line, first.span.start.column, first.message)
    });
    format!("{what} is invalid: `{}`{why}\nhint: run `weft validate {}`", path.display(), path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use weft_flow::TypeInfo;

    use super::*;

    /// Knows one type, and counts how often it is asked for it.
    #[derive(Default)]
    struct OneType(TypeInfo, std::sync::atomic::AtomicUsize);

    impl Catalogue for OneType {
        fn task(&self, type_name: &str) -> Option<&TypeInfo> {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            (type_name == "a.Task").then_some(&self.0)
        }

        fn trigger(&self, _: &str) -> Option<&TypeInfo> {
            None
        }

        fn type_names(&self) -> Vec<&str> {
            vec!["a.Task"]
        }
    }

    const CHILD: &str = "id: child\nnamespace: a\ntasks: [{id: t, type: a.Task}]\n";

    #[test]
    fn only_files_that_can_hold_the_flow_are_parsed() {
        for (source, expected) in [
            ("id: child\nnamespace: a\n", true),
            ("# head\nid: \"child\"\n", true),
            ("id: other\ntasks:\n  - id: child\n", false),
            ("", false),
        ] {
            assert_eq!(mentions(source, "child"), expected, "{source:?}");
        }
    }

    #[test]
    fn flows_are_found_however_they_are_written() {
        for (name, source, expected) in [
            ("plain", CHILD.to_owned(), "found"),
            (
                "json",
                r#"{"id": "child", "namespace": "a", "tasks": [{"id": "t", "type": "a.Task"}]}"#.to_owned(),
                "found",
            ),
            ("indented", format!("  {}", CHILD.trim_end().replace('\n', "\n  ")), "found"),
            ("quoted key", CHILD.replace("id: child", "\"id\": child"), "found"),
            ("another namespace", CHILD.replace("namespace: a", "namespace: b"), "none"),
            ("another flow that calls it", CHILD.replace("id: child", "id: other # not child"), "none"),
            (
                "a task of that name",
                CHILD.replace("id: child", "id: x").replace("id: t", "id: child"),
                "none",
            ),
            ("broken", "id: child\nnamespace: a\ntasks: 1\n".to_owned(), "invalid"),
            ("broken JSON", r#"{"id": "child", "namespace": "a"}"#.to_owned(), "invalid"),
            ("tests", "id: child\nnamespace: a\ntestCases: []\n".to_owned(), "none"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("flow.yaml"), source).unwrap();
            let found = FlowSource::directory(folder.path()).locate("a", "child", &OneType::default());
            let found = match found {
                Ok(Some((_, flow))) => {
                    assert_eq!(flow.flow.id, "child", "{name}");
                    "found"
                }
                Ok(None) => "none",
                Err(why) => {
                    assert!(why.contains("is invalid"), "{name}: {why}");
                    "invalid"
                }
            };
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_file_is_passed_by() {
        use rustix::fs::{CWD, Mode, mkfifoat};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        mkfifoat(CWD, at("a.yaml"), Mode::RUSR | Mode::WUSR).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("b.yaml")).unwrap();
        std::os::unix::fs::symlink("c.yaml", at("c.yaml")).unwrap();
        fs::File::create(at("d.yaml")).unwrap().set_len(3 << 30).unwrap();
        fs::create_dir(at("e.yaml")).unwrap();
        fs::write(at("f.yaml"), b"id: \xff").unwrap();
        fs::write(at("g.yaml"), CHILD).unwrap();
        let found = FlowSource::directory(folder.path()).locate("a", "child", &OneType::default()).unwrap();
        assert_eq!(found.unwrap().0, at("g.yaml"));
        let index = FlowIndex::read(&[folder.path().to_owned()], &OneType::default());
        assert!(matches!(index.find("a", "child"), Called::Found(_)));
    }

    #[test]
    fn what_has_not_changed_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("child.yaml");
        // Younger files may change without looking different.
        let write = |text: &str, seconds: u64| {
            fs::write(&path, text).unwrap();
            let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            for path in [path.as_path(), folder.path()] {
                fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
            }
        };
        write(CHILD, 1_000);
        let (source, catalogue) = (FlowSource::directory(folder.path()), OneType::default());
        let asked = || catalogue.1.load(std::sync::atomic::Ordering::Relaxed);
        let find = |id: &str| source.locate("a", id, &catalogue).unwrap().map(|(_, flow)| flow.source.len());
        for id in ["child", "nosuch"] {
            let first = find(id);
            let (before, again) = (asked(), source.clone());
            for _ in 0..1_000 {
                assert_eq!(
                    again.locate("a", id, &catalogue).unwrap().map(|(_, flow)| flow.source.len()),
                    first
                );
            }
            assert_eq!(asked(), before, "{id} is not parsed again");
        }
        write(&format!("{CHILD}description: longer\n"), 1_000);
        assert_eq!(find("child"), Some(CHILD.len() + 20));
        fs::write(folder.path().join("new.yaml"), CHILD.replace("child", "nosuch")).unwrap();
        assert!(find("nosuch").is_some(), "a new file is seen");
        fs::remove_file(&path).unwrap();
        assert_eq!(find("child"), None);
    }
}
