//! Flows in files: the one that is run, and those that it calls.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weft_flow::testing::is_test_file;
use weft_flow::{Called, Catalogue, Diagnostic, Flow, ParseOptions, Places};

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

/// Where flows are found that others call: the `*.yaml` and `*.yml` files of a directory, read when they are asked for.
#[derive(Debug, Clone, Default)]
pub struct FlowSource {
    directory: Option<PathBuf>,
}

impl FlowSource {
    /// The flows in a directory.
    pub fn directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()) }
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
        let mut broken = None;
        let sources = self.directory.iter().flat_map(|directory| sources(directory));
        for (path, source) in sources.filter(|(_, source)| mentions(source, id) && !is_test_file(source)) {
            let outcome = weft_flow::parse(&source, catalogue, &ParseOptions::default());
            match outcome.flow {
                Some(flow) if flow.id == id && flow.namespace == namespace => {
                    let name = path.display().to_string().into();
                    let flow = LoadedFlow { flow: Arc::new(flow), source: source.into(), name };
                    return Ok(Some((path, flow)));
                }
                Some(_) => {}
                None => broken = Some((path, outcome.diagnostics)),
            }
        }
        match broken {
            Some((path, diagnostics)) => {
                Err(invalid(&path, &diagnostics, &format!("flow `{namespace}.{id}`")))
            }
            None => Ok(None),
        }
    }
}

impl LoadedFlow {
    /// The flow in a file.
    ///
    /// # Errors
    /// Why the file cannot be read, or what is wrong with the flow.
    pub fn read(path: &Path, catalogue: &dyn Catalogue) -> Result<Self, String> {
        let source = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the flow `{}`: {error}", path.display()))?;
        let outcome = weft_flow::parse(&source, catalogue, &ParseOptions::default());
        let flow = outcome.flow.ok_or_else(|| invalid(path, &outcome.diagnostics, "the flow"))?;
        Ok(Self { flow: Arc::new(flow), source: source.into(), name: path.display().to_string().into() })
    }
}

/// All flows of some folders, read once: for checking what flows say of each other.
#[derive(Debug, Default)]
pub struct FlowIndex {
    /// By `namespace.id`.
    flows: BTreeMap<String, Arc<Flow>>,
    /// The texts of those that cannot be read as flows.
    broken: Vec<String>,
}

impl FlowIndex {
    /// Reads the folders, without those inside. Where two have a flow of the same name, the first counts.
    pub fn read(folders: &[PathBuf], catalogue: &dyn Catalogue) -> Self {
        let mut index = Self::default();
        let sources = folders.iter().flat_map(|folder| sources(folder)).map(|(_, source)| source);
        for source in sources.filter(|source| !is_test_file(source)) {
            match weft_flow::parse(&source, catalogue, &ParseOptions::default()).flow {
                Some(flow) => {
                    let name = format!("{}.{}", flow.namespace, flow.id);
                    index.flows.entry(name).or_insert_with(|| Arc::new(flow));
                }
                None => index.broken.push(source),
            }
        }
        index
    }

    /// The flow with this name.
    pub fn find(&self, namespace: &str, id: &str) -> Called {
        match self.flows.get(&format!("{namespace}.{id}")) {
            Some(flow) => Called::Found(Arc::clone(flow)),
            None if self.broken.iter().any(|source| mentions(source, id)) => Called::Unusable,
            None => Called::Missing { others: self.flows.keys().cloned().collect() },
        }
    }
}

/// The YAML files of a directory, with their texts. What cannot be read is left out.
fn sources(directory: &Path) -> impl Iterator<Item = (PathBuf, String)> + use<> {
    yaml_files(directory).into_iter().filter_map(|path| {
        let source = std::fs::read_to_string(&path).ok()?;
        Some((path, source))
    })
}

fn yaml_files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_yaml).collect();
    files.sort();
    files
}

/// Whether a file is worth parsing in search of the flow `id`: parsing a directory of flows for each call would be slow.
fn mentions(source: &str, id: &str) -> bool {
    source.lines().any(|line| line.starts_with("id:") && line.contains(id))
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
    use super::*;

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
}
