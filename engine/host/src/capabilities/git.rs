//! `git`: repositories into the working directory.

use crate::Capability;
use crate::bindings::weft::plugin::{git::Host, types::Failure};
use crate::store::RunState;

/// Whether a URL names a directory and no host.
fn is_of_this_machine(url: &str) -> bool {
    let url = url.trim();
    url.starts_with(['/', '.']) || url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"))
}

impl Host for RunState {
    async fn clone(&mut self, request: String) -> Result<String, Failure> {
        let network = self.rights.network(Capability::Git, self.outbound.network())?;
        let request = self.options("what to clone", &request)?;
        if request["url"].as_str().is_none_or(is_of_this_machine) {
            // No host, so no scope stands for it.
            self.rights.allow_everywhere(Capability::Git)?;
        }
        Ok(self.caps.git_clone(request, &network).await?.to_string())
    }
}
