//! HTTP/1.1 requests over connections that are kept and shared.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, Uri, header};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tower_service::Service;

use crate::connect::within;
use crate::proxy::Proxies;
use crate::{ClientOptions, Network, NetworkError, tls};

/// How long a connection is kept for another request.
const KEEP: Duration = Duration::from_secs(20);
/// Connections to one host that are kept.
const KEEP_PER_HOST: usize = 16;

/// What a body fails with.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// What is sent.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// How long a request may wait for the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the head of the answer, counted from the last byte that was sent.
    pub first_byte: Duration,
    /// Between two parts of the answer's body.
    pub between_bytes: Duration,
}

/// Connections that were made with the same options.
#[derive(Clone)]
pub(crate) struct HttpClient {
    client: Client<Connector, Sent>,
    proxies: Arc<Proxies>,
}

impl Network {
    /// Sends a request, whose URI is absolute, and gives the head of the answer; its body is read as it comes.
    /// Redirects are answers like others.
    pub async fn send(
        &self,
        request: Request<Body>,
        options: &ClientOptions,
        timeouts: Timeouts,
    ) -> Result<Response<ResponseBody>, NetworkError> {
        let client = self.client(options)?;
        let host = request.uri().host().unwrap_or_default().to_owned();
        let last_sent = Arc::new(Mutex::new(Instant::now()));
        let mut request = request.map(|body| Sent { body, last: Arc::clone(&last_sent) });
        if let Some(proxy) = client.proxies.of(request.uri())
            && proxy.forwards(request.uri())
            && let Some(authorization) = proxy.authorization()
        {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization);
        }
        let silent = async {
            loop {
                let since = last_sent.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
                match timeouts.first_byte.checked_sub(since) {
                    Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                    _ => break,
                }
            }
        };
        let answer = tokio::select! {
            answer = client.client.request(request) => answer.map_err(|error| sending_failed(&host, &error))?,
            () = silent => {
                return Err(NetworkError::Timeout { host, what: "the answer", limit: timeouts.first_byte });
            }
        };
        Ok(answer.map(|incoming| ResponseBody {
            incoming,
            host,
            limit: timeouts.between_bytes,
            silent: None,
        }))
    }

    fn client(&self, options: &ClientOptions) -> Result<HttpClient, NetworkError> {
        let key = (self.whose(), options.clone());
        let mut clients = self.inner.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let proxies = Arc::new(Proxies::new(self, &options.proxy)?);
        let connector = Connector {
            network: self.clone(),
            options: options.clone(),
            proxies: Arc::clone(&proxies),
            tls: Arc::default(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(KEEP)
            .pool_max_idle_per_host(KEEP_PER_HOST)
            .pool_timer(TokioTimer::new())
            .build(connector);
        let client = HttpClient { client, proxies };
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// What a request failed with.
fn sending_failed(host: &str, error: &hyper_util::client::legacy::Error) -> NetworkError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(own) = cause.downcast_ref::<NetworkError>() {
            return own.clone();
        }
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            return talking_failed(host, error);
        }
        source = cause.source();
    }
    NetworkError::Request(error.to_string())
}

fn talking_failed(host: &str, error: &hyper::Error) -> NetworkError {
    let host = host.to_owned();
    let reason = match error.source() {
        Some(cause) => match cause.downcast_ref::<std::io::Error>() {
            Some(error) => crate::connect::reason(error),
            None => cause.to_string(),
        },
        None => error.to_string(),
    };
    if error.is_user() {
        NetworkError::Request(reason)
    } else if error.is_parse() {
        NetworkError::Protocol { host, reason }
    } else {
        NetworkError::Interrupted { host, reason }
    }
}

/// A request's body that notes when something of it was sent last.
struct Sent {
    body: Body,
    last: Arc<Mutex<Instant>>,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body. It fails when it ends early, and when the other side is silent for too long.
pub struct ResponseBody {
    incoming: Incoming,
    host: String,
    limit: Duration,
    silent: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = NetworkError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NetworkError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.silent = None;
                Poll::Ready(frame.map(|frame| frame.map_err(|error| talking_failed(&self.host, &error))))
            }
            Poll::Pending => {
                let limit = self.limit;
                let silent = self.silent.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                ready!(silent.as_mut().poll(cx));
                let error = NetworkError::Timeout {
                    host: self.host.clone(),
                    what: "the next part of the answer",
                    limit,
                };
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Makes connections for a pool.
#[derive(Clone)]
struct Connector {
    network: Network,
    options: ClientOptions,
    proxies: Arc<Proxies>,
    tls: Arc<OnceLock<Result<Arc<ClientConfig>, NetworkError>>>,
}

impl Connector {
    async fn connect(self, target: Uri) -> Result<Conn, NetworkError> {
        let host = target.host().unwrap_or_default();
        let limit = self.options.connect_timeout.unwrap_or(self.network.options().connect_timeout);
        within(host, "connecting", limit, async {
            let secure = target.scheme_str() == Some("https");
            let port = target.port_u16().unwrap_or(if secure { 443 } else { 80 });
            let proxy = self.proxies.of(&target);
            let stream = match &proxy {
                Some(proxy) => proxy.connect(&self.network, &target).await?,
                None => self.network.connect(host, port, limit).await?,
            };
            if !secure {
                let forwarded = proxy.is_some_and(|proxy| proxy.forwards(&target));
                return Ok(Conn { stream: Stream::Plain(TokioIo::new(stream)), forwarded });
            }
            let stream = tls::handshake(self.tls_config().await?, host, stream).await?;
            Ok(Conn { stream: Stream::Tls(Box::new(TokioIo::new(stream))), forwarded: false })
        })
        .await
    }

    async fn tls_config(&self) -> Result<Arc<ClientConfig>, NetworkError> {
        if let Some(config) = self.tls.get() {
            return config.clone();
        }
        let connector = self.clone();
        let read = move || connector.tls.get_or_init(|| connector.network.tls(&connector.options)).clone();
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|error| Err(NetworkError::Request(error.to_string())))
    }
}

impl Service<Uri> for Connector {
    type Response = Conn;
    type Error = NetworkError;
    type Future = BoxFuture<'static, Result<Conn, NetworkError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NetworkError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        Box::pin(self.clone().connect(target))
    }
}

/// A connection of the pool.
struct Conn {
    stream: Stream,
    /// Whether the other end is a proxy that wants whole URLs.
    forwarded: bool,
}

enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

/// The same method of whichever stream it is.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().stream {
            Stream::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Stream::Tls(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl Read for Conn {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl Write for Conn {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, parts))
    }
}

impl Connection for Conn {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.forwarded)
    }
}
