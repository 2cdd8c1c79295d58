//! What can be granted.

use std::fmt;

/// A host interface that can be granted or withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Capability {
    /// Labels, variables and the end of the execution.
    Execution,
    /// Reading secrets by name.
    Secrets,
    /// The key-value store.
    Kv,
    /// Internal storage beyond the task run.
    Storage,
    /// Starting processes on the engine's machine.
    Process,
    /// Starting containers.
    Container,
    /// Variables and files of the engine's user that the plugin names.
    Environment,
    /// HTTP requests, `wasi:http`.
    Http,
    /// TCP connections and name lookup, `wasi:sockets`.
    Tcp,
    /// Cloning Git repositories.
    Git,
}

/// What a capability can be narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// Nothing: it is granted or not.
    None,
    /// Texts, of which `*` stands for any part without a slash.
    Text(&'static str),
    /// Namespaces, likewise. Without a scope, the flow's own is meant.
    Namespace,
    /// Hosts, as the rules of the network have them, with or without a port.
    Host,
}

impl Capability {
    /// Every capability, in the order of the contract.
    pub const ALL: [Self; 10] = [
        Self::Execution,
        Self::Secrets,
        Self::Kv,
        Self::Storage,
        Self::Process,
        Self::Container,
        Self::Environment,
        Self::Http,
        Self::Tcp,
        Self::Git,
    ];

    /// How it is written in a grant: the interface's name in the contract, or what WASI's is about.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Execution => "execution",
            Self::Secrets => "secrets",
            Self::Kv => "kv",
            Self::Storage => "storage",
            Self::Process => "process",
            Self::Container => "container",
            Self::Environment => "environment",
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Git => "git",
        }
    }

    /// The capability that is written like this.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == name)
    }

    /// What it can be narrowed to.
    pub fn scopes(self) -> ScopeKind {
        match self {
            Self::Execution => ScopeKind::None,
            Self::Secrets => ScopeKind::Text("the name of a secret"),
            Self::Kv | Self::Storage => ScopeKind::Namespace,
            Self::Process => ScopeKind::Text("a program"),
            Self::Container => ScopeKind::Text("an image"),
            Self::Environment => ScopeKind::Text("a variable or a file"),
            Self::Http | Self::Tcp | Self::Git => ScopeKind::Host,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
