//! Copies, and what becomes of objects that were fetched.

use schemars::Schema;
use weft_sdk::Text;
use weft_sdk::prelude::*;

use crate::client::{Client, Hands, Operation};
use crate::connection::Connection;
use crate::error::{self, Refusal};
use crate::multipart;
use crate::object::base_name;
use crate::sigv4::{encoded, encoded_key};
use crate::upload::{Written, encryption};
use crate::xml;

/// A larger object is copied in parts: S3 takes 5 GiB in one request.
const IN_ONE: u64 = 5 << 30;

/// What becomes of an object that was fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Action {
    /// It is moved to another key, or another bucket.
    Move,
    /// It is deleted.
    Delete,
    /// It stays.
    #[default]
    None,
}

/// Says in a type's schema what [`Action::check`] checks, so that it is known before the flow runs. In the condition
/// `action` stands for itself: an expression may turn out as anything.
pub fn move_needs_target(schema: &mut Schema) {
    schema.insert(
        "if".to_owned(),
        json!({
            "required": ["action"],
            "properties": { "action": { "enum": ["MOVE"], "x-weft-static": true } }
        }),
    );
    schema.insert(
        "then".to_owned(),
        json!({ "required": ["moveTo"], "properties": { "moveTo": { "type": "object" } } }),
    );
}

/// Where objects are moved to.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MoveTo {
    /// Another bucket; the same one where it is left out.
    pub bucket: Option<Text>,
    /// The folder that they go into. They keep the last part of their keys.
    pub key: Text,
    /// How the server encrypts them: `AES256` or `AWS_KMS`.
    pub server_side_encryption: Option<Text>,
    /// The key of the server's encryption with KMS.
    pub kms_key_id: Option<Text>,
}

impl MoveTo {
    /// Where an object goes: bucket and key.
    pub fn target(&self, bucket: &str, key: &str) -> (String, String) {
        let folder = self.key.trim_end_matches('/');
        let to = self.bucket.as_deref().filter(|bucket| !bucket.is_empty()).unwrap_or(bucket);
        (to.to_owned(), format!("{folder}/{}", base_name(key)))
    }
}

impl Action {
    /// Whether there is what the action needs.
    pub fn check(self, move_to: Option<&MoveTo>) -> Result<()> {
        if self == Self::Move && move_to.is_none() {
            return error::property("moveTo", "it is needed for `action: MOVE`");
        }
        Ok(())
    }

    /// Does it to one object. One that is gone already is fine: it was done before.
    pub fn perform(
        self,
        client: &Client<'_>,
        bucket: &str,
        key: &str,
        move_to: Option<&MoveTo>,
    ) -> Result<()> {
        match (self, move_to) {
            (Self::None, _) | (Self::Move, None) => Ok(()),
            (Self::Delete, _) => delete(client, bucket, key),
            (Self::Move, Some(to)) => {
                let (to_bucket, to_key) = to.target(bucket, key);
                if (to_bucket.as_str(), to_key.as_str()) == (bucket, key) {
                    return error::property("moveTo", format!("`{key}` would be moved to itself"));
                }
                let source = Source { bucket, key, version: None };
                let encryption = (to.server_side_encryption.as_deref(), to.kms_key_id.as_deref());
                match copy(client, &source, &to_bucket, &to_key, encryption) {
                    Ok(_) => delete(client, bucket, key),
                    Err(error) if error.code() == "s3.no-such-key" => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

pub fn delete(client: &Client<'_>, bucket: &str, key: &str) -> Result<()> {
    client.send(&Operation::new("DELETE", bucket, Some(key), "delete")).map(|_| ())
}

/// What is copied.
pub struct Source<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub version: Option<&'a str>,
}

impl Source<'_> {
    fn header(&self) -> (String, String) {
        let mut value = format!("/{}/{}", encoded(self.bucket), encoded_key(self.key));
        if let Some(version) = self.version {
            value.push_str("?versionId=");
            value.push_str(&encoded(version));
        }
        ("x-amz-copy-source".to_owned(), value)
    }

    /// Its size: too large ones go in parts.
    fn size(&self, client: &Client<'_>) -> Result<u64> {
        let mut head = Operation::new("HEAD", self.bucket, Some(self.key), "look at");
        if let Some(version) = self.version {
            head = head.query("versionId", version);
        }
        let response = client.send(&head)?;
        Ok(response.content_length().unwrap_or_default())
    }
}

/// Copies an object on the server's side; `encryption` is algorithm and KMS key.
pub fn copy(
    client: &Client<'_>,
    source: &Source<'_>,
    bucket: &str,
    key: &str,
    encryption_of: (Option<&str>, Option<&str>),
) -> Result<Written> {
    let size = source.size(client)?;
    let describe = |operation: Operation| {
        operation
            .maybe_header("x-amz-server-side-encryption", encryption_of.0.map(encryption))
            .maybe_header("x-amz-server-side-encryption-aws-kms-key-id", encryption_of.1)
    };
    let header = source.header();
    if size > IN_ONE {
        let start = describe(Operation::new("POST", bucket, Some(key), "copy to"));
        return multipart::copy(client, start, size, &header);
    }
    let put = describe(Operation::new("PUT", bucket, Some(key), "copy to")).header(&header.0, header.1);
    let response = client.send(&put)?;
    let version_id = response.header("x-amz-version-id").map(str::to_owned);
    let answer = response.text(crate::client::MAX_DOCUMENT)?;
    // The server answers before it is done, so an error may stand in an answer of success.
    match xml::text(&answer, "ETag") {
        Some(e_tag) => Ok(Written { e_tag: Some(e_tag), version_id }),
        None => Err(Refusal::read(500, &answer).error(&put.what)),
    }
}

/// The object to be copied.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyFrom {
    /// Its bucket.
    bucket: Text,
    /// Its key.
    key: Text,
    /// A version of it.
    version_id: Option<Text>,
}

/// Where it is copied to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyTo {
    /// The bucket; the same one where it is left out.
    bucket: Option<Text>,
    /// The key; the same one where it is left out.
    key: Option<Text>,
    /// How the server encrypts it: `AES256` or `AWS_KMS`.
    server_side_encryption: Option<Text>,
    /// The key of the server's encryption with KMS.
    kms_key_id: Option<Text>,
}

/// Copies an object to another key or bucket, without fetching it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Copy {
    #[serde(flatten)]
    connection: Connection,
    /// The object.
    from: CopyFrom,
    /// Where it is copied to.
    #[serde(default)]
    to: CopyTo,
    /// Whether the object itself is deleted afterwards.
    #[serde(default)]
    delete: bool,
}

