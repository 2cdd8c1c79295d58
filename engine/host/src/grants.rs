//! Which capabilities a plugin file may use.
//!
//! A plugin asks by importing; the operator grants. Every capability is always linked, so that a call that was not
//! granted is answered with `capability.denied` and the option that grants it, not with a linker error. Logging, outputs
//! and the working directory are not listed here: they cannot be withheld.

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
    /// Internal storage.
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

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == name)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is not a grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// There is no plugin name, colon and list.
    #[error("grant `{0}`: expected `PLUGIN:CAPABILITY[,CAPABILITY]`, as in `s3:secrets,process`")]
    Form(String),
    /// A capability that does not exist.
    #[error(
        "grant `{grant}`: there is no capability `{name}`\nhint: {} or `all`",
        Capability::ALL.map(|capability| format!("`{capability}`")).join(", ")
    )]
    Unknown {
        /// The whole text.
        grant: String,
        /// The part that is no capability.
        name: String,
    },
}

/// A set of capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grants(u16);

impl Grants {
    /// Nothing.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Everything: what bundled plugins get.
    pub const fn all() -> Self {
        Self(u16::MAX)
    }

    /// The same and `capability`.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u16)
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is here and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether `capability` is in the set.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u16) != 0
    }

    /// Reads `PLUGIN:CAPABILITY[,CAPABILITY]` as given to `--grant`; `all` stands for every capability. The plugin is
    /// named by its file, with or without `.wasm`.
    pub fn parse(text: &str) -> Result<(String, Self), GrantError> {
        let form = || GrantError::Form(text.to_owned());
        let (plugin, list) = text.rsplit_once(':').ok_or_else(form)?;
        let plugin = plugin.strip_suffix(".wasm").unwrap_or(plugin);
        if plugin.is_empty() || list.is_empty() {
            return Err(form());
        }
        let mut grants = Self::none();
        for name in list.split(',').map(str::trim) {
            grants = match (name, Capability::from_name(name)) {
                ("all", _) => Self::all(),
                (_, Some(capability)) => grants.with(capability),
                _ => return Err(GrantError::Unknown { grant: text.to_owned(), name: name.to_owned() }),
            };
        }
        Ok((plugin.to_owned(), grants))
    }
}

/// What every plugin file gets: nothing that leaves the task run.
impl Default for Grants {
    fn default() -> Self {
        Self::none().with(Capability::Execution).with(Capability::Storage)
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(Capability::ALL.into_iter().filter(|&capability| self.contains(capability)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Capability::{Kv, Process, Secrets};

    #[test]
    fn grants_as_written_on_the_command_line() {
        let s3 = |grants| Ok(("s3".to_owned(), grants));
        let form = |text: &str| Err(GrantError::Form(text.to_owned()));
        for (text, expected) in [
            ("s3:process", s3(Grants::none().with(Process))),
            ("s3.wasm:secrets, kv", s3(Grants::none().with(Secrets).with(Kv))),
            ("s3:all", s3(Grants::all())),
            ("s3:process,all", s3(Grants::all())),
            ("s3", form("s3")),
            ("s3:", form("s3:")),
            (":process", form(":process")),
            (".wasm:process", form(".wasm:process")),
            ("s3:root", Err(GrantError::Unknown { grant: "s3:root".into(), name: "root".into() })),
            ("s3:kv,", Err(GrantError::Unknown { grant: "s3:kv,".into(), name: String::new() })),
        ] {
            assert_eq!(Grants::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn files_may_not_reach_beyond_the_task_run_by_default() {
        let denied: Vec<_> =
            Capability::ALL.into_iter().filter(|&c| !Grants::default().contains(c)).collect();
        use Capability::{Container, Environment, Git, Http, Tcp};
        assert_eq!(denied, [Secrets, Kv, Process, Container, Environment, Http, Tcp, Git]);
    }
}
