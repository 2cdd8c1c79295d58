//! Uploads.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Map;
use weft_sdk::Text;
use weft_sdk::prelude::*;

use crate::checksum::{self, Algorithm};
use crate::client::{Client, Hands, Operation, Payload};
use crate::connection::Connection;
use crate::date;
use crate::error;
use crate::multipart::{self, Parts};
use crate::object::base_name;

/// A file of this size goes in parts.
const PARTS_FROM: u64 = 16 << 20;

/// Puts files into a bucket.
///
/// A large file goes in parts, several beside each other, and is there as a whole or not at all. The content type is
/// guessed from the key where it is not given. Each request carries a checksum, which the server compares.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    #[serde(flatten)]
    connection: Connection,
    /// The bucket.
    bucket: Text,
    /// The key; for more than one file, the folder that they go into.
    key: Text,
    /// The file's `kestra://` URI; or several, as a list or as a map of name to URI, or as the text of one in JSON.
    from: From,
    /// Metadata of the object.
    metadata: Option<BTreeMap<String, Text>>,
    /// The header `Cache-Control` of its answers.
    cache_control: Option<Text>,
    /// Its content type.
    content_type: Option<Text>,
    /// How its content is encoded, such as `gzip`.
    content_encoding: Option<Text>,
    /// How a browser shows it, such as `attachment`.
    content_disposition: Option<Text>,
    /// Its language.
    content_language: Option<Text>,
    /// Its size in bytes: an upload of a file of another size fails.
    content_length: Option<u64>,
    /// When copies of it are stale.
    expires: Option<Text>,
    /// Who may do what, by a name such as `public-read`.
    acl: Option<Text>,
    /// The storage class, such as `STANDARD_IA`.
    storage_class: Option<Text>,
    /// How the server encrypts it: `AES256`, `aws:kms` or `aws:kms:dsse`.
    server_side_encryption: Option<Text>,
    /// The key of the server's encryption with KMS.
    kms_key_id: Option<Text>,
    /// Whether a key of the bucket is used for that.
    bucket_key_enabled: Option<bool>,
    /// The algorithm of checksums; `CRC32` where it is left out.
    checksum_algorithm: Option<Algorithm>,
    /// The file's checksum in base64: an upload of another content fails.
    checksum: Option<Text>,
    /// The account that must own the bucket.
    expected_bucket_owner: Option<Text>,
    /// Who pays, where the bucket's owner does not: `requester`.
    request_payer: Option<Text>,
    /// How the object is locked: `GOVERNANCE` or `COMPLIANCE`.
    object_lock_mode: Option<Text>,
    /// Whether it is locked until further notice: `ON` or `OFF`.
    object_lock_legal_hold_status: Option<Text>,
    /// Until when it is locked.
    object_lock_retain_until_date: Option<Text>,
    /// Tags of the object.
    tagging: Option<BTreeMap<String, Text>>,
    /// How many parts and files go beside each other.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1))]
    concurrent_uploads: u32,
}

fn fifty() -> u32 {
    50
}

/// One file or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct From(Value);

impl JsonSchema for From {
    fn schema_name() -> Cow<'static, str> {
        "From".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array", "object"],
            "items": { "type": "string" },
            "additionalProperties": { "type": "string" }
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// What is to be uploaded.
#[derive(Debug, PartialEq)]
enum Files {
    One(String),
    /// With the names that they get in their folder.
    Many(Vec<(String, String)>),
}

impl From {
    fn files(&self) -> Result<Files> {
        let value = match &self.0 {
            Value::String(text) => match text.trim_start().as_bytes().first() {
                Some(b'[' | b'{') => match serde_json::from_str(text) {
                    Ok(value) => Cow::Owned(value),
                    Err(problem) => {
                        return error::property("from", format!("not a list or a map in JSON: {problem}"));
                    }
                },
                _ => return Ok(Files::One(text.clone())),
            },
            value => Cow::Borrowed(value),
        };
        let text = |value: &Value| match value {
            Value::String(uri) => Ok(uri.clone()),
            other => error::property("from", format!("expected the URI of a file, found `{other}`")),
        };
        let files: Vec<(String, String)> = match &*value {
            Value::Array(items) => {
                let named = |item| text(item).map(|uri| (base_name(&uri).to_owned(), uri));
                items.iter().map(named).collect::<Result<_>>()?
            }
            Value::Object(members) => {
                members.iter().map(|(name, uri)| Ok((name.clone(), text(uri)?))).collect::<Result<_>>()?
            }
            other => return error::property("from", format!("expected the URI of a file, found `{other}`")),
        };
        if files.is_empty() {
            return error::property("from", "there is no file in it");
        }
        Ok(Files::Many(files))
    }
}

/// What `Upload` puts out.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Uploaded {
    /// The bucket.
    bucket: String,
    /// The object's key; for several files, the folder.
    key: String,
    /// The object's entity tag; null for several files.
    e_tag: Option<String>,
    /// The object's version; null in a bucket that keeps none, and for several files.
    version_id: Option<String>,
    /// For several files: what became of each, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Map<String, Value>>,
}

