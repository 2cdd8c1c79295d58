//! Checksums of what is sent and fetched. The host computes them: it has processors for it, and the bytes.

use weft_sdk::prelude::*;

use crate::client::Hands;
use crate::error;

/// How a checksum is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Algorithm {
    /// CRC-32.
    #[serde(rename = "CRC32")]
    Crc32,
    /// CRC-32C.
    #[serde(rename = "CRC32C", alias = "CRC32_C")]
    Crc32C,
    /// SHA-1.
    #[serde(rename = "SHA1", alias = "SHA_1")]
    Sha1,
    /// SHA-256.
    #[serde(rename = "SHA256", alias = "SHA_256")]
    Sha256,
}

impl Algorithm {
    pub const ALL: [Self; 4] = [Self::Crc32, Self::Crc32C, Self::Sha1, Self::Sha256];

    /// As the host and the header know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Crc32C => "crc32c",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    pub fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name())
    }

    /// As S3's documents know it.
    pub fn element(self) -> &'static str {
        match self {
            Self::Crc32 => "ChecksumCRC32",
            Self::Crc32C => "ChecksumCRC32C",
            Self::Sha1 => "ChecksumSHA1",
            Self::Sha256 => "ChecksumSHA256",
        }
    }
}

/// Whether a fetched file is what the server says it sent.
pub fn verify(
    hands: &Hands<'_>,
    file: &str,
    what: &str,
    header: impl Fn(&str) -> Option<String>,
) -> Result<()> {
    for algorithm in Algorithm::ALL {
        let Some(expected) = header(&algorithm.header()) else { continue };
        // Of an object that came in parts, it is the checksum of their checksums.
        if expected.contains('-') {
            continue;
        }
        let found = hands.digest(file, algorithm.name(), None)?;
        if found != expected {
            let message = format!(
                "cannot {what}: the {} of what arrived is `{found}`, that of the object `{expected}`",
                algorithm.name()
            );
            return Err(Error::new("s3.checksum", message).retryable());
        }
    }
    Ok(())
}

/// The checksum that a flow gives must be that of its file: found out before anything is sent.
pub fn check_given(hands: &Hands<'_>, file: &str, algorithm: Algorithm, given: &str) -> Result<()> {
    let found = hands.digest(file, algorithm.name(), None)?;
    if found == given {
        return Ok(());
    }
    error::property(
        "checksum",
        format!("the file's {} in base64 is `{found}`, not `{given}`", algorithm.name()),
    )
}
