//! `Request`: the answer is an output.

use schemars::JsonSchema;
use serde_json::{Map, Value};
use weft_sdk::Needs;
use weft_sdk::prelude::*;

use crate::ask::{ask, count, headers};
use crate::properties::{LogWhat, Properties};

/// How long an answer may be unless the flow says otherwise, in bytes.
const MAX_LENGTH: u64 = 10 << 20;

/// Asks an HTTP server and puts out the answer.
///
/// The body becomes an output, so it must be text and is limited to 10 MiB (`options.maxContentLength`); for anything
/// larger there is `Download`. Redirects are followed. An answer with a status of 400 or more is a failure unless
/// `options.allowFailed` is true.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// What is asked for.
    #[serde(flatten)]
    properties: Properties,
    /// Whether the body is to be encrypted in the outputs. This engine cannot do that yet, and refuses.
    #[schemars(extend("default" = false))]
    encrypt_body: Option<bool>,
}

/// What `Request` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Answered {
    /// The URL that answered, after redirects.
    uri: String,
    /// The status of the answer.
    code: u16,
    /// The header fields of the answer: names in lower case, each with its values.
    headers: Map<String, Value>,
    /// The body.
    body: String,
}

impl Task for Request {
    const TYPE: &'static str = "io.kestra.plugin.core.http.Request";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.fs.http.Request"];
    const EXAMPLES: &'static [Example] = &[
        Example {
            title: "Ask a JSON API and use part of the answer",
            yaml: r#"id: ask
namespace: company.team
tasks:
  - id: product
    type: io.kestra.plugin.core.http.Request
    uri: https://example.com/api/products/1
  - id: show
    type: io.kestra.plugin.core.log.Log
    message: "{{ json(outputs.product.body).title }}"
"#,
        },
        Example {
            title: "Send JSON, with user and password",
            yaml: r#"id: send
type: io.kestra.plugin.core.http.Request
uri: https://example.com/api/products
method: POST
contentType: application/json
body: "{{ inputs.product }}"
options:
  auth:
    type: BASIC
    username: "{{ secret('API_USER') }}"
    password: "{{ secret('API_PASSWORD') }}"
"#,
        },
        Example {
            title: "Upload a file as a form",
            yaml: r#"id: upload
type: io.kestra.plugin.core.http.Request
uri: https://example.com/upload
method: POST
contentType: multipart/form-data
formData:
  note: monthly report
  file:
    name: report.csv
    content: "{{ outputs.report.uri }}"
"#,
        },
    ];
    const NEEDS: Needs = Needs { hosts: &["*"], ..Needs::NOTHING };

    fn run(self, cx: &Context) -> Result<impl Output> {
        if self.encrypt_body == Some(true) {
            let message = "property `encryptBody`: outputs are not encrypted in this engine\nhint: remove it, or use \
                           `Download` and keep the answer in a file";
            return Err(Error::new("property.invalid", message));
        }
        let response = ask(&self.properties, cx)?;
        let (code, headers, uri) = (response.status(), headers(&response), response.url().to_owned());
        let charset = response.header("content-type").and_then(charset);
        let limit = self.properties.options.max_content_length.unwrap_or(MAX_LENGTH);
        let bytes =
            response.bytes(usize::try_from(limit).unwrap_or(usize::MAX)).map_err(|error| {
                match error.code() {
                    "http.too-large" => {
                        let hint = "hint: set `options.maxContentLength`, or use `Download`";
                        Error::new("http.too-large", format!("{}\n{hint}", error.message()))
                    }
                    _ => error,
                }
            })?;
        count(cx, &self.properties, code, bytes.len() as u64);
        let body = text(bytes, charset.as_deref()).ok_or_else(|| {
            let place = uri.split('?').next().unwrap_or_default();
            let message = format!(
                "the answer of `{place}` is not text\nhint: use `Download`, which makes a file of it"
            );
            Error::new("http.not-text", message)
        })?;
        if self.properties.logs(LogWhat::ResponseBody) {
            cx.log().debug(format!("response body: {body}"));
        }
        Ok(Answered { uri, code, headers, body })
    }
}

/// The character set that a content type names, in lower case.
fn charset(content_type: &str) -> Option<String> {
    let (_, charset) =
        content_type.to_ascii_lowercase().split_once("charset=").map(|(a, b)| (a.len(), b.to_owned()))?;
    Some(charset.split(';').next().unwrap_or_default().trim_matches([' ', '"']).to_owned())
}

fn text(bytes: Vec<u8>, charset: Option<&str>) -> Option<String> {
    match charset {
        Some("iso-8859-1" | "latin1") => Some(bytes.into_iter().map(char::from).collect()),
        _ => String::from_utf8(bytes).ok(),
    }
}
