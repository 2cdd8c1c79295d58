//! Which engines may have left containers behind: one small file for each that is using any, so that the next start need
//! not ask a daemon to find out that there is nothing to do.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::endpoint::Address;

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mark {
    /// The engine's process, as in the label `io.weft.owner`.
    pub(super) owner: String,
    /// The daemons that it has asked for containers.
    pub(super) daemons: Vec<Address>,
}

/// This engine's own file, written before its first container is created.
#[derive(Debug)]
pub(super) struct OwnMark {
    path: PathBuf,
    mark: Mutex<Mark>,
}

impl OwnMark {
    /// Nothing is written yet.
    pub(super) fn new(folder: &Path, owner: &str) -> Self {
        let mark = Mutex::new(Mark { owner: owner.to_owned(), daemons: Vec::new() });
        Self { path: folder.join(format!("{}.json", file_name(owner))), mark }
    }

    /// There may be containers at this daemon from now on. A mark that cannot be written (full disk) is no reason not to
    /// run: it is only needed if the engine is killed.
    pub(super) fn set(&self, daemon: &Address) {
        let mut mark = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        if mark.daemons.contains(daemon) {
            return;
        }
        mark.daemons.push(daemon.clone());
        if let (Some(folder), Ok(text)) = (self.path.parent(), serde_json::to_vec(&*mark)) {
            // For this user alone, as all that an engine keeps.
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let _ = made.and_then(|()| options.open(&self.path)).and_then(|mut file| file.write_all(&text));
        }
    }

    /// There are no containers any more.
    pub(super) fn clear(&self) {
        let mut mark = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        if !mark.daemons.is_empty() {
            mark.daemons.clear();
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A name for a file, from any text.
fn file_name(owner: &str) -> String {
    owner.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// The marks of engines that are gone, and their files.
pub(super) fn of_the_dead(folder: &Path, is_dead: &dyn Fn(&str) -> bool) -> Vec<(PathBuf, Mark)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let read = |path: PathBuf| {
        let mark: Mark = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        is_dead(&mark.owner).then_some((path, mark))
    };
    entries.flatten().filter_map(|entry| read(entry.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dead_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("containers");
        assert!(of_the_dead(&folder, &|_| true).is_empty());
        let daemon = Address::Unix("/a.sock".into());
        let (one, other) = (OwnMark::new(&folder, "{\"pid\":1}"), OwnMark::new(&folder, "{\"pid\":2}"));
        one.set(&daemon);
        one.set(&daemon);
        other.set(&Address::Tcp("h:1".to_owned()));
        let dead = of_the_dead(&folder, &|owner| owner.contains('1'));
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0].1, Mark { owner: "{\"pid\":1}".to_owned(), daemons: vec![daemon] });
        one.clear();
        other.clear();
        assert!(of_the_dead(&folder, &|_| true).is_empty());
    }
}
