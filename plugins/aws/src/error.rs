//! Failures with their codes.

use weft_sdk::{Error, Result};

use crate::xml;

/// What a server said about a request that it did not carry out.
#[derive(Debug, Clone, Default)]
pub struct Refusal {
    pub status: u16,
    /// S3's own word: `NoSuchKey`.
    pub code: String,
    pub message: String,
    /// Where the bucket is, if the server says so.
    pub region: Option<String>,
    /// The server's `Date`.
    pub date: Option<String>,
    /// The server's name for the request, for its operator.
    pub request_id: String,
}

impl Refusal {
    /// Reads the body of an answer. Answers to `HEAD` have none, and those of proxies are no XML.
    pub fn read(status: u16, body: &str) -> Self {
        let text = |name: &str| xml::text(body, name).unwrap_or_default();
        let code = match text("Code") {
            code if !code.is_empty() => code,
            _ => match status {
                301 | 307 => "PermanentRedirect".to_owned(),
                403 => "AccessDenied".to_owned(),
                404 => "NotFound".to_owned(),
                503 => "SlowDown".to_owned(),
                status => format!("HTTP {status}"),
            },
        };
        Self {
            status,
            code,
            message: text("Message"),
            region: xml::text(body, "Region").filter(|region| !region.is_empty()),
            date: None,
            request_id: text("RequestId"),
        }
    }

    /// Whether the same request may well be answered later.
    pub fn is_passing(&self) -> bool {
        matches!(self.status, 429 | 500 | 502 | 503 | 504)
            || matches!(
                self.code.as_str(),
                "RequestTimeout" | "SlowDown" | "InternalError" | "OperationAborted"
            )
    }

    /// Whether the request was signed for another time than the server's.
    pub fn is_skewed(&self) -> bool {
        matches!(self.code.as_str(), "RequestTimeTooSkewed" | "RequestExpired")
    }

    /// The failure; `what` is what was being done, as `upload `s3://bucket/key``.
    pub fn error(&self, what: &str) -> Error {
        let said = match (self.message.as_str(), self.request_id.as_str()) {
            ("", "") => self.code.clone(),
            ("", id) => format!("{} (request {id})", self.code),
            (message, "") => format!("{} ({message})", self.code),
            (message, id) => format!("{} ({message}; request {id})", self.code),
        };
        let (code, hint) = match self.code.as_str() {
            "NoSuchBucket" => {
                ("s3.no-such-bucket", "\nhint: look at `bucket`, and at `region` and `endpointOverride`")
            }
            "NoSuchKey" | "NoSuchVersion" | "NotFound" => (
                "s3.no-such-key",
                "\nhint: look at bucket and key; upper and lower case differ, and a key has no `/` at its beginning",
            ),
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "NotSignedUp"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId" => {
                ("s3.credentials", "\nhint: look at `accessKeyId` and `secretKeyId`, and at `region`")
            }
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "MethodNotAllowed" => {
                ("s3.access-denied", "")
            }
            "RequestTimeTooSkewed" | "RequestExpired" => (
                "s3.clock",
                "\nhint: set this machine's clock; the server's is another by more than it allows",
            ),
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException" => {
                ("s3.region", "\nhint: set `region` to that of the bucket")
            }
            "BadDigest" | "XAmzContentChecksumMismatch" | "InvalidDigest" => ("s3.checksum", ""),
            _ if self.is_passing() => ("s3.busy", ""),
            _ => ("s3.refused", ""),
        };
        let error = Error::new(code, format!("cannot {what}: {said}{hint}"));
        if self.is_passing() { error.retryable() } else { error }
    }
}

/// What the address of a server comes from.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// The property with this name.
    Endpoint(&'static str),
    /// The region: it is one of AWS.
    Region,
}

/// Adds to the failure of a connection which property to look at. A certificate and a rule of the operator have hints of
/// their own.
pub fn unreached(error: Error, place: Place) -> Error {
    if !matches!(
        error.code(),
        "network.lookup" | "network.connect" | "network.timeout" | "network.tls" | "network.protocol"
    ) {
        return error;
    }
    match place {
        Place::Endpoint(property) => error.hint(&format!("look at scheme, host and port in `{property}`")),
        Place::Region => error.hint(
            "look at `region`, which is part of the host's name; for another server than AWS set `endpointOverride`",
        ),
    }
}

/// Nothing is known that the request could be signed with.
pub fn no_credentials(looked: &str) -> Error {
    Error::new(
        "s3.credentials",
        format!(
            "there are no credentials: {looked}\n\
             hint: give `accessKeyId` and `secretKeyId`, or set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` for the engine"
        ),
    )
}

/// A property that cannot be used.
pub fn property<T>(name: &str, problem: impl std::fmt::Display) -> Result<T> {
    Err(Error::new("property.invalid", format!("property `{name}`: {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_failures() {
        let xml = |code: &str| format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
        for (status, body, code, retryable) in [
            (404, xml("NoSuchBucket"), "s3.no-such-bucket", false),
            (404, xml("NoSuchKey"), "s3.no-such-key", false),
            (404, String::new(), "s3.no-such-key", false),
            (403, xml("SignatureDoesNotMatch"), "s3.credentials", false),
            (403, xml("RequestTimeTooSkewed"), "s3.clock", false),
            (403, String::new(), "s3.access-denied", false),
            (400, xml("BadDigest"), "s3.checksum", false),
            (400, xml("EntityTooLarge"), "s3.refused", false),
            (400, xml("RequestTimeout"), "s3.busy", true),
            (503, "<html>busy</html>".to_owned(), "s3.busy", true),
            (301, String::new(), "s3.region", false),
        ] {
            let error = Refusal::read(status, &body).error("do it");
            assert_eq!((error.code(), error.is_retryable()), (code, retryable), "{status} {body}");
            assert!(error.message().starts_with("cannot do it: "), "{error}");
        }
    }

    #[test]
    fn an_answer_without_a_body_is_said_without_gaps() {
        let refusal = Refusal { request_id: "r1".to_owned(), ..Refusal::read(404, "") };
        let error = refusal.error("look at `s3://b/k`");
        assert!(
            error.message().starts_with(
                "cannot look at `s3://b/k`: NotFound (request r1)\nhint: look at bucket and key"
            ),
            "{error}"
        );
    }
}
