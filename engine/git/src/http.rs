//! Git over HTTP (`gitprotocol-http`): one request that lists references, and one for each step of the negotiation.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Full};
use tokio::sync::mpsc;
use weft_network::{Body, NetworkError, ResponseBody};

use crate::session::Session;
use crate::url::RepositoryUrl;
use crate::{Credentials, GitError};

/// How many redirects are followed.
const REDIRECTS: u32 = 5;
/// How many pieces of an answer, of some ten to some hundred kilobytes, wait in memory.
const PIECES_AHEAD: usize = 8;

/// One repository behind HTTP.
pub(crate) struct HttpTransport {
    session: Arc<Session>,
    /// Where the first answer came from: what follows is asked there, too.
    moved_to: Mutex<Option<String>>,
}

impl HttpTransport {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, moved_to: Mutex::default() }
    }

    fn list(&self, url: &str) -> Result<Incoming, GitError> {
        let mut base = url.trim_end_matches('/').to_owned();
        for _ in 0..=REDIRECTS {
            let response = self.session.wait(ask(
                &self.session,
                Method::GET,
                &format!("{base}/info/refs?service=git-upload-pack"),
                None,
            ))?;
            if response.status().is_redirection() {
                base = redirected(&base, &response)?;
                continue;
            }
            let shown = RepositoryUrl::parse(&base)?;
            let given = self.session.credentials_for(&shown);
            accept(&shown, &given, &response, "application/x-git-upload-pack-advertisement")?;
            *self.moved_to.lock().unwrap_or_else(PoisonError::into_inner) = Some(base);
            return Ok(Incoming::new(&self.session, response));
        }
        let reason = format!("it redirects more than {REDIRECTS} times");
        Err(GitError::Protocol { url: RepositoryUrl::parse(url)?.to_string(), reason })
    }
}

