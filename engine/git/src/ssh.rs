//! Git over SSH: `git-upload-pack` on the other side, spoken to through one channel.

use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use ssh2::{Channel, CheckResult, HashType, HostKeyType, KnownHostFileKind, MethodType};
use weft_network::NetworkError;

use crate::session::Session;
use crate::url::RepositoryUrl;
use crate::{Credentials, GitError};

/// How long one call of libssh2 may wait before it is looked whether the task was asked to stop.
const SLICE: Duration = Duration::from_millis(500);
/// How much of what the server complains about goes into a message.
const MAX_COMPLAINT: usize = 1000;

/// Kinds of host keys, the best first, as libssh2 takes them.
const HOST_KEYS: [&str; 6] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// One repository behind SSH.
pub(crate) struct SshTransport {
    session: Arc<Session>,
}

impl SshTransport {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}

impl SmartSubtransport for SshTransport {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        match action {
            // The second of the two goes on in the stream of the first.
            Service::UploadPackLs | Service::UploadPack => {
                let stream = Stream::open(&self.session, url).map_err(|error| self.session.fail(error))?;
                Ok(Box::new(stream))
            }
            Service::ReceivePackLs | Service::ReceivePack => {
                Err(git2::Error::from_str("repositories are only read"))
            }
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// The channel to the program on the other side.
struct Stream {
    session: Arc<Session>,
    url: RepositoryUrl,
    channel: Channel,
    /// Keeps the connection open.
    _ssh: ssh2::Session,
}

impl Stream {
    fn open(session: &Arc<Session>, url: &str) -> Result<Self, GitError> {
        let url = RepositoryUrl::parse(url)?;
        let ssh = connect(session, &url)?;
        authenticate(&ssh, &url, &session.credentials_for(&url))?;
        let protocol = |error: ssh2::Error| protocol(session, &url, &error);
        let mut channel = ssh.channel_session().map_err(protocol)?;
        // A quoted path cannot end the command; a quotation mark in it is written so that a shell reads it as one.
        let path = url.path.strip_prefix("/~").map_or(url.path.clone(), |home| format!("~{home}"));
        channel.exec(&format!("git-upload-pack '{}'", path.replace('\'', "'\\''"))).map_err(protocol)?;
        ssh.set_timeout(millis(SLICE));
        Ok(Self { session: Arc::clone(session), url, channel, _ssh: ssh })
    }

    /// Repeats a call that waits for the other side, in slices, so that it can be ended in between.
    fn patiently<T>(&mut self, mut call: impl FnMut(&mut Channel) -> io::Result<T>) -> io::Result<T> {
        let begin = Instant::now();
        let limit = self.session.timeouts.between_bytes;
        loop {
            match call(&mut self.channel) {
                Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {
                    if self.session.is_cancelled() {
                        return Err(self.session.fail_io(GitError::Cancelled));
                    }
                    if begin.elapsed() >= limit {
                        let (host, what) = (self.url.host.clone(), "the next part of the answer");
                        return Err(self.session.fail_io(NetworkError::Timeout { host, what, limit }.into()));
                    }
                }
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    let (host, reason) = (self.url.host.clone(), error.to_string());
                    return Err(self.session.fail_io(NetworkError::Interrupted { host, reason }.into()));
                }
                Err(_) => {}
                result => return result,
            }
        }
    }

