//! Files that a task needs for the time of its run.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use weft_sdk::{Context, Error, Result};

/// Names for temporary files in the working directory; the files are removed with it.
pub struct Scratch<'a> {
    cx: &'a Context,
    names: RefCell<Vec<String>>,
}

impl<'a> Scratch<'a> {
    /// No files yet.
    pub fn new(cx: &'a Context) -> Self {
        Self { cx, names: RefCell::default() }
    }

    /// A stored file, as a local one.
    pub fn fetch(&self, uri: &str) -> Result<File> {
        let name = self.name();
        self.cx.storage().get(uri, &name)?;
        File::open(self.cx.path(&name)).map_err(|error| Error::from(error).context(uri))
    }

    /// A new file to write to.
    pub fn create(&self) -> Result<Draft<'_>> {
        let name = self.name();
        let file = File::create(self.cx.path(&name)).map_err(|error| Error::from(error).context(&name))?;
        Ok(Draft { cx: self.cx, name, file: BufWriter::new(file) })
    }

    /// Hidden, and of this task run only: others may share the directory.
    fn name(&self) -> String {
        let mut names = self.names.borrow_mut();
        let name = format!(".weft-{}-{}", self.cx.task_run_id(), names.len());
        names.push(name.clone());
        name
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        for name in self.names.borrow().iter() {
            // One that was never written is not there.
            let _ = std::fs::remove_file(self.cx.path(name));
        }
    }
}

/// A file being written.
pub struct Draft<'a> {
    cx: &'a Context,
    name: String,
    /// Where to write.
    pub file: BufWriter<File>,
}

impl Draft<'_> {
    /// Puts it into internal storage under this name; its URI.
    pub fn store(mut self, name: &str) -> Result<String> {
        self.file.flush()?;
        drop(self.file);
        self.cx.storage().put(&self.name, name)
    }
}

/// The extension of a URI's last part, with its dot.
pub fn extension(uri: &str) -> Option<String> {
    let extension = Path::new(uri).extension()?.to_str()?;
    Some([".", extension].concat())
}
