//! Git repositories, cloned into a working directory.
//!
//! Owns: everything that knows libgit2: fetching with a depth, submodules, checking out, and the transports, which run
//! on `weft-network` so that its rules, its roots of trust and its time limits hold here too.
//! Never does: render properties, decide where files go, run programs: no `git`, no `ssh`, no hook is started, and the
//! machine's own Git configuration is not read.
//! Called by: `weft-worker`, for the capability `git`.
//!
//! A repository is somebody else's text. What libgit2 refuses by itself (paths like `.git/config` or `../x`, writing
//! through a symbolic link) is refused; on top of that a submodule may only come from where the repository itself could
//! have come from, its path may not lead through a symbolic link, and credentials are for the host they were given for.

mod checkout;
mod clone;
mod error;
mod http;
mod progress;
mod session;
mod ssh;
mod submodules;
mod url;

use std::path::PathBuf;
use std::time::Duration;

pub use clone::{Cloned, clone};
pub use error::GitError;
pub use progress::Report;

/// What to clone, and into which directory.
#[derive(Clone, Default)]
pub struct CloneRequest {
    /// Where from: `http`, `https`, `ssh`, `user@host:path`, `file` or a path of this machine.
    pub url: String,
    /// Where to: a directory that does not exist or is empty.
    pub directory: PathBuf,
    /// What of it.
    pub target: Target,
    /// How many commits of its history; all of it without one. Not applied to a repository of this machine.
    pub depth: Option<u32>,
    /// Whether its submodules are cloned, too.
    pub submodules: bool,
    /// Whether all branches are fetched and not only the one that is checked out.
    pub all_branches: bool,
    /// Whether tags are left out.
    pub no_tags: bool,
    /// Who asks.
    pub credentials: Credentials,
    /// PEM text of certificate authorities to trust beside the others.
    pub ca_pem: Option<String>,
    /// Whether the proxy that is configured is left aside.
    pub no_proxy: bool,
    /// Instead of the operator's times.
    pub connect_timeout: Option<Duration>,
    /// Likewise: how long the server may be silent.
    pub read_timeout: Option<Duration>,
    /// Entries for the new repository's configuration.
    pub config: Vec<(String, String)>,
    /// Names in the directory that do not count: what the engine itself keeps there.
    pub ignored: Vec<String>,
}

/// What of a repository is checked out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Target {
    /// The branch that the server calls its default.
    #[default]
    Default,
    /// This branch.
    Branch(String),
    /// This tag, without a branch.
    Tag(String),
    /// This commit, in full or its beginning, without a branch.
    Commit(String),
}

/// Who asks. It is shown nowhere: not in messages, not in the new repository's configuration.
#[derive(Clone, Default)]
pub struct Credentials {
    /// For HTTP and SSH; `git` for SSH without it.
    pub username: Option<String>,
    /// A password or token.
    pub password: Option<String>,
    /// A private key for SSH, as text.
    pub private_key: Option<String>,
    /// The key's own password.
    pub passphrase: Option<String>,
}