    /// The program has ended without having said anything: what it complained about is why.
    fn complaint(&mut self) -> GitError {
        let mut text = Vec::new();
        // What was read before an error is still what it said.
        let _ = self.channel.stderr().take(MAX_COMPLAINT as u64).read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        let text = text.trim();
        let url = self.url.to_string();
        let lower = text.to_lowercase();
        if ["not found", "not appear to be a git repository", "does not exist", "no such"]
            .iter()
            .any(|words| lower.contains(words))
        {
            return GitError::NotFound { url, hint: format!("\nhint: the server says: {text}") };
        }
        if lower.contains("permission denied") || lower.contains("access denied") {
            return GitError::Authentication { url, reason: text.to_owned() };
        }
        let reason = if text.is_empty() { "it says nothing" } else { text };
        GitError::Protocol { url, reason: reason.to_owned() }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.patiently(|channel| channel.read(buffer))?;
        // Whoever reads knows how much is to come: an end is always too early.
        if count == 0 && !buffer.is_empty() {
            let complaint = self.complaint();
            return Err(self.session.fail_io(complaint));
        }
        Ok(count)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|channel| channel.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.patiently(Write::flush)
    }
}

/// A connection whose other end is who it should be.
fn connect(session: &Session, url: &RepositoryUrl) -> Result<ssh2::Session, GitError> {
    let (host, port) = (url.host.as_str(), url.port.unwrap_or(22));
    let stream =
        session.wait(async { Ok(session.network.connect(host, port, session.connect_timeout).await?) })?;
    let failed = |reason: String| NetworkError::Connect { host: host.to_owned(), port, reason };
    let stream = stream.into_std().map_err(|error| failed(error.to_string()))?;
    stream.set_nonblocking(false).map_err(|error| failed(error.to_string()))?;

    let mut ssh = ssh2::Session::new().map_err(|error| failed(error.message().to_owned()))?;
    let known = Known::read(&ssh, host, port);
    // Better kinds go first, but a kind that is known goes before all others: only that one can be compared.
    let (mut kinds, others): (Vec<&str>, Vec<&str>) = HOST_KEYS.iter().partition(|kind| known.has_kind(kind));
    kinds.extend(others);
    ssh.method_pref(MethodType::HostKey, &kinds.join(",")).map_err(|error| protocol(session, url, &error))?;
    ssh.set_timeout(millis(session.connect_timeout));
    ssh.set_tcp_stream(stream);
    ssh.handshake().map_err(|error| protocol(session, url, &error))?;
    known.check(session, &ssh)?;
    Ok(ssh)
}

/// What is known about the keys of one host.
struct Known<'a> {
    hosts: Option<ssh2::KnownHosts>,
    host: &'a str,
    port: u16,
    kinds: Vec<String>,
}

impl<'a> Known<'a> {
    /// Reads the files of the user and of the machine.
    fn read(ssh: &ssh2::Session, host: &'a str, port: u16) -> Self {
        let mut files = vec![PathBuf::from("/etc/ssh/ssh_known_hosts")];
        files.extend(std::env::home_dir().map(|home| home.join(".ssh/known_hosts")));
        let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
        let mut hosts = ssh.known_hosts().ok();
        let mut kinds = Vec::new();
        for file in files {
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            for line in text.lines() {
                let mut words = line.split_ascii_whitespace();
                if let (Some(names), Some(kind)) = (words.next(), words.next())
                    && names.split(',').any(|known| known == name)
                {
                    kinds.push(kind.to_owned());
                }
            }
            if let Some(hosts) = &mut hosts {
                // Lines that libssh2 does not understand are about other hosts, or make this one an unknown one.
                let _ = hosts.read_file(&file, KnownHostFileKind::OpenSSH);
            }
        }
        Self { hosts, host, port, kinds }
    }

    fn has_kind(&self, kind: &str) -> bool {
        self.kinds.iter().any(|known| known == kind || (known == "ssh-rsa" && kind.starts_with("rsa-sha2")))
    }

    /// Compares the key that the server shows with what is known. An unknown host is taken, with a word about it,
    /// unless the operator wants only known ones.
    fn check(&self, session: &Session, ssh: &ssh2::Session) -> Result<(), GitError> {
        let place = format!("{}:{}", self.host, self.port);
        let Some((key, kind)) = ssh.host_key() else {
            return Err(GitError::HostKey { host: place, reason: "it shows none".to_owned() });
        };
        let fingerprint = ssh.host_key_hash(HashType::Sha256).map_or_else(String::new, |hash| {
            format!("{} SHA256:{}", kind_name(kind), BASE64_STANDARD_NO_PAD.encode(hash))
        });
        let found = self
            .hosts
            .as_ref()
            .map_or(CheckResult::NotFound, |hosts| hosts.check_port(self.host, self.port, key));
        match found {
            CheckResult::Match => Ok(()),
            CheckResult::Mismatch => Err(GitError::HostKey {
                host: place,
                reason: format!(
                    "it shows {fingerprint}, which is not the key in `known_hosts`\n\
                     hint: somebody may stand in between; if the server has a new key, put that into `~/.ssh/known_hosts`"
                ),
            }),
            CheckResult::NotFound | CheckResult::Failure if session.network.options().known_hosts_only => {
                Err(GitError::HostKey {
                    host: place,
                    reason: format!(
                        "it is not in `known_hosts`, and shows {fingerprint}\n\
                         hint: add it to `~/.ssh/known_hosts`, or set `network: {{sshHostKeys: any}}` in the configuration"
                    ),
                })
            }
            CheckResult::NotFound | CheckResult::Failure => {
                session.note(format!(
                    "the host key of `{place}` is not in `known_hosts`; taken as it is: {fingerprint}"
                ));
                Ok(())
            }
        }
    }
}

