//! What can go wrong on the way to another machine.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// Why a connection or a request failed. Messages hold no credentials: URLs are named without their user part.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NetworkError {
    /// A rule denies it.
    #[error("{} may not be connected to: {reason}{}", place(host, *address), allow_hint(host, *address))]
    Denied {
        /// The host as it was asked for.
        host: String,
        /// The address that was found for it.
        address: Option<IpAddr>,
        /// Which rule, and why.
        reason: String,
    },
    /// The name has no address.
    #[error("cannot find the address of `{host}`: {reason}")]
    Lookup {
        /// The host.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// Nobody answers there.
    #[error("cannot connect to `{host}:{port}`: {reason}")]
    Connect {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the system says.
        reason: String,
    },
    /// Something took too long.
    #[error("`{host}`: {what} took longer than {limit:?}")]
    Timeout {
        /// The host.
        host: String,
        /// What was waited for.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The server's certificate is not one to trust.
    #[error("the certificate of `{host}` is not trusted: {reason}\nhint: {TRUST_HINT}")]
    Certificate {
        /// The host.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The two sides do not agree on how to speak TLS.
    #[error("no secure connection to `{host}`: {reason}")]
    Tls {
        /// The host.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// The authorities to trust cannot be read.
    #[error("cannot read the certificate authorities in {place}: {reason}")]
    Authorities {
        /// The file, or what stands for it.
        place: String,
        /// Why.
        reason: String,
    },
    /// The proxy cannot be used.
    #[error("the proxy `{proxy}` {reason}")]
    Proxy {
        /// The proxy, without credentials.
        proxy: String,
        /// What went wrong, as the end of the sentence.
        reason: String,
    },
    /// The other side ended the conversation in its middle.
    #[error("`{host}` closed the connection before it had sent everything: {reason}")]
    Interrupted {
        /// The host.
        host: String,
        /// What the connection says.
        reason: String,
    },
    /// What came back is not HTTP.
    #[error("`{host}` does not answer in HTTP/1.1: {reason}")]
    Protocol {
        /// The host.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// Whoever connects has no right to; the text says which right is missing and how to give it.
    #[error("{0}")]
    NotGranted(String),
    /// The request cannot be sent as it is.
    #[error("the request cannot be sent: {0}")]
    Request(String),
}

/// What an operator can do. What a task can do differs from type to type: its plugin says it in place of this.
const TRUST_HINT: &str = "name the authority's certificate in `network: {caFile: FILE}` of the configuration";

impl NetworkError {
    /// The documented code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "network.denied",
            Self::Lookup { .. } => "network.lookup",
            Self::Connect { .. } => "network.connect",
            Self::Timeout { .. } => "network.timeout",
            Self::Certificate { .. } => "network.certificate",
            Self::Tls { .. } => "network.tls",
            Self::Authorities { .. } => "network.authorities",
            Self::Proxy { .. } => "network.proxy",
            Self::Interrupted { .. } => "network.interrupted",
            Self::Protocol { .. } => "network.protocol",
            Self::NotGranted(_) => "capability.denied",
            Self::Request(_) => "network.request",
        }
    }

    /// Whether trying again, with nothing changed, may help.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Lookup { .. }
                | Self::Connect { .. }
                | Self::Timeout { .. }
                | Self::Proxy { .. }
                | Self::Interrupted { .. }
        )
    }

    pub(crate) fn authorities(path: &Path, reason: impl ToString) -> Self {
        Self::Authorities { place: format!("`{}`", path.display()), reason: reason.to_string() }
    }
}

fn place(host: &str, address: Option<IpAddr>) -> String {
    match address {
        Some(address) if address.to_string() != host => format!("`{host}` ({address})"),
        _ => format!("`{host}`"),
    }
}

fn allow_hint(host: &str, address: Option<IpAddr>) -> String {
    let what = address.map_or_else(|| host.to_owned(), |address| address.to_string());
    format!(
        "\nhint: an operator who wants it writes `network: {{allow: [\"{what}\"]}}` into the configuration"
    )
}
