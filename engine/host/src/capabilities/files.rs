//! `files`: facts about the working directory's files.

use crate::bindings::weft::plugin::{files::Host, types::Failure};
use crate::store::RunState;

impl Host for RunState {
    async fn digest(
        &mut self,
        path: String,
        algorithm: String,
        part: Option<(u64, u64)>,
    ) -> Result<String, Failure> {
        self.name("the path", &path)?;
        self.name("the algorithm", &algorithm)?;
        Ok(self.caps.digest(&path, &algorithm, part).await?)
    }
}
