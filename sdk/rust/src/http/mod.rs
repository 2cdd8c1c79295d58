//! HTTP requests. The host opens the connections, under the operator's rules; bodies go to and from files of the working
//! directory on the host's side, without passing through the plugin's memory.

mod message;
mod redirect;
mod url;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

pub(crate) use message::Prepared;
pub use message::{Body, Piece, Request, Response};
pub use url::Url;

use crate::host::Host;
use crate::values::json_text;
use crate::{Error, Result};

/// How requests are sent, where it is not the usual way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpOptions {
    /// Take whatever certificate a server shows.
    pub insecure: bool,
    /// PEM text of certificate authorities to trust beside the host's.
    pub ca_pem: Option<String>,
    /// A proxy: `http://[USER:PASSWORD@]HOST:PORT`, `socks5://...`, or `none` for none whatever the operator says.
    pub proxy: Option<String>,
    /// How long a connection may take to be made, in milliseconds.
    pub connect_timeout_ms: Option<u64>,
}

impl HttpOptions {
    fn json(&self) -> String {
        let mut map = Map::new();
        map.insert("insecure".to_owned(), self.insecure.into());
        for (name, text) in [("caPem", &self.ca_pem), ("proxy", &self.proxy)] {
            if let Some(text) = text {
                map.insert(name.to_owned(), text.as_str().into());
            }
        }
        if let Some(limit) = self.connect_timeout_ms {
            map.insert("connectTimeoutMs".to_owned(), limit.into());
        }
        json_text(&Value::Object(map))
    }
}

/// The value of `Authorization` for a user with a password.
pub fn basic_auth(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

/// Sends requests. A plugin file needs the grant `http`.
#[derive(Debug)]
pub struct Http<'a>(pub(crate) &'a Host);

impl Http<'_> {
    /// How requests are sent from now on.
    pub fn configure(&self, options: &HttpOptions) -> Result<()> {
        self.0.http_options(&options.json())
    }

    /// Sends a request and waits for the head of the answer, whatever its status.
    pub fn send(&self, request: Request) -> Result<Response> {
        let mut answer = Err(Error::new("network.request", "nothing was sent"));
        self.send_all([Ok(request)], 1, |_, result| {
            answer = result;
            Ok(())
        })?;
        answer
    }

    /// Sends requests, at most `at_a_time` of them beside each other, and hands each answer to `each` with the number of
    /// its request. A request is taken from `requests` when it is its turn, so it can be made (and signed) then. What
    /// `each` or `requests` fails with ends all.
    pub fn send_all(
        &self,
        requests: impl IntoIterator<Item = Result<Request>>,
        at_a_time: usize,
        mut each: impl FnMut(usize, Result<Response>) -> Result<()>,
    ) -> Result<()> {
        let mut requests = requests.into_iter().enumerate();
        self.0.http_exchange(
            at_a_time.max(1),
            &mut || match requests.next() {
                Some((number, request)) => Ok(Some((number, request?.prepared()?))),
                None => Ok(None),
            },
            &mut each,
        )
    }

    /// Sends a request and follows redirects, at most `limit` of them. What is for the first host alone (`Authorization`,
    /// `Cookie`) is not sent to another one.
    pub fn follow(&self, request: Request, limit: u32) -> Result<Response> {
        redirect::follow(self, request, limit)
    }
}
