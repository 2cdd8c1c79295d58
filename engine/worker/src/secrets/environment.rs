//! Secrets in environment variables.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{SecretError, Secrets};

/// Secrets from environment variables `SECRET_<KEY>`, as base64 text in which line breaks do not matter (compat.md §6).
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvironmentSecrets;

impl Secrets for EnvironmentSecrets {
    fn get(&self, key: &str) -> Result<Option<String>, SecretError> {
        let variable = format!("SECRET_{}", key.to_uppercase());
        match std::env::var(&variable) {
            Ok(encoded) => decode(&encoded).map(Some).ok_or_else(|| SecretError::NotBase64 {
                place: format!("the environment variable `{variable}`"),
                name: variable,
            }),
            Err(_) => Ok(None),
        }
    }
}

/// The text in base64 text.
pub(super) fn decode(encoded: &str) -> Option<String> {
    let compact: String = encoded.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    String::from_utf8(BASE64_STANDARD.decode(compact).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_base64_with_or_without_line_breaks() {
        for (encoded, expected) in [
            ("czNjcmV0", Some("s3cret")),
            ("czNj\ncmV0\r\n", Some("s3cret")),
            ("", Some("")),
            ("not base64", None),
            ("/w==", None),
        ] {
            assert_eq!(decode(encoded).as_deref(), expected, "{encoded:?}");
        }
    }
}
