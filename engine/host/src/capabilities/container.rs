//! `container`: programs in containers, with the same handle as a process.

use wasmtime::component::Resource;
use weft_model::Failure as ModelFailure;

use super::process::ChildHandle;
use crate::bindings::weft::plugin::{container::Host, process, types::Failure};
use crate::store::RunState;
use crate::{Capability, Child};

impl RunState {
    async fn start_container(
        &mut self,
        image: &str,
        command: process::Command,
    ) -> Result<Box<dyn Child>, ModelFailure> {
        self.rights.allow_scope(Capability::Container, image)?;
        self.name("the image", image)?;
        let command = self.command(command)?;
        self.caps.run_container(image, command).await
    }
}

impl Host for RunState {
    async fn run(
        &mut self,
        image: String,
        command: process::Command,
    ) -> wasmtime::Result<Result<Resource<ChildHandle>, Failure>> {
        let child = self.start_container(&image, command).await;
        self.adopt(child)
    }
}
