//! Requests to S3: where they go, how they are signed, and what is done about answers that are no success.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use jiff::SignedDuration;
use weft_sdk::http::{Body, Http, Request, Response, Url};
use weft_sdk::{Context, Error, Log, PollContext, Result, Storage};

use crate::credentials::Credentials;
use crate::date;
use crate::error::{Place, Refusal, unreached};
use crate::sigv4::{
    Scope, ToSign, UNSIGNED, authorization, encoded, encoded_key, payload_hash, query_string,
};

/// How often a request is sent at most, the first time included. With the waits below, up to eight seconds of trouble are
/// lived through; what lasts longer is for the task's `retry`.
const TRIES: u32 = 6;
/// The same for a host without an address: that is a typing error far more often than a name server's bad moment.
const LOOKUP_TRIES: u32 = 2;
/// The longest wait before the second try; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often another region, another clock or another host is believed for one request.
const TURNS: u32 = 3;
/// Answers that are documents: a listing has 1,000 keys of 1,024 letters.
pub const MAX_DOCUMENT: usize = 16 << 20;

/// What a task or a trigger lets its parts use.
#[derive(Clone, Copy)]
pub struct Hands<'h> {
    pub http: &'h Http<'h>,
    cx: Cx<'h>,
}

#[derive(Clone, Copy)]
enum Cx<'h> {
    Task(&'h Context),
    Poll(&'h PollContext),
}

impl<'h> Hands<'h> {
    pub fn of_task(cx: &'h Context, http: &'h Http<'h>) -> Self {
        Self { http, cx: Cx::Task(cx) }
    }

    pub fn of_poll(cx: &'h PollContext, http: &'h Http<'h>) -> Self {
        Self { http, cx: Cx::Poll(cx) }
    }

    pub fn log(&self) -> Log<'h> {
        match self.cx {
            Cx::Task(cx) => cx.log(),
            Cx::Poll(cx) => cx.log(),
        }
    }

    pub fn storage(&self) -> Storage<'h> {
        match self.cx {
            Cx::Task(cx) => cx.storage(),
            Cx::Poll(cx) => cx.storage(),
        }
    }

    /// Whether it is time to give up.
    pub fn cancelled(&self) -> bool {
        match self.cx {
            Cx::Task(cx) => cx.cancelled(),
            // A poll that is not wanted any more is ended where it stands.
            Cx::Poll(_) => false,
        }
    }

    /// The name of a file in the directory that others, who may share it, do not use.
    pub fn scratch(&self, name: &str) -> String {
        match self.cx {
            Cx::Task(cx) => format!(".weft-{}-{name}", cx.task_run_id()),
            Cx::Poll(_) => format!(".weft-{name}"),
        }
    }

    /// Removes such a file; it may never have been made.
    pub fn remove(&self, file: &str) {
        let _ = match self.cx {
            Cx::Task(cx) => std::fs::remove_file(cx.path(file)),
            Cx::Poll(cx) => std::fs::remove_file(cx.path(file)),
        };
    }

    /// The digest of a part of a file, in base64; the host computes it.
    pub fn digest(&self, file: &str, algorithm: &str, part: Option<(u64, u64)>) -> Result<String> {
        match self.cx {
            Cx::Task(cx) => cx.digest(file, algorithm, part),
            Cx::Poll(cx) => cx.digest(file, algorithm, part),
        }
    }

    /// A variable of the engine's environment; an empty one is none.
    pub fn variable(&self, name: &str) -> Result<Option<String>> {
        let value = match self.cx {
            Cx::Task(cx) => cx.environment().variable(name),
            Cx::Poll(cx) => cx.environment().variable(name),
        };
        Ok(value?.filter(|value| !value.is_empty()))
    }

    /// A file of the engine's user.
    pub fn file(&self, path: &str) -> Result<Option<String>> {
        match self.cx {
            Cx::Task(cx) => cx.environment().file(path),
            Cx::Poll(cx) => cx.environment().file(path),
        }
    }
}

/// One request, before it is signed.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: &'static str,
    pub bucket: String,
    /// None for what is about the bucket itself.
    pub key: Option<String>,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Payload,
    /// What is being done, for messages.
    pub what: String,
}

/// What a request carries.
#[derive(Debug, Clone, Default)]
pub enum Payload {
    #[default]
    Nothing,
    Text(String),
    /// Part of a file in the directory.
    File {
        file: String,
        offset: u64,
        length: u64,
    },
}

