//! What a plugin file may use, and how far it reaches.
//!
//! A plugin asks by importing; the operator grants. Every capability is always linked, so that a call that was not
//! granted is answered with `capability.denied` and the option that grants it, not with a linker error. Logging, outputs,
//! the working directory, and the task run's own files in internal storage are not listed here: they cannot be withheld.

mod capability;
mod scope;

use std::fmt;
use std::sync::Arc;

use weft_network::Target;

pub use self::capability::{Capability, ScopeKind};
use self::scope::Reach;

/// A text that is not a grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// There is no plugin name, colon and list.
    #[error(
        "grant `{0}`: expected `PLUGIN:CAPABILITY[=SCOPE][,CAPABILITY[=SCOPE]]`, as in `inbox:kv,secrets=API_*`"
    )]
    Form(String),
    /// A capability that does not exist.
    #[error(
        "grant `{grant}`: there is no capability `{name}`\nhint: {} or `all`",
        Capability::ALL.map(|capability| format!("`{capability}`")).join(", ")
    )]
    Unknown {
        /// The whole text.
        grant: String,
        /// The part that is no capability.
        name: String,
    },
    /// A scope that does not fit its capability.
    #[error("grant `{grant}`: `{scope}` is no scope of `{capability}`: {reason}")]
    Scope {
        /// The whole text.
        grant: String,
        /// What it was to narrow.
        capability: Capability,
        /// What is wrong.
        scope: String,
        /// Why.
        reason: String,
    },
}

/// What stands for every capability, everywhere.
const ALL: &str = "all";

/// How far each capability reaches, in the order of [`Capability::ALL`].
type Reaches = [Reach; Capability::ALL.len()];

/// A set of capabilities, each with the scopes that it is granted for. Cheap to clone.
///
/// A capability without a scope reaches everything, but `kv` and `storage`, which then reach the flow's own namespace.
#[derive(Clone, PartialEq, Eq)]
pub struct Grants(Arc<Sets>);

#[derive(Clone, PartialEq, Eq)]
struct Sets {
    granted: Reaches,
    /// What is taken away again. A list of patterns less another one is no list of patterns, so both are kept.
    withheld: Reaches,
}

impl Grants {
    /// Nothing.
    pub fn none() -> Self {
        Self::of([Reach::NOTHING; Capability::ALL.len()])
    }

    /// Everything, everywhere: what bundled plugins get.
    pub fn all() -> Self {
        Self::of([Reach::EVERYTHING; Capability::ALL.len()])
    }

    fn of(granted: Reaches) -> Self {
        Self(Arc::new(Sets { granted, withheld: [Reach::NOTHING; Capability::ALL.len()] }))
    }

    fn changed(mut self, change: impl FnOnce(&mut Sets)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The same and `capability`, without a scope.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        self.changed(|sets| sets.granted[capability as usize].add(&Reach::usual(capability)))
    }

