//! `Download`: the answer is a file of internal storage.

use schemars::JsonSchema;
use serde_json::{Map, Value};
use weft_sdk::http::Response;
use weft_sdk::prelude::*;
use weft_sdk::{Needs, Text};

use crate::ask::{ask, count, headers};
use crate::form::scratch;
use crate::names;
use crate::properties::Properties;

/// Downloads a file over HTTP into internal storage.
///
/// The file goes from the network to storage without being held in memory, so it may be as large as the disk. It gets the
/// name that the server gives it, else that at the end of the URL. Redirects are followed; an answer with a status of
/// 400 or more, an answer that ends early and an empty one are failures.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Download {
    /// What is asked for.
    #[serde(flatten)]
    properties: Properties,
    /// Whether an answer without a body is a failure.
    #[schemars(extend("default" = true))]
    fail_on_empty_response: Option<bool>,
    /// The name that the file gets in storage.
    save_as: Option<Text>,
}

/// What `Download` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Downloaded {
    /// The file's `kestra://` URI.
    uri: String,
    /// The status of the answer.
    code: u16,
    /// The file's size in bytes.
    length: u64,
    /// The header fields of the answer: names in lower case, each with its values.
    headers: Map<String, Value>,
}

impl Task for Download {
    const TYPE: &'static str = "io.kestra.plugin.core.http.Download";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.fs.http.Download"];
    const EXAMPLES: &'static [Example] = &[
        Example {
            title: "Download a file and count its lines",
            yaml: r#"id: download
namespace: company.team
tasks:
  - id: orders
    type: io.kestra.plugin.core.http.Download
    uri: https://example.com/orders.csv
  - id: count
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - wc -l < {{ outputs.orders.uri }}
"#,
        },
        Example {
            title: "From a server that wants a token",
            yaml: r#"id: report
type: io.kestra.plugin.core.http.Download
uri: https://example.com/report.pdf
options:
  auth:
    type: BEARER
    token: "{{ secret('REPORT_TOKEN') }}"
  timeout:
    connectTimeout: PT5S
    readIdleTimeout: PT1M
"#,
        },
    ];
    const NEEDS: Needs = Needs { hosts: &["*"], ..Needs::NOTHING };

    fn run(self, cx: &Context) -> Result<impl Output> {
        let response = ask(&self.properties, cx)?;
        let (code, headers) = (response.status(), headers(&response));
        let name = match self.save_as.as_deref() {
            Some(name) => names::plain(name).ok_or_else(|| {
                Error::new("property.invalid", format!("property `saveAs`: `{name}` is no file name"))
            })?,
            None => names::file_name(response.header("content-disposition"), response.url()),
        };
        let place = response.url().split('?').next().unwrap_or_default().to_owned();
        let path = scratch(cx, "download")?;
        let kept = self.keep(response, &path, &name, &place, cx);
        if kept.is_err() {
            // What is half there is of use to nobody. The engine removes it as well, when the task run has ended.
            let _ = std::fs::remove_file(cx.path(&path));
        }
        let (uri, length) = kept?;
        count(cx, &self.properties, code, length);
        cx.log().debug(format!("downloaded `{place}`: {length} bytes"));
        Ok(Downloaded { uri, code, length, headers })
    }
}

impl Download {
    /// The body from the network over the file `path` into storage; its URI and length.
    fn keep(
        &self,
        response: Response,
        path: &str,
        name: &str,
        place: &str,
        cx: &Context,
    ) -> Result<(String, u64)> {
        let code = response.status();
        let length = response.save(path, self.properties.options.max_content_length)?;
        if length == 0 {
            if self.fail_on_empty_response.unwrap_or(true) && !self.properties.allows_failure() {
                let message = format!(
                    "`{place}` answered with status {code} and no body\n\
                     hint: `failOnEmptyResponse: false` makes an empty file of it"
                );
                return Err(Error::new("http.empty", message));
            }
            cx.log().warn(format!("the file `{place}` is empty"));
        }
        Ok((cx.storage().keep(path, name)?, length))
    }
}
