//! Which plugin file has which grants.
//!
//! A grant of the configuration is for a file that the operator knows: one in the operator's own folders, or one that it names
//! by its path or its hash. What a checked-out repository calls its files says nothing. And it is for that file as it is:
//! the first time that a grant is used for a file its hash is remembered, and when the file is another one the grant is
//! withheld until somebody has looked at it. A grant of the command line is for one run, and for whatever file it names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::files::Whose;
use crate::{Grants, HostOptions, PluginProblem, TrustStore};

/// Digits of a hash in a message.
const SHOWN: usize = 12;

/// The file that a grant is for: `inbox`, `/opt/x/inbox.wasm`, either with `@sha256:HEX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantKey {
    file: Named,
    sha256: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    /// By its name without `.wasm`.
    Name(String),
    /// By its path without `.wasm`.
    Path(PathBuf),
}

/// A text that names no plugin file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no plugin: expected a name (`inbox`), a full path (`/opt/x/inbox.wasm`), or either with `@sha256:` and 64 \
     hexadecimal digits"
)]
pub struct GrantKeyError(String);

impl FromStr for GrantKey {
    type Err = GrantKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || GrantKeyError(text.to_owned());
        let (file, sha256) = match text.split_once("@sha256:") {
            Some((file, hash)) => (file, Some(hash.to_ascii_lowercase())),
            None => (text, None),
        };
        let is_hash = |hash: &String| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let file = file.strip_suffix(".wasm").unwrap_or(file);
        let is_path = file.contains(std::path::is_separator);
        if file.is_empty() || !sha256.iter().all(is_hash) || (is_path && !Path::new(file).is_absolute()) {
            return Err(error());
        }
        let file = if is_path { Named::Path(file.into()) } else { Named::Name(file.to_owned()) };
        Ok(Self { file, sha256 })
    }
}

impl fmt::Display for GrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Named::Name(name) => f.write_str(name)?,
            Named::Path(path) => write!(f, "{}.wasm", path.display())?,
        }
        self.sha256.iter().try_for_each(|hash| write!(f, "@sha256:{hash}"))
    }
}

/// Grants and the files that they are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantRules(Vec<(GrantKey, Grants)>);

impl FromIterator<(GrantKey, Grants)> for GrantRules {
    fn from_iter<T: IntoIterator<Item = (GrantKey, Grants)>>(rules: T) -> Self {
        Self(rules.into_iter().collect())
    }
}

/// By names of files.
impl<const N: usize> From<[(String, Grants); N]> for GrantRules {
    fn from(rules: [(String, Grants); N]) -> Self {
        let named = |name| GrantKey { file: Named::Name(name), sha256: None };
        rules.into_iter().map(|(name, grants)| (named(name), grants)).collect()
    }
}

/// A plugin file, for the question what it may use.
pub(crate) struct Asking<'a> {
    /// Its name without `.wasm`.
    pub(crate) name: &'a str,
    /// As it was found.
    pub(crate) path: &'a Path,
    /// Whose folder it is in.
    pub(crate) whose: Whose,
    pub(crate) sha256: &'a str,
}

/// How a key and a file go together.
#[derive(PartialEq, Eq)]
enum Fits {
    No,
    ByName,
    ByPath,
    /// It is the file, and not the one that was meant.
    OtherHash(String),
}

