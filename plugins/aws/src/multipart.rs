//! Uploads and copies in parts: begun, filled by several requests beside each other, and completed; or given up as a whole.

use weft_sdk::{Error, Result};

use crate::checksum::Algorithm;
use crate::client::{Client, Operation, Payload};
use crate::error::Refusal;
use crate::upload::Written;
use crate::xml::{self, Writer};

/// S3 takes parts from 5 MiB on, and 10,000 of them.
const PART: u64 = 8 << 20;
const MAX_PARTS: u64 = 10_000;
/// More than this beside each other makes nothing faster.
const MOST_AT_A_TIME: usize = 16;

/// A file to be sent in parts.
pub struct Parts<'a> {
    pub file: &'a str,
    pub size: u64,
    pub algorithm: Option<Algorithm>,
    pub at_a_time: usize,
    /// Headers that every request has.
    pub common: Vec<(String, String)>,
}

/// How large a part is, so that there are not too many.
pub fn part_size(size: u64) -> u64 {
    let least = size.div_ceil(MAX_PARTS);
    PART.max(least.next_multiple_of(1 << 20))
}

/// The parts of `size` bytes: offset and length.
pub fn parts(size: u64) -> impl Iterator<Item = (u64, u64)> {
    let part = part_size(size);
    (0..size.div_ceil(part)).map(move |number| (number * part, part.min(size - number * part)))
}

/// A part that is there.
#[derive(Clone, Default)]
struct Done {
    e_tag: String,
    checksum: Option<String>,
}

/// An upload that was begun.
pub struct Begun<'c, 'h> {
    client: &'c Client<'h>,
    pub bucket: String,
    pub key: String,
    pub id: String,
    what: String,
    common: Vec<(String, String)>,
}

impl<'c, 'h> Begun<'c, 'h> {
    /// Begins an upload; `start` says what the object is to be.
    pub fn new(client: &'c Client<'h>, start: Operation, common: Vec<(String, String)>) -> Result<Self> {
        let (bucket, key, what) =
            (start.bucket.clone(), start.key.clone().unwrap_or_default(), start.what.clone());
        let answer = client.document(&start.query("uploads", ""))?;
        let id = xml::text(&answer, "UploadId").filter(|id| !id.is_empty()).ok_or_else(|| {
            Error::new("s3.refused", format!("cannot {what}: the server gives no id for an upload in parts"))
        })?;
        Ok(Self { client, bucket, key, id, what, common })
    }

    /// The request for part `number`, from 1.
    pub fn part(&self, number: usize) -> Operation {
        let mut part = Operation::new("PUT", &self.bucket, Some(&self.key), "upload")
            .query("partNumber", number.to_string())
            .query("uploadId", &self.id);
        part.what = format!("{} (part {number})", self.what);
        part.headers.extend(self.common.iter().cloned());
        part
    }

    /// Sends the parts and puts them together. If that fails nothing is left of them.
    fn fill(
        &self,
        operations: &[Operation],
        at_a_time: usize,
        algorithm: Option<Algorithm>,
        read: impl Fn(weft_sdk::http::Response) -> Result<String>,
    ) -> Result<Written> {
        let mut done = vec![Done::default(); operations.len()];
        let checksum = |number: usize| {
            let header = algorithm?.header();
            let found = operations[number].headers.iter().find(|(name, _)| *name == header)?;
            Some(found.1.clone())
        };
        let sent = self.client.send_all(operations, at_a_time.min(MOST_AT_A_TIME), |number, response| {
            done[number] = Done { e_tag: read(response)?, checksum: checksum(number) };
            Ok(())
        });
        match sent.and_then(|()| self.complete(&done, algorithm)) {
            Ok(written) => Ok(written),
            Err(error) => {
                self.give_up();
                Err(error)
            }
        }
    }

