//! Connections to a daemon that a flow has named: under the operator's rules about addresses, each time one is made.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::{BollardRequest, ClientVersion, Docker as Api};
use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;
use weft_network::{ClientOptions, Network, NetworkError};

use super::ContainerError;
use super::endpoint::Address;

/// How long a connection may take to be made.
const LIMIT: Duration = Duration::from_secs(30);

/// Opens the API of the daemon at `address`, which is no socket; nothing is sent yet.
pub(super) fn open(
    address: &Address,
    network: &Network,
    (version, answer_seconds): (&ClientVersion, u64),
) -> Result<Api, ContainerError> {
    let (host, folder) = match address {
        Address::Tcp(host) => (host, None),
        Address::Tls(host, folder) => (host, Some(folder)),
        Address::Unix(_) => return Err(invalid(address, "a socket has no host")),
    };
    let (name, port) = host
        .rsplit_once(':')
        .and_then(|(name, port)| Some((name, port.parse().ok()?)))
        .ok_or_else(|| invalid(address, "its port is no number from 0 to 65535"))?;
    let tls = folder.map(|folder| certificates(folder)).transpose()?.map(Arc::new);
    let connector = Connector { network: network.clone(), host: name.into(), port, tls };
    // As bollard does by itself: attached connections are not given back.
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let send = move |request: BollardRequest| {
        let sent = client.request(request);
        async move { sent.await.map_err(ApiError::from) }
    };
    Api::connect_with_custom_transport(send, Some(format!("http://{host}")), answer_seconds, version)
        .map_err(|error| invalid(address, &error.to_string()))
}

fn invalid(address: &Address, problem: &str) -> ContainerError {
    ContainerError::InvalidOption { option: "host".to_owned(), problem: format!("`{address}`: {problem}") }
}

fn certificates(folder: &Path) -> Result<ClientOptions, ContainerError> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|error| ContainerError::InvalidOption {
            option: "host".to_owned(),
            problem: format!("cannot read `{}`: {error}", path.display()),
        })
    };
    let identity = read("cert.pem")? + "\n" + &read("key.pem")?;
    Ok(ClientOptions {
        ca_pem: Some(read("ca.pem")?),
        identity_pem: Some(identity),
        ..ClientOptions::default()
    })
}

/// The refusal or failure of the network behind an error, if it has one.
pub(super) fn network_error(error: &ApiError) -> Option<&NetworkError> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(own) = error.downcast_ref() {
            return Some(own);
        }
        cause = error.source();
    }
    None
}

/// Makes connections to one host.
#[derive(Clone)]
struct Connector {
    network: Network,
    host: Arc<str>,
    port: u16,
    tls: Option<Arc<ClientOptions>>,
}

impl Connector {
    async fn connect(self) -> Result<Stream, NetworkError> {
        let Self { network, host, port, tls } = self;
        let stream: Box<dyn Bytes> = match tls {
            None => Box::new(network.connect(&host, port, LIMIT).await?),
            Some(options) => Box::new(network.connect_tls(&host, port, &options, LIMIT).await?),
        };
        Ok(Stream(TokioIo::new(stream)))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = NetworkError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, NetworkError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// Both directions.
trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Bytes for S {}

struct Stream(TokioIo<Box<dyn Bytes>>);

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Read::poll_read(Pin::new(&mut self.get_mut().0), cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Write::poll_write(Pin::new(&mut self.get_mut().0), cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Write::poll_flush(Pin::new(&mut self.get_mut().0), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Write::poll_shutdown(Pin::new(&mut self.get_mut().0), cx)
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
