//! In a component: requests over `wasi:http`, several beside each other, with bodies that the host moves.

use std::collections::VecDeque;

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme, http_error_code,
};
use wasip2::io::poll::{self, Pollable};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::wasm::Host;
use crate::bindings::weft::plugin::network;
use crate::http::{Piece, Prepared, Response};
use crate::{Error, Result};

/// The most that is moved at a time.
const STEP: u64 = 1 << 20;
/// Where the host puts the working directory.
const WORK: &str = "/work";

impl Host {
    pub(crate) fn http_options(&self, options: &str) -> Result<()> {
        network::http_options(options).map_err(Error::from_host)
    }

    /// Sends what `next` gives, at most `at_a_time` beside each other, and hands answers to `each`.
    pub(crate) fn http_exchange(
        &self,
        at_a_time: usize,
        next: &mut dyn FnMut() -> Result<Option<(usize, Prepared)>>,
        each: &mut dyn FnMut(usize, Result<Response>) -> Result<()>,
    ) -> Result<()> {
        let mut running: Vec<(usize, Exchange)> = Vec::new();
        let mut more = true;
        loop {
            while more && running.len() < at_a_time {
                match next()? {
                    Some((number, prepared)) => match Exchange::start(prepared) {
                        Ok(exchange) => running.push((number, exchange)),
                        Err(error) => each(number, Err(error))?,
                    },
                    None => more = false,
                }
            }
            if running.is_empty() {
                return Ok(());
            }
            let mut index = 0;
            let mut ended = false;
            while index < running.len() {
                match running[index].1.step() {
                    None => index += 1,
                    Some(answer) => {
                        let (number, exchange) = running.swap_remove(index);
                        drop(exchange);
                        each(number, answer)?;
                        ended = true;
                    }
                }
            }
            if !ended {
                let waiting: Vec<Pollable> =
                    running.iter().flat_map(|(_, exchange)| exchange.waits_for()).collect();
                poll::poll(&waiting.iter().collect::<Vec<_>>());
            }
        }
    }
}

/// One request on its way. Fields are dropped in their order: what came out of something before that.
struct Exchange {
    url: String,
    sending: Option<Sending>,
    answer: FutureIncomingResponse,
    /// Whether the last step ended because a file has to be read first.
    reading: bool,
}

/// A body on its way.
struct Sending {
    out: OutputStream,
    sources: VecDeque<Source>,
    body: OutgoingBody,
}

enum Source {
    Bytes(Vec<u8>, usize),
    File { input: InputStream, left: u64, path: String, _file: Descriptor },
}

impl Source {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes, _) => bytes.len() as u64,
            Self::File { left, .. } => *left,
        }
    }
}

impl Exchange {
    fn start(prepared: Prepared) -> Result<Self> {
        let Prepared { request, url } = prepared;
        let sources = request.body.0.into_iter().map(open).collect::<Result<VecDeque<_>>>()?;
        let fields = Fields::new();
        let bad = |name: &str| Error::new("http.header", format!("the header field `{name}` cannot be sent"));
        for (name, value) in &request.headers {
            fields.append(name, value.as_bytes()).map_err(|_| bad(name))?;
        }
        let length: u64 = sources.iter().map(Source::length).sum();
        // A request that usually has a body says that it has none, or servers refuse it.
        let announces = !sources.is_empty() || ["POST", "PUT", "PATCH"].contains(&request.method.as_str());
        if announces && !fields.has("content-length") {
            let value = length.to_string();
            fields.append("content-length", value.as_bytes()).map_err(|_| bad("content-length"))?;
        }
        let outgoing = OutgoingRequest::new(fields);
        let bad =
            |what: &str| Error::new("http.request", format!("{what} of the request to `{url}` is not valid"));
        outgoing.set_method(&method(&request.method)).map_err(|()| bad("the method"))?;
        let scheme = if url.secure { Scheme::Https } else { Scheme::Http };
        outgoing.set_scheme(Some(&scheme)).map_err(|()| bad("the scheme"))?;
        outgoing.set_authority(Some(&url.authority)).map_err(|()| bad("the host"))?;
        outgoing.set_path_with_query(Some(&url.path)).map_err(|()| bad("the path"))?;
        let options = RequestOptions::new();
        let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // A host that does not know an option has one of its own.
        let _ = options.set_first_byte_timeout(request.first_byte.map(nanos));
        let _ = options.set_between_bytes_timeout(request.between_bytes.map(nanos));
        let body = if sources.is_empty() { None } else { outgoing.body().ok() };
        let answer =
            outgoing_handler::handle(outgoing, Some(options)).map_err(|code| failure(Some(&code)))?;
        let sending = match body {
            Some(body) => {
                let out = body.write().map_err(|()| bad("the body"))?;
                Some(Sending { out, sources, body })
            }
            None => None,
        };
        Ok(Self { url: url.to_string(), sending, answer, reading: false })
    }