impl Operation {
    pub fn new(method: &'static str, bucket: &str, key: Option<&str>, verb: &str) -> Self {
        let place = key.map_or_else(|| format!("s3://{bucket}"), |key| format!("s3://{bucket}/{key}"));
        Self {
            method,
            bucket: bucket.to_owned(),
            key: key.map(str::to_owned),
            query: Vec::new(),
            headers: Vec::new(),
            body: Payload::Nothing,
            what: format!("{verb} `{place}`"),
        }
    }

    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a header, where there is a value for it.
    #[must_use]
    pub fn maybe_header(self, name: &str, value: Option<&str>) -> Self {
        match value.filter(|value| !value.is_empty()) {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    #[must_use]
    pub fn body(mut self, body: Payload) -> Self {
        self.body = body;
        self
    }
}

/// Speaks to one server for one task.
pub struct Client<'h> {
    pub hands: Hands<'h>,
    /// Whether checksums of what is sent go along.
    pub checksums: bool,
    credentials: Credentials,
    /// Learned from the server where it was wrong.
    region: RefCell<String>,
    endpoint: Option<Url>,
    path_style: bool,
    /// By how much the server's clock differs from this one.
    offset: Cell<SignedDuration>,
    /// For waits that are not the same for all who wait.
    random: Cell<u64>,
}

impl<'h> Client<'h> {
    pub fn new(
        hands: Hands<'h>,
        credentials: Credentials,
        region: String,
        endpoint: Option<&str>,
        path_style: Option<bool>,
    ) -> Result<Self> {
        let endpoint = endpoint.map(read_endpoint).transpose()?;
        Ok(Self {
            hands,
            checksums: true,
            credentials,
            region: RefCell::new(region),
            path_style: path_style.unwrap_or(endpoint.is_some()),
            endpoint,
            offset: Cell::new(SignedDuration::ZERO),
            random: Cell::new(date::seed()),
        })
    }

    pub fn region(&self) -> String {
        self.region.borrow().clone()
    }

    /// Sends a request until it is answered with success, or with what another try does not mend.
    pub fn send(&self, operation: &Operation) -> Result<Response> {
        let mut turns = 0;
        let mut tries = 1;
        loop {
            let answer = self.hands.http.send(self.sign(operation)?);
            match self.judge(operation, answer, &mut turns) {
                Verdict::Good(response) => return Ok(response),
                Verdict::Again => {}
                Verdict::Later(error) => {
                    if tries >= most_tries(&error) || self.hands.cancelled() {
                        return Err(error);
                    }
                    self.wait(tries, &error);
                    tries += 1;
                }
                Verdict::Bad(error) => return Err(error),
            }
        }
    }

    /// Sends requests, at most `at_a_time` beside each other, each like [`Self::send`]; `each` gets the answers with the
    /// number of the request.
    pub fn send_all(
        &self,
        operations: &[Operation],
        at_a_time: usize,
        mut each: impl FnMut(usize, Response) -> Result<()>,
    ) -> Result<()> {
        let mut waiting: Vec<usize> = (0..operations.len()).collect();
        let (mut tries, mut turns) = (1, 0);
        while !waiting.is_empty() {
            let mut again = Vec::new();
            let mut problem = None;
            let requests = waiting.iter().map(|number| {
                if self.hands.cancelled() {
                    return Err(Error::new("task.killed", "the transfer was given up"));
                }
                self.sign(&operations[*number])
            });
            self.hands.http.send_all(requests, at_a_time, |index, answer| {
                let number = waiting[index];
                match self.judge(&operations[number], answer, &mut turns) {
                    Verdict::Good(response) => each(number, response),
                    Verdict::Again => {
                        again.push(number);
                        Ok(())
                    }
                    Verdict::Later(error) => {
                        again.push(number);
                        problem = Some(error);
                        Ok(())
                    }
                    Verdict::Bad(error) => Err(error),
                }
            })?;
            if let Some(error) = problem {
                if tries >= most_tries(&error) {
                    return Err(error);
                }
                self.wait(tries, &error);
                tries += 1;
            }
            waiting = again;
        }
        Ok(())
    }

    /// The text of an answer that is a document.
    pub fn document(&self, operation: &Operation) -> Result<String> {
        self.send(operation)?.text(MAX_DOCUMENT)
    }

    fn judge(&self, operation: &Operation, answer: Result<Response>, turns: &mut u32) -> Verdict {
        let response = match answer {
            Ok(response) if response.is_success() => return Verdict::Good(response),
            Ok(response) => response,
            Err(error) => {
                let place =
                    if self.endpoint.is_some() { Place::Endpoint("endpointOverride") } else { Place::Region };
                let error = unreached(error, place).context(&format!("cannot {}", operation.what));
                return if error.is_retryable() { Verdict::Later(error) } else { Verdict::Bad(error) };
            }
        };
        let status = response.status();
        let header = |name: &str| response.header(name).map(str::to_owned);
        let (region, date, id) = (header("x-amz-bucket-region"), header("date"), header("x-amz-request-id"));
        let body = response.text(MAX_DOCUMENT).unwrap_or_default();
        let mut refusal = Refusal::read(status, &body);
        refusal.region = region.or(refusal.region);
        refusal.date = date;
        if let (true, Some(id)) = (refusal.request_id.is_empty(), id) {
            refusal.request_id = id;
        }
        if *turns < TURNS && self.learns(&refusal) {
            *turns += 1;
            return Verdict::Again;
        }
        let error = refusal.error(&operation.what);
        if refusal.is_passing() { Verdict::Later(error) } else { Verdict::Bad(error) }
    }