/// What an object that was written is known by.
pub struct Written {
    pub e_tag: Option<String>,
    pub version_id: Option<String>,
}

impl Task for Upload {
    const TYPE: &'static str = "io.kestra.plugin.aws.s3.Upload";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Upload a file that the flow was started with",
        yaml: r#"id: aws_s3_upload
namespace: company.team
inputs:
  - id: myfile
    type: FILE
tasks:
  - id: upload
    type: io.kestra.plugin.aws.s3.Upload
    accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
    secretKeyId: "{{ secret('AWS_SECRET_KEY_ID') }}"
    region: eu-central-1
    from: "{{ inputs.myfile }}"
    bucket: my-bucket
    key: path/to/file
"#,
    }];
    const NEEDS: weft_sdk::Needs = crate::connection::NEEDS;

    fn run(self, cx: &Context) -> Result<impl Output> {
        crate::list::check_payer(self.request_payer.as_deref())?;
        let files = self.from.files()?;
        let http = cx.http();
        let client = self.connection.client(Hands::of_task(cx, &http))?;
        let mut uploaded =
            Uploaded { bucket: self.bucket.to_string(), key: self.key.to_string(), ..Uploaded::default() };
        match files {
            Files::One(uri) => {
                let written = self.upload(cx, &client, &uri, &self.key)?;
                (uploaded.e_tag, uploaded.version_id) = (written.e_tag, written.version_id);
            }
            Files::Many(files) => {
                let mut done = Map::new();
                for (name, uri) in files {
                    let key = format!("{}/{name}", self.key.trim_end_matches('/'));
                    let written = match self.upload(cx, &client, &uri, key.trim_start_matches('/')) {
                        Ok(written) => written,
                        Err(error) => {
                            // What is there already is known although the task fails.
                            cx.output("files", &done)?;
                            return Err(error);
                        }
                    };
                    done.insert(
                        name,
                        json!({"key": key, "eTag": written.e_tag, "versionId": written.version_id}),
                    );
                }
                uploaded.files = Some(done);
            }
        }
        Ok(uploaded)
    }
}

impl Upload {
    fn upload(&self, cx: &Context, client: &Client<'_>, uri: &str, key: &str) -> Result<Written> {
        let hands = client.hands;
        let file = hands.scratch("upload");
        let size = cx.storage().get(uri, &file).map_err(|error| error.context("property `from`"))?;
        let written = self.send(client, &file, size, key);
        // A copy; others may share the directory.
        hands.remove(&file);
        let written = written?;
        cx.counter("file.count", 1.0, &[]);
        cx.counter("file.size", size as f64, &[]);
        cx.log().debug(format!("`s3://{}/{key}` has {size} bytes", self.bucket));
        Ok(written)
    }

    fn send(&self, client: &Client<'_>, file: &str, size: u64, key: &str) -> Result<Written> {
        if let Some(expected) = self.content_length
            && expected != size
        {
            return error::property("contentLength", format!("the file has {size} bytes, not {expected}"));
        }
        if let Some(given) = &self.checksum {
            let Some(algorithm) = self.checksum_algorithm else {
                return error::property("checksumAlgorithm", "it is needed beside `checksum`");
            };
            checksum::check_given(&client.hands, file, algorithm, given)?;
        }
        let algorithm = match self.checksum_algorithm {
            Some(algorithm) => Some(algorithm),
            None => client.checksums.then_some(Algorithm::Crc32),
        };
        let head = |operation| self.describe(operation, key);
        if size >= PARTS_FROM {
            let start = head(Operation::new("POST", &self.bucket, Some(key), "upload"))?;
            let parts = Parts {
                file,
                size,
                algorithm,
                at_a_time: self.concurrent_uploads as usize,
                common: self.common(),
            };
            return multipart::upload(client, start, &parts);
        }
        let body = Payload::File { file: file.to_owned(), offset: 0, length: size };
        let mut put = head(Operation::new("PUT", &self.bucket, Some(key), "upload"))?.body(body);
        if let Some(algorithm) = algorithm {
            put = put.header(&algorithm.header(), client.hands.digest(file, algorithm.name(), None)?);
        }
        let response = client.send(&put)?;
        Ok(Written {
            e_tag: response.header("etag").map(str::to_owned),
            version_id: response.header("x-amz-version-id").map(str::to_owned),
        })
    }

