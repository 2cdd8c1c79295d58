//! `execution`: changes to the execution that the task is part of.

use crate::Capability;
use crate::bindings::weft::plugin::{execution::Host, types::Failure};
use crate::store::RunState;

impl Host for RunState {
    fn update(&mut self, change: String) -> Result<(), Failure> {
        self.allow(Capability::Execution)?;
        let change = self.json("a change to the execution", &change)?;
        Ok(self.caps.update_execution(change)?)
    }
}
