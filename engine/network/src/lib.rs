//! The way out of this machine: which addresses may be connected to, whom to trust, and an HTTP client on top of both.
//!
//! Owns: the operator's rules about addresses ([`Rule`]) and the built-in ones about addresses where clouds hand out
//! credentials, what narrows them for one plugin ([`Targets`]), name lookup, TCP and TLS connections, proxies, and pooled
//! HTTP/1.1 connections.
//! Never does: decide which plugin may use the network (`weft-host`'s grants), follow redirects, read bodies.
//! Called by: `weft-host`, for `wasi:http` and `wasi:sockets`; `weft-git`, for its transports.
//!
//! Invariant: every connection that this crate opens was checked after the name was looked up, on the very address that
//! is connected to. So a redirect, a name that changes its address between two lookups, and an address in an unusual
//! notation are no ways around a rule.

mod connect;
mod error;
mod http;
mod options;
mod proxy;
mod rules;
mod targets;
mod tls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

pub use crate::http::{Body, BodyError, ResponseBody, Timeouts};
pub use error::NetworkError;
pub use options::{ClientOptions, NetworkOptions, ProxyChoice};
pub use rules::{Rule, RuleError};
pub use targets::{Denial, Target, Targets};

use crate::http::HttpClient;
use crate::targets::Whose;

/// The network as one engine sees it. Cheap to clone; clones share rules, roots of trust and open connections.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Inner>,
    /// Set for somebody who may not connect to everything.
    targets: Option<Arc<Targets>>,
}

struct Inner {
    options: NetworkOptions,
    roots: OnceLock<Result<Arc<tls::Roots>, NetworkError>>,
    /// One client, with its connections, for each way to connect and each who may connect to other hosts.
    clients: Mutex<HashMap<(Whose, ClientOptions), HttpClient>>,
}

impl Network {
    /// A network with these rules. Touches nothing yet: certificates are read at the first connection that needs them.
    pub fn new(options: NetworkOptions) -> Self {
        let inner = Inner { options, roots: OnceLock::new(), clients: Mutex::default() };
        Self { inner: Arc::new(inner), targets: None }
    }

    /// What the operator says.
    pub fn options(&self) -> &NetworkOptions {
        &self.inner.options
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new(NetworkOptions::default())
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("options", &self.inner.options)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}