    /// What is in either. What one of them has had taken away stays away.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        self.changed(|sets| {
            for capability in Capability::ALL.map(|capability| capability as usize) {
                sets.granted[capability].add(&other.0.granted[capability]);
                sets.withheld[capability].add(&other.0.withheld[capability]);
            }
        })
    }

    /// What is here and not in `other`. A capability that is there without a scope is taken away as a whole.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        self.changed(|sets| {
            for (withheld, taken) in sets.withheld.iter_mut().zip(&other.0.granted) {
                withheld.add(taken);
                if taken.own {
                    withheld.add(&Reach::EVERYTHING);
                }
            }
        })
    }

    /// Whether `capability` is in the set, however far it reaches.
    pub fn contains(&self, capability: Capability) -> bool {
        !self.granted(capability).is_nothing() && !self.withheld(capability).is_everywhere()
    }

    /// Whether `capability` may be used for `scope`: a secret, a program, an image, a variable or a file.
    pub fn permits(&self, capability: Capability, scope: &str) -> bool {
        self.granted(capability).has(scope) && !self.withheld(capability).has(scope)
    }

    /// Whether `capability` may be used in a namespace, which may be the flow's own.
    pub fn permits_namespace(&self, capability: Capability, namespace: &str, is_own: bool) -> bool {
        self.granted(capability).has_namespace(namespace, is_own)
            && !self.withheld(capability).has_namespace(namespace, is_own)
    }

    /// Whether nothing narrows `capability`.
    pub(crate) fn is_everywhere(&self, capability: Capability) -> bool {
        self.granted(capability).is_everywhere() && self.withheld(capability).is_nothing()
    }

    /// The same with nothing taken away.
    pub(crate) fn granted_only(&self) -> Self {
        Self::of(self.0.granted.clone())
    }

    /// The hosts that `capability` is granted for (none: all), and those that are taken away.
    pub(crate) fn targets(&self, capability: Capability) -> (Option<Vec<Target>>, Vec<Target>) {
        let granted = self.granted(capability).targets();
        (granted, self.withheld(capability).targets().unwrap_or_default())
    }

    fn granted(&self, capability: Capability) -> &Reach {
        &self.0.granted[capability as usize]
    }

    fn withheld(&self, capability: Capability) -> &Reach {
        &self.0.withheld[capability as usize]
    }

    /// Each part as it is written in a grant: `kv`, `secrets=API_*`. `all` where it is everything.
    pub fn texts(&self) -> Vec<String> {
        texts(&self.0.granted)
    }

    /// What is taken away, likewise.
    pub fn withheld_texts(&self) -> Vec<String> {
        texts(&self.0.withheld)
    }

    /// Reads `PLUGIN:CAPABILITY[=SCOPE][,CAPABILITY[=SCOPE]]` as given to `--grant`; `all` stands for every capability,
    /// everywhere. The plugin is named by its file, with or without `.wasm`.
    pub fn parse(text: &str) -> Result<(String, Self), GrantError> {
        let form = || GrantError::Form(text.to_owned());
        let (plugin, list) = split(text).ok_or_else(form)?;
        let plugin = plugin.strip_suffix(".wasm").unwrap_or(plugin);
        if plugin.is_empty() || list.is_empty() {
            return Err(form());
        }
        Ok((plugin.to_owned(), Self::parse_list(list, text)?))
    }

    /// Reads the part behind the plugin's name. `whole` is what an error names.
    pub fn parse_list(list: &str, whole: &str) -> Result<Self, GrantError> {
        list.split(',').try_fold(Self::none(), |grants, item| {
            let (name, scope) = match item.split_once('=') {
                Some((name, scope)) => (name.trim(), Some(scope.trim())),
                None => (item.trim(), None),
            };
            Ok(grants.union(Self::parse_one(name, scope, whole)?))
        })
    }

    /// One capability, with a scope or without. `whole` is what an error names.
    pub fn parse_one(name: &str, scope: Option<&str>, whole: &str) -> Result<Self, GrantError> {
        let grant = || whole.to_owned();
        if name == ALL && scope.is_none() {
            return Ok(Self::all());
        }
        let capability = Capability::from_name(name)
            .ok_or_else(|| GrantError::Unknown { grant: grant(), name: name.to_owned() })?;
        let Some(scope) = scope else { return Ok(Self::none().with(capability)) };
        let reach = Reach::of(capability, scope).map_err(|reason| GrantError::Scope {
            grant: grant(),
            capability,
            scope: scope.to_owned(),
            reason,
        })?;
        Ok(Self::none().changed(|sets| sets.granted[capability as usize] = reach))
    }
}

/// The plugin and the list of a grant. A plugin's name and a scope may have colons in them, so the one that counts is the
/// first that a capability follows.
fn split(text: &str) -> Option<(&str, &str)> {
    let follows = |list: &str| {
        let name = list.split([',', '=']).next().unwrap_or_default().trim();
        name == ALL || Capability::from_name(name).is_some()
    };
    let mut places = text.match_indices(':').map(|(at, _)| (&text[..at], &text[at + 1..]));
    places.find(|(plugin, list)| !plugin.contains('=') && follows(list)).or_else(|| text.split_once(':'))
}

fn texts(reaches: &Reaches) -> Vec<String> {
    if reaches.iter().all(Reach::is_everywhere) {
        return vec![ALL.to_owned()];
    }
    let each = Capability::ALL.into_iter().zip(reaches);
    each.flat_map(|(capability, reach)| reach.texts(capability)).collect()
}

