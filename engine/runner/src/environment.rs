//! Which variables a process begins with: not the engine's own, which hold secrets and credentials, but those by which
//! programs find each other and speak the user's language, and what the operator names.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::{Arc, LazyLock};

/// What is passed on where nobody says anything; a `*` at the end stands for any characters.
const PASSED: &[&str] = &[
    // Who and where.
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TERM",
    // Language and time.
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TZDIR",
    // The way out.
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    // Where interpreters have their libraries: what works in the shell that starts the engine works in a task.
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYENV_ROOT",
    "PYTHONPATH",
    "PYTHONHOME",
    "NODE_PATH",
    "R_HOME",
    "R_LIBS",
    "R_LIBS_USER",
    "R_LIBS_SITE",
    "JAVA_HOME",
    "LD_LIBRARY_PATH",
];

/// Names that only a pattern with the same beginning means: `*` is no wish to hand out secrets.
const OWN: &[&str] = &["SECRET_", "WEFT_"];

/// The variables that processes begin with, before those of their command. Copies share them.
#[derive(Debug, Clone)]
pub struct BaseEnvironment {
    entries: Arc<[(Vec<u8>, CString)]>,
}

impl BaseEnvironment {
    /// The engine's variables that are passed on always, those that `pass` names (`NAME`, `PREFIX_*`), and over them those
    /// in `set`.
    pub fn new<'a>(pass: &[String], set: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::of(std::env::vars_os(), pass, set)
    }

    fn of<'a>(
        variables: impl Iterator<Item = (OsString, OsString)>,
        pass: &[String],
        set: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let passes = |name: &OsStr| {
            let name = name.as_bytes();
            PASSED.iter().any(|pattern| matches(pattern, name))
                || pass.iter().any(|pattern| matches(pattern, name))
        };
        let mut entries: Vec<(Vec<u8>, CString)> = variables
            .filter(|(name, _)| passes(name))
            .filter_map(|(name, value)| entry(name.into_vec(), value.as_bytes()))
            .collect();
        for (name, value) in set {
            entries.retain(|(known, _)| known != name.as_bytes());
            entries.extend(entry(name.as_bytes().to_vec(), value.as_bytes()));
        }
        Self { entries: entries.into() }
    }

    /// Name and `name=value` of each.
    pub(crate) fn entries(&self) -> &[(Vec<u8>, CString)] {
        &self.entries
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        let (name, entry) = self.entries.iter().find(|(known, _)| known == name.as_bytes())?;
        Some(OsStr::from_bytes(entry.as_bytes().get(name.len() + 1..)?))
    }
}

impl Default for BaseEnvironment {
    /// What is passed on where nobody says anything.
    fn default() -> Self {
        // The engine never changes its own environment.
        static DEFAULT: LazyLock<BaseEnvironment> = LazyLock::new(|| BaseEnvironment::new(&[], []));
        DEFAULT.clone()
    }
}

/// None where there is a NUL: the system could not keep it.
fn entry(name: Vec<u8>, value: &[u8]) -> Option<(Vec<u8>, CString)> {
    let entry = CString::new([&name, b"=".as_slice(), value].concat()).ok()?;
    Some((name, entry))
}

fn matches(pattern: &str, name: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => {
            let own = OWN.iter().find(|own| name.starts_with(own.as_bytes()));
            name.starts_with(prefix.as_bytes()) && own.is_none_or(|own| prefix.starts_with(own))
        }
        None => pattern.as_bytes() == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_engines_is_passed_on_unless_it_is_named() {
        const ENGINE: &[&str] = &[
            "PATH",
            "HOME",
            "LC_ALL",
            "TZ",
            "http_proxy",
            "NO_PROXY",
            "VIRTUAL_ENV",
            "SECRET_TOKEN",
            "WEFT_DATA_DIR",
            "ENV_STAGE",
            "AWS_SECRET_ACCESS_KEY",
            "DOCKER_HOST",
            "SSH_AUTH_SOCK",
            "GITHUB_TOKEN",
            "APP_A",
            "APP_B",
            "PATHS",
        ];
        for (pass, set, expected) in [
            (&[][..], &[][..], "PATH=1 HOME=1 LC_ALL=1 TZ=1 http_proxy=1 NO_PROXY=1 VIRTUAL_ENV=1"),
            (
                &["APP_*", "GITHUB_TOKEN"],
                &[("HOME", "/srv"), ("NEW", "x=y")],
                "PATH=1 LC_ALL=1 TZ=1 http_proxy=1 NO_PROXY=1 VIRTUAL_ENV=1 GITHUB_TOKEN=1 APP_A=1 APP_B=1 HOME=/srv \
                 NEW=x=y",
            ),
            (
                &["SECRET_TOKEN"],
                &[],
                "PATH=1 HOME=1 LC_ALL=1 TZ=1 http_proxy=1 NO_PROXY=1 VIRTUAL_ENV=1 SECRET_TOKEN=1",
            ),
            (
                &["*"],
                &[],
                "PATH=1 HOME=1 LC_ALL=1 TZ=1 http_proxy=1 NO_PROXY=1 VIRTUAL_ENV=1 ENV_STAGE=1 AWS_SECRET_ACCESS_KEY=1 \
                 DOCKER_HOST=1 SSH_AUTH_SOCK=1 GITHUB_TOKEN=1 APP_A=1 APP_B=1 PATHS=1",
            ),
        ] {
            let variables = ENGINE.iter().map(|name| (OsString::from(name), OsString::from("1")));
            let pass: Vec<String> = pass.iter().map(|&pattern| pattern.to_owned()).collect();
            let base = BaseEnvironment::of(variables, &pass, set.iter().copied());
            let found: Vec<_> = base.entries().iter().map(|(_, entry)| entry.to_str().unwrap()).collect();
            assert_eq!(found.join(" "), expected, "{pass:?}");
            assert_eq!(base.get("PATH"), Some(OsStr::new("1")));
            assert_eq!(base.get("DISPLAY"), None);
        }
    }
}
