//! The way out of this machine: which addresses may be connected to, whom to trust, and an HTTP client on top of both.
//!
//! Owns: the operator's rules about addresses ([`Rule`]) and the built-in ones about addresses where clouds hand out
//! credentials, name lookup, TCP and TLS connections, proxies, and pooled HTTP/1.1 connections.
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
mod tls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

pub use crate::http::{Body, BodyError, ResponseBody, Timeouts};
pub use error::NetworkError;
pub use options::{ClientOptions, NetworkOptions, ProxyChoice};
pub use rules::{Rule, RuleError};

use crate::http::HttpClient;

/// The network as one engine sees it. Cheap to clone; clones share rules, roots of trust and open connections.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    options: NetworkOptions,
    roots: OnceLock<Result<Arc<tls::Roots>, NetworkError>>,
    /// One client, with its connections, for each way to connect.
    clients: Mutex<HashMap<ClientOptions, HttpClient>>,
}

impl Network {
    /// A network with these rules. Touches nothing yet: certificates are read at the first connection that needs them.
    pub fn new(options: NetworkOptions) -> Self {
        Self(Arc::new(Inner { options, roots: OnceLock::new(), clients: Mutex::default() }))
    }

    /// What the operator says.
    pub fn options(&self) -> &NetworkOptions {
        &self.0.options
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new(NetworkOptions::default())
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("options", &self.0.options).finish_non_exhaustive()
    }
}