impl Asking<'_> {
    /// What the file may use, and what there is to say of grants that it does not have.
    pub(crate) fn grants(&self, options: &HostOptions) -> (Grants, Vec<PluginProblem>) {
        // A name that cannot be resolved any more is that of no file that anybody has granted anything.
        let full = std::fs::canonicalize(self.path).unwrap_or_else(|_| self.path.to_owned());
        let mut problems = Vec::new();
        let mut granted = Grants::default();
        for (key, grants) in &options.grants.0 {
            match self.fits(key, &full) {
                Fits::ByName | Fits::ByPath => granted = granted.union(Grants::clone(grants)),
                Fits::OtherHash(expected) => problems.push(self.other(key, &expected)),
                Fits::No => {}
            }
        }
        let mut may_use = None;
        for (key, grants) in &options.configured_grants.0 {
            let fits = self.fits(key, &full);
            match fits {
                Fits::No => continue,
                Fits::OtherHash(expected) => {
                    problems.push(self.other(key, &expected));
                    continue;
                }
                Fits::ByName if self.whose == Whose::Project && key.sha256.is_none() => {
                    problems.push(self.of_a_project(key, &full));
                    continue;
                }
                Fits::ByName | Fits::ByPath => {}
            }
            // Whoever names the hash has looked at the file.
            let known = key.sha256.is_some()
                || *may_use.get_or_insert_with(|| match self.is_as_remembered(&full, options) {
                    Ok(()) => true,
                    Err(problem) => {
                        problems.push(problem);
                        false
                    }
                });
            if known {
                granted = granted.union(Grants::clone(grants));
            }
        }
        let withheld = options.withheld.get(self.name).cloned().unwrap_or_else(Grants::none);
        (granted.without(withheld), problems)
    }

    fn fits(&self, key: &GrantKey, full: &Path) -> Fits {
        let fits = match &key.file {
            Named::Name(name) if name == self.name => Fits::ByName,
            Named::Path(path) => {
                let mut path = path.clone().into_os_string();
                path.push(".wasm");
                let path = PathBuf::from(path);
                let is_it = full == path || std::fs::canonicalize(&path).is_ok_and(|path| full == path);
                if is_it { Fits::ByPath } else { Fits::No }
            }
            Named::Name(_) => Fits::No,
        };
        match &key.sha256 {
            Some(hash) if fits != Fits::No && hash != self.sha256 => Fits::OtherHash(hash.clone()),
            _ => fits,
        }
    }

    /// Whether the file is the one that had the grant before; the first one is remembered.
    fn is_as_remembered(&self, full: &Path, options: &HostOptions) -> Result<(), PluginProblem> {
        let Some(path) = &options.trust else { return Ok(()) };
        match TrustStore::new(path).remember(full, self.sha256) {
            Ok(known) if known == self.sha256 => Ok(()),
            Ok(known) => Err(self.problem(format!(
                "it has changed since its grants were first used (SHA-256 now {}, then {}), so the configuration's grants are \
                 withheld\nhint: look at it, then `weft trust {}`",
                start(self.sha256),
                start(&known),
                self.path.display()
            ))),
            Err(error) => {
                Err(self.problem(format!("the configuration's grants are withheld: {error}")))
            }
        }
    }

    fn other(&self, key: &GrantKey, expected: &str) -> PluginProblem {
        self.problem(format!(
            "the grant for `{}` is for another file: its SHA-256 is {}, that of the grant {}\nhint: look at it, then write \
             `@sha256:{}` in the grant",
            key,
            start(self.sha256),
            start(expected),
            self.sha256
        ))
    }

    fn of_a_project(&self, key: &GrantKey, full: &Path) -> PluginProblem {
        self.problem(format!(
            "the configuration's grant for `{key}` is for files in the operator's folders, and this one is in a project's\n\
             hint: name it there by its path, `{}`, or grant it for one run with `--grant`",
            full.display()
        ))
    }

    fn problem(&self, message: String) -> PluginProblem {
        PluginProblem::warning(self.path, "plugin.grant", message)
    }
}