fn kind_name(kind: HostKeyType) -> &'static str {
    match kind {
        HostKeyType::Rsa => "RSA",
        HostKeyType::Dss => "DSA",
        HostKeyType::Ecdsa256 | HostKeyType::Ecdsa384 | HostKeyType::Ecdsa521 => "ECDSA",
        HostKeyType::Ed25519 => "ED25519",
        HostKeyType::Unknown => "key",
    }
}

fn authenticate(ssh: &ssh2::Session, url: &RepositoryUrl, given: &Credentials) -> Result<(), GitError> {
    // The user of the URL is part of the address: `git@github.com`. `username` is often an account of the web page.
    let user = url.user.as_deref().or(given.username.as_deref()).unwrap_or("git");
    let refused = |reason: String| GitError::Authentication { url: url.to_string(), reason };
    let methods = ssh.auth_methods(user).unwrap_or_default().to_owned();
    if ssh.authenticated() {
        return Ok(());
    }
    let mut tried = Vec::new();
    if let Some(key) = &given.private_key {
        let key = normalised(key);
        match ssh.userauth_pubkey_memory(user, None, &key, given.passphrase.as_deref()) {
            Ok(()) => return Ok(()),
            // The key could not even be read.
            Err(error) if is_about_key(&error) => {
                return Err(GitError::Key(key_problem(&key, given, &error)));
            }
            Err(error) => tried.push(format!("the private key ({})", error.message().to_lowercase())),
        }
    }
    if let Some(password) = &given.password {
        match ssh.userauth_password(user, password) {
            Ok(()) => return Ok(()),
            Err(error) => tried.push(format!("the password ({})", error.message().to_lowercase())),
        }
    }
    let tried = match tried.len() {
        0 => "no `privateKey` and no `password` was given".to_owned(),
        _ => format!("as `{user}` it was tried with {}", tried.join(" and ")),
    };
    Err(refused(format!("{tried}\nhint: the server takes: {}", methods.replace(',', ", "))))
}

/// libssh2's codes for what is wrong with a key on this side: file, decryption, and a method that is not known.
fn is_about_key(error: &ssh2::Error) -> bool {
    matches!(error.code(), ssh2::ErrorCode::Session(-16 | -12 | -33 | -24 | -23 | -1))
}

fn key_problem(key: &str, given: &Credentials, error: &ssh2::Error) -> String {
    if !key.contains("-----BEGIN") {
        return "it is not in PEM form\nhint: give the whole text of the file, from `-----BEGIN` to `-----END`".to_owned();
    }
    let said = error.message().to_lowercase();
    match &given.passphrase {
        Some(_) => format!("{said}\nhint: is `passphrase` the right one?"),
        None => format!("{said}\nhint: if it is encrypted, set `passphrase`"),
    }
}

/// A key as it came out of a YAML text or a secret: line breaks may be missing at its end, or be those of Windows.
fn normalised(key: &str) -> String {
    let mut text = key.replace("\r\n", "\n").trim().to_owned();
    text.push('\n');
    text
}

fn protocol(session: &Session, url: &RepositoryUrl, error: &ssh2::Error) -> GitError {
    if session.is_cancelled() {
        return GitError::Cancelled;
    }
    let (host, reason) = (url.host.clone(), error.message().to_lowercase());
    match error.code() {
        // LIBSSH2_ERROR_TIMEOUT
        ssh2::ErrorCode::Session(-9) => {
            NetworkError::Timeout { host, what: "connecting", limit: session.connect_timeout }.into()
        }
        // LIBSSH2_ERROR_SOCKET_SEND, _DISCONNECT, _RECV
        ssh2::ErrorCode::Session(-7 | -13 | -43) => NetworkError::Interrupted { host, reason }.into(),
        _ => GitError::Protocol { url: url.to_string(), reason },
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
