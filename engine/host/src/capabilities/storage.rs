//! `storage`: whole files between the working directory and internal storage.
//!
//! What a task run needs of storage it has without a grant: to put its files into its own place there, to read those, and
//! to read what the flow handed over by a URI in the task's properties. The grant `storage` is for the rest.

use weft_model::Failure as ModelFailure;

use super::{FilePlace, Located};
use crate::Capability;
use crate::bindings::weft::plugin::{storage::Host, types::Failure};
use crate::store::RunState;

impl RunState {
    /// Whether the plugin may do what the flow may: it is part of the engine, and nothing was taken from it.
    fn is_the_flows(&self) -> bool {
        self.rights.is_own() && self.rights.is_everywhere(Capability::Storage)
    }

    /// Whether a file may be read.
    fn allow_reading(&self, uri: &str) -> Result<(), ModelFailure> {
        if self.is_the_flows() {
            return self.caps.flow_may_read(uri);
        }
        let located = self.caps.locate(uri)?;
        if located.place == FilePlace::TaskRun {
            return Ok(());
        }
        let granted = self.allow_located(&located);
        match &self.given {
            Some(text) if granted.is_err() && self.caps.names(text, &located.uri) => {
                self.caps.flow_may_read(uri)
            }
            _ => granted,
        }
    }

    /// Whether a file may be removed.
    fn allow_removing(&self, uri: &str) -> Result<(), ModelFailure> {
        if self.is_the_flows() {
            return self.caps.flow_may_remove(uri);
        }
        let located = self.caps.locate(uri)?;
        match self.stored.contains(&located.uri) {
            true => Ok(()),
            false => self.allow_located(&located),
        }
    }

    fn allow_located(&self, located: &Located) -> Result<(), ModelFailure> {
        let is_own = located.place != FilePlace::Elsewhere;
        self.rights.allow_file(&located.uri, located.namespace.as_deref(), is_own)
    }

    fn has_stored(&mut self, uri: &str) {
        self.stored.insert(uri.to_owned());
    }
}

impl Host for RunState {
    async fn put_file(&mut self, path: String, name: String) -> Result<String, Failure> {
        self.name("the path", &path)?;
        self.name("the name", &name)?;
        let uri = self.caps.put_file(&path, &name).await?;
        self.has_stored(&uri);
        Ok(uri)
    }

    async fn move_file(&mut self, path: String, name: String) -> Result<String, Failure> {
        self.name("the path", &path)?;
        self.name("the name", &name)?;
        let uri = self.caps.move_file(&path, &name).await?;
        self.has_stored(&uri);
        Ok(uri)
    }

    async fn get_file(&mut self, uri: String, path: String) -> Result<u64, Failure> {
        self.name("the URI", &uri)?;
        self.name("the path", &path)?;
        self.allow_reading(&uri)?;
        Ok(self.caps.get_file(&uri, &path).await?)
    }

    async fn size(&mut self, uri: String) -> Result<u64, Failure> {
        self.name("the URI", &uri)?;
        self.allow_reading(&uri)?;
        Ok(self.caps.file_size(&uri).await?)
    }

    async fn delete(&mut self, uri: String) -> Result<bool, Failure> {
        self.name("the URI", &uri)?;
        self.allow_removing(&uri)?;
        Ok(self.caps.delete_file(&uri).await?)
    }
}
