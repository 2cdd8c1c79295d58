//! One daemon: the connection to it, and what has been learnt about it.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::{BollardRequest, ClientVersion, Docker as Api};
use tokio::sync::Semaphore;

use weft_network::{Network, NetworkError};

use super::endpoint::Address;
use super::error::{self, reason};
use super::{ContainerError, transport};

/// What is asked for first: the version of Docker 20.10, which also podman speaks. Nothing newer is needed.
const VERSION: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };
/// How long an answer may take. Creating a container on a daemon that is starting two hundred others takes a while, and
/// so does unpacking a large working directory.
const ANSWER_SECONDS: u64 = 3_600;
/// How long the first answer may take.
const FIRST_ANSWER: Duration = Duration::from_secs(30);
/// How many containers are being started at once: more of them only get into each other's way in the daemon.
const STARTS: usize = 8;

/// A daemon that has answered.
#[derive(Debug)]
pub(super) struct Daemon {
    /// Its API.
    pub(super) api: Api,
    /// Where it is.
    pub(super) address: Address,
    /// Permits to start containers.
    pub(super) starts: Semaphore,
    /// Images that are being pulled.
    pulls: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Images in which there is no shell.
    without_shell: Mutex<HashSet<String>>,
    /// Whether the daemon has no `docker-init`.
    without_init: AtomicBool,
    /// Whether the daemon does not see the engine's files.
    without_mounts: AtomicBool,
}

impl Daemon {
    /// Connects to a daemon and makes sure that it answers. With rules, every connection to it falls under them.
    pub(super) async fn connect(address: Address, rules: Option<&Network>) -> Result<Self, ContainerError> {
        let mut api = open(&address, &VERSION, rules)?;
        let ping = async |api: &Api| match tokio::time::timeout(FIRST_ANSWER, api.ping()).await {
            Ok(answer) => answer,
            Err(_) => Err(ApiError::RequestTimeoutError),
        };
        let mut answer = ping(&api).await;
        if let Err(ApiError::DockerResponseServerError { status_code: 400, message }) = &answer
            && let Some(version) = offered_version(message)
        {
            api = open(&address, &version, rules)?;
            answer = ping(&api).await;
        }
        answer.map_err(|error| unreachable(&address, &error))?;
        Ok(Self {
            api,
            address,
            starts: Semaphore::new(STARTS),
            pulls: Mutex::default(),
            without_shell: Mutex::default(),
            without_init: AtomicBool::new(false),
            without_mounts: AtomicBool::new(false),
        })
    }

    /// The lock of one image: whoever holds it pulls it, the others wait.
    pub(super) fn pull_lock(&self, image: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut pulls = self.pulls.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pulls.entry(image.to_owned()).or_default())
    }

    /// Remembers that an image has no shell.
    pub(super) fn has_no_shell(&self, image: &str) {
        self.without_shell.lock().unwrap_or_else(PoisonError::into_inner).insert(image.to_owned());
    }

    /// Whether an image may have a shell, as far as is known.
    pub(super) fn may_have_shell(&self, image: &str) -> bool {
        !self.without_shell.lock().unwrap_or_else(PoisonError::into_inner).contains(image)
    }

    /// Remembers that there is no `docker-init`.
    pub(super) fn has_no_init(&self) {
        self.without_init.store(true, Ordering::Relaxed);
    }

    /// Whether there is a `docker-init`, as far as is known.
    pub(super) fn may_have_init(&self) -> bool {
        !self.without_init.load(Ordering::Relaxed)
    }

    /// Remembers that the daemon does not see the engine's files.
    pub(super) fn cannot_mount(&self) {
        self.without_mounts.store(true, Ordering::Relaxed);
    }

    /// Whether the daemon sees the engine's files, as far as is known.
    pub(super) fn may_mount(&self) -> bool {
        !self.address.is_remote() && !self.without_mounts.load(Ordering::Relaxed)
    }

    /// What a failed call to the daemon means for a task.
    pub(super) fn failed(&self, action: &str, error: &ApiError) -> ContainerError {
        let text = reason(error);
        if error::is_connection(error) {
            unreachable(&self.address, error)
        } else if error::is_no_space(&text) {
            ContainerError::NoSpace { reason: text }
        } else {
            ContainerError::Api { action: action.to_owned(), reason: text }
        }
    }
}

/// Opens a connection; nothing is sent yet.
fn open(address: &Address, version: &ClientVersion, rules: Option<&Network>) -> Result<Api, ContainerError> {
    if let (Address::Tcp(_) | Address::Tls(..), Some(network)) = (address, rules) {
        let api = transport::open(address, network, (version, ANSWER_SECONDS))?;
        return Ok(api.with_request_modifier(url_safe_credentials));
    }
    let opened = match address {
        Address::Unix(path) => Api::connect_with_unix(&path.to_string_lossy(), ANSWER_SECONDS, version),
        Address::Tcp(host) => Api::connect_with_http(host, ANSWER_SECONDS, version),
        Address::Tls(host, folder) => open_tls(host, folder, version),
    };
    let api = opened.map_err(|error| unreachable(address, &error))?;
    Ok(api.with_request_modifier(url_safe_credentials))
}