    /// Does what can be done without waiting; the answer once it is there.
    fn step(&mut self) -> Option<Result<Response>> {
        self.reading = false;
        loop {
            // An answer may come before the body is sent: a refusal, usually.
            if let Some(answer) = self.answer.get() {
                self.sending = None;
                return Some(match answer {
                    Ok(Ok(response)) => received(response, self.url.clone()),
                    Ok(Err(code)) => Err(failure(Some(&code))),
                    Err(()) => Err(failure(None)),
                });
            }
            let sending = self.sending.as_mut()?;
            match sending.step() {
                Ok(Progress::Moved) => {}
                Ok(Progress::Full) => return None,
                Ok(Progress::Reading) => {
                    self.reading = true;
                    return None;
                }
                Ok(Progress::Done) => {
                    let Some(Sending { out, body, .. }) = self.sending.take() else { continue };
                    drop(out);
                    if let Err(code) = OutgoingBody::finish(body, None) {
                        return Some(Err(failure(Some(&code))));
                    }
                }
                // Nobody takes the body any more; the answer says why.
                Err(Stop::Closed) => self.sending = None,
                Err(Stop::Failed(error)) => return Some(Err(error)),
            }
        }
    }

    /// What must happen before another step makes sense.
    fn waits_for(&self) -> Vec<Pollable> {
        let mut all = vec![self.answer.subscribe()];
        if let Some(sending) = &self.sending {
            match sending.sources.front() {
                Some(Source::File { input, .. }) if self.reading => all.push(input.subscribe()),
                _ => all.push(sending.out.subscribe()),
            }
        }
        all
    }
}

enum Progress {
    Moved,
    Full,
    Reading,
    Done,
}

enum Stop {
    Closed,
    Failed(Error),
}

impl Sending {
    fn step(&mut self) -> std::result::Result<Progress, Stop> {
        let Some(source) = self.sources.front_mut() else { return Ok(Progress::Done) };
        if source.is_spent() {
            self.sources.pop_front();
            return Ok(Progress::Moved);
        }
        let room = self.out.check_write().map_err(|_| Stop::Closed)?.min(STEP);
        if room == 0 {
            return Ok(Progress::Full);
        }
        match source {
            Source::Bytes(bytes, at) => {
                let end = bytes.len().min(*at + room as usize);
                self.out.write(&bytes[*at..end]).map_err(|_| Stop::Closed)?;
                *at = end;
            }
            Source::File { input, left, path, .. } => match self.out.splice(input, room.min(*left)) {
                Ok(0) => return Ok(Progress::Reading),
                Ok(moved) => *left -= moved,
                // Of the two streams it is the file, for there was room in the other one.
                Err(_) => {
                    let message = format!("`{path}` ended while it was being sent: {left} bytes are missing");
                    return Err(Stop::Failed(Error::new("http.file", message)));
                }
            },
        }
        Ok(Progress::Moved)
    }
}

impl Source {
    fn is_spent(&self) -> bool {
        match self {
            Self::Bytes(bytes, at) => *at == bytes.len(),
            Self::File { left, .. } => *left == 0,
        }
    }
}

