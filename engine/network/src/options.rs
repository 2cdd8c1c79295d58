//! What an operator decides for all connections, and what a task may ask for its own.

use std::path::PathBuf;
use std::time::Duration;

use crate::Rule;

/// What an operator says about the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkOptions {
    /// What may be connected to although something else denies it.
    pub allow: Vec<Rule>,
    /// What may not be connected to, beside the addresses that are denied by default.
    pub deny: Vec<Rule>,
    /// A PEM file of authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy for HTTP, instead of what `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` say.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, instead of what `NO_PROXY` says.
    pub no_proxy: Option<String>,
    /// Whether SSH servers must be in `known_hosts`.
    pub known_hosts_only: bool,
    /// How long a connection may take to be made: lookup, TCP and TLS.
    pub connect_timeout: Duration,
    /// How long the other side may be silent.
    pub read_timeout: Duration,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            ca_file: None,
            proxy: None,
            no_proxy: None,
            known_hosts_only: false,
            connect_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(300),
        }
    }
}

/// How one task wants its HTTP connections. Requests with equal options share connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClientOptions {
    /// Take whatever certificate the server shows.
    pub insecure: bool,
    /// PEM text of authorities to trust beside the others.
    pub ca_pem: Option<String>,
    /// PEM text of a certificate, what it was issued by, and its private key: who the task is to the server.
    pub identity_pem: Option<String>,
    /// Which proxy.
    pub proxy: ProxyChoice,
    /// Instead of the operator's time for making a connection.
    pub connect_timeout: Option<Duration>,
}

/// Which proxy a task uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum ProxyChoice {
    /// The one that is configured or in the environment, if any.
    #[default]
    Configured,
    /// None, whatever is configured.
    Direct,
    /// This one: `http://[USER:PASSWORD@]HOST:PORT` or `socks5://...`.
    Through(String),
}