fn open_tls(host: &str, folder: &Path, version: &ClientVersion) -> Result<Api, ApiError> {
    // Another part of this process may have chosen already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = |name: &str| folder.join(name);
    Api::connect_with_ssl(host, &file("key.pem"), &file("cert.pem"), &file("ca.pem"), ANSWER_SECONDS, version)
}

/// The version that a daemon proposes instead of ours: `... Minimum supported API version is 1.44, ...`, or
/// `... Maximum supported API version is 1.40`.
fn offered_version(message: &str) -> Option<ClientVersion> {
    let (_, rest) = message.split_once("supported API version is ")?;
    let number = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let (major, minor) = number.trim_end_matches('.').split_once('.')?;
    Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
}

/// Credentials in the alphabet that the daemon reads. The library writes them in the other one, of which the daemon makes
/// an anonymous request without a word.
fn url_safe_credentials(mut request: BollardRequest) -> BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("X-Registry-Auth") {
        let safe = value.to_str().map(|text| text.replace('+', "-").replace('/', "_"));
        if let Some(Ok(safe)) = safe.ok().map(|text| text.parse()) {
            *value = safe;
            value.set_sensitive(true);
        }
    }
    request
}

fn unreachable(address: &Address, error: &ApiError) -> ContainerError {
    let of_network = transport::network_error(error);
    if let Some(refusal @ (NetworkError::Denied { .. } | NetworkError::NotGranted(_))) = of_network {
        return ContainerError::Network(refusal.clone());
    }
    let kind = error::io_kind(error);
    let hint = match (address, kind) {
        (Address::Unix(path), Some(ErrorKind::PermissionDenied)) => format!(
            "give the engine's user access to `{}` (`usermod -aG docker USER`, then log in again)",
            path.display()
        ),
        (Address::Tls(_, folder), _) => {
            format!(
                "check that it runs there, and `ca.pem`, `cert.pem` and `key.pem` in `{}`",
                folder.display()
            )
        }
        _ => "start it (`systemctl start docker`), name another address in `DOCKER_HOST`".to_owned(),
    };
    let why = match (error, kind) {
        (ApiError::SocketNotFoundError(_), _) | (_, Some(ErrorKind::NotFound)) => {
            "there is no such socket".to_owned()
        }
        (_, Some(ErrorKind::ConnectionRefused)) => "nobody listens there".to_owned(),
        (_, Some(ErrorKind::PermissionDenied)) => "permission denied".to_owned(),
        (ApiError::RequestTimeoutError, _) => format!("no answer within {} s", FIRST_ANSWER.as_secs()),
        _ => reason(error),
    };
    // What the network advises is for other connections.
    let why = of_network.map_or(why, |error| {
        let text = error.to_string();
        text.split("\nhint: ").next().unwrap_or_default().to_owned()
    });
    ContainerError::Unreachable { tried: address.to_string(), reason: why, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_network::NetworkOptions;

    #[test]
    fn versions_that_daemons_propose() {
        for (message, expected) in [
            (
                "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade",
                Some((1, 44)),
            ),
            ("client version 1.41 is too new. Maximum supported API version is 1.40", Some((1, 40))),
            ("client version 1.41 is too new. Maximum supported API version is 1.40.", Some((1, 40))),
            ("bad parameter", None),
        ] {
            let version =
                offered_version(message).map(|version| (version.major_version, version.minor_version));
            assert_eq!(version, expected, "{message}");
        }
    }

    #[tokio::test]
    async fn a_daemon_that_is_not_there_is_named() {
        for (address, part) in [
            (
                Address::Unix("/nowhere/docker.sock".into()),
                "unix:///nowhere/docker.sock: there is no such socket",
            ),
            (Address::Tcp("127.0.0.1:1".to_owned()), "tcp://127.0.0.1:1: nobody listens there"),
        ] {
            let error = Daemon::connect(address, None).await.unwrap_err();
            assert_eq!(error.code(), "container.unreachable");
            let text = error.to_string();
            assert!(text.contains(part) && text.contains("--runner process"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_daemon_that_a_flow_names_falls_under_the_rules_of_the_network() {
        let network = Network::new(NetworkOptions {
            deny: vec!["127.0.0.2".parse().unwrap()],
            ..NetworkOptions::default()
        });
        for (host, code, part) in [
            ("169.254.169.254:2375", "network.denied", "it is a link-local address"),
            ("2852039166:2375", "network.denied", "`2852039166` (169.254.169.254)"),
            ("127.0.0.2:2375", "network.denied", "the configuration denies `127.0.0.2`"),
            ("127.0.0.1:1", "container.unreachable", "tcp://127.0.0.1:1: cannot connect to `127.0.0.1:1`"),
            ("127.0.0.1:x", "container.invalid-option", "its port is no number"),
        ] {
            let error = Daemon::connect(Address::Tcp(host.to_owned()), Some(&network)).await.unwrap_err();
            assert_eq!(error.code(), code, "{host}: {error}");
            assert!(error.to_string().contains(part), "{host}: {error}");
        }
    }

    #[tokio::test]
    async fn the_api_is_spoken_over_a_connection_that_was_checked() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK").await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        Daemon::connect(Address::Tcp(host), Some(&Network::default())).await.unwrap();
        let request = server.await.unwrap();
        assert!(request.starts_with("GET /_ping HTTP/1.1\r\n"), "{request}");
    }
}