    /// Headers that every request about the object has.
    fn common(&self) -> Vec<(String, String)> {
        let fields = [
            ("x-amz-expected-bucket-owner", &self.expected_bucket_owner),
            ("x-amz-request-payer", &self.request_payer),
        ];
        let given = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.as_ref()?.to_string())));
        given.filter(|(_, value)| !value.is_empty()).collect()
    }

    /// Headers that say what the object is.
    fn describe(&self, mut operation: Operation, key: &str) -> Result<Operation> {
        operation.headers.extend(self.common());
        let content_type = match self.content_type.as_deref() {
            Some(given) => given,
            None => content_type(key),
        };
        operation = operation
            .header("content-type", content_type)
            .maybe_header("cache-control", self.cache_control.as_deref())
            .maybe_header("content-encoding", self.content_encoding.as_deref())
            .maybe_header("content-disposition", self.content_disposition.as_deref())
            .maybe_header("content-language", self.content_language.as_deref())
            .maybe_header("x-amz-acl", self.acl.as_deref())
            .maybe_header("x-amz-storage-class", self.storage_class.as_deref())
            .maybe_header(
                "x-amz-server-side-encryption",
                self.server_side_encryption.as_deref().map(encryption),
            )
            .maybe_header("x-amz-server-side-encryption-aws-kms-key-id", self.kms_key_id.as_deref())
            .maybe_header("x-amz-object-lock-mode", self.object_lock_mode.as_deref())
            .maybe_header("x-amz-object-lock-legal-hold", self.object_lock_legal_hold_status.as_deref());
        if let Some(expires) = &self.expires {
            operation = operation.header("expires", date::http("expires", expires)?);
        }
        if let Some(until) = &self.object_lock_retain_until_date {
            let until = date::instant("objectLockRetainUntilDate", until)?;
            operation = operation.header("x-amz-object-lock-retain-until-date", until.to_string());
        }
        if let Some(enabled) = self.bucket_key_enabled {
            operation =
                operation.header("x-amz-server-side-encryption-bucket-key-enabled", enabled.to_string());
        }
        for (name, value) in self.metadata.iter().flatten() {
            let plain = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            if name.is_empty() || name.contains([' ', ':']) || !plain(name) || !plain(value) {
                let problem =
                    format!("`{name}: {value}`: only letters, digits and signs of ASCII can be sent");
                return error::property("metadata", problem);
            }
            operation =
                operation.header(&format!("x-amz-meta-{}", name.to_ascii_lowercase()), value.to_string());
        }
        if let Some(tags) = &self.tagging {
            let tags: Vec<(String, String)> =
                tags.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
            operation = operation.header("x-amz-tagging", crate::sigv4::query_string(&tags));
        }
        Ok(operation)
    }
}

/// Java's name for an encryption as the server knows it.
pub fn encryption(name: &str) -> &str {
    match name {
        "AWS_KMS" => "aws:kms",
        "AWS_KMS_DSSE" => "aws:kms:dsse",
        "NONE" => "",
        other => other,
    }
}

/// What a key's ending says about the content.
fn content_type(key: &str) -> &'static str {
    let ending = base_name(key).rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref().unwrap_or_default() {
        "avro" => "application/avro",
        "bz2" => "application/x-bzip2",
        "css" => "text/css",
        "csv" => "text/csv",
        "gif" => "image/gif",
        "gz" | "tgz" => "application/gzip",
        "htm" | "html" => "text/html",
        "ico" => "image/x-icon",
        "jpeg" | "jpg" => "image/jpeg",
        "js" | "mjs" => "text/javascript",
        "json" => "application/json",
        "jsonl" | "ndjson" => "application/x-ndjson",
        "md" => "text/markdown",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "parquet" => "application/vnd.apache.parquet",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "tar" => "application/x-tar",
        "tsv" => "text/tab-separated-values",
        "txt" | "log" => "text/plain",
        "wasm" => "application/wasm",
        "webp" => "image/webp",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xml" => "application/xml",
        "yaml" | "yml" => "application/yaml",
        "zip" => "application/zip",
        "zst" => "application/zstd",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_or_several() {
        let many = |files: &[(&str, &str)]| {
            Ok(Files::Many(files.iter().map(|(name, uri)| ((*name).to_owned(), (*uri).to_owned())).collect()))
        };
        for (from, expected) in [
            (json!("kestra:///a/b.csv"), Ok(Files::One("kestra:///a/b.csv".to_owned()))),
            (
                json!(["kestra:///a/b.csv", "kestra:///c"]),
                many(&[("b.csv", "kestra:///a/b.csv"), ("c", "kestra:///c")]),
            ),
            (json!({"x/y.csv": "kestra:///a"}), many(&[("x/y.csv", "kestra:///a")])),
            (json!(" [\"kestra:///a/b\"] "), many(&[("b", "kestra:///a/b")])),
            (json!("{\"n\": \"kestra:///a\"}"), many(&[("n", "kestra:///a")])),
        ] {
            let files = From(from.clone()).files().map_err(|error| error.message().to_owned());
            assert_eq!(files, expected, "{from}");
        }
        for from in [json!([]), json!({}), json!([1]), json!("[kestra:///a]")] {
            assert_eq!(From(from.clone()).files().unwrap_err().code(), "property.invalid", "{from}");
        }
    }

    #[test]
    fn content_types_are_guessed() {
        for (key, expected) in [
            ("a/b.CSV", "text/csv"),
            ("x.tar.gz", "application/gzip"),
            ("folder.json/x", "application/octet-stream"),
            ("none", "application/octet-stream"),
        ] {
            assert_eq!(content_type(key), expected, "{key}");
        }
    }
}
