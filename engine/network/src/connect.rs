//! Names to addresses, addresses to connections, each checked in between.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};

use crate::{Network, NetworkError};

/// How long one address may take before the next one is tried beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

impl Network {
    /// A TCP connection to `host` (a name or an address, the latter with or without brackets), within `limit`.
    pub async fn connect(&self, host: &str, port: u16, limit: Duration) -> Result<TcpStream, NetworkError> {
        within(host, "connecting", limit, async {
            let addresses = self.resolve(host, port).await?;
            race(host, port, addresses).await
        })
        .await
    }

    /// The addresses of `host` that may be connected to, at least one.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, NetworkError> {
        self.check_name(host)?;
        if let Some(targets) = self.targets() {
            targets.check_excepted(host, port)?;
        }
        let found = lookup(host, port).await?;
        let check = |address: &SocketAddr| {
            self.check(host, address.ip())?;
            self.targets().map_or(Ok(()), |targets| targets.check(host, Some(address.ip()), port))
        };
        let mut denied = None;
        let allowed: Vec<SocketAddr> = found
            .into_iter()
            .filter(|address| match check(address) {
                Ok(()) => true,
                Err(error) => {
                    denied = Some(error);
                    false
                }
            })
            .collect();
        match denied {
            Some(error) if allowed.is_empty() => Err(error),
            _ => Ok(allowed),
        }
    }

    /// A connection that no rule is applied to: to the proxy that the operator configured.
    pub(crate) async fn connect_unchecked(&self, host: &str, port: u16) -> Result<TcpStream, NetworkError> {
        race(host, port, lookup(host, port).await?).await
    }
}

/// `work`, unless it takes longer than `limit`.
pub(crate) async fn within<T>(
    host: &str,
    what: &'static str,
    limit: Duration,
    work: impl Future<Output = Result<T, NetworkError>>,
) -> Result<T, NetworkError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(NetworkError::Timeout { host: host.to_owned(), what, limit }),
    }
}

async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, NetworkError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let failed = |reason: String| NetworkError::Lookup { host: host.to_owned(), reason };
    let found: Vec<_> = lookup_host((bare, port)).await.map_err(|error| failed(reason(&error)))?.collect();
    if found.is_empty() {
        return Err(failed("it has none".to_owned()));
    }
    Ok(found)
}

/// The first address that answers; a further one is tried when one fails or takes its time.
async fn race(host: &str, port: u16, addresses: Vec<SocketAddr>) -> Result<TcpStream, NetworkError> {
    let mut waiting = addresses.into_iter();
    let mut trying = FuturesUnordered::new();
    let mut first_error = None;
    loop {
        if let Some(address) = waiting.next() {
            trying.push(TcpStream::connect(address));
        }
        let ended = if waiting.len() == 0 {
            trying.next().await
        } else {
            match tokio::time::timeout(STAGGER, trying.next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        };
        match ended {
            Some(Ok(stream)) => {
                // Requests are small and answers are waited for; where it cannot be set, things are only slower.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Some(Err(error)) => _ = first_error.get_or_insert_with(|| reason(&error)),
            None => {
                return Err(NetworkError::Connect {
                    host: host.to_owned(),
                    port,
                    reason: first_error.unwrap_or_default(),
                });
            }
        }
    }
}

/// What the system says, without the number of the error.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    let text = text.split(" (os error").next().unwrap_or(text);
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkOptions;
    use tokio::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn connections_are_made_to_names_and_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            Network::default().connect(host, port, LIMIT).await.expect(host);
        }
    }

    #[tokio::test]
    async fn an_address_in_an_unusual_notation_is_still_that_address() {
        for host in ["169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:a9fe:a9fe]"] {
            let error = Network::default().connect(host, 80, LIMIT).await.expect_err(host);
            assert_eq!(error.code(), "network.denied", "{host}: {error}");
        }
    }

    #[tokio::test]
    async fn rules_are_applied_to_what_a_name_means() {
        let deny = vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        let network = Network::new(NetworkOptions { deny, ..NetworkOptions::default() });
        let error = network.connect("localhost", 80, LIMIT).await.unwrap_err();
        assert_eq!(error.code(), "network.denied");
        assert!(error.to_string().starts_with("`localhost` ("), "{error}");
    }

    #[tokio::test]
    async fn what_does_not_answer_is_named() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let network = Network::default();
        let error = network.connect("127.0.0.1", port, LIMIT).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot connect to `127.0.0.1:{port}`: connection refused"));
        let error = network.connect("no-such-host.invalid", 80, LIMIT).await.unwrap_err();
        assert_eq!(error.code(), "network.lookup");
        assert!(error.is_retryable());
    }
}
