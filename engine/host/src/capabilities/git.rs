//! `git`: repositories into the working directory.

use crate::Capability;
use crate::bindings::weft::plugin::{git::Host, types::Failure};
use crate::store::RunState;

impl Host for RunState {
    async fn clone(&mut self, request: String) -> Result<String, Failure> {
        self.allow(Capability::Git)?;
        let request = self.options("what to clone", &request)?;
        Ok(self.caps.git_clone(request).await?.to_string())
    }
}
