//! Which proxy stands between, and how to speak through it.

use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::{Network, NetworkError, ProxyChoice};

/// The proxies of one client.
pub(crate) struct Proxies {
    matcher: Option<Matcher>,
    /// Whether it is the operator's or one of the task's.
    configured: bool,
}

/// One connection's proxy.
pub(crate) struct Proxy {
    intercept: Intercept,
    configured: bool,
}

impl Proxies {
    pub(crate) fn new(network: &Network, choice: &ProxyChoice) -> Result<Self, NetworkError> {
        let options = network.options();
        let direct: http::Uri = http::Uri::from_static("http://unlisted.invalid/");
        let through = |proxy: &str, no: &str| {
            let matcher = Matcher::builder().all(proxy.to_owned()).no(no.to_owned()).build();
            match matcher.intercept(&direct) {
                Some(found) if matches!(found.uri().scheme_str(), Some("http" | "socks5" | "socks5h")) => {
                    Ok(matcher)
                }
                _ => Err(NetworkError::Proxy {
                    proxy: without_credentials(proxy),
                    reason:
                        "is not one that can be used: expected `http://HOST:PORT` or `socks5://HOST:PORT`"
                            .to_owned(),
                }),
            }
        };
        Ok(match (choice, &options.proxy) {
            (ProxyChoice::Direct, _) => Self { matcher: None, configured: true },
            (ProxyChoice::Through(proxy), _) => {
                Self { matcher: Some(through(proxy, "")?), configured: false }
            }
            (ProxyChoice::Configured, Some(proxy)) => {
                let no = options.no_proxy.as_deref().unwrap_or_default();
                Self { matcher: Some(through(proxy, no)?), configured: true }
            }
            (ProxyChoice::Configured, None) => Self { matcher: Some(Matcher::from_env()), configured: true },
        })
    }

    /// The proxy on the way to `target`, if there is one.
    pub(crate) fn of(&self, target: &http::Uri) -> Option<Proxy> {
        let intercept = self.matcher.as_ref()?.intercept(target)?;
        Some(Proxy { intercept, configured: self.configured })
    }
}

impl Proxy {
    /// Whether it takes requests with the whole URL in them instead of a connection to the target.
    pub(crate) fn forwards(&self, target: &http::Uri) -> bool {
        target.scheme_str() == Some("http") && self.intercept.uri().scheme_str() == Some("http")
    }

    /// What to put into a request that it forwards.
    pub(crate) fn authorization(&self) -> Option<http::HeaderValue> {
        self.intercept.basic_auth().cloned()
    }

    /// A connection to the proxy, or through it to the target.
    pub(crate) async fn connect(
        &self,
        network: &Network,
        target: &http::Uri,
    ) -> Result<TcpStream, NetworkError> {
        let uri = self.intercept.uri();
        let name = format!("{}://{}", uri.scheme_str().unwrap_or("http"), host_port(uri));
        let failed = |error: &(dyn std::error::Error + 'static)| match refusal(error) {
            Some(refusal) => refusal,
            None => NetworkError::Proxy { proxy: name.clone(), reason: explain(error) },
        };
        // The target's address is looked up by the proxy; what can be told without that is checked here.
        if let Some(host) = target.host() {
            network.check_name(host)?;
            if let Ok(address) = host.trim_matches(['[', ']']).parse() {
                network.check(host, address)?;
            }
            if let Some(targets) = network.targets() {
                let port =
                    target.port_u16().unwrap_or(if target.scheme_str() == Some("https") { 443 } else { 80 });
                targets.check(host, None, port)?;
            }
        }
        let dial = Dial { network: network.clone(), checked: !self.configured };
        if self.forwards(target) {
            return dial.connect(uri).await;
        }
        let target = target.clone();
        let stream = if uri.scheme_str() == Some("http") {
            let mut tunnel = Tunnel::new(uri.clone(), dial);
            if let Some(authorization) = self.authorization() {
                tunnel = tunnel.with_auth(authorization);
            }
            tunnel.call(target).await.map_err(|error| failed(&error))?
        } else {
            let mut socks = SocksV5::new(uri.clone(), dial);
            if let Some((user, password)) = self.intercept.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            socks.call(target).await.map_err(|error| failed(&error))?
        };
        Ok(stream.into_inner())
    }
}

/// The engine's own refusal to connect to the proxy, if that is why it did not work.
fn refusal(error: &(dyn std::error::Error + 'static)) -> Option<NetworkError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(own @ (NetworkError::Denied { .. } | NetworkError::NotGranted(_))) = error.downcast_ref()
        {
            return Some(own.clone());
        }
        cause = error.source();
    }
    None
}

/// Why it did not work, as the end of a sentence that begins with the proxy.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = format!("does not let through: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Connects to a proxy.
#[derive(Clone)]
struct Dial {
    network: Network,
    checked: bool,
}

impl Dial {
    async fn connect(&self, proxy: &http::Uri) -> Result<TcpStream, NetworkError> {
        let host = proxy.host().unwrap_or_default();
        let port = proxy.port_u16().unwrap_or(match proxy.scheme_str() {
            Some("http") => 80,
            _ => 1080,
        });
        if self.checked {
            // The time limit is that of the whole connection.
            self.network.connect(host, port, std::time::Duration::MAX).await
        } else {
            self.network.connect_unchecked(host, port).await
        }
    }
}

impl Service<http::Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = NetworkError;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, proxy: http::Uri) -> Self::Future {
        let dial = self.clone();
        Box::pin(async move { dial.connect(&proxy).await.map(TokioIo::new) })
    }
}

fn host_port(uri: &http::Uri) -> String {
    match uri.port() {
        Some(port) => format!("{}:{port}", uri.host().unwrap_or_default()),
        None => uri.host().unwrap_or_default().to_owned(),
    }
}

/// A URL without `USER:PASSWORD@`.
fn without_credentials(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        (None, Some((_, rest))) => rest.to_owned(),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkOptions;

    #[test]
    fn a_proxy_is_chosen_by_task_then_by_configuration() {
        let options = NetworkOptions {
            proxy: Some("http://proxy.example:3128".to_owned()),
            no_proxy: Some("internal.example".to_owned()),
            ..NetworkOptions::default()
        };
        let network = Network::new(options);
        let own = ProxyChoice::Through("http://u:p@own.example:8080".to_owned());
        for (choice, target, expected) in [
            (&ProxyChoice::Configured, "https://a.example/", Some("proxy.example")),
            (&ProxyChoice::Configured, "https://x.internal.example/", None),
            (&ProxyChoice::Direct, "https://a.example/", None),
            (&own, "https://x.internal.example/", Some("own.example")),
        ] {
            let proxies = Proxies::new(&network, choice).unwrap();
            let found = proxies.of(&target.parse().unwrap());
            let host = found.map(|proxy| proxy.intercept.uri().host().unwrap().to_owned());
            assert_eq!(host.as_deref(), expected, "{choice:?} {target}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for text in ["ftp://user:s3cret@proxy.example", "https://user:s3cret@proxy.example", "://"] {
            let choice = ProxyChoice::Through(text.to_owned());
            let error = Proxies::new(&Network::default(), &choice).err().expect(text).to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
