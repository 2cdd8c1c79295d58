//! What is said to somebody who has no right to what he asked for: which right, for what, and the line that gives it.

use std::fmt;

use serde_json::json;
use weft_model::Failure;

use crate::Capability;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// The capability as such.
    Any,
    /// A secret, a program, an image, a variable, a file of the engine's user, a host.
    Scope(&'a str),
    /// Something in a namespace.
    Namespace(&'a str, Belongs),
    /// A file of internal storage, in a namespace where that is known.
    File(&'a str, Option<&'a str>, Belongs),
}

/// Whether a namespace is meant as the flow's own, which needs no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belongs {
    ToFlow,
    ToOthers,
}

/// Why it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Nobody granted it.
    NotGranted,
    /// The operator has taken it away.
    Withheld,
    /// The type does not say that it needs it.
    NotNeeded,
}

/// One refusal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Denial<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) capability: Capability,
    pub(crate) wanted: Wanted<'a>,
    pub(crate) why: Why,
}

impl Denial<'_> {
    /// The failure of whatever was asked for.
    pub(crate) fn failure(&self) -> Failure {
        let mut detail = json!({"plugin": self.plugin, "capability": self.capability.as_str()});
        if let Some(scope) = self.scope() {
            detail["scope"] = scope.into();
        }
        Failure::new("capability.denied", self.to_string()).with_detail(detail)
    }

    /// What to write behind `=`.
    fn scope(&self) -> Option<&str> {
        match self.wanted {
            Wanted::Any
            | Wanted::Namespace(_, Belongs::ToFlow)
            | Wanted::File(_, _, Belongs::ToFlow)
            | Wanted::File(_, None, _) => None,
            Wanted::Scope(scope)
            | Wanted::Namespace(scope, Belongs::ToOthers)
            | Wanted::File(_, Some(scope), Belongs::ToOthers) => Some(scope),
        }
    }
}

/// A scope that can be written into a line that a person copies: the plugin has chosen it, so it is neither a pattern nor
/// anything that a shell or YAML would take for more than a word.
fn written(scope: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/@~".contains(c);
    match !scope.is_empty() && scope.len() <= 200 && scope.chars().all(plain) {
        true => scope,
        false => "SCOPE",
    }
}

impl fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, capability, .. } = self;
        write!(f, "plugin `{plugin}` may not use `{capability}`")?;
        match self.wanted {
            Wanted::Any => {}
            Wanted::Scope(scope) => write!(f, " for `{}`", scope.escape_debug())?,
            Wanted::Namespace(namespace, _) => {
                write!(f, " for the namespace `{}`", namespace.escape_debug())?;
            }
            Wanted::File(uri, _, _) => write!(f, " for `{uri}`")?,
        }
        let scope = self.scope().map(written);
        match (self.why, scope) {
            (Why::NotGranted, None) => write!(
                f,
                "\nhint: to allow it, start with `--grant {plugin}:{capability}`, or write \
                 `plugins: {{grants: {{{plugin}: [{capability}]}}}}` into the configuration"
            ),
            (Why::NotGranted, Some(scope)) => write!(
                f,
                "\nhint: to allow it, start with `--grant {plugin}:{capability}={scope}`, or write \
                 `plugins: {{grants: {{{plugin}: [{{{capability}: [\"{scope}\"]}}]}}}}` into the configuration"
            ),
            (Why::Withheld, _) => {
                write!(
                    f,
                    ": the configuration takes it away\nhint: see `plugins: {{withhold: {{{plugin}: ...}}}}` there"
                )
            }
            (Why::NotNeeded, None) => {
                write!(
                    f,
                    ": its `needs` do not name it\nhint: the plugin's author adds `{capability}` to the type's `capabilities`"
                )
            }
            (Why::NotNeeded, Some(scope)) => write!(
                f,
                ": its `needs` do not name it\nhint: the plugin's author adds `{capability}={scope}` to the type's `capabilities`"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Capability::{Kv, Process, Secrets, Storage};

    #[test]
    fn right_scope_and_line_are_named() {
        use Belongs::{ToFlow, ToOthers};
        let uri = "kestra:///other/ns/_files/a";
        for (capability, wanted, why, first, hint) in [
            (
                Process,
                Wanted::Any,
                Why::NotGranted,
                "plugin `inbox` may not use `process`",
                "`--grant inbox:process`, or write `plugins: {grants: {inbox: [process]}}`",
            ),
            (
                Secrets,
                Wanted::Scope("DB_PASSWORD"),
                Why::NotGranted,
                "plugin `inbox` may not use `secrets` for `DB_PASSWORD`",
                "`--grant inbox:secrets=DB_PASSWORD`, or write `plugins: {grants: {inbox: [{secrets: [\"DB_PASSWORD\"]}]}}`",
            ),
            (
                Kv,
                Wanted::Namespace("team", ToFlow),
                Why::NotGranted,
                "plugin `inbox` may not use `kv` for the namespace `team`",
                "`--grant inbox:kv`,",
            ),
            (
                Kv,
                Wanted::Namespace("other", ToOthers),
                Why::NotGranted,
                "plugin `inbox` may not use `kv` for the namespace `other`",
                "`--grant inbox:kv=other`,",
            ),
            (
                Storage,
                Wanted::File(uri, Some("other.ns"), ToOthers),
                Why::NotGranted,
                "plugin `inbox` may not use `storage` for `kestra:///other/ns/_files/a`",
                "`--grant inbox:storage=other.ns`,",
            ),
            (
                Storage,
                Wanted::File(uri, None, ToOthers),
                Why::NotGranted,
                "plugin `inbox` may not use `storage` for `kestra:///other/ns/_files/a`",
                "`--grant inbox:storage`,",
            ),
            (
                Kv,
                Wanted::Any,
                Why::Withheld,
                "plugin `inbox` may not use `kv`: the configuration takes it away",
                "see `plugins: {withhold: {inbox: ...}}` there",
            ),
            (
                Secrets,
                Wanted::Scope("A"),
                Why::NotNeeded,
                "plugin `inbox` may not use `secrets` for `A`: its `needs` do not name it",
                "adds `secrets=A` to the type's `capabilities`",
            ),
            // Nobody is led to grant more than he reads, or to run what he did not write.
            (
                Secrets,
                Wanted::Scope("*"),
                Why::NotGranted,
                "plugin `inbox` may not use `secrets` for `*`",
                "`--grant inbox:secrets=SCOPE`",
            ),
            (
                Secrets,
                Wanted::Scope("A,process"),
                Why::NotGranted,
                "plugin `inbox` may not use `secrets` for `A,process`",
                "`--grant inbox:secrets=SCOPE`",
            ),
            (
                Secrets,
                Wanted::Scope("a`; id\n"),
                Why::NotGranted,
                "plugin `inbox` may not use `secrets` for `a`; id\\n`",
                "`--grant inbox:secrets=SCOPE`",
            ),
        ] {
            let text = Denial { plugin: "inbox", capability, wanted, why }.to_string();
            let (line, rest) = text.split_once('\n').unwrap();
            assert_eq!(line, first);
            assert!(rest.starts_with("hint: ") && rest.contains(hint), "{rest}\n  {hint}");
        }
    }
}
