//! Connection strings: `mongodb://user:password@host:27017,other/database?option=value`.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use weft_sdk::{Error, Result};

use crate::error;

const DEFAULT_PORT: u16 = 27_017;

/// A connection string, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Uri {
    /// At least one.
    pub hosts: Vec<Host>,
    pub user: Option<User>,
    /// Where the user is known, and who checks the password.
    pub auth_source: String,
    pub mechanism: Option<Mechanism>,
    pub replica_set: Option<String>,
    /// Only the one host that is named, whatever it says about others.
    pub direct: bool,
    pub tls: Tls,
    pub connect_timeout: Duration,
    pub read_timeout: Option<Duration>,
    pub selection_timeout: Duration,
    /// How many members must have a write, and how: a number or a name such as `majority`.
    pub write_concern: WriteConcern,
    pub app_name: Option<String>,
    /// Options that have no effect here.
    pub unknown: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    pub name: String,
    pub port: u16,
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct User {
    pub name: String,
    pub password: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    ScramSha1,
    ScramSha256,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    pub on: bool,
    pub insecure: bool,
    /// A file in the working directory.
    pub ca_file: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteConcern {
    pub w: Option<String>,
    pub journal: Option<bool>,
    pub timeout_ms: Option<i64>,
}

impl WriteConcern {
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl std::str::FromStr for Uri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with("mongodb+srv://") {
            return Err(error::uri(
                "`mongodb+srv://` needs records of the name service that are not looked up here\n\
                 hint: name the hosts: `mongodb://USER:PASSWORD@HOST1,HOST2/?tls=true&replicaSet=NAME`",
            ));
        }
        let rest = text.strip_prefix("mongodb://").ok_or_else(|| {
            error::uri(
                "expected a connection string such as `mongodb://USER:PASSWORD@HOST:27017/?authSource=admin`",
            )
        })?;
        // A password may have a `?` or a `/` only where they are encoded, so the first ones are the real ones. An `@` after
        // them says that they were not: what stands before it is then no host, but part of a password that nobody may see.
        let (authority, more) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if more.contains('@') {
            return Err(not_encoded());
        }
        let (database, query) = more.split_once('?').unwrap_or((more, ""));
        let database = database.trim_start_matches('/');
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(read_user(user)?), hosts),
            None => (None, authority),
        };
        let hosts = hosts.split(',').map(read_host).collect::<Result<Vec<_>>>()?;
        let database = decoded(database)?;
        let mut uri = Self {
            hosts,
            user,
            auth_source: if database.is_empty() { "admin".to_owned() } else { database },
            mechanism: None,
            replica_set: None,
            direct: false,
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: None,
            selection_timeout: Duration::from_secs(30),
            write_concern: WriteConcern::default(),
            app_name: None,
            unknown: Vec::new(),
        };
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            uri.set(&decoded(name)?, &decoded(value)?)?;
        }
        Ok(uri)
    }
}

impl Uri {
    /// Names of options are not case-sensitive.
    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let wrong = |expected: &str| {
            error::uri(format!(
                "option `{name}` of the connection string: expected {expected}, found `{value}`"
            ))
        };
        let flag = || match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(wrong("`true` or `false`")),
        };
        let millis = || value.parse().map(Duration::from_millis).map_err(|_| wrong("milliseconds"));
        match name.to_ascii_lowercase().as_str() {
            "authsource" => value.clone_into(&mut self.auth_source),
            "authmechanism" => {
                self.mechanism = match value {
                    "DEFAULT" => None,
                    "SCRAM-SHA-1" => Some(Mechanism::ScramSha1),
                    "SCRAM-SHA-256" => Some(Mechanism::ScramSha256),
                    _ => return Err(wrong("`SCRAM-SHA-256` or `SCRAM-SHA-1`")),
                };
            }
            "replicaset" => self.replica_set = Some(value.to_owned()),
            "directconnection" => self.direct = flag()?,
            "tls" | "ssl" => self.tls.on = flag()?,
            "tlsinsecure" | "tlsallowinvalidcertificates" => {
                self.tls.insecure |= flag()?;
                self.tls.on = true;
            }
            "tlsallowinvalidhostnames" if flag()? => {
                return Err(error::uri(
                    "option `tlsAllowInvalidHostnames` is not there: a certificate is checked as a whole\n\
                     hint: `tlsInsecure=true` takes whatever certificate the server shows",
                ));
            }
            "tlscafile" => {
                self.tls.ca_file = Some(value.to_owned());
                self.tls.on = true;
            }
            "tlscertificatekeyfile" => {
                return Err(error::uri("client certificates (`tlsCertificateKeyFile`) are not there yet"));
            }
            "connecttimeoutms" => self.connect_timeout = millis()?,
            "sockettimeoutms" => self.read_timeout = Some(millis()?).filter(|time| !time.is_zero()),
            "serverselectiontimeoutms" => self.selection_timeout = millis()?,
            "w" => self.write_concern.w = Some(value.to_owned()),
            "journal" => self.write_concern.journal = Some(flag()?),
            "wtimeoutms" => {
                self.write_concern.timeout_ms = Some(value.parse().map_err(|_| wrong("milliseconds"))?);
            }
            "appname" => self.app_name = Some(value.to_owned()),
            "readpreference" if value == "primary" => {}
            // One connection that is used once: pools, compression and monitoring change nothing.
            "retrywrites"
            | "retryreads"
            | "maxpoolsize"
            | "minpoolsize"
            | "maxidletimems"
            | "heartbeatfrequencyms"
            | "compressors"
            | "zlibcompressionlevel"
            | "localthresholdms"
            | "uuidrepresentation"
            | "waitqueuetimeoutms"
            | "maxconnecting"
            | "servermonitoringmode"
            | "tlsallowinvalidhostnames"
            | "loadbalanced" => {}
            _ => self.unknown.push(name.to_owned()),
        }
        Ok(())
    }
}