fn start(hash: &str) -> &str {
    hash.get(..SHOWN).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Capability::{Http, Kv, Secrets};

    #[test]
    fn keys_name_files() {
        let hash = "0123456789abcdef".repeat(4);
        for (text, expected) in [
            ("inbox".to_owned(), Some("inbox".to_owned())),
            ("inbox.wasm".to_owned(), Some("inbox".to_owned())),
            ("/opt/x/inbox.wasm".to_owned(), Some("/opt/x/inbox.wasm".to_owned())),
            ("/opt/x/inbox".to_owned(), Some("/opt/x/inbox.wasm".to_owned())),
            (format!("inbox@sha256:{}", hash.to_uppercase()), Some(format!("inbox@sha256:{hash}"))),
            (format!("/x/a.wasm@sha256:{hash}"), Some(format!("/x/a.wasm@sha256:{hash}"))),
            (String::new(), None),
            ("./inbox.wasm".to_owned(), None),
            ("inbox@sha256:".to_owned(), None),
            ("inbox@sha256:abc".to_owned(), None),
            (format!("inbox@sha256:{}", "x".repeat(64)), None),
            (format!("@sha256:{hash}"), None),
        ] {
            assert_eq!(text.parse::<GrantKey>().ok().map(|key| key.to_string()), expected, "{text}");
        }
    }

    struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let place = Self { folder: tempfile::tempdir().unwrap() };
            std::fs::write(place.file(), "").unwrap();
            place
        }

        fn file(&self) -> PathBuf {
            self.folder.path().canonicalize().unwrap().join("inbox.wasm")
        }

        fn options(&self, grants: &[(String, Grants)], configured: &[(String, Grants)]) -> HostOptions {
            let rules = |rules: &[(String, Grants)]| {
                rules.iter().map(|(key, grants)| (key.parse().unwrap(), Grants::clone(grants))).collect()
            };
            HostOptions {
                grants: rules(grants),
                configured_grants: rules(configured),
                trust: Some(self.folder.path().join("trust.json")),
                ..HostOptions::new(self.folder.path())
            }
        }

        /// Whether it may use secrets, and what is said.
        fn ask(&self, options: &HostOptions, whose: Whose, sha256: &str) -> (bool, String) {
            let path = self.file();
            let asking = Asking { name: "inbox", path: &path, whose, sha256 };
            let (grants, problems) = asking.grants(options);
            let problems: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
            (grants.contains(Secrets), problems.join("\n"))
        }
    }

    #[test]
    fn grants_are_for_files_and_folders() {
        let place = Place::new();
        let secrets = || Grants::none().with(Secrets);
        let (mine, other) = ("a".repeat(64), "b".repeat(64));
        let path = place.file().display().to_string();
        let (operator, project) = (Whose::Operator, Whose::Project);
        for (given, configured, whose, expected, said) in [
            (Some("inbox".to_owned()), None, operator, true, ""),
            (Some("inbox".to_owned()), None, project, true, ""),
            (Some("outbox".to_owned()), None, operator, false, ""),
            (Some(format!("inbox@sha256:{other}")), None, operator, false, "is for another file"),
            (Some(format!("inbox@sha256:{mine}")), None, project, true, ""),
            (None, Some("inbox".to_owned()), operator, true, ""),
            (None, Some("inbox".to_owned()), project, false, "this one is in a project's"),
            (None, Some(path.clone()), project, true, ""),
            (None, Some(format!("inbox@sha256:{mine}")), project, true, ""),
            (None, Some(format!("{path}@sha256:{other}")), operator, false, "is for another file"),
            (None, Some("/elsewhere/inbox.wasm".to_owned()), operator, false, ""),
        ] {
            let rule =
                |key: &Option<String>| key.iter().map(|key| (key.clone(), secrets())).collect::<Vec<_>>();
            let options = place.options(&rule(&given), &rule(&configured));
            let (may, message) = place.ask(&options, whose, &mine);
            assert_eq!(may, expected, "{given:?} {configured:?} {whose:?}: {message}");
            assert!(message.contains(said) && message.is_empty() == said.is_empty(), "{message}");
        }
    }

    #[test]
    fn a_configured_grant_is_for_the_file_as_it_was() {
        let place = Place::new();
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let rules = [
            ("inbox".to_owned(), Grants::none().with(Secrets)),
            (place.file().display().to_string(), Grants::none().with(Kv)),
        ];
        let options = place.options(&[], &rules);
        assert_eq!(place.ask(&options, Whose::Operator, &one), (true, String::new()));
        let (may, message) = place.ask(&options, Whose::Operator, &two);
        assert!(!may);
        assert_eq!(
            message.matches("it has changed since its grants were first used").count(),
            1,
            "{message}"
        );
        assert!(message.contains("(SHA-256 now 222222222222, then 111111111111)"), "{message}");
        assert!(message.contains(&format!("`weft trust {}`", place.file().display())), "{message}");
        // For one run, it may be given all the same.
        let for_one_run = place.options(&rules[..1], &rules);
        assert!(place.ask(&for_one_run, Whose::Operator, &two).0);
        assert!(place.ask(&options, Whose::Operator, &one).0);
    }

    #[test]
    fn what_is_withheld_goes_before_what_is_granted() {
        let place = Place::new();
        let given = [("inbox".to_owned(), Grants::none().with(Secrets).with(Http))];
        let mut options = place.options(&given, &[]);
        options.withheld.insert("inbox".to_owned(), Grants::none().with(Secrets));
        assert!(!place.ask(&options, Whose::Operator, &"a".repeat(64)).0);
    }
}
