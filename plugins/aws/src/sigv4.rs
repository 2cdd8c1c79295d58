//! Signatures of requests, version 4, in the header `Authorization`.
//!
//! Why not `rusty-s3`: it signs for S3 alone, and roles are asked for at another service (STS); and it puts the signature
//! into the URL, with a session's token, where proxies and messages would show both.

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::credentials::Credentials;

/// What stands for the hash of a body that is not hashed: it may be a file of gigabytes.
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What is percent-encoded, beside all that is not ASCII.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const RESERVED_IN_KEYS: &AsciiSet = &RESERVED.remove(b'/');

/// A request to be signed.
pub struct ToSign<'a> {
    pub method: &'a str,
    /// Host and port as in the URL.
    pub host: &'a str,
    /// Encoded, as in the URL.
    pub path: &'a str,
    /// Names and values, not encoded.
    pub query: &'a [(String, String)],
    /// Headers, all of which are signed; names in lower case.
    pub headers: &'a [(String, String)],
    pub payload_hash: &'a str,
}

/// Where and for what a signature holds.
pub struct Scope<'a> {
    pub region: &'a str,
    pub service: &'a str,
    /// `20260101T000000Z`.
    pub date: &'a str,
}

/// The value of `Authorization`.
pub fn authorization(request: &ToSign<'_>, scope: &Scope<'_>, credentials: &Credentials) -> String {
    let mut headers: Vec<(&str, &str)> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.trim())).collect();
    headers.push(("host", request.host));
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let signed = names.join(";");
    let mut canonical = [request.method, request.path, &query_string(request.query)].join("\n");
    canonical.push('\n');
    for (name, value) in &headers {
        canonical.push_str(&[name, ":", value, "\n"].concat());
    }
    canonical.push_str(&["\n", &signed, "\n", request.payload_hash].concat());
    let day = &scope.date[..8];
    let place = [day, scope.region, scope.service, "aws4_request"].join("/");
    let text = ["AWS4-HMAC-SHA256", scope.date, &place, &hex(&Sha256::digest(canonical))].join("\n");
    let mut key = hmac(["AWS4", &credentials.secret].concat().as_bytes(), day);
    for part in [scope.region, scope.service, "aws4_request"] {
        key = hmac(&key, part);
    }
    let signature = hex(&hmac(&key, &text));
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{place}, SignedHeaders={signed}, Signature={signature}",
        credentials.key_id
    )
}

/// The hash of a body, as the header `x-amz-content-sha256` has it.
pub fn payload_hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// A query in the one form that both sides make of it: encoded, in order.
pub fn query_string(query: &[(String, String)]) -> String {
    let mut pairs: Vec<(String, String)> =
        query.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| [name, "=", value].concat()).collect();
    pairs.join("&")
}

/// Percent-encoded, but for letters, digits and `-._~`.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The same, with the slashes of a key as they are.
pub fn encoded_key(text: &str) -> String {
    utf8_percent_encode(text, RESERVED_IN_KEYS).to_string()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length will do, so making it never fails.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Examples of the documentation of S3 ("Signature Calculations for the Authorization Header").
    #[test]
    fn published_signatures() {
        let credentials = Credentials {
            key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        };
        let empty = payload_hash(b"");
        let scope = Scope { region: "us-east-1", service: "s3", date: "20130524T000000Z" };
        let date = ("x-amz-date", "20130524T000000Z");
        for (path, query, headers, expected) in [
            (
                "/test.txt",
                &[][..],
                &[("range", "bytes=0-9"), ("x-amz-content-sha256", &empty), date][..],
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "/",
                &[("lifecycle", "")],
                &[("x-amz-content-sha256", &empty), date],
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "/",
                &[("max-keys", "2"), ("prefix", "J")],
                &[("x-amz-content-sha256", &empty), date],
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let request = ToSign {
                method: "GET",
                host: "examplebucket.s3.amazonaws.com",
                path,
                query: &pairs(query),
                headers: &pairs(headers),
                payload_hash: &empty,
            };
            let header = authorization(&request, &scope, &credentials);
            assert!(header.ends_with(&format!("Signature={expected}")), "{path} {query:?}: {header}");
        }
    }

    #[test]
    fn encoding_is_the_one_that_is_signed() {
        for (text, as_key, as_text) in
            [("a b/c+ü", "a%20b/c%2B%C3%BC", "a%20b%2Fc%2B%C3%BC"), ("-._~*", "-._~%2A", "-._~%2A")]
        {
            assert_eq!((encoded_key(text), encoded(text)), (as_key.to_owned(), as_text.to_owned()));
        }
        let query = pairs(&[("b", "2"), ("a", "x y"), ("uploads", "")]);
        assert_eq!(query_string(&query), "a=x%20y&b=2&uploads=");
    }
}
