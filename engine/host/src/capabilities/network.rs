//! `network`, and what stands behind `wasi:http` and `wasi:sockets`: connections of a plugin that may make them, under
//! the rules of `weft-network`.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt as _;
use serde::Deserialize;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi_http::{Error, RequestOptions, Result as WasiResult, WasiBody, WasiHttpHooks};
use weft_model::Failure as ModelFailure;
use weft_network::{BodyError, ClientOptions, Network, NetworkError, ProxyChoice, Timeouts};

use crate::Capability;
use crate::bindings::weft::plugin::{network::Host, types::Failure};
use crate::rights::Rights;
use crate::store::RunState;

/// The connections of one run.
pub(crate) struct Outbound {
    network: Network,
    rights: Arc<Rights>,
    options: ClientOptions,
    last_failure: LastFailure,
}

/// Why something failed last, as the guest may ask; set by whoever meets the failure, on whichever thread.
#[derive(Clone, Default)]
struct LastFailure(Arc<Mutex<Option<ModelFailure>>>);

impl LastFailure {
    fn set(&self, failure: ModelFailure) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    fn take(&self) -> Option<ModelFailure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Remembers an error, and says it in WASI's words.
    fn note(&self, error: NetworkError) -> Error {
        let code = wasi_error(&error);
        let failure = ModelFailure::new(error.code(), error.to_string());
        self.set(if error.is_retryable() { failure.retryable() } else { failure });
        code
    }
}

impl Outbound {
    pub(crate) fn new(network: Network, rights: Arc<Rights>) -> Self {
        let last_failure = LastFailure::default();
        // Without the grant, whatever fails first fails for this reason: WASI refuses a lookup without asking anybody.
        if let Err(failure) = rights.allow(Capability::Tcp) {
            last_failure.set(failure);
        }
        Self { network, rights, options: ClientOptions::default(), last_failure }
    }

    /// The network, for connections that are not HTTP.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Opens TCP and name lookup to a plugin that may use them, with each address checked. UDP and listening stay shut.
    pub(crate) fn open_sockets(&self, wasi: &mut WasiCtxBuilder) {
        let Ok(network) = self.rights.network(Capability::Tcp, &self.network) else { return };
        let last_failure = self.last_failure.clone();
        wasi.allow_tcp(true).allow_ip_name_lookup(true).socket_addr_check(move |address, purpose| {
            let (network, last_failure) = (network.clone(), last_failure.clone());
            Box::pin(async move {
                match purpose {
                    SocketAddrUse::TcpConnect => {
                        let checked = network.check_address(address.ip(), address.port()).await;
                        checked.map_err(|error| last_failure.note(error)).is_ok()
                    }
                    // Before it connects, a socket may be bound to whichever address and port are free.
                    SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
                    _ => false,
                }
            })
        });
    }
}

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = WasiResult<()>> + Send>,
    ) -> Box<dyn Future<Output = WasiResult<(http::Response<WasiBody>, Worker)>> + Send> {
        let last_failure = self.last_failure.clone();
        let network = match self.rights.network(Capability::Http, &self.network) {
            Ok(network) => network,
            Err(failure) => {
                last_failure.set(failure);
                return Box::new(async { Err(Error::HttpRequestDenied) });
            }
        };
        let usual = network.options().read_timeout;
        let asked = options.unwrap_or_default();
        let timeouts = Timeouts {
            first_byte: asked.first_byte_timeout.unwrap_or(usual),
            between_bytes: asked.between_bytes_timeout.unwrap_or(usual),
        };
        let mut client = self.options.clone();
        client.connect_timeout = asked.connect_timeout.or(client.connect_timeout);
        Box::new(async move {
            let request = request.map(|body| body.map_err(BodyError::from).boxed_unsync());
            let sent = network.send(request, &client, timeouts).await;
            let answer = sent.map_err(|error| last_failure.note(error))?;
            let answer =
                answer.map(|body| body.map_err(move |error| last_failure.note(error)).boxed_unsync());
            // The connection is driven by the pool that it belongs to.
            Ok((answer, Box::new(async { Ok(()) }) as Worker))
        })
    }
}

/// What wasi-http wants to be driven beside an answer.
type Worker = Box<dyn Future<Output = WasiResult<()>> + Send>;

/// The nearest that WASI has.
fn wasi_error(error: &NetworkError) -> Error {
    match error {
        NetworkError::NotGranted(_) => Error::HttpRequestDenied,
        NetworkError::Denied { .. } => Error::DestinationIpProhibited,
        NetworkError::Lookup { reason, .. } => {
            Error::DnsError { rcode: Some(reason.clone()), info_code: None }
        }
        NetworkError::Connect { .. } => Error::ConnectionRefused,
        NetworkError::Timeout { what: "connecting", .. } => Error::ConnectionTimeout,
        NetworkError::Timeout { .. } => Error::ConnectionReadTimeout,
        NetworkError::Certificate { .. } => Error::TlsCertificateError,
        NetworkError::Tls { .. } => Error::TlsProtocolError,
        NetworkError::Interrupted { .. } => Error::HttpResponseIncomplete,
        NetworkError::Protocol { .. } => Error::HttpProtocolError,
        NetworkError::Authorities { .. } | NetworkError::Proxy { .. } | NetworkError::Request(_) => {
            Error::InternalError(Some(error.to_string()))
        }
    }
}

/// The JSON of `http-options`. Unknown fields are ignored: a newer plugin may know more.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HttpOptions {
    insecure: bool,
    ca_pem: Option<String>,
    proxy: Option<String>,
    connect_timeout_ms: Option<u64>,
}

impl Host for RunState {
    fn http_options(&mut self, options: String) -> Result<(), Failure> {
        let options = self.options("the options for HTTP", &options)?;
        let options: HttpOptions = serde_json::from_value(options).map_err(|error| {
            ModelFailure::new("plugin.bad-output", format!("the options for HTTP: {error}"))
        })?;
        self.outbound.options = ClientOptions {
            insecure: options.insecure,
            ca_pem: options.ca_pem,
            proxy: match options.proxy.as_deref() {
                None => ProxyChoice::Configured,
                Some("none") => ProxyChoice::Direct,
                Some(url) => ProxyChoice::Through(url.to_owned()),
            },
            connect_timeout: options.connect_timeout_ms.map(Duration::from_millis),
            ..ClientOptions::default()
        };
        Ok(())
    }

    fn last_failure(&mut self) -> Option<Failure> {
        self.outbound.last_failure.take().map(Failure::from)
    }
}
