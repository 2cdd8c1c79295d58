//! Downloads.

use serde_json::Map;
use weft_sdk::Text;
use weft_sdk::prelude::*;

use crate::checksum;
use crate::client::{Client, Hands, Operation};
use crate::connection::Connection;
use crate::copy::Action;
use crate::copy::MoveTo;
use crate::filter::Kind;
use crate::list::{Listing, check_payer};
use crate::object::{S3Object, base_name};

/// How often a body that breaks off is fetched again.
const TRIES: u32 = 4;

/// A file that was fetched.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fetched {
    /// The file in internal storage.
    uri: Option<String>,
    /// Its size in bytes.
    content_length: Option<u64>,
    /// Its content type.
    content_type: Option<String>,
    /// Metadata of the object.
    metadata: Option<Map<String, Value>>,
    /// Its entity tag.
    e_tag: Option<String>,
    /// Its version, in a bucket that keeps them.
    version_id: Option<String>,
}

impl Fetched {
    /// The file in internal storage.
    pub fn uri(self) -> Option<String> {
        self.uri
    }
}

/// Fetches an object into internal storage.
pub fn fetch(client: &Client<'_>, get: &Operation, name: &str) -> Result<Fetched> {
    let hands = client.hands;
    let file = hands.scratch("download");
    let fetched = fetch_to(client, get, &file).and_then(|fetched| {
        let uri = hands.storage().keep(&file, name)?;
        Ok(Fetched { uri: Some(uri), ..fetched })
    });
    // It is still there if something failed in between.
    hands.remove(&file);
    fetched
}

fn fetch_to(client: &Client<'_>, get: &Operation, file: &str) -> Result<Fetched> {
    let mut tries = 1;
    loop {
        let response = client.send(get)?;
        let headers: Vec<(String, String)> = response.headers().to_vec();
        let header = |name: &str| {
            let found = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        let saved = response.save(file, None).and_then(|length| {
            checksum::verify(&client.hands, file, &get.what, header)?;
            Ok(length)
        });
        match saved {
            Ok(length) => {
                let metadata = headers.iter().filter_map(|(name, value)| {
                    let name = name.to_ascii_lowercase();
                    Some((name.strip_prefix("x-amz-meta-")?.to_owned(), Value::String(value.clone())))
                });
                return Ok(Fetched {
                    uri: None,
                    content_length: Some(length),
                    content_type: header("content-type"),
                    metadata: Some(metadata.collect()),
                    e_tag: header("etag"),
                    version_id: header("x-amz-version-id"),
                });
            }
            Err(error) if error.is_retryable() && tries < TRIES && !client.hands.cancelled() => {
                client.hands.log().warn(format!("cannot {}: {}\nis tried again", get.what, error.message()));
                tries += 1;
            }
            Err(error) => return Err(error.context(&format!("cannot {}", get.what))),
        }
    }
}

/// What one of several objects is called in storage: two of one name in different folders must not meet.
pub fn numbered(index: usize, key: &str) -> String {
    format!("{index}-{}", base_name(key))
}

/// The request for an object.
pub fn get(bucket: &str, key: &str) -> Operation {
    Operation::new("GET", bucket, Some(key), "download").header("x-amz-checksum-mode", "ENABLED")
}

/// Fetches an object, or those that a prefix and a pattern name, into internal storage.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Download {
    #[serde(flatten)]
    connection: Connection,
    /// The bucket.
    bucket: Text,
    /// The object's key.
    key: Option<Text>,
    /// A version of the object.
    version_id: Option<Text>,
    /// How the keys begin: for more than one object.
    prefix: Option<Text>,
    /// Keys that have this after the prefix are left out.
    delimiter: Option<Text>,
    /// Only keys that come after this one.
    marker: Option<Text>,
    /// How many keys are looked at.
    max_keys: Option<u32>,
    /// A regular expression that whole keys must match.
    regexp: Option<Text>,
    /// How many objects are fetched at most.
    max_files: Option<u32>,
    /// The account that must own the bucket.
    expected_bucket_owner: Option<Text>,
    /// Who pays, where the bucket's owner does not: `requester`.
    request_payer: Option<Text>,
}

/// What `Download` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Downloaded {
    #[serde(flatten)]
    one: Fetched,
    /// For more than one object: each by its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Map<String, Value>>,
}

