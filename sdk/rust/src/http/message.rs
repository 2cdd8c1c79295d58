//! What is sent, and what comes back.

use std::io::Read;
use std::time::Duration;

use crate::host::Incoming;
use crate::{Error, Result};

use super::basic_auth;
use super::url::{Url, decoded};

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) between_bytes: Option<Duration>,
}

/// A request whose URL was read.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) request: Request,
    pub(crate) url: Url,
}

impl Request {
    /// A request without a body.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Body::default(),
            first_byte: None,
            between_bytes: None,
        }
    }

    /// `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// With one more header field. `Content-Length` and `Host` come by themselves.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// How long the server may be silent before the head of its answer and within its body, instead of as long as the
    /// operator says.
    #[must_use]
    pub fn patience(mut self, first_byte: Option<Duration>, between_bytes: Option<Duration>) -> Self {
        (self.first_byte, self.between_bytes) = (first_byte, between_bytes);
        self
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The first header field with this name, in any case.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// All header fields.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    pub(crate) fn prepared(mut self) -> Result<Prepared> {
        let mut url: Url = self.url.parse()?;
        if let Some(user) = url.user.take()
            && self.header_value("authorization").is_none()
        {
            let (user, password) = user.split_once(':').unwrap_or((&user, ""));
            self.headers.push(("Authorization".to_owned(), basic_auth(&decoded(user), &decoded(password))));
        }
        if self.header_value("user-agent").is_none() {
            let agent = concat!("weft/", env!("CARGO_PKG_VERSION"));
            self.headers.push(("User-Agent".to_owned(), agent.to_owned()));
        }
        Ok(Prepared { request: self, url })
    }
}

/// What a request carries: pieces one after the other.
#[derive(Debug, Clone, Default)]
pub struct Body(pub(crate) Vec<Piece>);

/// A piece of a body.
#[derive(Debug, Clone)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Part of a file of the working directory.
    File {
        /// Its path, relative to the working directory.
        path: String,
        /// From this byte on.
        offset: u64,
        /// So many bytes; to the end where none is given.
        length: Option<u64>,
    },
}

impl Body {
    /// A file of the working directory.
    pub fn file(path: impl Into<String>) -> Self {
        Self(vec![Piece::File { path: path.into(), offset: 0, length: None }])
    }

    /// `length` bytes of a file of the working directory, from `offset` on.
    pub fn part(path: impl Into<String>, offset: u64, length: u64) -> Self {
        Self(vec![Piece::File { path: path.into(), offset, length: Some(length) }])
    }

    /// These pieces.
    pub fn pieces(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self(pieces.into_iter().collect())
    }

    /// Whether there is nothing to send, not even nothing.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(vec![Piece::Bytes(bytes)])
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        text.as_bytes().to_vec().into()
    }
}

/// An answer, whose body is still to come.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) url: String,
    pub(crate) incoming: Incoming,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is one of success, 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Where the answer comes from: the URL that was asked, or the last one that it was redirected to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All header fields as they came.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The first header field with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The length of the body, where the server says it.
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// The next bytes of the body, at most `limit`; none at its end.
    pub fn chunk(&mut self, limit: usize) -> Result<Vec<u8>> {
        self.incoming.read(limit)
    }

    /// The whole body, which may have `limit` bytes.
    pub fn bytes(mut self, limit: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let chunk = self.chunk(64 << 10)?;
            if chunk.is_empty() {
                return Ok(bytes);
            }
            if bytes.len() + chunk.len() > limit {
                return Err(too_large(&self.url, limit as u64));
            }
            bytes.extend_from_slice(&chunk);
        }
    }

    /// The whole body as text; what is not UTF-8 is replaced.
    pub fn text(self, limit: usize) -> Result<String> {
        let bytes = self.bytes(limit)?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Writes the body to a new file of the working directory, without holding it; its length. A body of more than
    /// `limit` bytes is an error.
    pub fn save(mut self, path: &str, limit: Option<u64>) -> Result<u64> {
        let limit = limit.unwrap_or(u64::MAX);
        match self.incoming.save(path, limit)? {
            Some(length) => Ok(length),
            None => Err(too_large(&self.url, limit)),
        }
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let chunk = self.chunk(buffer.len()).map_err(|error| std::io::Error::other(error.to_string()))?;
        buffer[..chunk.len()].copy_from_slice(&chunk);
        Ok(chunk.len())
    }
}

fn too_large(url: &str, limit: u64) -> Error {
    let place = url.split('?').next().unwrap_or(url);
    Error::new(
        "http.too-large",
        format!("the answer of `{place}` has more than the {limit} bytes that are accepted"),
    )
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
