//! `secrets`: values that never appear in a log.

use crate::Capability;
use crate::bindings::weft::plugin::{secrets::Host, types::Failure};
use crate::store::RunState;

impl Host for RunState {
    async fn get(&mut self, name: String) -> Result<String, Failure> {
        self.rights.allow_scope(Capability::Secrets, &name)?;
        self.name("the secret's name", &name)?;
        Ok(self.caps.secret(&name).await?)
    }
}
