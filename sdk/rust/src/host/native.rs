//! In native unit tests: a host that remembers what it was asked for and answers from what the test prepared.
//! `testing::Harness` is its face.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::http::{Piece, Prepared, Response};
use crate::testing::{Answer, Sent};
use crate::testing::{LogLine, Metric, Spawned};
use crate::{Command, Error, Exit, Level, Result};

/// All that a fake host knows: what the test prepared, and what the plugin did.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) secrets: RefCell<BTreeMap<String, String>>,
    pub(crate) kv: RefCell<BTreeMap<(String, String), Value>>,
    pub(crate) ttls: RefCell<BTreeMap<String, u64>>,
    pub(crate) files: RefCell<BTreeMap<String, Vec<u8>>>,
    pub(crate) exits: RefCell<VecDeque<(Exit, Value)>>,
    pub(crate) logs: RefCell<Vec<LogLine>>,
    pub(crate) outputs: RefCell<Map<String, Value>>,
    pub(crate) metrics: RefCell<Vec<Metric>>,
    pub(crate) warnings: RefCell<Vec<String>>,
    pub(crate) updates: RefCell<Vec<Value>>,
    pub(crate) commands: RefCell<Vec<Spawned>>,
    pub(crate) server: RefCell<Server>,
    /// What a server sends on each connection, in place of real ones.
    pub(crate) peers: RefCell<Option<VecDeque<Vec<u8>>>>,
    pub(crate) requests: RefCell<Vec<Sent>>,
    pub(crate) http_options: RefCell<Value>,
    pub(crate) clones: RefCell<Vec<Value>>,
    pub(crate) clone_answers: RefCell<VecDeque<Result<Value>>>,
    /// How often the plugin may ask before it is told to stop; never where none is given.
    pub(crate) cancel_after: Cell<Option<u32>>,
    pub(crate) variables: RefCell<BTreeMap<String, String>>,
    pub(crate) user_files: RefCell<BTreeMap<String, String>>,
    pub(crate) directory: RefCell<PathBuf>,
    pub(crate) namespace: RefCell<String>,
}

/// A test's answer to each request.
pub(crate) type Answers = Box<dyn FnMut(&Sent) -> Answer>;

/// What answers requests.
#[derive(Default)]
pub(crate) struct Server(pub(crate) Option<Answers>);

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Server" } else { "no server" })
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct Incoming {
    body: VecDeque<u8>,
    /// What the connection fails with once everything was read.
    breaks: Option<Error>,
    directory: PathBuf,
}

impl Incoming {
    pub(crate) fn read(&mut self, limit: usize) -> Result<Vec<u8>> {
        let count = limit.min(self.body.len());
        if count == 0
            && limit > 0
            && let Some(error) = self.breaks.take()
        {
            return Err(error);
        }
        Ok(self.body.drain(..count).collect())
    }

    pub(crate) fn save(&mut self, path: &str, limit: u64) -> Result<Option<u64>> {
        let bytes: Vec<u8> = self.body.drain(..).collect();
        std::fs::write(self.directory.join(path), &bytes)?;
        match self.breaks.take() {
            Some(error) => Err(error),
            None => Ok(Some(bytes.len() as u64).filter(|&length| length <= limit)),
        }
    }
}

/// The fake host; clones share one world.
#[derive(Debug, Clone)]
pub(crate) struct Host(pub(crate) Rc<World>);

/// A child process or container that ends as the test said.
#[derive(Debug)]
pub(crate) struct Handle {
    exit: Exit,
    outputs: Value,
    killed: Cell<Option<i32>>,
}

/// A connection over real sockets, without TLS, or what the test has of one.
#[derive(Debug)]
pub(crate) enum Socket {
    Real(TcpStream),
    /// What is still to be read; what is written goes nowhere.
    Prepared(VecDeque<u8>),
}

impl Socket {
    pub(crate) fn read(&mut self, max: u32) -> Result<Vec<u8>> {
        match self {
            Self::Real(stream) => {
                let mut bytes = vec![0; max as usize];
                let length = stream.read(&mut bytes)?;
                bytes.truncate(length);
                Ok(bytes)
            }
            Self::Prepared(bytes) => {
                let length = bytes.len().min(max as usize);
                Ok(bytes.drain(..length).collect())
            }
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Real(stream) => Ok(stream.write_all(bytes)?),
            Self::Prepared(_) => Ok(()),
        }
    }
}

impl Host {
    pub(crate) fn log(&self, level: u8, message: &str, fields: Option<&str>) {
        let fields = fields.map(|fields| serde_json::from_str(fields).unwrap_or(Value::Null));
        self.0.logs.borrow_mut().push(LogLine {
            level: Level::from_number(level),
            message: message.to_owned(),
            fields,
        });
    }

