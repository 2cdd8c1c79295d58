//! Test files with the flows they are for.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use weft_flow::testing::{FlowTests, TestFiles, check_tests, unknown_flow};
use weft_flow::{Catalogue, Diagnostic, ParseOptions, Validator};
use weft_local::{FlowFolders, FlowSource, LoadedFlow};

use super::find::Found;
use crate::commands::files::{Source, folders};

/// The cases of a test file, ready to be run.
pub struct Suite {
    /// What the file is called in messages.
    pub name: String,
    /// What it says.
    pub tests: FlowTests,
    /// The flow under test.
    pub flow: LoadedFlow,
    /// The flow's file.
    pub flow_file: PathBuf,
    /// The folder of the test file.
    pub folder: PathBuf,
    /// Where flows are found that the flow calls.
    pub flows: FlowSource,
}

impl Suite {
    /// The names of its cases, as filters see them.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.tests.cases.iter().map(|case| format!("{}/{}", self.tests.id, case.id))
    }
}

/// Reads test files and finds their flows.
pub struct Loader<'c> {
    catalogue: &'c dyn Catalogue,
    validator: Validator<'c>,
    flows: Vec<PathBuf>,
    folders: FlowFolders,
    /// Which of `flows` have a flow with an id.
    places: OnceCell<Places>,
    /// The same of the folders below one that is being tested.
    below: RefCell<HashMap<PathBuf, Rc<Places>>>,
}

/// In which folders there is a flow with an id.
type Places = HashMap<String, Vec<PathBuf>>;

/// A test file that was read.
pub struct Loaded {
    /// The file.
    pub source: Source,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
    tests: Option<FlowTests>,
    flow: Option<(PathBuf, LoadedFlow)>,
    folder: PathBuf,
    flows: Option<PathBuf>,
}

impl<'c> Loader<'c> {
    /// A loader that looks for flows in the folders `flows`, too.
    pub fn new(catalogue: &'c dyn Catalogue, flows: Vec<PathBuf>) -> Self {
        Self {
            catalogue,
            validator: Validator::new(catalogue),
            flows,
            folders: FlowFolders::default(),
            places: OnceCell::new(),
            below: RefCell::default(),
        }
    }

    fn places(&self, folders: Vec<PathBuf>) -> Places {
        let mut places = Places::new();
        for folder in folders {
            for id in self.folders.ids(&folder) {
                places.entry(id).or_default().push(folder.clone());
            }
        }
        places
    }

    /// The folders in which a flow may be, besides that of the tests, in their order.
    fn candidates(&self, id: &str, root: Option<&Path>) -> Vec<PathBuf> {
        let named = self.places.get_or_init(|| self.places(self.flows.clone()));
        let mut candidates = named.get(id).cloned().unwrap_or_default();
        if let Some(root) = root {
            let known = self.below.borrow().get(root).cloned();
            let below = known.unwrap_or_else(|| {
                let below = Rc::new(self.places(folders(root)));
                self.below.borrow_mut().insert(root.to_owned(), Rc::clone(&below));
                below
            });
            candidates.extend(below.get(id).into_iter().flatten().cloned());
        }
        candidates
    }

    /// Reads a test file and checks it against its flow.
    pub fn load(&self, source: Source, file: &Found) -> Loaded {
        let (tests, mut diagnostics) = self.validator.parse_tests(&source.text, &ParseOptions::default());
        let parent = file.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = parent.map_or_else(|| PathBuf::from("."), Path::to_owned);
        let mut flow = None;
        if let Some(tests) = &tests {
            match self.flow(tests, &folder, file.root.as_deref()) {
                Ok(found) => {
                    diagnostics.extend(check_tests(tests, &found.1.flow, self.catalogue, &Beside(&folder)));
                    flow = Some(found);
                }
                Err(diagnostic) => diagnostics.push(*diagnostic),
            }
        }
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
        Loaded { source, diagnostics, tests, flow, folder, flows: self.flows.first().cloned() }
    }

    /// The flow that tests are for: in the file that they name or, by its name, in the folder of the tests, in `--flows`, or
    /// below the folder that is being tested.
    fn flow(
        &self,
        tests: &FlowTests,
        folder: &Path,
        root: Option<&Path>,
    ) -> Result<(PathBuf, LoadedFlow), Box<Diagnostic>> {
        let broken = |message: String| {
            let (message, hint) = match message.split_once("\nhint: ") {
                Some((message, hint)) => (message.to_owned(), hint.to_owned()),
                None => (message, "paths are relative to the folder of the test file".to_owned()),
            };
            Box::new(unknown_flow(tests, message, hint))
        };
        if let Some(path) = &tests.flow.path {
            let path = without_dot(folder.join(path));
            return self.folders.read(&path, self.catalogue).map(|flow| (path, flow)).map_err(broken);
        }
        let (namespace, id) = (
            tests.flow.namespace.as_deref().unwrap_or_default(),
            tests.flow.id.as_deref().unwrap_or_default(),
        );
        let find = |folder: &Path| self.folders.locate(folder, (namespace, id), self.catalogue);
        let mut found = find(folder).map_err(broken)?;
        if found.is_none() {
            for folder in self.candidates(id, root) {
                found = find(&folder).map_err(broken)?;
                if found.is_some() {
                    break;
                }
            }
        }
        if let Some((path, flow)) = found {
            return Ok((without_dot(path), flow));
        }
        let message = format!("there is no flow `{namespace}.{id}` in `{}`", folder.display());
        let hint = "name its file with `flow: PATH`, or its folder with `weft test --flows DIR`";
        Err(Box::new(unknown_flow(tests, message, hint)))
    }
}

impl Loaded {
    /// Whether the tests of one flow were asked for and these are for another one.
    pub fn is_of_another_flow(&self, file: &Found) -> bool {
        let Some(wanted) = &file.flow else { return false };
        let same = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            _ => a == b,
        };
        match (&self.flow, &self.tests) {
            (Some((path, _)), _) => !same(path, wanted),
            // Tests whose flow was not found are for some other flow: this one is there.
            (None, tests) => tests.is_some(),
        }
    }

    /// The tests, if they can be run.
    pub fn into_suite(self) -> Option<Suite> {
        let (flow_file, flow) = self.flow?;
        let beside = flow_file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let flows = self.flows.unwrap_or_else(|| beside.map_or_else(|| PathBuf::from("."), Path::to_owned));
        Some(Suite {
            name: self.source.name,
            tests: self.tests?,
            flow,
            flow_file,
            folder: self.folder,
            flows: FlowSource::directory(flows),
        })
    }
}

/// The path as people write it.
fn without_dot(path: PathBuf) -> PathBuf {
    path.strip_prefix("./").map(Path::to_owned).unwrap_or(path)
}

/// Files in the folder of a test file.
struct Beside<'f>(&'f Path);

impl TestFiles for Beside<'_> {
    fn problem(&self, path: &str) -> Option<String> {
        match std::fs::metadata(self.0.join(path)) {
            Ok(metadata) if metadata.is_file() => None,
            Ok(_) => Some(format!("`{path}` is not a file")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Some(format!("there is no file `{path}`"))
            }
            Err(error) => Some(format!("cannot read `{path}`: {error}")),
        }
    }
}