fn not_encoded() -> Error {
    error::uri("`@`, `:`, `/`, `?` and `%` in the user or the password of `connection.uri` must be percent-encoded").hint(
        "write `%40`, `%3A`, `%2F`, `%3F` and `%25`, or use the filter `urlencode`: `{{ secret('PASSWORD') | urlencode }}`",
    )
}

fn read_user(text: &str) -> Result<User> {
    let (name, password) = text.split_once(':').unwrap_or((text, ""));
    if password.contains([':', '@', '/']) || name.contains(['@', '/']) {
        return Err(not_encoded());
    }
    Ok(User { name: decoded(name)?, password: decoded(password)? })
}

/// What is wrong is not quoted: where the host was forgotten, it is user and password.
fn read_host(text: &str) -> Result<Host> {
    let wrong = || {
        error::uri(
            "expected `HOST` or `HOST:PORT`, with a port from 1 to 65535, where `connection.uri` names its hosts",
        )
        .hint("write it as `mongodb://USER:PASSWORD@HOST:27017/`; an IPv6 address stands in brackets")
    };
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest.split_once(']').ok_or_else(wrong)?;
            (name, after.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
        None => DEFAULT_PORT,
    };
    if name.ends_with(".sock") || name.is_empty() {
        return Err(wrong());
    }
    Ok(Host { name: decoded(name)?, port })
}

/// `host:port` as a member of a replica set names others.
pub fn member(text: &str) -> Option<Host> {
    read_host(text).ok()
}

/// Without percent-encoding.
fn decoded(text: &str) -> Result<String> {
    let wrong = || {
        error::uri(
            "the connection string has a `%` that begins no encoded letter\nhint: write `%25` for a `%`",
        )
    };
    let is_code = |part: &str| part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) if text.split('%').skip(1).all(is_code) => Ok(decoded.into_owned()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Uri {
        text.parse().unwrap_or_else(|error: Error| panic!("{text}: {error}"))
    }

    #[test]
    fn hosts_users_and_options() {
        let uri = read(
            "mongodb://us%40er:p%3Ass@a.example,[::1]:27018,b:1/db?authSource=admin&replicaSet=rs0&ssl=true&W=2",
        );
        let hosts: Vec<String> = uri.hosts.iter().map(Host::to_string).collect();
        assert_eq!(hosts, ["a.example:27017", "[::1]:27018", "b:1"]);
        assert_eq!(uri.user, Some(User { name: "us@er".into(), password: "p:ss".into() }));
        assert_eq!((uri.auth_source.as_str(), uri.replica_set.as_deref()), ("admin", Some("rs0")));
        assert!(uri.tls.on && !uri.tls.insecure);
        assert_eq!(uri.write_concern.w.as_deref(), Some("2"));
        assert_eq!(read("mongodb://localhost/").auth_source, "admin");
        assert_eq!(read("mongodb://localhost/db").auth_source, "db");
        assert_eq!(read("mongodb://h/?connectTimeoutMS=5").connect_timeout, Duration::from_millis(5));
        assert_eq!(read("mongodb://h/?color=red&maxPoolSize=5").unknown, ["color"]);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (text, expected) in [
            ("localhost:27017", "expected a connection string such as `mongodb://USER"),
            ("mongodb+srv://cluster.example/", "hint: name the hosts"),
            ("mongodb://", "expected `HOST` or `HOST:PORT`"),
            ("mongodb://h:0", "expected `HOST` or `HOST:PORT`"),
            ("mongodb://u:s3cret", "expected `HOST` or `HOST:PORT`"),
            ("mongodb://u:s3cret/", "expected `HOST` or `HOST:PORT`"),
            ("mongodb://[::1", "expected `HOST` or `HOST:PORT`"),
            ("mongodb://u:p@s3cret@h/", "must be percent-encoded"),
            ("mongodb://u:p@s3cret/w0rd@h:27017/", "must be percent-encoded"),
            ("mongodb://u:s3cret/w0rd@h/?tls=true", "must be percent-encoded"),
            ("mongodb://u:s3cret?w0rd@h/", "must be percent-encoded"),
            ("mongodb://u:p@s3cret?w0rd@h/", "must be percent-encoded"),
            ("mongodb://u:p:s3cret@h/", "must be percent-encoded"),
            ("mongodb://u:s3cret%@h/", "has a `%` that begins no encoded letter"),
            ("mongodb://u:%zz@h/", "has a `%` that begins no encoded letter"),
            (
                "mongodb://h/?tls=yes",
                "option `tls` of the connection string: expected `true` or `false`, found `yes`",
            ),
            ("mongodb://h/?authMechanism=PLAIN", "expected `SCRAM-SHA-256` or `SCRAM-SHA-1`, found `PLAIN`"),
            ("mongodb://h/?socketTimeoutMS=x", "expected milliseconds"),
        ] {
            let error = text.parse::<Uri>().unwrap_err();
            assert_eq!(error.code(), "mongodb.uri");
            assert!(error.message().contains(expected), "{text}: {error}");
            assert!(
                !error.message().contains("s3cret") && !error.message().contains("w0rd"),
                "{text}: {error}"
            );
        }
    }
}
