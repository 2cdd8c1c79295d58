//! Whom to trust, and TLS on top of a connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::connect::within;
use crate::{ClientOptions, Network, NetworkError};

/// The authorities that every connection trusts.
pub(crate) struct Roots {
    store: RootCertStore,
}

impl Network {
    /// A connection with TLS for whatever is not HTTP; `limit` is for all of it.
    pub async fn connect_tls(
        &self,
        host: &str,
        port: u16,
        options: &ClientOptions,
        limit: Duration,
    ) -> Result<TlsStream<TcpStream>, NetworkError> {
        within(host, "connecting", limit, async {
            let (network, options) = (self.clone(), options.clone());
            let read = tokio::task::spawn_blocking(move || network.tls(&options));
            let config = read.await.map_err(|error| NetworkError::Request(error.to_string()))??;
            let mut config = (*config).clone();
            config.alpn_protocols.clear();
            handshake(Arc::new(config), host, self.connect(host, port, limit).await?).await
        })
        .await
    }

    /// How to speak TLS for these options. Reads the system's certificates at the first call, so it may take some
    /// milliseconds.
    pub(crate) fn tls(&self, options: &ClientOptions) -> Result<Arc<ClientConfig>, NetworkError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| NetworkError::Request(error.to_string()))?;
        let builder = if options.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            let mut roots =
                self.inner.roots.get_or_init(|| self.read_roots().map(Arc::new)).clone()?.store.clone();
            if let Some(pem) = &options.ca_pem {
                add_pem(&mut roots, pem.as_bytes()).map_err(|reason| NetworkError::Authorities {
                    place: "the task's certificate file".to_owned(),
                    reason,
                })?;
            }
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| NetworkError::Authorities {
                    place: "the system".to_owned(),
                    reason: error.to_string(),
                })?;
            builder.with_webpki_verifier(verifier)
        };
        let mut config = match &options.identity_pem {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let failed = |reason: String| NetworkError::Authorities {
                    place: "the own certificate".to_owned(),
                    reason,
                };
                let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
                let chain = chain.map_err(|error| failed(error.to_string()))?;
                let key = PrivateKeyDer::from_pem_slice(pem.as_bytes());
                let key = key.map_err(|error| failed(error.to_string()))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| failed(error.to_string()))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// The system's authorities (or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`) and the operator's.
    fn read_roots(&self) -> Result<Roots, NetworkError> {
        let system = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        // A certificate that cannot be parsed is one that is not trusted; distributions ship such ones.
        let (added, _) = store.add_parsable_certificates(system.certs);
        if let Some(file) = &self.options().ca_file {
            let pem = std::fs::read(file).map_err(|error| NetworkError::authorities(file, error))?;
            add_pem(&mut store, &pem).map_err(|reason| NetworkError::authorities(file, reason))?;
        } else if added == 0 {
            let reason = match system.errors.first() {
                Some(error) => error.to_string(),
                None => "there are none\nhint: install the package `ca-certificates`, or name a file in `network: \
                         {caFile: FILE}` of the configuration"
                    .to_owned(),
            };
            return Err(NetworkError::Authorities { place: "the system".to_owned(), reason });
        }
        Ok(Roots { store })
    }
}

/// Adds every certificate of a PEM text; one that is none, or a text without any, is an error.
fn add_pem(store: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        store.add(certificate).map_err(|error| error.to_string())?;
        count += 1;
    }
    if count == 0 { Err("it holds no certificate in PEM form".to_owned()) } else { Ok(()) }
}

/// TLS over `stream`, with the certificate checked against `host`.
pub(crate) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    config: Arc<ClientConfig>,
    host: &str,
    stream: S,
) -> Result<TlsStream<S>, NetworkError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare)
        .map_err(|error| NetworkError::Tls { host: host.to_owned(), reason: error.to_string() })?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| failure(host, &error))
}

fn failure(host: &str, error: &std::io::Error) -> NetworkError {
    let host = host.to_owned();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(problem)) => {
            let reason = match problem {
                CertificateError::UnknownIssuer => "it was not issued by a known authority".to_owned(),
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "it has expired".to_owned()
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "it is not valid yet".to_owned()
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "it is for another host".to_owned()
                }
                other => other.to_string(),
            };
            NetworkError::Certificate { host, reason }
        }
        Some(other) => NetworkError::Tls { host, reason: other.to_string() },
        None => NetworkError::Tls { host, reason: crate::connect::reason(error) },
    }
}

/// Trusts every server, for whoever asked for it. What a server signs is still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkOptions;

    #[test]
    fn a_file_of_authorities_that_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .unwrap();
        let empty = tempfile::NamedTempFile::new().unwrap();
        for (path, reason) in [
            (file.path(), "invalid peer certificate"),
            (empty.path(), "it holds no certificate in PEM form"),
            (std::path::Path::new("/no/such/file"), "No such file"),
        ] {
            let options = NetworkOptions { ca_file: Some(path.to_owned()), ..NetworkOptions::default() };
            let error = Network::new(options).tls(&ClientOptions::default()).unwrap_err();
            assert_eq!(error.code(), "network.authorities");
            let text = error.to_string();
            assert!(text.contains(reason) && text.contains(&path.display().to_string()), "{text}");
        }
    }
}