    fn complete(&self, done: &[Done], algorithm: Option<Algorithm>) -> Result<Written> {
        let mut document = Writer::new("CompleteMultipartUpload");
        for (index, part) in done.iter().enumerate() {
            document.open("Part").leaf("PartNumber", &(index + 1).to_string()).leaf("ETag", &part.e_tag);
            if let (Some(algorithm), Some(checksum)) = (algorithm, &part.checksum) {
                document.leaf(algorithm.element(), checksum);
            }
            document.close("Part");
        }
        let mut complete = Operation::new("POST", &self.bucket, Some(&self.key), "upload")
            .query("uploadId", &self.id)
            .body(Payload::Text(document.finish("CompleteMultipartUpload")));
        complete.what.clone_from(&self.what);
        complete.headers.extend(self.common.iter().cloned());
        let response = self.client.send(&complete)?;
        let version_id = response.header("x-amz-version-id").map(str::to_owned);
        let answer = response.text(crate::client::MAX_DOCUMENT)?;
        // The server answers before it is done, so an error may stand in an answer of success.
        match xml::text(&answer, "ETag") {
            Some(e_tag) => Ok(Written { e_tag: Some(e_tag), version_id }),
            None => Err(Refusal::read(500, &answer).error(&self.what)),
        }
    }

    /// Takes the parts away: they would cost, and nobody sees them.
    fn give_up(&self) {
        let mut abort = Operation::new("DELETE", &self.bucket, Some(&self.key), "give up the upload of")
            .query("uploadId", &self.id);
        abort.headers.extend(self.common.iter().cloned());
        if let Err(error) = self.client.send(&abort) {
            let message =
                format!("{}\nparts of upload `{}` are left in the bucket", error.message(), self.id);
            self.client.hands.log().warn(message);
        }
    }
}

/// Uploads a file in parts.
pub fn upload(client: &Client<'_>, mut start: Operation, given: &Parts<'_>) -> Result<Written> {
    if let Some(algorithm) = given.algorithm {
        start = start.header("x-amz-checksum-algorithm", algorithm.name().to_ascii_uppercase());
    }
    let ranges: Vec<(u64, u64)> = parts(given.size).collect();
    let begun = Begun::new(client, start, given.common.clone())?;
    let operations = ranges.iter().enumerate().map(|(index, &(offset, length))| {
        let body = Payload::File { file: given.file.to_owned(), offset, length };
        let mut part = begun.part(index + 1).body(body);
        if let Some(algorithm) = given.algorithm {
            let sum = client.hands.digest(given.file, algorithm.name(), Some((offset, length)))?;
            part = part.header(&algorithm.header(), sum);
        }
        Ok(part)
    });
    let operations: Vec<Operation> = match operations.collect::<Result<_>>() {
        Ok(operations) => operations,
        Err(error) => {
            begun.give_up();
            return Err(error);
        }
    };
    begun.fill(&operations, given.at_a_time, given.algorithm, |response| {
        Ok(response.header("etag").unwrap_or_default().to_owned())
    })
}

/// Copies an object of another place in parts; `source` is the header that names it.
pub fn copy(client: &Client<'_>, start: Operation, size: u64, source: &(String, String)) -> Result<Written> {
    let begun = Begun::new(client, start, Vec::new())?;
    let operations: Vec<Operation> = parts(size)
        .enumerate()
        .map(|(index, (offset, length))| {
            begun
                .part(index + 1)
                .header(&source.0, source.1.clone())
                .header("x-amz-copy-source-range", format!("bytes={offset}-{}", offset + length - 1))
        })
        .collect();
    begun.fill(&operations, MOST_AT_A_TIME, None, |response| {
        let answer = response.text(crate::client::MAX_DOCUMENT)?;
        Ok(xml::text(&answer, "ETag").unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_file_and_are_not_too_many() {
        for size in [1, PART, PART + 1, 5 << 30, 200 << 30, (5 << 40) - 7] {
            let all: Vec<(u64, u64)> = parts(size).collect();
            assert!(all.len() as u64 <= MAX_PARTS, "{size}");
            let mut end = 0;
            for (offset, length) in &all {
                assert_eq!(*offset, end, "{size}");
                end += length;
            }
            assert_eq!(end, size);
            let small = all[..all.len() - 1].iter().filter(|(_, length)| *length < 5 << 20).count();
            assert_eq!(small, 0, "{size}");
        }
    }
}