    pub(crate) fn emit_output(&self, key: &str, value: &str) -> Result<()> {
        self.0.outputs.borrow_mut().insert(key.to_owned(), serde_json::from_str(value)?);
        Ok(())
    }

    pub(crate) fn emit_metric(&self, name: &str, kind: &str, value: f64, tags: Vec<(String, String)>) {
        let metric =
            Metric { name: name.to_owned(), kind: kind.to_owned(), value, tags: tags.into_iter().collect() };
        self.0.metrics.borrow_mut().push(metric);
    }

    pub(crate) fn mark_warning(&self, reason: &str) {
        self.0.warnings.borrow_mut().push(reason.to_owned());
    }

    pub(crate) fn working_dir(&self) -> String {
        self.0.directory.borrow().display().to_string()
    }

    pub(crate) fn guest_dir(&self) -> PathBuf {
        self.0.directory.borrow().clone()
    }

    pub(crate) fn cancel_requested(&self) -> bool {
        match self.0.cancel_after.get() {
            Some(0) => true,
            Some(left) => {
                self.0.cancel_after.set(Some(left - 1));
                false
            }
            None => false,
        }
    }

    pub(crate) fn update_execution(&self, change: &str) -> Result<()> {
        self.0.updates.borrow_mut().push(serde_json::from_str(change)?);
        Ok(())
    }

    pub(crate) fn secret(&self, name: &str) -> Result<String> {
        self.0
            .secrets
            .borrow()
            .get(name)
            .cloned()
            .ok_or_else(|| Error::new("secret.not-found", format!("there is no secret `{name}`")))
    }

    fn kv_key(&self, namespace: Option<&str>, key: &str) -> (String, String) {
        let namespace = namespace.map_or_else(|| self.0.namespace.borrow().clone(), ToOwned::to_owned);
        (namespace, key.to_owned())
    }

    pub(crate) fn kv_get(&self, namespace: Option<&str>, key: &str) -> Result<Option<String>> {
        Ok(self.0.kv.borrow().get(&self.kv_key(namespace, key)).map(Value::to_string))
    }

    pub(crate) fn kv_set(
        &self,
        namespace: Option<&str>,
        key: &str,
        value: &str,
        ttl_ms: Option<u64>,
        overwrite: bool,
    ) -> Result<()> {
        let place = self.kv_key(namespace, key);
        if !overwrite && self.0.kv.borrow().contains_key(&place) {
            return Err(Error::new("kv.key-exists", format!("the key `{key}` has a value already")));
        }
        self.0.kv.borrow_mut().insert(place, serde_json::from_str(value)?);
        if let Some(ttl) = ttl_ms {
            self.0.ttls.borrow_mut().insert(key.to_owned(), ttl);
        }
        Ok(())
    }

    pub(crate) fn kv_delete(&self, namespace: Option<&str>, key: &str) -> Result<bool> {
        Ok(self.0.kv.borrow_mut().remove(&self.kv_key(namespace, key)).is_some())
    }

    pub(crate) fn kv_keys(&self, namespace: Option<&str>, prefix: &str) -> Result<Vec<String>> {
        let (namespace, _) = self.kv_key(namespace, "");
        let kv = self.0.kv.borrow();
        let keys = kv.keys().filter(|(space, key)| *space == namespace && key.starts_with(prefix));
        Ok(keys.map(|(_, key)| key.clone()).collect())
    }

    pub(crate) fn put_file(&self, path: &str, name: &str) -> Result<String> {
        let bytes = std::fs::read(self.inside(path)?)?;
        let uri = format!("kestra:///test/{name}");
        self.0.files.borrow_mut().insert(uri.clone(), bytes);
        Ok(uri)
    }

    pub(crate) fn move_file(&self, path: &str, name: &str) -> Result<String> {
        let uri = self.put_file(path, name)?;
        std::fs::remove_file(self.inside(path)?)?;
        Ok(uri)
    }

    pub(crate) fn last_failure(&self) -> Option<Error> {
        None
    }

    pub(crate) fn http_options(&self, options: &str) -> Result<()> {
        *self.0.http_options.borrow_mut() = serde_json::from_str(options)?;
        Ok(())
    }

    /// One after the other: nothing here waits.
    pub(crate) fn http_exchange(
        &self,
        _at_a_time: usize,
        next: &mut dyn FnMut() -> Result<Option<(usize, Prepared)>>,
        each: &mut dyn FnMut(usize, Result<Response>) -> Result<()>,
    ) -> Result<()> {
        while let Some((number, Prepared { request, url })) = next()? {
            let mut body = Vec::new();
            for piece in &request.body.0 {
                match piece {
                    Piece::Bytes(bytes) => body.extend_from_slice(bytes),
                    Piece::File { path, offset, length } => {
                        let all = std::fs::read(self.inside(path)?)?;
                        let start = usize::try_from(*offset)?.min(all.len());
                        let end = match length {
                            Some(length) => start + usize::try_from(*length)?,
                            None => all.len(),
                        };
                        let part = all.get(start..end);
                        body.extend_from_slice(
                            part.ok_or_else(|| Error::new("http.file", "the file is shorter"))?,
                        );
                    }
                }
            }
            let sent = Sent { method: request.method, url: url.to_string(), headers: request.headers, body };
            let answer = match &mut self.0.server.borrow_mut().0 {
                Some(server) => server(&sent),
                None => Answer::fails(Error::new("network.connect", "the test has no server").retryable()),
            };
            self.0.requests.borrow_mut().push(sent);
            each(number, self.received(answer, url.to_string()))?;
        }
        Ok(())
    }

