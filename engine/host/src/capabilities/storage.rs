//! `storage`: whole files between the working directory and internal storage.

use crate::Capability;
use crate::bindings::weft::plugin::{storage::Host, types::Failure};
use crate::store::RunState;

impl Host for RunState {
    async fn put_file(&mut self, path: String, name: String) -> Result<String, Failure> {
        self.allow(Capability::Storage)?;
        self.name("the path", &path)?;
        self.name("the name", &name)?;
        Ok(self.caps.put_file(&path, &name).await?)
    }

    async fn move_file(&mut self, path: String, name: String) -> Result<String, Failure> {
        self.allow(Capability::Storage)?;
        self.name("the path", &path)?;
        self.name("the name", &name)?;
        Ok(self.caps.move_file(&path, &name).await?)
    }

    async fn get_file(&mut self, uri: String, path: String) -> Result<u64, Failure> {
        self.allow(Capability::Storage)?;
        self.name("the URI", &uri)?;
        self.name("the path", &path)?;
        Ok(self.caps.get_file(&uri, &path).await?)
    }

    async fn size(&mut self, uri: String) -> Result<u64, Failure> {
        self.allow(Capability::Storage)?;
        self.name("the URI", &uri)?;
        Ok(self.caps.file_size(&uri).await?)
    }

    async fn delete(&mut self, uri: String) -> Result<bool, Failure> {
        self.allow(Capability::Storage)?;
        self.name("the URI", &uri)?;
        Ok(self.caps.delete_file(&uri).await?)
    }
}
