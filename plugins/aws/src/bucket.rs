//! Making buckets.

use weft_sdk::Text;
use weft_sdk::prelude::*;

use crate::client::{Hands, Operation, Payload};
use crate::connection::Connection;
use crate::xml::Writer;

/// Makes a bucket.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateBucket {
    #[serde(flatten)]
    connection: Connection,
    /// Its name.
    bucket: Text,
    /// Who may do everything with it.
    grant_full_control: Option<Text>,
    /// Who may list its objects.
    grant_read: Option<Text>,
    /// Who may read who may do what.
    #[serde(rename = "grantReadACP")]
    grant_read_acp: Option<Text>,
    /// Who may write its objects.
    grant_write: Option<Text>,
    /// Who may change who may do what.
    #[serde(rename = "grantWriteACP")]
    grant_write_acp: Option<Text>,
    /// Who may do what, by a name such as `private`.
    acl: Option<Text>,
    /// Whether its objects can be locked.
    object_lock_enabled_for_bucket: Option<bool>,
}

/// What `CreateBucket` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Created {
    /// The bucket's name.
    bucket: String,
    /// Where it is, as the server says it.
    region: Option<String>,
}

impl Task for CreateBucket {
    const TYPE: &'static str = "io.kestra.plugin.aws.s3.CreateBucket";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Make a bucket",
        yaml: r#"id: create_bucket
type: io.kestra.plugin.aws.s3.CreateBucket
accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
secretKeyId: "{{ secret('AWS_SECRET_KEY_ID') }}"
region: eu-central-1
bucket: my-bucket
"#,
    }];
    const NEEDS: weft_sdk::Needs = crate::connection::NEEDS;

    fn run(self, cx: &Context) -> Result<impl Output> {
        let http = cx.http();
        let client = self.connection.client(Hands::of_task(cx, &http))?;
        let mut create = Operation::new("PUT", &self.bucket, None, "make the bucket")
            .maybe_header("x-amz-grant-full-control", self.grant_full_control.as_deref())
            .maybe_header("x-amz-grant-read", self.grant_read.as_deref())
            .maybe_header("x-amz-grant-read-acp", self.grant_read_acp.as_deref())
            .maybe_header("x-amz-grant-write", self.grant_write.as_deref())
            .maybe_header("x-amz-grant-write-acp", self.grant_write_acp.as_deref())
            .maybe_header("x-amz-acl", self.acl.as_deref());
        if let Some(enabled) = self.object_lock_enabled_for_bucket {
            create = create.header("x-amz-bucket-object-lock-enabled", enabled.to_string());
        }
        let region = client.region();
        // The one region that has no name here.
        if region != "us-east-1" {
            let mut document = Writer::new("CreateBucketConfiguration");
            document.leaf("LocationConstraint", &region);
            create = create.body(Payload::Text(document.finish("CreateBucketConfiguration")));
        }
        let response = client.send(&create)?;
        Ok(Created {
            bucket: self.bucket.to_string(),
            region: response.header("location").map(str::to_owned),
        })
    }
}