/// What `Copy` puts out.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Copied {
    /// The bucket of the copy.
    bucket: String,
    /// Its key.
    key: String,
    /// Its entity tag.
    e_tag: Option<String>,
    /// Its version, in a bucket that keeps them.
    version_id: Option<String>,
}

impl Task for Copy {
    const TYPE: &'static str = "io.kestra.plugin.aws.s3.Copy";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Copy an object to another bucket",
        yaml: r#"id: copy
type: io.kestra.plugin.aws.s3.Copy
accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
secretKeyId: "{{ secret('AWS_SECRET_KEY_ID') }}"
region: eu-central-1
from:
  bucket: my-bucket
  key: path/to/file
to:
  bucket: my-bucket2
  key: path/to/file2
"#,
    }];
    const NEEDS: weft_sdk::Needs = crate::connection::NEEDS;

    fn run(self, cx: &Context) -> Result<impl Output> {
        let http = cx.http();
        let client = self.connection.client(Hands::of_task(cx, &http))?;
        let (from, to) = (&self.from, &self.to);
        let bucket = to.bucket.as_ref().unwrap_or(&from.bucket);
        let key = to.key.as_ref().unwrap_or(&from.key);
        if self.delete && bucket == &from.bucket && key == &from.key {
            return error::property("delete", "the copy would be deleted: it is the object itself");
        }
        let source = Source { bucket: &from.bucket, key: &from.key, version: from.version_id.as_deref() };
        let encryption = (to.server_side_encryption.as_deref(), to.kms_key_id.as_deref());
        let written = copy(&client, &source, bucket, key, encryption)?;
        if self.delete {
            delete(&client, &from.bucket, &from.key)?;
        }
        Ok(Copied {
            bucket: bucket.to_string(),
            key: key.to_string(),
            e_tag: written.e_tag,
            version_id: written.version_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_their_last_part_where_they_are_moved_to() {
        for (folder, key, expected) in [
            ("archive/raw/", "raw/a.csv", "archive/raw/a.csv"),
            ("archive", "deep/er/b", "archive/b"),
            ("archive///", "folder/", "archive/folder"),
        ] {
            let to =
                MoveTo { bucket: None, key: folder.into(), server_side_encryption: None, kms_key_id: None };
            assert_eq!(to.target("b", key), ("b".to_owned(), expected.to_owned()));
        }
        let to = MoveTo {
            bucket: Some("c".into()),
            key: "x".into(),
            server_side_encryption: None,
            kms_key_id: None,
        };
        assert_eq!(to.target("b", "k").0, "c");
    }
}
