//! Inputs of type FILE: from the caller's disk into internal storage.

use std::path::Path;

use tokio::runtime::Handle;
use weft_files::{ExecutionFiles, OpenFile, Storage, StorageError, StorageUri, regular};
use weft_flow::FileInputs;

/// Puts the files that an execution is started with into its place in internal storage.
pub struct Uploads<'s> {
    /// The execution's place.
    pub files: ExecutionFiles,
    /// Internal storage.
    pub storage: &'s Storage,
    /// Where storage is waited for.
    pub runtime: Handle,
}

impl Uploads<'_> {
    fn put(&self, input: &str, path: &Path, extension: &str) -> Result<StorageUri, StorageError> {
        let name =
            path.file_name().map_or_else(|| format!("file{extension}").into(), |name| name.to_string_lossy());
        let uri = self.files.input(input, &name)?;
        let file = OpenFile::open(path)?;
        tokio::task::block_in_place(|| self.runtime.block_on(self.storage.put_file(&uri, file)))?;
        Ok(uri)
    }
}

impl FileInputs for Uploads<'_> {
    fn upload(&mut self, input: &str, path: &Path, extension: &str) -> Result<String, String> {
        // Waiting for the other end of a pipe would be waiting for ever.
        regular::look_at(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        self.put(input, path, extension).map(|uri| uri.to_string()).map_err(|error| error.to_string())
    }
}
