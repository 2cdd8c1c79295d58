//! Which files are test files.

use std::path::{Path, PathBuf};

use weft_flow::testing::is_test_file;

use crate::app::usage;
use crate::commands::files::{looks_like_flow, yaml_files};

/// A test file, and why it was found.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// As the user would write it.
    pub path: PathBuf,
    /// Only if its tests are for this flow: the flow was named, and the test file is beside it.
    pub flow: Option<PathBuf>,
    /// Where flows are, besides in the folder of the test file.
    pub root: Option<PathBuf>,
}

impl Found {
    /// A test file that was named.
    pub fn named(path: &Path) -> Self {
        Self { path: path.to_owned(), flow: None, root: None }
    }
}

/// The test files that are meant by some paths: a test file, a flow (the tests beside it), or a folder with all that is
/// below it. In the order of the paths, each once.
pub fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<Found>> {
    let mut found: Vec<Found> = Vec::new();
    for path in paths {
        let metadata = std::fs::metadata(path)
            .map_err(|error| usage(format!("cannot read `{}`: {error}", path.display())))?;
        let new = match metadata.is_dir() {
            true => below(path, usize::MAX)
                .into_iter()
                .map(|file| Found { path: file, flow: None, root: Some(path.clone()) })
                .collect(),
            false if is_flow(path) => beside(path)
                .into_iter()
                .map(|file| Found { path: file, flow: Some(path.clone()), root: None })
                .collect(),
            false => vec![Found::named(path)],
        };
        for file in new {
            if !found.iter().any(|known| known.path == file.path) {
                found.push(file);
            }
        }
    }
    Ok(found)
}

/// Whether a file that was named is a flow. What is neither is taken for a test file: its reader says what is wrong.
fn is_flow(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|source| !is_test_file(&source) && looks_like_flow(&source))
}

fn beside(flow: &Path) -> Vec<PathBuf> {
    match flow.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => below(parent, 1),
        _ => below(Path::new("."), 1),
    }
}

/// The test files below a folder, sorted.
fn below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let tests = yaml_files(folder, depth)
        .filter(|path| std::fs::read_to_string(path).is_ok_and(|source| is_test_file(&source)));
    tests.map(|path| path.strip_prefix("./").map(Path::to_owned).unwrap_or(path)).collect()
}

/// The folders below a folder that have YAML files, itself first.
pub fn folders(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for file in yaml_files(root, usize::MAX) {
        if let Some(parent) = file.parent()
            && folders.last().is_none_or(|last| last != parent)
        {
            folders.push(parent.to_owned());
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_flows_and_folders() {
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let flow = write("a/flow.yaml", "id: a\ntasks: []\n");
        let tests = write("a/flow.test.yaml", "testCases: []\n");
        let deep = write("a/b/other.yml", "testCases: []\n");
        write("a/notes.txt", "testCases: []\n");
        write(".hidden/x.yaml", "testCases: []\n");
        write("node_modules/x.yaml", "testCases: []\n");
        let odd = write("odd.yaml", "nothing: here\n");
        let names = |paths: &[&Path]| -> Vec<PathBuf> {
            let paths: Vec<PathBuf> = paths.iter().map(|path| (*path).to_owned()).collect();
            find(&paths).unwrap().into_iter().map(|found| found.path).collect()
        };
        assert_eq!(names(&[home.path()]), [deep.as_path(), tests.as_path()]);
        assert_eq!(names(&[&flow]), [tests.as_path()]);
        assert_eq!(names(&[&tests, home.path()]), [tests.as_path(), deep.as_path()]);
        assert_eq!(names(&[&odd]), [odd.as_path()]);
        assert!(find(&[home.path().join("nosuch")]).is_err());
    }
}
