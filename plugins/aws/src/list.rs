//! Listing a bucket.

use percent_encoding::percent_decode_str;
use weft_sdk::Text;
use weft_sdk::prelude::*;

use crate::client::{Client, Hands, Operation};
use crate::connection::Connection;
use crate::error;
use crate::filter::{Filter, Kind};
use crate::object::S3Object;
use crate::xml;

/// Which objects of which bucket.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// The bucket.
    pub bucket: Text,
    /// How the keys begin.
    pub prefix: Option<Text>,
    /// Keys that have this after the prefix are left out.
    pub delimiter: Option<Text>,
    /// Only keys that come after this one.
    pub marker: Option<Text>,
    /// How the server writes keys: `url`. It changes nothing in what comes out.
    #[serde(default)]
    #[allow(
        dead_code,
        reason = "keys are always asked for in this form, which has a place for every letter"
    )]
    pub encoding_type: Option<Text>,
    /// How many keys are asked for: no more are looked at, before the filter.
    #[serde(default = "thousand")]
    #[schemars(range(min = 1))]
    pub max_keys: u32,
    /// The account that must own the bucket.
    pub expected_bucket_owner: Option<Text>,
    /// Who pays, where the bucket's owner does not: `requester`.
    pub request_payer: Option<Text>,
    /// A regular expression that whole keys must match.
    pub regexp: Option<Text>,
    /// Whether files, folders (keys that end with `/`) or both are meant.
    #[serde(default)]
    pub filter: Kind,
}

fn thousand() -> u32 {
    1000
}

impl Listing {
    /// The objects, at most `max_keys` before the filter.
    pub fn objects(&self, client: &Client<'_>) -> Result<Vec<S3Object>> {
        let mut found = Vec::new();
        self.walk(client, self.max_keys, |object| {
            found.push(object);
            true
        })?;
        Ok(found)
    }

    /// Hands out the objects that the filter takes of the first `left` ones, as long as `each` wants more.
    pub fn walk(
        &self,
        client: &Client<'_>,
        mut left: u32,
        mut each: impl FnMut(S3Object) -> bool,
    ) -> Result<()> {
        let filter = Filter::new(self.filter, self.regexp.as_deref())?;
        let mut token: Option<String> = None;
        while left > 0 {
            let text = client.document(&self.page(left.clamp(1, 1000), token.as_deref()))?;
            let root = xml::parse(&text).ok_or_else(|| {
                Error::new("s3.refused", format!("cannot list `s3://{}`: the answer is no XML", self.bucket))
            })?;
            let encoded = root.get("EncodingType") == Some("url");
            let mut count = 0;
            for mut object in root.all("Contents").filter_map(S3Object::read) {
                count += 1;
                if encoded {
                    object.key = decoded(&object.key);
                }
                if filter.takes(&object) && !each(object) {
                    return Ok(());
                }
            }
            left = left.saturating_sub(count);
            if client.hands.cancelled() {
                return Err(Error::new("task.killed", "the listing was given up"));
            }
            let next = root.get("NextContinuationToken").filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() || root.get("IsTruncated") != Some("true") {
                break;
            }
            if next == token {
                let problem = "a page promises another one, and that is the same";
                return Err(Error::new(
                    "s3.refused",
                    format!("cannot list `s3://{}`: {problem}", self.bucket),
                ));
            }
            token = next;
        }
        Ok(())
    }

    fn page(&self, keys: u32, token: Option<&str>) -> Operation {
        let mut page = Operation::new("GET", &self.bucket, None, "list")
            .query("list-type", "2")
            .query("max-keys", keys.to_string())
            .query("encoding-type", "url")
            .query("fetch-owner", "true")
            .maybe_header("x-amz-expected-bucket-owner", self.expected_bucket_owner.as_deref())
            .maybe_header("x-amz-request-payer", self.request_payer.as_deref());
        for (name, value) in [("prefix", &self.prefix), ("delimiter", &self.delimiter)] {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                page = page.query(name, value);
            }
        }
        match (token, self.marker.as_deref()) {
            (Some(token), _) => page.query("continuation-token", token),
            (None, Some(marker)) if !marker.is_empty() => page.query("start-after", marker),
            _ => page,
        }
    }
}

/// A key without percent-encoding; `+` is a blank.
fn decoded(key: &str) -> String {
    percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Lists the objects of a bucket.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct List {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    listing: Listing,
    /// How many objects are put out at most; all that were found where it is left out.
    max_files: Option<u32>,
}

/// What tasks put out that find objects.
#[derive(Serialize, JsonSchema)]
pub struct Listed {
    /// The objects, in the order of their keys.
    pub objects: Vec<S3Object>,
}

impl Task for List {
    const TYPE: &'static str = "io.kestra.plugin.aws.s3.List";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "List what a folder holds",
        yaml: r#"id: list
type: io.kestra.plugin.aws.s3.List
accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
secretKeyId: "{{ secret('AWS_SECRET_KEY_ID') }}"
region: eu-central-1
bucket: my-bucket
prefix: sub-dir/
"#,
    }];
    const NEEDS: weft_sdk::Needs = crate::connection::NEEDS;

    fn run(self, cx: &Context) -> Result<impl Output> {
        let http = cx.http();
        let client = self.connection.client(Hands::of_task(cx, &http))?;
        let mut objects = self.listing.objects(&client)?;
        cx.counter("s3.objects.count", objects.len() as f64, &[]);
        if let Some(most) = self.max_files.map(|most| most as usize)
            && objects.len() > most
        {
            let message = format!("{} objects were found; `maxFiles` leaves {most} of them", objects.len());
            cx.log().warn(message);
            objects.truncate(most);
        }
        Ok(Listed { objects })
    }
}

/// `requester` or nothing.
pub fn check_payer(payer: Option<&str>) -> Result<()> {
    match payer {
        None | Some("" | "requester") => Ok(()),
        Some(other) => error::property("requestPayer", format!("expected `requester`, found `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded() {
        for (key, expected) in
            [("a+b%20c%2B%C3%BC", "a b c+ü"), ("plain/x", "plain/x"), ("%", "%"), ("%zz", "%zz")]
        {
            assert_eq!(decoded(key), expected);
        }
    }
}
