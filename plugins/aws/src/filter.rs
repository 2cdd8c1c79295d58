//! Which objects of a listing are meant.

use regex_lite::Regex;
use weft_sdk::prelude::*;

use crate::error;
use crate::object::S3Object;

/// Files, folders or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// Keys that do not end with `/`.
    Files,
    /// Keys that end with `/`.
    Directory,
    /// All.
    #[default]
    Both,
}

/// A kind and a pattern.
pub struct Filter {
    kind: Kind,
    pattern: Option<Regex>,
}

impl Filter {
    /// The pattern must match the whole key.
    pub fn new(kind: Kind, pattern: Option<&str>) -> Result<Self> {
        let pattern = match pattern.filter(|pattern| !pattern.is_empty()) {
            None => None,
            Some(text) => match Regex::new(&format!("^(?:{text})$")) {
                Ok(pattern) => Some(pattern),
                Err(problem) => return error::property("regexp", format!("`{text}`: {problem}")),
            },
        };
        Ok(Self { kind, pattern })
    }

    pub fn takes(&self, object: &S3Object) -> bool {
        let kind = match self.kind {
            Kind::Both => true,
            Kind::Directory => object.is_directory(),
            Kind::Files => !object.is_directory(),
        };
        kind && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&object.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_patterns() {
        let object = |key: &str| S3Object {
            uri: None,
            key: key.to_owned(),
            etag: String::new(),
            size: 0,
            last_modified: String::new(),
            owner: None,
            change_type: None,
        };
        for (kind, pattern, key, expected) in [
            (Kind::Both, None, "a/", true),
            (Kind::Files, None, "a/", false),
            (Kind::Files, None, "a/b", true),
            (Kind::Directory, None, "a/", true),
            (Kind::Directory, None, "a/b", false),
            (Kind::Both, Some(r".*\.csv"), "a/b.csv", true),
            (Kind::Both, Some(r".*\.csv"), "a/b.csv.gz", false),
            (Kind::Both, Some("b|c"), "abc", false),
            (Kind::Both, Some(""), "x", true),
        ] {
            let filter = Filter::new(kind, pattern).unwrap();
            assert_eq!(filter.takes(&object(key)), expected, "{kind:?} {pattern:?} {key}");
        }
        let error = Filter::new(Kind::Both, Some("(")).err().unwrap();
        assert!(error.message().starts_with("property `regexp`: `(`: "), "{error}");
    }
}
