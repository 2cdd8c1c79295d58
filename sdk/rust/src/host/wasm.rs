//! In a component: the imports of `wit/weft-plugin.wit`. What a plugin does not call is not linked, so its import list
//! is what it asks for.

use std::path::PathBuf;

use crate::bindings::weft::plugin as wit;
use crate::{Command, Error, Exit, Result};

/// The host; nothing to hold, for the imports are functions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host;

/// A child process or container.
#[derive(Debug)]
pub(crate) struct Handle(wit::process::Child);

/// A connection.
#[derive(Debug)]
pub(crate) struct Socket(wit::tcp::Connection);

impl Socket {
    pub(crate) fn read(&mut self, max: u32) -> Result<Vec<u8>> {
        self.0.read(max).map_err(Error::from_host)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write(bytes).map_err(Error::from_host)
    }
}

impl Host {
    pub(crate) fn log(&self, level: u8, message: &str, fields: Option<&str>) {
        wit::log::write(level, message, fields);
    }

    pub(crate) fn emit_output(&self, key: &str, value: &str) -> Result<()> {
        wit::run::emit_output(key, value).map_err(Error::from_host)
    }

    pub(crate) fn emit_metric(&self, name: &str, kind: &str, value: f64, tags: Vec<(String, String)>) {
        wit::run::emit_metric(name, kind, value, &tags);
    }

    pub(crate) fn mark_warning(&self, reason: &str) {
        wit::run::mark_warning(reason);
    }

    pub(crate) fn working_dir(&self) -> String {
        wit::run::working_dir()
    }

    /// Where the guest sees the working directory.
    pub(crate) fn guest_dir(&self) -> PathBuf {
        PathBuf::from("/work")
    }

    pub(crate) fn cancel_requested(&self) -> bool {
        wit::run::cancel_requested()
    }

    pub(crate) fn update_execution(&self, change: &str) -> Result<()> {
        wit::execution::update(change).map_err(Error::from_host)
    }

    pub(crate) fn secret(&self, name: &str) -> Result<String> {
        wit::secrets::get(name).map_err(Error::from_host)
    }

    pub(crate) fn kv_get(&self, namespace: Option<&str>, key: &str) -> Result<Option<String>> {
        wit::kv::get(namespace, key).map_err(Error::from_host)
    }

    pub(crate) fn kv_set(
        &self,
        namespace: Option<&str>,
        key: &str,
        value: &str,
        ttl_ms: Option<u64>,
        overwrite: bool,
    ) -> Result<()> {
        wit::kv::set(namespace, key, value, ttl_ms, overwrite).map_err(Error::from_host)
    }

    pub(crate) fn kv_delete(&self, namespace: Option<&str>, key: &str) -> Result<bool> {
        wit::kv::delete(namespace, key).map_err(Error::from_host)
    }

    pub(crate) fn kv_keys(&self, namespace: Option<&str>, prefix: &str) -> Result<Vec<String>> {
        wit::kv::keys(namespace, prefix).map_err(Error::from_host)
    }

    pub(crate) fn put_file(&self, path: &str, name: &str) -> Result<String> {
        wit::storage::put_file(path, name).map_err(Error::from_host)
    }

    pub(crate) fn move_file(&self, path: &str, name: &str) -> Result<String> {
        wit::storage::move_file(path, name).map_err(Error::from_host)
    }

    pub(crate) fn get_file(&self, uri: &str, path: &str) -> Result<u64> {
        wit::storage::get_file(uri, path).map_err(Error::from_host)
    }

    pub(crate) fn file_size(&self, uri: &str) -> Result<u64> {
        wit::storage::size(uri).map_err(Error::from_host)
    }

    pub(crate) fn delete_file(&self, uri: &str) -> Result<bool> {
        wit::storage::delete(uri).map_err(Error::from_host)
    }

    pub(crate) fn digest(&self, path: &str, algorithm: &str, part: Option<(u64, u64)>) -> Result<String> {
        wit::files::digest(path, algorithm, part).map_err(Error::from_host)
    }

    pub(crate) fn variable(&self, name: &str) -> Result<Option<String>> {
        wit::environment::variable(name).map_err(Error::from_host)
    }

    pub(crate) fn user_file(&self, path: &str) -> Result<Option<String>> {
        wit::environment::file(path).map_err(Error::from_host)
    }

    pub(crate) fn connect(&self, host: &str, port: u16, options: &str) -> Result<Socket> {
        wit::tcp::connect(host, port, options).map(Socket).map_err(Error::from_host)
    }

    pub(crate) fn last_failure(&self) -> Option<Error> {
        wit::network::last_failure().map(Error::from_host)
    }

    pub(crate) fn git_clone(&self, request: &str) -> Result<String> {
        wit::git::clone(request).map_err(Error::from_host)
    }

    pub(crate) fn spawn(&self, command: &Command) -> Result<Handle> {
        wit::process::spawn(&to_wit(command)).map(Handle).map_err(Error::from_host)
    }

    pub(crate) fn run_container(&self, image: &str, command: &Command) -> Result<Handle> {
        wit::container::run(image, &to_wit(command)).map(Handle).map_err(Error::from_host)
    }
}

impl Handle {
    pub(crate) fn wait(&self) -> Result<Exit> {
        let exit = self.0.wait().map_err(Error::from_host)?;
        Ok(Exit {
            code: exit.code,
            signal: exit.signal,
            timed_out: exit.timed_out,
            stdout_lines: exit.stdout_lines,
            stderr_lines: exit.stderr_lines,
        })
    }

    pub(crate) fn outputs(&self) -> String {
        self.0.outputs()
    }

    pub(crate) fn kill(&self, signal: i32) -> Result<()> {
        self.0.kill(signal).map_err(Error::from_host)
    }
}

fn to_wit(command: &Command) -> wit::process::Command {
    wit::process::Command {
        argv: command.argv.clone(),
        env: command.env.clone(),
        cwd: command.cwd.clone(),
        options: command.options_json(),
    }
}
