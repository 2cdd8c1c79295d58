//! Which files are test files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use weft_flow::testing::is_test_file;

use crate::app::usage;
use crate::commands::files::{self, Below, LeftOut, looks_like_flow, yaml_files};

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
/// below it. In the order of the paths, each once. And what of them cannot be read.
pub fn find(paths: &[PathBuf]) -> anyhow::Result<(Vec<Found>, Vec<LeftOut>)> {
    let (mut found, mut left_out): (Vec<Found>, _) = (Vec::new(), Vec::new());
    let mut known: HashSet<PathBuf> = HashSet::new();
    for path in paths {
        let metadata = std::fs::metadata(path)
            .map_err(|error| usage(format!("cannot read `{}`: {error}", path.display())))?;
        let mut below = |folder: &Path, depth| {
            let Below { files, left_out: more } = yaml_files(folder, depth, is_test_file);
            left_out.extend(more);
            files.into_iter().map(|path| path.strip_prefix("./").map(Path::to_owned).unwrap_or(path))
        };
        let new: Vec<Found> = match metadata.is_dir() {
            true => below(path, usize::MAX)
                .map(|file| Found { path: file, flow: None, root: Some(path.clone()) })
                .collect(),
            false if is_flow(path) => {
                let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                below(beside.unwrap_or(Path::new(".")), 1)
                    .map(|file| Found { path: file, flow: Some(path.clone()), root: None })
                    .collect()
            }
            false => vec![Found::named(path)],
        };
        found.extend(new.into_iter().filter(|file| known.insert(file.path.clone())));
    }
    Ok((found, left_out))
}

/// Whether a file that was named is a flow. What is neither is taken for a test file: its reader says what is wrong.
fn is_flow(path: &Path) -> bool {
    files::read(path).is_ok_and(|source| !is_test_file(&source.text) && looks_like_flow(&source.text))
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
            find(&paths).unwrap().0.into_iter().map(|found| found.path).collect()
        };
        assert_eq!(names(&[home.path()]), [deep.as_path(), tests.as_path()]);
        assert_eq!(names(&[&flow]), [tests.as_path()]);
        assert_eq!(names(&[&tests, home.path()]), [tests.as_path(), deep.as_path()]);
        assert_eq!(names(&[&odd]), [odd.as_path()]);
        assert!(find(&[home.path().join("nosuch")]).is_err());
    }
}
