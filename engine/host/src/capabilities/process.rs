//! `process`: programs on the engine's machine. The handle that a guest holds is a [`Child`]; it ends with the store.

use wasmtime::component::Resource;
use weft_model::Failure as ModelFailure;

use crate::bindings::weft::plugin::process::{self, Host, HostChild};
use crate::bindings::weft::plugin::types::Failure;
use crate::sizes::check_command;
use crate::store::RunState;
use crate::{Capability, Child, Command};

/// What the store's table holds for a guest's `child`.
pub struct ChildHandle(Box<dyn Child>);

impl RunState {
    /// The command of a guest, with its options read.
    pub(super) fn command(&self, command: process::Command) -> Result<Command, ModelFailure> {
        check_command(&command.argv, &command.env)?;
        self.name("the directory", command.cwd.as_deref().unwrap_or_default())?;
        let options = self.options("a command's options", &command.options)?;
        Ok(Command { argv: command.argv, env: command.env, cwd: command.cwd, options })
    }

    /// Hands a child over to the guest.
    pub(super) fn adopt(
        &mut self,
        child: Result<Box<dyn Child>, ModelFailure>,
    ) -> wasmtime::Result<Result<Resource<ChildHandle>, Failure>> {
        Ok(match child {
            Ok(child) => Ok(self.table.push(ChildHandle(child))?),
            Err(failure) => Err(failure.into()),
        })
    }

    /// A program is granted by the name that it is called by, so nothing may be set that makes another one of it.
    fn allow_program(&self, command: &process::Command) -> Result<(), ModelFailure> {
        let rights = &self.rights;
        if rights.is_everywhere(Capability::Process) {
            return Ok(());
        }
        rights.allow_scope(Capability::Process, command.argv.first().map_or("", String::as_str))?;
        let changes = |name: &str| name == "PATH" || name.starts_with("LD_") || name.starts_with("DYLD_");
        match command.env.iter().find(|(name, _)| changes(name)) {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!(
                    "plugin `{}` may not set `{name}` for a program: it is granted `process` for some programs, and that \
                     would make others of them",
                    self.plugin()
                );
                Err(ModelFailure::new("capability.denied", message))
            }
        }
    }

    async fn start(&mut self, command: process::Command) -> Result<Box<dyn Child>, ModelFailure> {
        self.allow_program(&command)?;
        let command = self.command(command)?;
        self.caps.spawn(command).await
    }
}

impl Host for RunState {
    async fn spawn(
        &mut self,
        command: process::Command,
    ) -> wasmtime::Result<Result<Resource<ChildHandle>, Failure>> {
        let child = self.start(command).await;
        self.adopt(child)
    }
}

impl HostChild for RunState {
    async fn wait(
        &mut self,
        child: Resource<ChildHandle>,
    ) -> wasmtime::Result<Result<process::Exit, Failure>> {
        let ChildHandle(child) = self.table.get_mut(&child)?;
        Ok(match child.wait().await {
            Ok(exit) => Ok(process::Exit {
                code: exit.code,
                signal: exit.signal,
                timed_out: exit.timed_out,
                stdout_lines: exit.stdout_lines,
                stderr_lines: exit.stderr_lines,
            }),
            Err(failure) => Err(failure.into()),
        })
    }

    async fn outputs(&mut self, child: Resource<ChildHandle>) -> wasmtime::Result<String> {
        let ChildHandle(child) = self.table.get(&child)?;
        Ok(child.outputs().to_string())
    }

    async fn kill(
        &mut self,
        child: Resource<ChildHandle>,
        signal: i32,
    ) -> wasmtime::Result<Result<(), Failure>> {
        let ChildHandle(child) = self.table.get(&child)?;
        Ok(child.kill(signal).map_err(Failure::from))
    }

    async fn drop(&mut self, child: Resource<ChildHandle>) -> wasmtime::Result<()> {
        self.table.delete(child)?;
        Ok(())
    }
}
