//! Flows in many folders, for commands that look for many of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use weft_flow::Catalogue;
use weft_flow::testing::is_test_file;

use crate::LoadedFlow;
use crate::flows::{ids_of, read, yaml_files};

/// The files of a folder that seem to be the flow with an id.
type Files = HashMap<String, Vec<PathBuf>>;

/// Flows in any number of folders, for whoever looks for many of them: each file is read once, and each flow. What changes
/// afterwards is not seen.
#[derive(Default)]
pub struct FlowFolders {
    /// Of each folder, the files that seem to be the flow with an id.
    folders: RefCell<HashMap<PathBuf, Rc<Files>>>,
    flows: RefCell<HashMap<PathBuf, Result<LoadedFlow, String>>>,
}

impl FlowFolders {
    /// The flow with this name and its file; none if it is not in this folder.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn locate(
        &self,
        folder: &Path,
        (namespace, id): (&str, &str),
        catalogue: &dyn Catalogue,
    ) -> Result<Option<(PathBuf, LoadedFlow)>, String> {
        let files = self.files(folder);
        let mut broken = None;
        for path in files.get(id).map(Vec::as_slice).unwrap_or_default() {
            match self.read(path, catalogue) {
                Ok(flow) if flow.flow.id == id && flow.flow.namespace == namespace => {
                    return Ok(Some((path.clone(), flow)));
                }
                Ok(_) => {}
                Err(why) => broken = Some(why),
            }
        }
        broken.map_or(Ok(None), Err)
    }

    /// The ids of the flows in a folder, as far as they can be told.
    pub fn ids(&self, folder: &Path) -> Vec<String> {
        self.files(folder).keys().cloned().collect()
    }

    /// The flow in a file.
    ///
    /// # Errors
    /// As [`LoadedFlow::read`].
    pub fn read(&self, path: &Path, catalogue: &dyn Catalogue) -> Result<LoadedFlow, String> {
        let known = self.flows.borrow().get(path).cloned();
        known.unwrap_or_else(|| {
            let flow = LoadedFlow::read(path, catalogue);
            self.flows.borrow_mut().insert(path.to_owned(), flow.clone());
            flow
        })
    }

    fn files(&self, folder: &Path) -> Rc<Files> {
        if let Some(known) = self.folders.borrow().get(folder) {
            return Rc::clone(known);
        }
        let mut by_id = Files::new();
        for path in yaml_files(folder) {
            let Some(source) = read(&path).filter(|source| !is_test_file(source)) else { continue };
            for id in ids_of(&source) {
                let files = by_id.entry(id).or_default();
                if files.last() != Some(&path) {
                    files.push(path.clone());
                }
            }
        }
        let by_id = Rc::new(by_id);
        self.folders.borrow_mut().insert(folder.to_owned(), Rc::clone(&by_id));
        by_id
    }
}
