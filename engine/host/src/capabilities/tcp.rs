//! `tcp`: connections of bytes that the host opens and encrypts. They end with the store.

use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use wasmtime::component::Resource;
use weft_model::Failure as ModelFailure;
use weft_network::{ClientOptions, NetworkError};

use crate::Capability;
use crate::bindings::weft::plugin::tcp::{Host, HostConnection};
use crate::bindings::weft::plugin::types::Failure;
use crate::store::RunState;

/// The most that one call reads.
const MOST: usize = 1 << 20;

/// Both directions.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What the store's table holds for a guest's `connection`.
pub struct Connection {
    stream: Box<dyn Stream>,
    /// For messages.
    peer: String,
    silence: Duration,
}

/// The JSON of `connect`'s options. Unknown fields are ignored: a newer plugin may know more.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Options {
    tls: bool,
    insecure: bool,
    ca_pem: Option<String>,
    connect_timeout_ms: Option<u64>,
    read_timeout_ms: Option<u64>,
}

impl RunState {
    async fn open(&mut self, host: &str, port: u16, options: &str) -> Result<Connection, ModelFailure> {
        let network = self.rights.network(Capability::Tcp, self.outbound.network())?;
        self.name("the host", host)?;
        let options = self.options("the options of a connection", options)?;
        let options: Options = serde_json::from_value(options).map_err(|error| {
            ModelFailure::new("plugin.bad-output", format!("the options of a connection: {error}"))
        })?;
        let rules = network.options();
        let limit = options.connect_timeout_ms.map_or(rules.connect_timeout, Duration::from_millis);
        let silence = options.read_timeout_ms.map_or(rules.read_timeout, Duration::from_millis);
        let stream: Box<dyn Stream> = if options.tls {
            let client = ClientOptions {
                insecure: options.insecure,
                ca_pem: options.ca_pem,
                ..ClientOptions::default()
            };
            Box::new(network.connect_tls(host, port, &client, limit).await.map_err(failure)?)
        } else {
            Box::new(network.connect(host, port, limit).await.map_err(failure)?)
        };
        Ok(Connection { stream, peer: format!("{host}:{port}"), silence })
    }
}

fn failure(error: NetworkError) -> ModelFailure {
    let failure = ModelFailure::new(error.code(), error.to_string());
    if error.is_retryable() { failure.retryable() } else { failure }
}

impl Connection {
    fn failed(&self, action: &str, reason: impl std::fmt::Display) -> Failure {
        let message = format!("`{}`: cannot {action}: {reason}", self.peer);
        ModelFailure::new("network.interrupted", message).retryable().into()
    }

    async fn read(&mut self, max: u32) -> Result<Vec<u8>, Failure> {
        let mut bytes = vec![0; (max as usize).clamp(1, MOST)];
        match tokio::time::timeout(self.silence, self.stream.read(&mut bytes)).await {
            Ok(Ok(length)) => {
                bytes.truncate(length);
                Ok(bytes)
            }
            Ok(Err(error)) => Err(self.failed("read", words(&error))),
            Err(_) => Err(self.failed("read", format!("nothing came for {:?}", self.silence))),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(self.silence, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.failed("write", words(&error))),
            Err(_) => Err(self.failed("write", format!("nothing was taken for {:?}", self.silence))),
        }
    }
}

/// A connection that is closed before all was read is reset; which of the two is a matter of chance, so it is said alike.
fn words(error: &std::io::Error) -> String {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => {
            "the other side closed the connection".to_owned()
        }
        _ => error.to_string(),
    }
}

impl Host for RunState {
    async fn connect(
        &mut self,
        host: String,
        port: u16,
        options: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Failure>> {
        Ok(match self.open(&host, port, &options).await {
            Ok(connection) => Ok(self.table.push(connection)?),
            Err(failure) => Err(failure.into()),
        })
    }
}

impl HostConnection for RunState {
    async fn read(
        &mut self,
        connection: Resource<Connection>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        Ok(self.table.get_mut(&connection)?.read(max).await)
    }

    async fn write(
        &mut self,
        connection: Resource<Connection>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Failure>> {
        Ok(self.table.get_mut(&connection)?.write(&bytes).await)
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}
