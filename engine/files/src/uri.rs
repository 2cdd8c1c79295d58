//! `kestra:///` URIs: the names of objects in internal storage.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode_byte, utf8_percent_encode,
};

use crate::{Result, StorageError};

/// What the address of an object begins with.
pub(crate) const SCHEME: &str = "kestra://";
const MAX_LENGTH: usize = 4096;
/// What is percent-encoded when a URI is printed, beside all that is not ASCII.
const UNPRINTED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'+')
    .remove(b'~')
    .remove(b'=')
    .remove(b'/');

/// The name of an object in internal storage, or of a group of objects that share a prefix.
///
/// The text form is `kestra:///a/b/c.txt`: the authority is empty, segments are never empty, `.` or `..`, and there is
/// no query and no fragment. What is not a letter, a digit or one of `-._+~=` is percent-encoded when printed, so that
/// a printed URI is always found again inside a script's text, where Kestra looks for
/// `kestra://[-a-zA-Z0-9%._+~#=/]*`. When read, characters beyond ASCII and those that RFC 3986 allows in a segment may
/// also stand for themselves; `+` is a plus.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageUri {
    /// Decoded segments joined with `/`, without one in front. Decoded segments hold no `/`, so this is unambiguous.
    path: String,
}

impl StorageUri {
    /// Whether `text` claims to be such a URI, valid or not.
    pub fn is_uri(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads `kestra:///...`.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid =
            |reason: &str| StorageError::InvalidUri { text: text.to_owned(), reason: reason.to_owned() };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| invalid("it must start with `kestra:///`"))?;
        let path = rest.strip_prefix('/').ok_or_else(|| {
            invalid("nothing may stand between `kestra://` and the next `/`; write `kestra:///` with three slashes")
        })?;
        let decoded = path
            .split('/')
            .map(|segment| decode(segment).map_err(|reason| invalid(&reason)))
            .collect::<Result<Vec<_>>>()?;
        Self::from_segments(decoded.iter().map(String::as_str)).map_err(|error| {
            if let StorageError::InvalidUri { reason, .. } = error { invalid(&reason) } else { error }
        })
    }

    /// The URI with these decoded segments.
    pub(crate) fn from_segments<'a>(segments: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let path = segments.into_iter().collect::<Vec<_>>().join("/");
        check(&path)?;
        Ok(Self { path })
    }

    /// The object at `relative` below this one; `relative` is plain text with `/`, not encoded.
    pub fn join(&self, relative: &str) -> Result<Self> {
        let path = format!("{}/{relative}", self.path);
        check(&path)?;
        Ok(Self { path })
    }

    /// The last segment, decoded.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The decoded path without the slash in front.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The decoded path of this object below `prefix`, if it is below.
    pub fn relative_to(&self, prefix: &Self) -> Option<&str> {
        self.path.strip_prefix(&prefix.path)?.strip_prefix('/')
    }

    /// The key in the object store. Characters that some stores or file systems cannot take are percent-encoded.
    pub(crate) fn key(&self) -> object_store::path::Path {
        let mut key = String::with_capacity(self.path.len());
        for c in self.path.chars() {
            if c.is_ascii_control() || matches!(c, '%' | '#') {
                key.push_str(percent_encode_byte(c as u8));
            } else {
                key.push(c);
            }
        }
        // `check` leaves nothing that the store's own check would refuse: no empty, `.` or `..` segment, no control.
        object_store::path::Path::parse(&key).unwrap_or_else(|_| object_store::path::Path::from(key))
    }

    /// The URI of a key made by [`Self::key`].
    pub(crate) fn from_key(key: &object_store::path::Path) -> Result<Self> {
        let decoded = decode_percent(key.as_ref())
            .map_err(|reason| StorageError::InvalidUri { text: key.to_string(), reason })?;
        check(&decoded)?;
        Ok(Self { path: decoded })
    }
}

impl fmt::Display for StorageUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{SCHEME}/{}", utf8_percent_encode(&self.path, UNPRINTED)))
    }
}