impl Task for Download {
    const TYPE: &'static str = "io.kestra.plugin.aws.s3.Download";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Fetch an object",
        yaml: r#"id: download
type: io.kestra.plugin.aws.s3.Download
accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
secretKeyId: "{{ secret('AWS_SECRET_KEY_ID') }}"
region: eu-central-1
bucket: my-bucket
key: path/to/file
"#,
    }];
    const NEEDS: weft_sdk::Needs = crate::connection::NEEDS;

    fn run(self, cx: &Context) -> Result<impl Output> {
        check_payer(self.request_payer.as_deref())?;
        let http = cx.http();
        let many = self.prefix.is_some() || self.delimiter.is_some() || self.regexp.is_some();
        let client = self.connection.client(Hands::of_task(cx, &http))?;
        let request = |key: &str| {
            get(&self.bucket, key)
                .maybe_header("x-amz-expected-bucket-owner", self.expected_bucket_owner.as_deref())
                .maybe_header("x-amz-request-payer", self.request_payer.as_deref())
        };
        if let (Some(key), false) = (&self.key, many) {
            let mut get = request(key);
            if let Some(version) = self.version_id.as_deref().filter(|version| !version.is_empty()) {
                get = get.query("versionId", version);
            }
            let one = fetch(&client, &get, base_name(key))?;
            cx.counter("file.size", one.content_length.unwrap_or_default() as f64, &[]);
            return Ok(Downloaded { one, files: None });
        }
        if !many {
            return crate::error::property(
                "key",
                "expected it, or `prefix`, `delimiter` or `regexp` for more than one object",
            );
        }
        let listing = Listing {
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            delimiter: self.delimiter.clone(),
            marker: self.marker.clone(),
            encoding_type: None,
            max_keys: self.max_keys.unwrap_or(1000),
            expected_bucket_owner: self.expected_bucket_owner.clone(),
            request_payer: self.request_payer.clone(),
            regexp: self.regexp.clone(),
            filter: Kind::Files,
        };
        let mut objects = listing.objects(&client)?;
        if objects.is_empty() {
            cx.log().warn("no object matches");
        }
        if let Some(most) = self.max_files {
            objects.truncate(most as usize);
        }
        let mut files = Map::new();
        for (index, object) in objects.into_iter().enumerate() {
            let fetched = fetch(&client, &request(&object.key), &numbered(index, &object.key))?;
            cx.counter("file.size", fetched.content_length.unwrap_or_default() as f64, &[]);
            files.insert(object.key, serde_json::to_value(fetched)?);
        }
        Ok(Downloaded { one: Fetched::default(), files: Some(files) })
    }
}

/// Fetches the objects of a listing into internal storage, and deletes or moves them afterwards if that is wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::copy::move_needs_target)]
pub struct Downloads {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    listing: Listing,
    /// How many objects are fetched at most.
    max_files: Option<u32>,
    /// What becomes of the objects afterwards.
    #[serde(default)]
    action: Action,
    /// Where they are moved to.
    move_to: Option<MoveTo>,
}

/// What `Downloads` puts out.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllDownloaded {
    /// The objects.
    objects: Vec<S3Object>,
    /// The files in internal storage by key.
    output_files: Map<String, Value>,
}

impl Task for Downloads {
    const TYPE: &'static str = "io.kestra.plugin.aws.s3.Downloads";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Fetch what a folder holds, and move it away",
        yaml: r#"id: downloads
type: io.kestra.plugin.aws.s3.Downloads
accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
secretKeyId: "{{ secret('AWS_SECRET_KEY_ID') }}"
region: eu-central-1
bucket: my-bucket
prefix: inbox/
action: MOVE
moveTo:
  key: archive
"#,
    }];
    const NEEDS: weft_sdk::Needs = crate::connection::NEEDS;

    fn run(self, cx: &Context) -> Result<impl Output> {
        check_payer(self.listing.request_payer.as_deref())?;
        self.action.check(self.move_to.as_ref())?;
        let http = cx.http();
        let client = self.connection.client(Hands::of_task(cx, &http))?;
        let bucket = &self.listing.bucket;
        let mut listed = self.listing.objects(&client)?;
        if let Some(most) = self.max_files {
            listed.truncate(most as usize);
        }
        let (mut objects, mut output_files, mut total) = (Vec::new(), Map::new(), 0);
        for (index, object) in listed.iter().enumerate() {
            // Folders have nothing to fetch.
            if object.is_directory() {
                continue;
            }
            let request = get(bucket, &object.key)
                .maybe_header("x-amz-request-payer", self.listing.request_payer.as_deref());
            let fetched = fetch(&client, &request, &numbered(index, &object.key))?;
            total += fetched.content_length.unwrap_or_default();
            let uri = fetched.uri.unwrap_or_default();
            output_files.insert(object.key.clone(), Value::String(uri.clone()));
            objects.push(S3Object { uri: Some(uri), ..object.clone() });
        }
        cx.counter("files.count", objects.len() as f64, &[]);
        cx.counter("files.size.total", total as f64, &[]);
        for object in &listed {
            self.action.perform(&client, bucket, &object.key, self.move_to.as_ref())?;
        }
        Ok(AllDownloaded { objects, output_files })
    }
}
