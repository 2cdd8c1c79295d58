//! What flows may write about a request, in the words of both eras.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use weft_sdk::{IsoDuration, Text};

/// The properties that both tasks have.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Properties {
    /// The URL, `http` or `https`.
    pub uri: Text,
    /// The method; `GET` without it.
    #[schemars(extend("default" = "GET"))]
    pub method: Option<Text>,
    /// Parameters to add to the URL.
    pub params: Option<Map<String, Value>>,
    /// The text to send.
    pub body: Option<Text>,
    /// A form to send. With the content type `multipart/form-data`, the `kestra://` URI of a stored file sends that file,
    /// and a map of `name` and `content` sends it under another name.
    pub form_data: Option<Map<String, Value>>,
    /// The content type of what is sent.
    #[schemars(extend("default" = "application/json"))]
    pub content_type: Option<Text>,
    /// Header fields to send.
    pub headers: Option<BTreeMap<String, Text>>,
    /// How the request is sent.
    #[serde(default)]
    pub options: Options,
    /// Former name of `options.allowFailed`.
    pub allow_failed: Option<bool>,
    /// Former name of `options.ssl`.
    pub ssl_options: Option<Ssl>,
}

/// How a request is sent.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// How long to wait for the server.
    pub timeout: Option<Timeout>,
    /// The proxy; without it, the operator's or the environment's.
    pub proxy: Option<Proxy>,
    /// Who asks.
    pub auth: Option<Auth>,
    /// Which servers to trust.
    pub ssl: Option<Ssl>,
    /// Whether redirects are followed.
    #[schemars(extend("default" = true))]
    pub follow_redirects: Option<bool>,
    /// Whether an answer with a status of 400 or more is a success.
    #[schemars(extend("default" = false))]
    pub allow_failed: Option<bool>,
    /// Statuses of 400 or more that are a success.
    pub allowed_response_codes: Option<Vec<u16>>,
    /// The character set of `body`; only `UTF-8`.
    pub default_charset: Option<Text>,
    /// What to write into the log at level DEBUG. Credentials in header fields are left out.
    pub logs: Option<Vec<LogWhat>>,
    /// The most bytes that the answer may have. For `Request` it is 10 MiB without it.
    pub max_content_length: Option<u64>,
    /// Former name of `timeout.connectTimeout`.
    pub connect_timeout: Option<IsoDuration>,
    /// How long to wait for the head of the answer.
    pub read_timeout: Option<IsoDuration>,
    /// Former name of `timeout.readIdleTimeout`.
    pub read_idle_timeout: Option<IsoDuration>,
    /// Has no effect: connections are kept for a short time and closed with the engine.
    #[allow(dead_code, reason = "accepted")]
    pub connection_pool_idle_timeout: Option<IsoDuration>,
    /// Former name of `proxy.type`.
    pub proxy_type: Option<ProxyType>,
    /// Former name of `proxy.address`.
    pub proxy_address: Option<Text>,
    /// Former name of `proxy.port`.
    pub proxy_port: Option<u16>,
    /// Former name of `proxy.username`.
    pub proxy_username: Option<Text>,
    /// Former name of `proxy.password`.
    pub proxy_password: Option<Text>,
    /// Former name of `auth.username`.
    pub basic_auth_user: Option<Text>,
    /// Former name of `auth.password`.
    pub basic_auth_password: Option<Text>,
    /// Former way to choose `logs`: `TRACE` all, `DEBUG` header fields, `INFO` those of the answer.
    pub log_level: Option<Text>,
}

/// How long to wait.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeout {
    /// For a connection.
    pub connect_timeout: Option<IsoDuration>,
    /// For the next part of the answer.
    pub read_idle_timeout: Option<IsoDuration>,
}

/// A proxy.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proxy {
    /// What kind; `DIRECT` is none, whatever the operator says.
    #[serde(rename = "type")]
    pub kind: Option<ProxyType>,
    /// Its host.
    pub address: Option<Text>,
    /// Its port.
    pub port: Option<u16>,
    /// Who asks it.
    pub username: Option<Text>,
    /// And the password.
    pub password: Option<Text>,
}

/// Kinds of proxies.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProxyType {
    /// None.
    Direct,
    /// One that speaks HTTP.
    Http,
    /// One that speaks SOCKS5.
    Socks,
}

/// Who asks.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Auth {
    /// How it is said; `BASIC` without it.
    #[serde(rename = "type")]
    pub kind: Option<AuthType>,
    /// For `BASIC`.
    pub username: Option<Text>,
    /// For `BASIC`.
    pub password: Option<Text>,
    /// For `BEARER`.
    pub token: Option<Text>,
}

/// Ways to say who asks.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum AuthType {
    /// User and password.
    Basic,
    /// A token.
    Bearer,
}

/// Which servers to trust.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ssl {
    /// Whether every certificate is good enough. Whoever stands in between can then read and change everything.
    pub insecure_trust_all_certificates: Option<bool>,
}

/// What may be written into the log.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LogWhat {
    /// The header fields that are sent.
    RequestHeaders,
    /// What is sent.
    RequestBody,
    /// The header fields that come back.
    ResponseHeaders,
    /// What comes back.
    ResponseBody,
}

impl Properties {
    /// Whether an answer with this status is a success.
    pub fn accepts(&self, status: u16) -> bool {
        let options = &self.options;
        status < 400
            || self.allows_failure()
            || options.allowed_response_codes.as_ref().is_some_and(|codes| codes.contains(&status))
    }

    /// Whether every answer is a success.
    pub fn allows_failure(&self) -> bool {
        self.options.allow_failed.or(self.allow_failed).unwrap_or(false)
    }

    /// Whether this goes into the log.
    pub fn logs(&self, what: LogWhat) -> bool {
        use LogWhat::{RequestHeaders, ResponseHeaders};
        let options = &self.options;
        let by_level = match options.log_level.as_deref() {
            Some("TRACE") => true,
            Some("DEBUG") => what == RequestHeaders || what == ResponseHeaders,
            Some("INFO") => what == ResponseHeaders,
            _ => false,
        };
        by_level || options.logs.as_ref().is_some_and(|chosen| chosen.contains(&what))
    }
}