/// A piece of a body, ready to be read.
fn open(piece: Piece) -> Result<Source> {
    let (path, offset, length) = match piece {
        Piece::Bytes(bytes) => return Ok(Source::Bytes(bytes, 0)),
        Piece::File { path, offset, length } => (path, offset, length),
    };
    let unreadable =
        |reason: &dyn std::fmt::Display| Error::new("http.file", format!("cannot read `{path}`: {reason}"));
    let file = directory()?
        .open_at(PathFlags::SYMLINK_FOLLOW, &path, OpenFlags::empty(), DescriptorFlags::READ)
        .map_err(|code| unreadable(&code.name()))?;
    let size = file.stat().map_err(|code| unreadable(&code.name()))?.size;
    let left = size.saturating_sub(offset);
    let left = match length {
        Some(length) if length > left => return Err(unreadable(&format!("it has only {size} bytes"))),
        Some(length) => length,
        None => left,
    };
    let input = file.read_via_stream(offset).map_err(|code| unreadable(&code.name()))?;
    Ok(Source::File { input, left, path, _file: file })
}

fn directory() -> Result<Descriptor> {
    get_directories()
        .into_iter()
        .find(|(_, path)| path == WORK)
        .map(|(directory, _)| directory)
        .ok_or_else(|| Error::new("http.file", "there is no working directory"))
}

fn received(response: IncomingResponse, url: String) -> Result<Response> {
    let headers = response
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let status = response.status();
    let body = response.consume().map_err(|()| failure(None))?;
    let stream = body.stream().map_err(|()| failure(None))?;
    let incoming = Incoming { stream, _body: body, _response: response };
    Ok(Response { status, headers, url, incoming })
}

/// The body of an answer. Fields are dropped in their order.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

impl Incoming {
    /// The next bytes; none at the end.
    pub(crate) fn read(&mut self, limit: usize) -> Result<Vec<u8>> {
        loop {
            match self.stream.blocking_read(limit as u64) {
                Ok(bytes) if bytes.is_empty() && limit > 0 => {}
                Ok(bytes) => return Ok(bytes),
                Err(StreamError::Closed) => return Ok(Vec::new()),
                Err(StreamError::LastOperationFailed(error)) => {
                    return Err(failure(http_error_code(&error).as_ref()));
                }
            }
        }
    }

    /// Writes everything to a file; its length, or none if that would be more than `limit`.
    pub(crate) fn save(&mut self, path: &str, limit: u64) -> Result<Option<u64>> {
        let unwritable = |reason: &dyn std::fmt::Display| {
            Error::new("http.file", format!("cannot write `{path}`: {reason}"))
        };
        let file = directory()?
            .open_at(
                PathFlags::empty(),
                path,
                OpenFlags::CREATE | OpenFlags::TRUNCATE,
                DescriptorFlags::WRITE,
            )
            .map_err(|code| unwritable(&code.name()))?;
        let out = file.write_via_stream(0).map_err(|code| unwritable(&code.name()))?;
        let mut length = 0;
        loop {
            match out.blocking_splice(&self.stream, STEP) {
                Ok(moved) => length += moved,
                // The end of the body, or of the file because it cannot grow: only the former is an end.
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(error)) => {
                    return Err(match http_error_code(&error) {
                        Some(code) => failure(Some(&code)),
                        None => match network::last_failure() {
                            Some(failure) => Error::from_host(failure),
                            None => unwritable(&error.to_debug_string()),
                        },
                    });
                }
            }
            if length > limit {
                return Ok(None);
            }
        }
        Ok(Some(length))
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

/// Why it failed: in the host's words, or in those of WASI where it has none.
fn failure(code: Option<&ErrorCode>) -> Error {
    if let Some(failure) = network::last_failure() {
        return Error::from_host(failure);
    }
    let reason = match code {
        Some(ErrorCode::InternalError(Some(text))) => text.clone(),
        Some(ErrorCode::HttpRequestBodySize(_)) => {
            "the body has another length than `content-length` says".to_owned()
        }
        Some(ErrorCode::HttpRequestUriInvalid) => "the URL is not valid".to_owned(),
        Some(ErrorCode::HttpProtocolError) => "the two sides do not understand each other".to_owned(),
        _ => "the host does not say why".to_owned(),
    };
    Error::new("http.request", format!("the request failed: {reason}"))
}
