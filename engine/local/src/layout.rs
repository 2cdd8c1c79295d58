//! Where things are in the data directory.

use std::path::{Path, PathBuf};

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