impl fmt::Debug for StorageUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StorageUri {
    type Err = StorageError;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// Whether a decoded path is one of an object.
fn check(path: &str) -> Result<()> {
    let invalid =
        |reason: &str| Err(StorageError::InvalidUri { text: path.to_owned(), reason: reason.to_owned() });
    if path.len() > MAX_LENGTH {
        return invalid("it is longer than 4096 bytes");
    }
    for segment in path.split('/') {
        match segment {
            "" => return invalid("a part between two slashes is empty"),
            "." | ".." => return invalid("`.` and `..` are not allowed as parts"),
            segment if segment.contains('\0') => return invalid("it contains a NUL character"),
            _ => {}
        }
    }
    Ok(())
}

/// One segment as written, decoded.
fn decode(segment: &str) -> Result<String, String> {
    let stray = |c: &char| match c {
        '%' => false,
        c if c.is_ascii() => !(c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(*c)),
        c => c.is_control() || c.is_whitespace(),
    };
    if let Some(c) = segment.chars().find(stray) {
        let text = c.to_string();
        return Err(format!("{c:?} must be written as `{}`", utf8_percent_encode(&text, NON_ALPHANUMERIC)));
    }
    let decoded = decode_percent(segment)?;
    if decoded.contains('/') {
        return Err("`%2F` is not allowed: a slash cannot be part of a name".to_owned());
    }
    Ok(decoded)
}

fn decode_percent(text: &str) -> Result<String, String> {
    let is_code = |part: &str| part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !text.split('%').skip(1).all(is_code) {
        return Err("`%` must be followed by two hexadecimal digits".to_owned());
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| "its percent-encoded bytes are not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_uris_are_read_and_printed() {
        for (text, path, printed) in [
            ("kestra:///a/b.csv", "a/b.csv", None),
            ("kestra:///company/team/my-flow/x+y~z=1", "company/team/my-flow/x+y~z=1", None),
            ("kestra:///a/gr%C3%B6%C3%9Fe.txt", "a/größe.txt", None),
            ("kestra:///a/größe.txt", "a/größe.txt", Some("kestra:///a/gr%C3%B6%C3%9Fe.txt")),
            ("kestra:///a/b%20c", "a/b c", None),
            ("kestra:///a/b%23%25%3f", "a/b#%?", Some("kestra:///a/b%23%25%3F")),
            ("kestra:///a/b@c:d", "a/b@c:d", Some("kestra:///a/b%40c%3Ad")),
            ("kestra:///a/...", "a/...", None),
            ("kestra:///a/b%0Ac", "a/b\nc", None),
        ] {
            let uri = StorageUri::parse(text).unwrap();
            assert_eq!(uri.path(), path, "{text}");
            assert_eq!(uri.to_string(), printed.unwrap_or(text), "{text}");
            assert_eq!(StorageUri::parse(&uri.to_string()).unwrap(), uri, "{text}");
            assert_eq!(StorageUri::from_key(&uri.key()).unwrap(), uri, "{text}");
        }
    }

    #[test]
    fn invalid_uris_say_why() {
        for (text, reason) in [
            ("", "must start with"),
            ("s3:///a", "must start with"),
            ("KESTRA:///a", "must start with"),
            ("kestra://host/a", "three slashes"),
            ("kestra://", "three slashes"),
            ("kestra:///", "empty"),
            ("kestra:///a//b", "empty"),
            ("kestra:///a/", "empty"),
            ("kestra:///a/../b", "`..`"),
            ("kestra:///..", "`..`"),
            ("kestra:///a/%2e%2E/b", "`..`"),
            ("kestra:///a/./b", "`.`"),
            ("kestra:///a%2Fb", "slash"),
            ("kestra:///a%00b", "NUL"),
            ("kestra:///a%zz", "two hexadecimal digits"),
            ("kestra:///a%4", "two hexadecimal digits"),
            ("kestra:///a%+1", "two hexadecimal digits"),
            ("kestra:///a%é", "two hexadecimal digits"),
            ("kestra:///a%ff", "UTF-8"),
            ("kestra:///a b", "%20"),
            ("kestra:///a?b", "%3F"),
            ("kestra:///a#b", "%23"),
            ("kestra:///a\\b", "%5C"),
        ] {
            let error = StorageUri::parse(text).unwrap_err();
            assert_eq!(error.code(), "storage.invalid-uri", "{text}");
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert!(error.to_string().contains(text), "{text}: {error}");
        }
        let long = format!("kestra:///{}", "a".repeat(5000));
        assert!(StorageUri::parse(&long).unwrap_err().to_string().contains("4096"));
    }

    #[test]
    fn keys_hold_nothing_that_a_store_reserves() {
        for (path, key) in
            [("a/b#1", "a/b%231"), ("a/50%", "a/50%25"), ("a/x\ny", "a/x%0Ay"), ("a/é b", "a/é b")]
        {
            let uri = StorageUri::from_segments(path.split('/')).unwrap();
            assert_eq!(uri.key().as_ref(), key);
        }
    }

    #[test]
    fn relatives() {
        let prefix = StorageUri::parse("kestra:///a/b").unwrap();
        for (text, expected) in
            [("kestra:///a/b/c/d", Some("c/d")), ("kestra:///a/bc", None), ("kestra:///a/b", None)]
        {
            assert_eq!(StorageUri::parse(text).unwrap().relative_to(&prefix), expected, "{text}");
        }
        assert_eq!(prefix.join("c/d e").unwrap().to_string(), "kestra:///a/b/c/d%20e");
        assert!(prefix.join("../c").is_err());
        assert!(prefix.join("/c").is_err());
    }
}
