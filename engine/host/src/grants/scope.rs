//! How far one capability reaches.

use std::fmt;

use weft_network::Target;

use super::{Capability, ScopeKind};

/// A text in which `*` stands for any part that has no slash, as in file names. Everything else stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Box<str>);

impl Pattern {
    /// Whether it stands for `text`.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((beginning, rest)) = self.0.split_once('*') else { return *self.0 == *text };
        let Some(mut text) = text.strip_prefix(beginning) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        // There is one at least.
        let end = parts.pop().unwrap_or_default();
        for part in parts {
            // The earliest place leaves the most for what follows.
            let Some((skipped, after)) = text.split_once(part) else { return false };
            if skipped.contains('/') {
                return false;
            }
            text = after;
        }
        text.strip_suffix(end).is_some_and(|skipped| !skipped.contains('/'))
    }
}

/// One scope of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Text(Pattern),
    Host(Target),
}

impl Scope {
    /// Reads the scope of a capability; what is wrong with it otherwise. `None` stands for everything: `*`.
    fn parse(capability: Capability, text: &str) -> Result<Option<Self>, String> {
        let plain = || {
            if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err("it is empty or has blanks".to_owned());
            }
            Ok((text != "*").then(|| Self::Text(Pattern(text.into()))))
        };
        match capability.scopes() {
            ScopeKind::None => Err(format!("`{capability}` has no scopes")),
            ScopeKind::Text(_) => plain(),
            ScopeKind::Namespace if text.contains('/') => {
                Err("it is no namespace: write `company.team` or `company.*`".to_owned())
            }
            ScopeKind::Namespace => plain(),
            ScopeKind::Host => {
                let target: Target = text.parse().map_err(|error| format!("{error}"))?;
                Ok((!target.is_everything()).then_some(Self::Host(target)))
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(Pattern(text)) => f.write_str(text),
            Self::Host(target) => write!(f, "{target}"),
        }
    }
}

/// How far a capability reaches: the sum of what is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Everything.
    pub(super) everywhere: bool,
    /// The flow's own namespace. Only where a scope is a namespace.
    pub(super) own: bool,
    pub(super) scopes: Vec<Scope>,
}

impl Reach {
    pub(super) const NOTHING: Self = Self { everywhere: false, own: false, scopes: Vec::new() };

    pub(super) const EVERYTHING: Self = Self { everywhere: true, own: false, scopes: Vec::new() };

    /// How far it reaches where no scope is written.
    pub(super) fn usual(capability: Capability) -> Self {
        match capability.scopes() {
            ScopeKind::Namespace => Self { own: true, ..Self::NOTHING },
            _ => Self::EVERYTHING,
        }
    }

    pub(super) fn of(capability: Capability, scope: &str) -> Result<Self, String> {
        Ok(match Scope::parse(capability, scope)? {
            None => Self::EVERYTHING,
            Some(scope) => Self { scopes: vec![scope], ..Self::NOTHING },
        })
    }

    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::NOTHING
    }

    pub(crate) fn is_everywhere(&self) -> bool {
        self.everywhere
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.everywhere |= other.everywhere;
        self.own |= other.own;
        if self.everywhere {
            // What is narrower says nothing more. The same must be the same.
            (self.own, self.scopes) = (false, Vec::new());
            return;
        }
        for scope in &other.scopes {
            if !self.scopes.contains(scope) {
                self.scopes.push(scope.clone());
            }
        }
        // Nothing can be added to everything, so there is one way to say it.
        if self.everywhere {
            *self = Self::EVERYTHING;
        }
    }

    pub(super) fn has(&self, text: &str) -> bool {
        let is = |scope: &Scope| matches!(scope, Scope::Text(pattern) if pattern.matches(text));
        self.everywhere || self.scopes.iter().any(is)
    }

    pub(super) fn has_namespace(&self, namespace: &str, is_own: bool) -> bool {
        (self.own && is_own) || self.has(namespace)
    }

    /// The hosts, unless it is all.
    pub(super) fn targets(&self) -> Option<Vec<Target>> {
        let target = |scope: &Scope| match scope {
            Scope::Host(target) => Some(target.clone()),
            Scope::Text(_) => None,
        };
        (!self.everywhere).then(|| self.scopes.iter().filter_map(target).collect())
    }

    /// As written in a grant.
    pub(super) fn texts(&self, capability: Capability) -> Vec<String> {
        match self {
            Self { everywhere: true, .. } if Self::usual(capability).everywhere => {
                vec![capability.to_string()]
            }
            Self { everywhere: true, .. } => vec![format!("{capability}=*")],
            Self { own, scopes, .. } => {
                let own = own.then(|| capability.to_string());
                own.into_iter().chain(scopes.iter().map(|scope| format!("{capability}={scope}"))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_as_in_file_names() {
        for (pattern, text, expected) in [
            ("DB_PASSWORD", "DB_PASSWORD", true),
            ("DB_PASSWORD", "db_password", false),
            ("DB_PASSWORD", "DB_PASSWORD2", false),
            ("API_*", "API_KEY", true),
            ("API_*", "API_", true),
            ("API_*", "API", false),
            ("API_*", "XAPI_KEY", false),
            ("*_KEY", "API_KEY", true),
            ("*_KEY", "_KEY", true),
            ("*_KEY", "API_KEY_ID", false),
            ("A*B*C", "AxBxC", true),
            ("A*B*C", "ABBC", true),
            ("A*B*C", "AxC", false),
            ("A*A", "A", false),
            ("a**b", "a-b", true),
            ("team.*", "team.a.b", true),
            ("team.*", "team", false),
            ("team.*", "teams.a", false),
            ("python:3.*", "python:3.12-slim", true),
            ("python:3.*", "evil/python:3.12", false),
            ("python:3.*", "python:3.12/x", false),
            ("registry.example.com/*", "registry.example.com/a", true),
            ("registry.example.com/*", "registry.example.com/a/b", false),
            ("registry.example.com/*/*", "registry.example.com/a/b", true),
            ("/usr/bin/*", "/usr/bin/git", true),
            ("/usr/bin/*", "/usr/bin/../../tmp/x", false),
            ("git", "/usr/bin/git", false),
            ("*", "a", true),
            ("[ab]?{c}", "[ab]?{c}", true),
            ("[ab]", "a", false),
        ] {
            assert_eq!(Pattern(pattern.into()).matches(text), expected, "{pattern} {text}");
        }
    }
}