/// What every plugin file gets: nothing that leaves the execution.
impl Default for Grants {
    fn default() -> Self {
        Self::none().with(Capability::Execution)
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let withheld = self.withheld_texts().into_iter().map(|text| format!("-{text}"));
        f.debug_set().entries(self.texts().into_iter().chain(withheld)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Capability::{Container, Environment, Execution, Git, Http, Kv, Process, Secrets, Storage, Tcp};

    #[test]
    fn grants_as_written_on_the_command_line() {
        for (text, plugin, expected) in [
            ("s3:process", "s3", &["process"][..]),
            ("s3.wasm:secrets, kv", "s3", &["secrets", "kv"]),
            ("s3:all", "s3", &["all"]),
            ("s3:process,all", "s3", &["all"]),
            ("s3:secrets=DB_PASSWORD,secrets=API_*", "s3", &["secrets=DB_PASSWORD", "secrets=API_*"]),
            ("s3:secrets=*", "s3", &["secrets"]),
            ("s3:secrets,secrets=A", "s3", &["secrets"]),
            ("s3:kv,kv=team.shared", "s3", &["kv", "kv=team.shared"]),
            ("s3:kv=*", "s3", &["kv=*"]),
            ("s3:storage=team.*", "s3", &["storage=team.*"]),
            (
                "s3:http=API.example.com:443,http=*.example.org,tcp=[::1]:80,git=10.0.0.0/8",
                "s3",
                &["http=api.example.com:443", "http=*.example.org", "tcp=[::1]:80", "git=10.0.0.0/8"],
            ),
            ("s3:http=*", "s3", &["http"]),
            ("s3:process=git,container=python:3.*", "s3", &["process=git", "container=python:3.*"]),
            (
                "s3:environment=AWS_*,environment=~/.aws/config",
                "s3",
                &["environment=AWS_*", "environment=~/.aws/config"],
            ),
            ("a:b.wasm:kv", "a:b", &["kv"]),
        ] {
            let (name, grants) = Grants::parse(text).expect(text);
            assert_eq!(
                (name.as_str(), grants.texts()),
                (plugin, expected.iter().map(|&s| s.to_owned()).collect())
            );
            // What is shown can be given again.
            assert_eq!(Grants::parse_list(&grants.texts().join(","), "").as_ref(), Ok(&grants), "{text}");
        }
    }

    #[test]
    fn what_is_no_grant_is_named() {
        for (text, expected) in [
            ("s3", "grant `s3`: expected `PLUGIN:"),
            ("s3:", "grant `s3:`: expected `PLUGIN:"),
            (":process", "grant `:process`: expected `PLUGIN:"),
            (".wasm:process", "grant `.wasm:process`: expected `PLUGIN:"),
            ("s3:root", "grant `s3:root`: there is no capability `root`"),
            ("s3:root=x:kv", "grant `s3:root=x:kv`: there is no capability `root`"),
            ("s3:kv,", "grant `s3:kv,`: there is no capability ``"),
            ("s3:all=x", "grant `s3:all=x`: there is no capability `all`"),
            ("s3:secrets=", "grant `s3:secrets=`: `` is no scope of `secrets`: it is empty"),
            ("s3:secrets=A B", "grant `s3:secrets=A B`: `A B` is no scope of `secrets`"),
            (
                "s3:execution=x",
                "grant `s3:execution=x`: `x` is no scope of `execution`: `execution` has no scopes",
            ),
            ("s3:kv=a/b", "grant `s3:kv=a/b`: `a/b` is no scope of `kv`: it is no namespace"),
            (
                "s3:http=https://a.example",
                "grant `s3:http=https://a.example`: `https://a.example` is no scope of `http`",
            ),
        ] {
            let error = Grants::parse(text).expect_err(text).to_string();
            assert!(error.starts_with(expected), "{text}\n  {error}");
        }
    }

    fn granted(list: &str) -> Grants {
        Grants::parse_list(list, list).expect(list)
    }

    #[test]
    fn scopes_are_asked_for_one_thing_at_a_time() {
        for (list, capability, scope, expected) in [
            ("secrets", Secrets, "A", true),
            ("secrets=A,secrets=API_*", Secrets, "A", true),
            ("secrets=A,secrets=API_*", Secrets, "API_KEY", true),
            ("secrets=A,secrets=API_*", Secrets, "B", false),
            ("secrets=A", Environment, "A", false),
            ("process=git", Process, "git", true),
            ("process=git", Process, "./git", false),
            ("container=python:3.*", Container, "python:3.12", true),
            ("container=python:3.*", Container, "python", false),
            ("all", Secrets, "A", true),
        ] {
            assert_eq!(granted(list).permits(capability, scope), expected, "{list} {capability} {scope}");
        }
    }

    #[test]
    fn a_namespace_without_a_scope_is_the_flows_own() {
        for (list, namespace, is_own, expected) in [
            ("kv", "team", true, true),
            ("kv", "other", false, false),
            ("kv=other", "other", false, true),
            ("kv=other", "team", true, false),
            ("kv=team", "team", true, true),
            ("kv,kv=other", "team", true, true),
            ("kv=other.*", "other.a", false, true),
            ("kv=other.*", "other", false, false),
            ("kv=*", "anything", false, true),
            ("all", "anything", false, true),
        ] {
            assert_eq!(
                granted(list).permits_namespace(Kv, namespace, is_own),
                expected,
                "{list} {namespace}"
            );
        }
    }

    #[test]
    fn what_is_withheld_stays_away() {
        let all = || Grants::all();
        for (grants, capability, scope, expected) in [
            (all().without(granted("secrets")), Secrets, "A", false),
            (all().without(granted("secrets=DB_*")), Secrets, "DB_PASSWORD", false),
            (all().without(granted("secrets=DB_*")), Secrets, "A", true),
            (
                granted("secrets=*").without(granted("secrets=A")).union(granted("secrets=A")),
                Secrets,
                "A",
                false,
            ),
            (all().without(granted("all")), Process, "git", false),
        ] {
            assert_eq!(grants.permits(capability, scope), expected, "{grants:?} {scope}");
        }
        let without_kv = all().without(granted("kv"));
        assert!(!without_kv.contains(Kv) && !without_kv.permits_namespace(Kv, "other", false));
        let own_only = all().without(granted("kv=other"));
        assert!(own_only.contains(Kv) && own_only.permits_namespace(Kv, "team", true));
        assert!(!own_only.permits_namespace(Kv, "other", false));
        assert_eq!(own_only.withheld_texts(), ["kv=other"]);
    }

    #[test]
    fn files_may_not_reach_beyond_the_execution_by_default() {
        let denied: Vec<_> =
            Capability::ALL.into_iter().filter(|&c| !Grants::default().contains(c)).collect();
        assert_eq!(denied, [Secrets, Kv, Storage, Process, Container, Environment, Http, Tcp, Git]);
        assert!(Grants::default().contains(Execution));
    }
}
