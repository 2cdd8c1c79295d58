//! What expressions may ask of the world. The crate itself knows no clock, no files and no network.

use jiff::{Zoned, tz::TimeZone};

use crate::{Fault, Limits, Value};

/// The world as an expression sees it. Every method has a default that refuses, so that a place (validation, tests,
/// a server's form) offers just what it has.
pub trait Environment: Send + Sync {
    /// Bounds of each rendering.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// The time zone of dates for which an expression names none.
    fn time_zone(&self) -> TimeZone {
        TimeZone::UTC
    }

    /// `now()`: the time, in the time zone of [`Self::time_zone`].
    fn now(&self) -> Result<Zoned, Fault> {
        Err(unavailable("now()"))
    }

    /// `secret(key)`: the secret's text. The caller of the rendering masks it wherever text leaves the engine.
    fn secret(&self, key: &str) -> Result<String, Fault> {
        let _ = key;
        Err(unavailable("secret()"))
    }

    /// Told of what expressions take out of a secret (`secret(key, subkey=...)`) or give out as one (an output of type
    /// SECRET): the caller of the rendering masks it like the secret itself.
    fn hide(&self, secret: &str) {
        let _ = secret;
    }

    /// `read(path)`: the text of a namespace file (`scripts/a.sh`) or of a file in internal storage (`kestra:///...`).
    fn read(&self, path_or_uri: &str) -> Result<String, Fault> {
        let _ = path_or_uri;
        Err(unavailable("read()"))
    }

    /// `kv(key, namespace)`: a stored value, `None` if there is none. No namespace means that of the flow.
    fn kv(&self, key: &str, namespace: Option<&str>) -> Result<Option<Value>, Fault> {
        let _ = (key, namespace);
        Err(unavailable("kv()"))
    }

    /// `fileSize(uri)` and `fileEmpty(uri)`: bytes of a file in internal storage; missing files are an error.
    fn file_size(&self, uri: &str) -> Result<u64, Fault> {
        let _ = uri;
        Err(unavailable("fileSize()"))
    }

    /// `fileExists(uri)`.
    fn file_exists(&self, uri: &str) -> Result<bool, Fault> {
        let _ = uri;
        Err(unavailable("fileExists()"))
    }

    /// `fileURI(path)`: the `kestra:///` address of a namespace file.
    fn file_uri(&self, path: &str) -> Result<String, Fault> {
        let _ = path;
        Err(unavailable("fileURI()"))
    }

    /// 64 random bits, for `uuid()`, `id()` and `randomInt()`.
    fn random(&self) -> Result<u64, Fault> {
        Err(unavailable("a random number"))
    }

    /// `randomPort()`: a TCP port that nobody listens on at the moment.
    fn free_port(&self) -> Result<u16, Fault> {
        Err(unavailable("randomPort()"))
    }

    /// `encrypt(key, text)`: the encrypted text, base64.
    fn encrypt(&self, key: &str, text: &str) -> Result<String, Fault> {
        let _ = (key, text);
        Err(unavailable("encrypt()"))
    }

    /// `decrypt(key, text)`: the reverse of [`Self::encrypt`].
    fn decrypt(&self, key: &str, text: &str) -> Result<String, Fault> {
        let _ = (key, text);
        Err(unavailable("decrypt()"))
    }

    /// `errorLogs()`: a list of maps with `taskId`, `message`, `timestamp`, `level` of the execution's errors.
    fn error_logs(&self) -> Result<Value, Fault> {
        Err(unavailable("errorLogs()"))
    }

    /// `http(uri, ...)`: a map of the arguments (`uri`, `method`, `body`, `headers`, ...) to the decoded response.
    fn http(&self, request: &Value) -> Result<Value, Fault> {
        let _ = request;
        Err(unavailable("http()"))
    }
}

/// An environment that offers nothing: for literals, static checks and tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEnvironment;

impl Environment for NoEnvironment {}

fn unavailable(what: &str) -> Fault {
    Fault::new(format!("{what} is not available here"))
}
