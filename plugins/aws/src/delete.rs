//! Deleting objects.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use weft_sdk::Text;
use weft_sdk::prelude::*;

use crate::client::{Client, Hands, MAX_DOCUMENT, Operation, Payload};
use crate::connection::Connection;
use crate::error::Refusal;
use crate::list::{Listing, check_payer};
use crate::xml::{self, Writer};

/// How many keys one request may have.
const AT_A_TIME: usize = 1000;

/// Deletes an object. One that is not there is fine.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delete {
    #[serde(flatten)]
    connection: Connection,
    /// The bucket.
    bucket: Text,
    /// The object's key.
    key: Text,
    /// A version of it, which is then gone for good.
    version_id: Option<Text>,
    /// Whether a lock in the mode `GOVERNANCE` is passed over.
    bypass_governance_retention: Option<bool>,
    /// Number and code of the device, in a bucket that asks for them.
    mfa: Option<Text>,
    /// The account that must own the bucket.
    expected_bucket_owner: Option<Text>,
    /// Who pays, where the bucket's owner does not: `requester`.
    request_payer: Option<Text>,
}

/// What `Delete` puts out.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// The version that stands for the deletion, in a bucket that keeps them.
    version_id: Option<String>,
    /// Whether what was deleted, or was made, stands for a deletion.
    delete_marker: Option<bool>,
    /// Who paid.
    request_charged: Option<String>,
}

impl Task for Delete {
    const TYPE: &'static str = "io.kestra.plugin.aws.s3.Delete";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Delete an object",
        yaml: r#"id: delete
type: io.kestra.plugin.aws.s3.Delete
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
        let client = self.connection.client(Hands::of_task(cx, &http))?;
        let mut delete = Operation::new("DELETE", &self.bucket, Some(&self.key), "delete")
            .maybe_header("x-amz-mfa", self.mfa.as_deref())
            .maybe_header("x-amz-expected-bucket-owner", self.expected_bucket_owner.as_deref())
            .maybe_header("x-amz-request-payer", self.request_payer.as_deref());
        if let Some(bypass) = self.bypass_governance_retention {
            delete = delete.header("x-amz-bypass-governance-retention", bypass.to_string());
        }
        if let Some(version) = self.version_id.as_deref().filter(|version| !version.is_empty()) {
            delete = delete.query("versionId", version);
        }
        let response = client.send(&delete)?;
        Ok(Deleted {
            version_id: response.header("x-amz-version-id").map(str::to_owned),
            delete_marker: response.header("x-amz-delete-marker").map(|marker| marker == "true"),
            request_charged: response.header("x-amz-request-charged").map(str::to_owned),
        })
    }
}

/// Deletes the objects of a listing.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeleteList {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    listing: Listing,
    /// How many requests go beside each other; each deletes up to 1,000 objects.
    #[schemars(range(min = 2))]
    concurrent: Option<u32>,
    /// Whether it is an error that there is nothing to delete.
    #[serde(default)]
    error_on_empty: bool,
}

/// What `DeleteList` puts out.
#[derive(Serialize, JsonSchema)]
pub struct AllDeleted {
    /// How many objects were deleted.
    count: u64,
    /// Their size in bytes.
    size: u64,
}

impl Task for DeleteList {
    const TYPE: &'static str = "io.kestra.plugin.aws.s3.DeleteList";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Delete what a folder holds",
        yaml: r#"id: delete_list
type: io.kestra.plugin.aws.s3.DeleteList
accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
secretKeyId: "{{ secret('AWS_SECRET_KEY_ID') }}"
region: eu-central-1
bucket: my-bucket
prefix: sub-dir/
"#,
    }];
    const NEEDS: weft_sdk::Needs = crate::connection::NEEDS;

    fn run(self, cx: &Context) -> Result<impl Output> {
        check_payer(self.listing.request_payer.as_deref())?;
        let http = cx.http();
        let client = self.connection.client(Hands::of_task(cx, &http))?;
        let objects = self.listing.objects(&client)?;
        if objects.is_empty() && self.error_on_empty {
            let message = format!("there is nothing to delete in `s3://{}`", self.listing.bucket);
            return Err(Error::new("s3.no-such-key", message));
        }
        let keys: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
        let operations: Vec<Operation> = keys.chunks(AT_A_TIME).map(|keys| self.request(keys)).collect();
        let at_a_time = self.concurrent.map_or(1, |concurrent| concurrent as usize);
        let refused = delete_all(&client, &operations, at_a_time)?;
        let gone = |key: &str| !refused.iter().any(|(refused, _)| refused == key);
        let deleted = objects.iter().filter(|object| gone(&object.key));
        let (count, size) =
            deleted.fold((0, 0), |(count, size), object| (count + 1, object.size.saturating_add(size)));
        cx.counter("s3.objects.deleted.count", count as f64, &[]);
        cx.counter("s3.objects.deleted.size", size as f64, &[]);
        if let Some((key, refusal)) = refused.first() {
            cx.output("count", count)?;
            cx.output("size", size)?;
            let error = refusal.error(&format!("delete `s3://{}/{key}`", self.listing.bucket));
            let told = format!("{} of {} objects were deleted", count, objects.len());
            return Err(Error::new(error.code(), format!("{}\n{told}", error.message())));
        }
        cx.log().info(format!("{count} objects with {size} bytes were deleted"));
        Ok(AllDeleted { count, size })
    }
}

impl DeleteList {
    fn request(&self, keys: &[&str]) -> Operation {
        let mut document = Writer::new("Delete");
        document.leaf("Quiet", "true");
        for key in keys {
            document.open("Object").leaf("Key", key).close("Object");
        }
        let text = document.finish("Delete");
        // The one request whose body must have a digest.
        let digest = BASE64_STANDARD.encode(Md5::digest(&text));
        Operation::new("POST", &self.listing.bucket, None, "delete objects of")
            .query("delete", "")
            .header("content-md5", digest)
            .header("content-type", "application/xml")
            .maybe_header("x-amz-expected-bucket-owner", self.listing.expected_bucket_owner.as_deref())
            .maybe_header("x-amz-request-payer", self.listing.request_payer.as_deref())
            .body(Payload::Text(text))
    }
}

/// The keys that the server kept, with its reasons.
fn delete_all(
    client: &Client<'_>,
    operations: &[Operation],
    at_a_time: usize,
) -> Result<Vec<(String, Refusal)>> {
    let mut refused = Vec::new();
    client.send_all(operations, at_a_time, |_, response| {
        let answer = response.text(MAX_DOCUMENT)?;
        let root = xml::parse(&answer).unwrap_or_default();
        for error in root.all("Error") {
            let text = |name| error.get(name).unwrap_or_default().to_owned();
            let refusal = Refusal { code: text("Code"), message: text("Message"), ..Refusal::default() };
            refused.push((text("Key"), refusal));
        }
        Ok(())
    })?;
    Ok(refused)
}
