//! Where things are in the data directory, and that nobody else gets at them.

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What can stand in a data directory.
const NAMES: [&str; 14] = [
    "cache",
    "concurrency",
    "config.yaml",
    "containers",
    "encryption.key",
    "engine-id",
    "executions",
    "kv",
    "plugins",
    "running",
    "storage",
    "tmp",
    "triggers",
    "trust.json",
];
/// Bits of a mode that others have.
const OTHERS: u32 = 0o077;
/// Of a directory in which everybody may write.
const STICKY: u32 = 0o1000;

/// The data directory. Nothing is made before it is needed.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The data directory at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Closes a data directory to others that was made by hand or by an earlier version: it, or, where other things stand in it,
    /// what is the engine's in it. What is in a directory that is closed is not looked at. The result is what stays open:
    /// because it belongs to somebody else.
    pub fn close_to_others(&self) -> Vec<PathBuf> {
        let Ok(metadata) = fs::metadata(&self.root) else { return Vec::new() };
        if !is_open(&metadata) {
            return Vec::new();
        }
        let names =
            || fs::read_dir(&self.root).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let is_ours = |name: &std::ffi::OsStr| NAMES.iter().any(|known| name == *known);
        // Others may have a right to a place that they share, such as `/tmp`.
        let is_shared = metadata.mode() & STICKY != 0 || !names().all(|name| is_ours(&name));
        if !is_shared {
            return close(&self.root).err().into_iter().collect();
        }
        let ours = names().filter(|name| is_ours(name)).map(|name| self.root.join(name));
        let open = ours.filter(|path| {
            fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir() && is_open(&metadata))
        });
        open.filter_map(|path| close(&path).err()).collect()
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration, where no other file is named.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.yaml")
    }

    /// Files of internal storage.
    pub fn storage(&self) -> PathBuf {
        self.root.join("storage")
    }

    /// The key of what is encrypted at rest, where none is configured.
    pub fn encryption_key(&self) -> PathBuf {
        self.root.join("encryption.key")
    }

    /// Compiled code and descriptions of plugins: may be removed at any time.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Plugins that the user put here for all projects.
    pub fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// Which folders and plugin files the user trusts.
    pub fn trust(&self) -> PathBuf {
        self.root.join("trust.json")
    }

    /// Working directories of task runs.
    pub fn temp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// One file for each engine that has containers.
    pub fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// The file with the id that the engine's containers carry.
    pub fn engine_id(&self) -> PathBuf {
        self.root.join("engine-id")
    }

    /// One file for each execution that an engine is running: what is left here by a dead engine is cleaned up.
    pub fn running(&self) -> PathBuf {
        self.root.join("running")
    }
}

fn is_open(metadata: &Metadata) -> bool {
    metadata.mode() & OTHERS != 0
}

/// The error is the path.
fn close(path: &Path) -> Result<(), PathBuf> {
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_is_closed_and_what_is_shared_is_left_alone() {
        for (entries, mode, root, inside) in [
            (&["executions", "storage", "config.yaml"][..], 0o755, 0o700, 0o755),
            (&[], 0o777, 0o700, 0o755),
            (&["executions"], 0o700, 0o700, 0o755),
            (&["executions", "flow.yaml"], 0o755, 0o755, 0o700),
            (&["executions"], 0o1777, 0o1777, 0o700),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let layout = Layout::new(dir.path().join("data"));
            assert_eq!(layout.close_to_others(), Vec::<PathBuf>::new(), "it is not there yet");
            fs::create_dir(layout.root()).unwrap();
            for entry in entries {
                let path = layout.root().join(entry);
                if entry.contains('.') {
                    fs::write(&path, "").unwrap()
                } else {
                    fs::create_dir(&path).unwrap()
                }
                let mode = if entry.contains('.') { 0o644 } else { 0o755 };
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            }
            fs::set_permissions(layout.root(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(layout.close_to_others(), Vec::<PathBuf>::new());
            let mode_of = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
            assert_eq!(mode_of(layout.root()), root, "{entries:?} {mode:o}");
            if entries.contains(&"executions") {
                assert_eq!(mode_of(&layout.root().join("executions")), inside, "{entries:?} {mode:o}");
            }
        }
    }
}