    fn received(&self, answer: Answer, url: String) -> Result<Response> {
        let Answer { status, headers, body, breaks } = answer;
        if status == 0 {
            return Err(breaks.unwrap_or_else(|| Error::new("http.request", "no answer")));
        }
        let incoming = Incoming { body: body.into(), breaks, directory: self.guest_dir() };
        Ok(Response { status, headers, url, incoming })
    }

    pub(crate) fn get_file(&self, uri: &str, path: &str) -> Result<u64> {
        let bytes = self.stored(uri)?;
        let target = self.inside(path)?;
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(target, &bytes)?;
        Ok(bytes.len() as u64)
    }

    pub(crate) fn file_size(&self, uri: &str) -> Result<u64> {
        Ok(self.stored(uri)?.len() as u64)
    }

    pub(crate) fn delete_file(&self, uri: &str) -> Result<bool> {
        Ok(self.0.files.borrow_mut().remove(uri).is_some())
    }

    /// Not the real one: a test compares what it is of.
    pub(crate) fn digest(&self, path: &str, algorithm: &str, part: Option<(u64, u64)>) -> Result<String> {
        let size = std::fs::metadata(self.inside(path)?)?.len();
        let (offset, length) = part.unwrap_or((0, size));
        Ok(format!("{algorithm} of {length} bytes from {offset}"))
    }

    pub(crate) fn variable(&self, name: &str) -> Result<Option<String>> {
        Ok(self.0.variables.borrow().get(name).cloned())
    }

    pub(crate) fn user_file(&self, path: &str) -> Result<Option<String>> {
        Ok(self.0.user_files.borrow().get(path).cloned())
    }

    pub(crate) fn connect(&self, host: &str, port: u16, _options: &str) -> Result<Socket> {
        if let Some(peers) = &mut *self.0.peers.borrow_mut() {
            let bytes = peers.pop_front().ok_or_else(|| {
                Error::new("network.connect", format!("nobody answers at `{host}:{port}`")).retryable()
            })?;
            return Ok(Socket::Prepared(bytes.into()));
        }
        let stream = TcpStream::connect((host, port));
        stream.map(Socket::Real).map_err(|error| Error::new("network.connect", error.to_string()).retryable())
    }

    pub(crate) fn git_clone(&self, request: &str) -> Result<String> {
        self.0.clones.borrow_mut().push(serde_json::from_str(request)?);
        match self.0.clone_answers.borrow_mut().pop_front() {
            Some(answer) => answer.map(|answer| answer.to_string()),
            None => Ok("{}".to_owned()),
        }
    }

    pub(crate) fn spawn(&self, command: &Command) -> Result<Handle> {
        Ok(self.start(None, command))
    }

    pub(crate) fn run_container(&self, image: &str, command: &Command) -> Result<Handle> {
        Ok(self.start(Some(image.to_owned()), command))
    }

    fn start(&self, image: Option<String>, command: &Command) -> Handle {
        self.0.commands.borrow_mut().push(Spawned { image, command: command.clone() });
        let (exit, outputs) = self.0.exits.borrow_mut().pop_front().unwrap_or_default();
        Handle { exit, outputs, killed: Cell::new(None) }
    }

    fn stored(&self, uri: &str) -> Result<Vec<u8>> {
        self.0
            .files
            .borrow()
            .get(uri)
            .cloned()
            .ok_or_else(|| Error::new("storage.not-found", format!("there is no file `{uri}`")))
    }

    fn inside(&self, path: &str) -> Result<PathBuf> {
        let relative = Path::new(path);
        let plain = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !plain {
            return Err(Error::new("files.escape", format!("`{path}` is not a path below `/work`")));
        }
        Ok(self.0.directory.borrow().join(relative))
    }
}

impl Handle {
    pub(crate) fn wait(&self) -> Result<Exit> {
        Ok(match self.killed.get() {
            Some(signal) => Exit { code: -1, signal: Some(signal), ..self.exit },
            None => self.exit,
        })
    }

    pub(crate) fn outputs(&self) -> String {
        self.outputs.to_string()
    }

    pub(crate) fn kill(&self, signal: i32) -> Result<()> {
        self.killed.set(Some(signal));
        Ok(())
    }
}
