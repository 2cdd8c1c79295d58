//! `connection`: what every task says about the server.

use weft_sdk::prelude::*;

use crate::client::Client;
use crate::error;
use crate::uri::Uri;

/// The server, and how to reach it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connection {
    /// The connection string: `mongodb://USER:PASSWORD@HOST:27017,HOST2/?authSource=admin&replicaSet=rs0&tls=true`. In user
    /// and password `@`, `:`, `/`, `?` and `%` are percent-encoded (filter `urlencode`). `mongodb+srv://` is not supported:
    /// name the hosts.
    uri: String,
    /// PEM text of certificate authorities to trust besides those of the system.
    ca_pem: Option<String>,
}

impl Connection {
    /// Connects to a server that takes writes.
    pub fn open(&self, cx: &Context) -> Result<Client> {
        let uri: Uri = self.uri.parse()?;
        if !uri.unknown.is_empty() {
            let names = uri.unknown.join("`, `");
            cx.log().warn(format!("options of the connection string without effect here: `{names}`"));
        }
        let ca_pem = match (&self.ca_pem, &uri.tls.ca_file) {
            (Some(pem), _) => Some(pem.clone()),
            (None, Some(file)) => Some(read_authority(cx, file)?),
            (None, None) => None,
        };
        Client::connect(cx, uri, ca_pem)
    }
}

/// A file of the working directory: a plugin sees no other.
fn read_authority(cx: &Context, file: &str) -> Result<String> {
    let reason = if file.starts_with('/') {
        "a task sees only files in its working directory".to_owned()
    } else {
        match std::fs::read_to_string(cx.path(file)) {
            Ok(text) => return Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                "there is no such file in the working directory".to_owned()
            }
            Err(error) => Error::from(error).message().to_owned(),
        }
    };
    Err(error::uri(format!("`tlsCAFile={file}` in `connection.uri`: {reason}")).hint(
        "give the certificate's text as `connection.caPem` or, for every task, name its file in `network: {caFile: FILE}` \
         of the configuration",
    ))
}