    /// Takes the region or the time from an answer; whether that makes another try worth while.
    fn learns(&self, refusal: &Refusal) -> bool {
        if refusal.is_skewed() {
            let Some(offset) = refusal.date.as_deref().and_then(date::offset_of) else { return false };
            self.hands
                .log()
                .warn("the server's clock differs from this machine's: its time is taken for signatures");
            self.offset.set(offset);
            return true;
        }
        let moved = matches!(refusal.status, 301 | 307)
            || matches!(
                refusal.code.as_str(),
                "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException"
            );
        match &refusal.region {
            Some(region) if moved && *region != *self.region.borrow() => {
                let message = format!("the bucket is in the region `{region}`: that is asked from now on");
                self.hands.log().warn(message);
                self.region.borrow_mut().clone_from(region);
                true
            }
            _ => false,
        }
    }

    /// Waits before another try: any time up to a bound that grows, so that those who were turned away together do not
    /// come back together.
    fn wait(&self, tries: u32, error: &Error) {
        let bound = (FIRST_WAIT * 2u32.saturating_pow(tries - 1)).min(LONGEST_WAIT);
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        let wait = bound / 2 + bound.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64 / 2.0);
        let problem = error.message().lines().next().unwrap_or_default();
        let text = format!("{problem}; it is tried again in {} ms", wait.as_millis());
        match self.hands.cx {
            Cx::Task(cx) => cx.log().warn(text),
            // It is polled for as long as the flow is watched: this would be said each time.
            Cx::Poll(cx) => cx.log().debug(text),
        }
        std::thread::sleep(wait);
    }

    fn sign(&self, operation: &Operation) -> Result<Request> {
        let region = self.region();
        let (scheme, host, base) = self.place(&operation.bucket, &region);
        let mut path = base;
        if self.path_style {
            path.push('/');
            path.push_str(&encoded(&operation.bucket));
        }
        path.push('/');
        if let Some(key) = &operation.key {
            path.push_str(&encoded_key(key));
        }
        let date = date::compact(date::now(self.offset.get()));
        let hash = match &operation.body {
            Payload::Nothing => payload_hash(b""),
            Payload::Text(text) => payload_hash(text.as_bytes()),
            Payload::File { .. } => UNSIGNED.to_owned(),
        };
        let mut headers = operation.headers.clone();
        headers.push(("x-amz-content-sha256".to_owned(), hash.clone()));
        headers.push(("x-amz-date".to_owned(), date.clone()));
        if let Some(token) = &self.credentials.token {
            headers.push(("x-amz-security-token".to_owned(), token.clone()));
        }
        let request = ToSign {
            method: operation.method,
            host: &host,
            path: &path,
            query: &operation.query,
            headers: &headers,
            payload_hash: &hash,
        };
        let scope = Scope { region: &region, service: "s3", date: &date };
        headers.push(("authorization".to_owned(), authorization(&request, &scope, &self.credentials)));
        let mut url = format!("{scheme}://{host}{path}");
        if !operation.query.is_empty() {
            url.push('?');
            url.push_str(&query_string(&operation.query));
        }
        let mut request = Request::new(operation.method, url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        Ok(match &operation.body {
            Payload::Nothing if operation.method == "PUT" || operation.method == "POST" => request.body(""),
            Payload::Nothing => request,
            Payload::Text(text) => request.body(text.as_str()),
            Payload::File { file, offset, length } => request.body(Body::part(file, *offset, *length)),
        })
    }

    /// Scheme, host and the beginning of the path.
    fn place(&self, bucket: &str, region: &str) -> (&'static str, String, String) {
        let in_host = |host: &str| if self.path_style { host.to_owned() } else { format!("{bucket}.{host}") };
        match &self.endpoint {
            Some(url) => {
                let scheme = if url.secure { "https" } else { "http" };
                (scheme, in_host(&url.authority), url.path.trim_end_matches('/').to_owned())
            }
            None => {
                let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                ("https", in_host(&format!("s3.{region}.{end}")), String::new())
            }
        }
    }
}

fn most_tries(error: &Error) -> u32 {
    if error.code() == "network.lookup" { LOOKUP_TRIES } else { TRIES }
}

/// What is to be done after an answer.
enum Verdict {
    Good(Response),
    /// At once: something was learned.
    Again,
    Later(Error),
    Bad(Error),
}

fn read_endpoint(text: &str) -> Result<Url> {
    let url: Url = text.parse().map_err(|error: Error| error.context("property `endpointOverride`"))?;
    if url.path.contains('?') {
        return crate::error::property("endpointOverride", "expected a URL without `?`");
    }
    Ok(url)
}
