//! Where `secret('KEY')` finds its values.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A place that knows secrets. Keys are not case-sensitive.
pub trait Secrets: Send + Sync {
    /// The secret's text; none if it is not known here.
    fn get(&self, key: &str) -> Result<Option<String>, SecretError>;
}

/// Why a secret that exists cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable does not hold base64.
    #[error(
        "the environment variable `{variable}` does not hold base64 text\n\
         hint: set it with `export {variable}=$(printf %s 'the secret' | base64)`"
    )]
    NotBase64 {
        /// The variable.
        variable: String,
    },
    /// Whoever keeps it does not hand it out, for the reason given.
    #[error("{0}")]
    Refused(String),
}

/// Secrets from environment variables `SECRET_<KEY>`, as base64 text in which line breaks do not matter (compat.md §6).
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvironmentSecrets;

impl Secrets for EnvironmentSecrets {
    fn get(&self, key: &str) -> Result<Option<String>, SecretError> {
        let variable = format!("SECRET_{}", key.to_uppercase());
        match std::env::var(&variable) {
            Ok(encoded) => decode(&encoded).map(Some).ok_or(SecretError::NotBase64 { variable }),
            Err(_) => Ok(None),
        }
    }
}

fn decode(encoded: &str) -> Option<String> {
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
