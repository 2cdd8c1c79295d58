//! URLs as far as HTTP needs them: RFC 3986, without what only a browser wants.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::{Error, Result};

/// An absolute URL of `http` or `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether it is `https`.
    pub secure: bool,
    /// `USER:PASSWORD` as written before the host, if it is.
    pub user: Option<String>,
    /// Host and port as written.
    pub authority: String,
    /// Path and query; begins with `/`.
    pub path: String,
}

impl FromStr for Url {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Err(Error::new("http.url", format!("`{}` is no URL that can be asked: {what}", shown(text))))
        };
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return wrong("expected one that begins with `http://` or `https://`");
        };
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return wrong("expected one that begins with `http://` or `https://`"),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user.to_owned()), authority),
            None => (None, authority),
        };
        let (host, port) = split_port(authority);
        if host.is_empty()
            || host.chars().any(|c| c.is_whitespace() || c.is_control() || "<>\"`{}|^%".contains(c))
        {
            return wrong("its host is missing or has characters that no host has");
        }
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return wrong("its port is not a number from 0 to 65535");
        }
        let mut path = encoded(path);
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        Ok(Self { secure, user, authority: authority.to_owned(), path })
    }
}

impl Url {
    /// The URL that `reference`, found in an answer of this one, means.
    pub fn join(&self, reference: &str) -> Result<Self> {
        let reference = reference.trim();
        let (scheme, current) = (if self.secure { "https" } else { "http" }, self.path.as_str());
        let colon = reference.find("://");
        if colon.is_some_and(|at| reference[..at].bytes().all(|b| b.is_ascii_alphanumeric())) {
            return reference.parse();
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return format!("{scheme}://{rest}").parse();
        }
        let reference = reference.split('#').next().unwrap_or(reference);
        let bare = current.split('?').next().unwrap_or(current);
        let path = match reference.bytes().next() {
            None => current.to_owned(),
            Some(b'/') => without_dots(reference),
            Some(b'?') => format!("{bare}{reference}"),
            Some(_) => {
                let folder = bare.rfind('/').map_or("/", |end| &bare[..=end]);
                without_dots(&format!("{folder}{reference}"))
            }
        };
        Ok(Self { path: encoded(&path), user: None, ..self.clone() })
    }

    /// Whether both lead to the same server: scheme, host and port.
    pub fn same_origin(&self, other: &Self) -> bool {
        let port = |url: &Self| match split_port(&url.authority).1 {
            Some(port) => port.parse().unwrap_or(0),
            None if url.secure => 443,
            None => 80,
        };
        let host = |url: &Self| split_port(&url.authority).0.to_ascii_lowercase();
        self.secure == other.secure && host(self) == host(other) && port(self) == port(other)
    }

    /// The host without its port.
    pub fn host(&self) -> &str {
        split_port(&self.authority).0
    }

    /// The last part of the path, decoded; none where it ends with `/`.
    pub fn file_name(&self) -> Option<String> {
        let path = self.path.split('?').next().unwrap_or_default();
        let name = path.rsplit('/').next().filter(|name| !name.is_empty())?;
        Some(decoded(name))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the user part: this is what messages and outputs show.
        write!(f, "{}://{}{}", if self.secure { "https" } else { "http" }, self.authority, self.path)
    }
}

/// A URL as a message may show it: without credentials.
fn shown(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => text.to_owned(),
    }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // A colon in an IPv6 address is none before a port.
        Some((host, port)) if !port.ends_with(']') => (host, (!port.is_empty()).then_some(port)),
        _ => (authority, None),
    }
}

/// Characters that may not stand in a path or query, percent-encoded; what is encoded already stays.
fn encoded(path: &str) -> String {
    let mut all = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            all.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(all, "%{byte:02X}");
        }
    }
    all
}

/// `%XX` decoded; what is not UTF-8 afterwards is replaced.
pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut all = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex {
            Some(byte) => {
                all.push(byte);
                at += 3;
            }
            None => {
                all.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// `.` and `..` of a path resolved (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut parts: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    parts.pop();
                }
                if last {
                    parts.push("");
                }
            }
            segment => parts.push(segment),
        }
    }
    let path = format!("/{}", parts.join("/"));
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, expected) in [
            ("http://a", Some("http://a/")),
            ("HTTPS://A:8443/b?c=d#e", Some("https://A:8443/b?c=d")),
            ("http://user:p%40ss@a/b", Some("http://a/b")),
            ("http://[::1]:80/x", Some("http://[::1]:80/x")),
            ("http://a?q=1", Some("http://a/?q=1")),
            ("http://a/b c/é?x={y}", Some("http://a/b%20c/%C3%A9?x=%7By%7D")),
            ("http://a/%20", Some("http://a/%20")),
            ("http://", None),
            ("http://a:x/", None),
            ("http://a:70000/", None),
            ("http://a b/", None),
            ("ftp://a/", None),
            ("/a", None),
            ("", None),
        ] {
            let url = text.parse::<Url>().ok().map(|url| url.to_string());
            assert_eq!(url.as_deref(), expected, "{text}");
        }
        let error = "http://user:s3cret@a b/".parse::<Url>().unwrap_err();
        assert!(!error.message().contains("s3cret"), "{error}");
    }

    #[test]
    fn references_are_resolved() {
        let base: Url = "https://u:p@h:1/a/b?c=d".parse().unwrap();
        for (reference, expected) in [
            ("http://other/x", "http://other/x"),
            ("//other/x", "https://other/x"),
            ("/x?y", "https://h:1/x?y"),
            ("x", "https://h:1/a/x"),
            ("../x", "https://h:1/x"),
            ("../../../x", "https://h:1/x"),
            ("./", "https://h:1/a/"),
            ("..", "https://h:1/"),
            ("?z", "https://h:1/a/b?z"),
            ("", "https://h:1/a/b?c=d"),
            ("x?u=http://y/", "https://h:1/a/x?u=http://y/"),
        ] {
            assert_eq!(base.join(reference).unwrap().to_string(), expected, "{reference}");
        }
        assert!(base.join("ftp://x/").is_err());
    }

    #[test]
    fn origins_are_compared_with_their_ports() {
        for (a, b, same) in [
            ("http://a/x", "http://A:80/y", true),
            ("https://a/", "https://a:443/", true),
            ("http://a/", "https://a/", false),
            ("http://a/", "http://a:81/", false),
            ("http://a/", "http://b/", false),
        ] {
            let (a, b): (Url, Url) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(a.same_origin(&b), same, "{a} {b}");
        }
    }

    #[test]
    fn file_names_are_decoded() {
        for (url, expected) in
            [("http://a/b/c.csv?x=/y", Some("c.csv")), ("http://a/b%20c", Some("b c")), ("http://a/", None)]
        {
            assert_eq!(url.parse::<Url>().unwrap().file_name().as_deref(), expected, "{url}");
        }
    }
}