impl SmartSubtransport for HttpTransport {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        match action {
            Service::UploadPackLs => {
                let incoming = self.list(url).map_err(|error| self.session.fail(error))?;
                Ok(Box::new(Stream { session: Arc::clone(&self.session), state: State::Reading(incoming) }))
            }
            Service::UploadPack => {
                let moved = self.moved_to.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let base = moved.unwrap_or_else(|| url.trim_end_matches('/').to_owned());
                let state = State::Writing { base, request: Vec::new() };
                Ok(Box::new(Stream { session: Arc::clone(&self.session), state }))
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

/// Sends a request for a repository, with who asks.
async fn ask(
    session: &Session,
    method: Method,
    url: &str,
    body: Option<Vec<u8>>,
) -> Result<Response<ResponseBody>, GitError> {
    let place = RepositoryUrl::parse(url)?;
    let failed = |reason: String| GitError::Url { url: place.to_string(), reason };
    // Without the user part, which goes into a header field.
    let mut request = Request::builder()
        .method(method)
        .uri(place.to_string())
        .header(header::USER_AGENT, concat!("git/2.0 (weft/", env!("CARGO_PKG_VERSION"), ")"))
        .header(header::ACCEPT, "*/*");
    let credentials = session.credentials_for(&place);
    // A token alone is a user to some servers and a password to others; both take it as the password of anybody.
    let user = credentials.username.as_deref().or(credentials.password.is_some().then_some("git"));
    if let Some(user) = user {
        let password = credentials.password.as_deref().unwrap_or_default();
        let value = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        request = request.header(header::AUTHORIZATION, value);
    }
    let body: Body = match body {
        Some(bytes) => {
            request = request
                .header(header::CONTENT_TYPE, "application/x-git-upload-pack-request")
                .header(header::ACCEPT, "application/x-git-upload-pack-result")
                .header(header::CONTENT_LENGTH, bytes.len());
            Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync()
        }
        None => Empty::new().map_err(|never| match never {}).boxed_unsync(),
    };
    let request = request.body(body).map_err(|error| failed(error.to_string()))?;
    Ok(session.network.send(request, &session.client, session.timeouts).await?)
}

/// The repository's URL after a redirect of the list of references.
fn redirected(base: &str, response: &Response<ResponseBody>) -> Result<String, GitError> {
    let shown = RepositoryUrl::parse(base)?.to_string();
    let wrong = |reason: String| GitError::Protocol { url: shown.clone(), reason };
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| wrong("it redirects to nowhere".to_owned()))?;
    let target = if location.starts_with('/') {
        let scheme = base.split("://").next().unwrap_or("https");
        let authority = base.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        format!("{scheme}://{authority}{location}")
    } else {
        location.to_owned()
    };
    match target.split_once("/info/refs") {
        Some((base, _)) if base.starts_with("http://") || base.starts_with("https://") => Ok(base.to_owned()),
        // To a page for people, usually one where they log in.
        _ => Err(wrong(
            "it redirects to a page that is no repository\nhint: check the URL and the credentials"
                .to_owned(),
        )),
    }
}

/// Whether an answer is what was asked for, by whom it was asked.
fn accept(
    url: &RepositoryUrl,
    given: &Credentials,
    response: &Response<ResponseBody>,
    expected: &str,
) -> Result<(), GitError> {
    let url = url.to_string();
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => {
            let reason = match (&given.username, &given.password) {
                (_, Some(_)) => {
                    "the given user or password was refused\nhint: correct `username` and `password`; as the \
                     password, most servers want a token that is allowed to read the repository"
                }
                (Some(_), None) => {
                    "the server asks for a password, and only a user is given\nhint: set `password` beside \
                     `username`; most servers want a token"
                }
                (None, None) => {
                    "the server asks for a valid user and password\nhint: set `username` and `password`; as the \
                     password, most servers want a token"
                }
            };
            return Err(GitError::Authentication { url, reason: reason.to_owned() });
        }
        StatusCode::FORBIDDEN => {
            let reason = "the server knows who asks, and forbids it (403)";
            return Err(GitError::Authentication { url, reason: reason.to_owned() });
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            let hint = "\nhint: some servers say so of a private repository too, when they are asked without credentials";
            return Err(GitError::NotFound { url, hint: hint.to_owned() });
        }
        status => return Err(GitError::Protocol { url, reason: format!("status {status}") }),
    }
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match content_type {
        Some(found) if found.split(';').next().unwrap_or_default().trim() == expected => Ok(()),
        found => {
            let found = found.unwrap_or("nothing");
            let reason =
                format!("expected `{expected}`, found `{found}`\nhint: is this the URL for cloning?");
            Err(GitError::Protocol { url, reason })
        }
    }
}

/// One request and its answer, as libgit2 wants them: a stream that is written to, then read from.
struct Stream {
    session: Arc<Session>,
    state: State,
}

enum State {
    Writing { base: String, request: Vec<u8> },
    Reading(Incoming),
    Failed,
}

/// An answer's body, piece by piece. It is read on another thread while libgit2 digests what has come.
struct Incoming {
    pieces: mpsc::Receiver<Result<Bytes, NetworkError>>,
    piece: Bytes,
}

impl Incoming {
    fn new(session: &Session, response: Response<ResponseBody>) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        session.spawn(async move {
            let mut body = response.into_body();
            loop {
                let frame = tokio::select! {
                    // Nobody listens any more: the connection ends with the body.
                    () = sender.closed() => return,
                    frame = body.frame() => frame,
                };
                let Some(frame) = frame else { return };
                // Trailers say nothing in this protocol.
                let piece = frame.map(|frame| frame.into_data().unwrap_or_default());
                let failed = piece.is_err();
                if sender.send(piece).await.is_err() || failed {
                    return;
                }
            }
        });
        Self { pieces, piece: Bytes::new() }
    }

    fn read(&mut self, session: &Session, buffer: &mut [u8]) -> Result<usize, GitError> {
        while self.piece.is_empty() {
            let next = match self.pieces.try_recv() {
                Ok(piece) => Some(piece),
                Err(_) => session.wait(async { Ok(self.pieces.recv().await) })?,
            };
            let Some(piece) = next else { return Ok(0) };
            self.piece = piece?;
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

impl Stream {
    fn send(&mut self) -> Result<(), GitError> {
        let State::Writing { base, request } = std::mem::replace(&mut self.state, State::Failed) else {
            return Ok(());
        };
        let url = format!("{base}/git-upload-pack");
        let response = self.session.wait(ask(&self.session, Method::POST, &url, Some(request)))?;
        let place = RepositoryUrl::parse(&base)?;
        let given = self.session.credentials_for(&place);
        accept(&place, &given, &response, "application/x-git-upload-pack-result")?;
        self.state = State::Reading(Incoming::new(&self.session, response));
        Ok(())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Writing { request, .. } => {
                request.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.state, State::Writing { .. }) {
            self.send().map_err(|error| self.session.fail_io(error))?;
        }
        match &mut self.state {
            State::Reading(incoming) => {
                incoming.read(&self.session, buffer).map_err(|error| self.session.fail_io(error))
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}
