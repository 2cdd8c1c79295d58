//! Where a repository is.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;

use crate::GitError;

/// The ways to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
    Ssh,
    /// A directory of this machine.
    Local,
}

/// A repository's URL, taken apart. It is shown without user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositoryUrl {
    pub(crate) scheme: Scheme,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// With its slash at the beginning, except in the short form of SSH.
    pub(crate) path: String,
}

impl RepositoryUrl {
    /// Reads `SCHEME://[USER[:PASSWORD]@]HOST[:PORT]/PATH`, `[USER@]HOST:PATH` or a path.
    pub(crate) fn parse(text: &str) -> Result<Self, GitError> {
        let text = text.trim();
        let wrong =
            |reason: &str| GitError::Url { url: without_credentials(text), reason: reason.to_owned() };
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(wrong("it has control characters"));
        }
        let local = |path: &str| Self {
            scheme: Scheme::Local,
            user: None,
            password: None,
            host: String::new(),
            port: None,
            path: path.to_owned(),
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            if text.starts_with(['/', '.']) {
                return Ok(local(text));
            }
            return Self::short(text).ok_or_else(|| wrong(EXPECTED));
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ssh" | "git+ssh" | "ssh+git" => Scheme::Ssh,
            "file" => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                return if path.starts_with('/') {
                    Ok(local(path))
                } else {
                    Err(wrong("expected `file://` before the whole path of a directory"))
                };
            }
            _ => return Err(wrong(EXPECTED)),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        let (user, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            Some((user, password)) => (
                Some(decoded(user)).filter(|user| !user.is_empty()),
                Some(decoded(password)).filter(|password| !password.is_empty()),
            ),
            None => (None, None),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| wrong("its port is no number from 0 to 65535"))?))
            }
            _ => (authority, None),
        };
        if !is_host(host) {
            return Err(wrong("its host is missing or has characters that no host has"));
        }
        if path.trim_matches('/').is_empty() {
            return Err(wrong("it names a server and no repository"));
        }
        Ok(Self { scheme, user, password, host: host.to_owned(), port, path: path.to_owned() })
    }

    /// `[USER@]HOST:PATH`.
    fn short(text: &str) -> Option<Self> {
        let (place, path) = text.split_once(':')?;
        let (user, host) = match place.split_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, place),
        };
        (is_host(host) && !path.is_empty() && !path.starts_with(':')).then(|| Self {
            scheme: Scheme::Ssh,
            user,
            password: None,
            host: host.to_owned(),
            port: None,
            path: path.to_owned(),
        })
    }

    /// Whether what was given for `self` may be told to the server of `other`: the same host, in the same way or a
    /// safer one.
    pub(crate) fn shares_credentials_with(&self, other: &Self) -> bool {
        let port = |url: &Self| url.port.unwrap_or(url.scheme.port());
        let same_host = self.host.eq_ignore_ascii_case(&other.host);
        let usual = |url: &Self| port(url) == url.scheme.port();
        match (self.scheme, other.scheme) {
            (a, b) if a == b => same_host && port(self) == port(other),
            (Scheme::Http, Scheme::Https) => same_host && usual(self) && usual(other),
            _ => false,
        }
    }
}

impl Scheme {
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Ssh => 22,
            Self::Local => 0,
        }
    }
}

const EXPECTED: &str =
    "expected `https://HOST/PATH`, `ssh://USER@HOST/PATH`, `USER@HOST:PATH` or `file:///PATH`";

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        match self.scheme {
            Scheme::Http => write!(f, "http://{}{port}{}", self.host, self.path),
            Scheme::Https => write!(f, "https://{}{port}{}", self.host, self.path),
            // Who asks is no secret with SSH, and part of the address.
            Scheme::Ssh => {
                let user = self.user.as_deref().map(|user| format!("{user}@")).unwrap_or_default();
                if self.path.starts_with('/') {
                    write!(f, "ssh://{user}{}{port}{}", self.host, self.path)
                } else {
                    write!(f, "{user}{}:{}", self.host, self.path)
                }
            }
            Scheme::Local if self.path.starts_with('/') => write!(f, "file://{}", self.path),
            Scheme::Local => f.write_str(&self.path),
        }
    }
}

/// Nothing that a shell, an option or another part of the URL could be taken for.
fn is_host(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && !host.starts_with('-')
                && host.chars().all(|c| c.is_alphanumeric() || "-._".contains(c))
        }
    }
}

fn without_credentials(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => text.to_owned(),
    }
}

/// `%XX` decoded; what is not UTF-8 afterwards stays as it was.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_credentials() {
        for (text, expected) in [
            ("https://github.com/a/b", Ok("https://github.com/a/b")),
            ("https://user:s3cret@host:8443/a.git", Ok("https://host:8443/a.git")),
            ("HTTP://s3cret@host/a", Ok("http://host/a")),
            ("ssh://git@host:2222/a/b", Ok("ssh://git@host:2222/a/b")),
            ("ssh://git:s3cret@host/a", Ok("ssh://git@host/a")),
            ("git@github.com:a/b.git", Ok("git@github.com:a/b.git")),
            ("file:///srv/a.git", Ok("file:///srv/a.git")),
            ("/srv/a.git", Ok("file:///srv/a.git")),
            ("../a.git", Ok("../a.git")),
            ("https://host", Err("names a server and no repository")),
            ("https://host/", Err("names a server and no repository")),
            ("https://us:s3cret@ho st/a", Err("its host is missing")),
            ("https://-oProxyCommand=x/a", Err("its host is missing")),
            ("-oProxyCommand=x:a", Err("expected `https://HOST/PATH`")),
            ("ext::sh -c id", Err("expected `https://HOST/PATH`")),
            ("git://host/a", Err("expected `https://HOST/PATH`")),
            ("file://other/a", Err("expected `file://`")),
            ("https://host:x/a", Err("its port is no number")),
            ("a\nb", Err("control characters")),
            ("", Err("it is empty")),
        ] {
            match (RepositoryUrl::parse(text), expected) {
                (Ok(url), Ok(shown)) => assert_eq!(url.to_string(), shown, "{text}"),
                (Err(error), Err(part)) => {
                    let error = error.to_string();
                    assert!(error.contains(part) && !error.contains("s3cret"), "{text}: {error}");
                }
                (result, _) => panic!("{text}: {result:?}"),
            }
        }
        let url = RepositoryUrl::parse("https://u%40x:p%2F@host/a").unwrap();
        assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("u@x"), Some("p/")));
    }

    #[test]
    fn credentials_stay_with_their_host() {
        for (given, asked, shared) in [
            ("https://a/x", "https://A/y", true),
            ("https://a/x", "https://a:443/y", true),
            ("http://a/x", "https://a/x", true),
            ("http://a:8080/x", "https://a:8443/x", false),
            ("https://a/x", "http://a/x", false),
            ("https://a/x", "https://b/x", false),
            ("https://a/x", "https://a.b/x", false),
            ("https://a/x", "ssh://a/x", false),
            ("git@a:x", "ssh://git@a:22/x", true),
        ] {
            let (given, asked) = (RepositoryUrl::parse(given).unwrap(), RepositoryUrl::parse(asked).unwrap());
            assert_eq!(given.shares_credentials_with(&asked), shared, "{given} {asked}");
        }
    }
}
