//! What one type of a plugin may use: what the operator grants the plugin, as far as the type says that it needs it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weft_model::Failure;
use weft_network::{Network, Targets};

use crate::denial::{Belongs, Denial, Wanted, Why};
use crate::{Capability, Grants, Needs, TaskType};

/// The rights of the types of one plugin, by name and alias. Made once, when its description is known.
#[derive(Debug, Default)]
pub(crate) struct TypeRights(HashMap<Box<str>, Arc<Rights>>);

impl TypeRights {
    /// The rights of `types`, whose plugin has been granted `grants`. `is_own` says that the plugin is part of the engine.
    pub(crate) fn of<'t>(
        plugin: &Arc<str>,
        grants: &Grants,
        is_own: bool,
        types: impl Iterator<Item = &'t TaskType>,
    ) -> Self {
        let mut all = HashMap::new();
        // The types of a plugin mostly need the same.
        let mut last: Option<(&Needs, Arc<Rights>)> = None;
        for found in types {
            let rights = match &last {
                Some((needs, rights)) if **needs == found.needs => Arc::clone(rights),
                _ => Arc::new(Rights::new(plugin, grants, is_own, &found.needs)),
            };
            last = Some((&found.needs, Arc::clone(&rights)));
            all.extend(found.names().map(|name| (name.into(), Arc::clone(&rights))));
        }
        Self(all)
    }

    /// The rights of a type.
    pub(crate) fn get(&self, type_name: &str) -> Option<&Arc<Rights>> {
        self.0.get(type_name)
    }
}

/// What one type of a plugin may use.
#[derive(Debug)]
pub(crate) struct Rights {
    plugin: Arc<str>,
    /// Whether its plugin is part of the engine: then it does what the flow says, and may what the flow may.
    is_own: bool,
    grants: Grants,
    /// What the type says it needs; none where it does not say.
    needs: Option<Grants>,
    variables: Vec<String>,
    files: Vec<String>,
    /// Where it may not connect to all hosts.
    http: Option<Arc<Targets>>,
    tcp: Option<Arc<Targets>>,
    git: Option<Arc<Targets>>,
}

impl Rights {
    /// Nothing at all, for a plugin that describes itself.
    pub(crate) fn none(plugin: &Arc<str>) -> Self {
        Self::new(plugin, &Grants::none(), false, &Needs::default())
    }

    fn new(plugin: &Arc<str>, grants: &Grants, is_own: bool, needs: &Needs) -> Self {
        let mut rights = Self {
            plugin: Arc::clone(plugin),
            is_own,
            grants: grants.clone(),
            needs: needs.grants(),
            variables: needs.variables.clone(),
            files: needs.files.clone(),
            http: None,
            tcp: None,
            git: None,
        };
        rights.http = rights.targets(Capability::Http);
        rights.tcp = rights.targets(Capability::Tcp);
        rights.git = rights.targets(Capability::Git);
        rights
    }

    pub(crate) fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Whether its plugin is part of the engine.
    pub(crate) fn is_own(&self) -> bool {
        self.is_own
    }

    /// Whether `capability` may be used at all.
    pub(crate) fn allow(&self, capability: Capability) -> Result<(), Failure> {
        self.check(capability, Wanted::Any, |grants| grants.contains(capability))
    }

    /// Whether `capability` may be used without any bound.
    pub(crate) fn allow_everywhere(&self, capability: Capability) -> Result<(), Failure> {
        self.check(capability, Wanted::Any, |grants| grants.is_everywhere(capability))
    }

    /// Whether `capability` may be used for a secret, a program, an image, a variable or a file.
    pub(crate) fn allow_scope(&self, capability: Capability, scope: &str) -> Result<(), Failure> {
        self.check(capability, Wanted::Scope(scope), |grants| grants.permits(capability, scope))
    }

    /// Whether `capability` may be used in a namespace.
    pub(crate) fn allow_namespace(
        &self,
        capability: Capability,
        namespace: &str,
        is_own: bool,
    ) -> Result<(), Failure> {
        let belongs = if is_own { Belongs::ToFlow } else { Belongs::ToOthers };
        self.check(capability, Wanted::Namespace(namespace, belongs), |grants| {
            grants.permits_namespace(capability, namespace, is_own)
        })
    }

    /// Whether a file of internal storage may be used that lies in a namespace; `is_own` says that it is one of the flow's own
    /// execution or namespace.
    pub(crate) fn allow_file(&self, uri: &str, namespace: Option<&str>, is_own: bool) -> Result<(), Failure> {
        let belongs = if is_own { Belongs::ToFlow } else { Belongs::ToOthers };
        let storage = Capability::Storage;
        self.check(storage, Wanted::File(uri, namespace, belongs), |grants| match namespace {
            Some(namespace) => grants.permits_namespace(storage, namespace, is_own),
            None => grants.is_everywhere(storage),
        })
    }

    /// Whether nothing narrows `capability`.
    pub(crate) fn is_everywhere(&self, capability: Capability) -> bool {
        self.grants.is_everywhere(capability)
            && self.needs.as_ref().is_none_or(|needs| needs.is_everywhere(capability))
    }

    /// Whether the type says that it looks at a variable. `AWS_*` stands for every name that begins so.
    pub(crate) fn names_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|known| match known.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => known == name,
        })
    }

    /// The place of a file that the type names, or that a variable names which it names.
    pub(crate) fn place(&self, path: &str, variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let named = self.files.iter().any(|known| match known.strip_prefix('$') {
            Some(name) => variable(name).as_deref() == Some(path),
            None => known == path,
        });
        named.then(|| expanded(path)).flatten()
    }

    /// The network as `capability` (`http`, `tcp` or `git`) may see it.
    pub(crate) fn network(&self, capability: Capability, network: &Network) -> Result<Network, Failure> {
        self.allow(capability)?;
        let targets = match capability {
            Capability::Http => &self.http,
            Capability::Tcp => &self.tcp,
            _ => &self.git,
        };
        Ok(match targets {
            None => network.clone(),
            Some(targets) => network.only(targets),
        })
    }

    fn targets(&self, capability: Capability) -> Option<Arc<Targets>> {
        if self.allow(capability).is_err() || self.is_everywhere(capability) {
            return None;
        }
        let (granted, except) = self.grants.targets(capability);
        let (needed, _) = self.needs.as_ref().map(|needs| needs.targets(capability)).unwrap_or_default();
        let (plugin, own, lost) = (Arc::clone(&self.plugin), granted.clone(), except.clone());
        // Which of the lists is why can be told by the name alone nearly always; the address may be the reason, too.
        let denial = move |host: &str, port: u16| {
            let has =
                |list: &[weft_network::Target]| list.iter().any(|target| target.matches(host, None, port));
            let why = match &own {
                _ if has(&lost) => Why::Withheld,
                Some(own) if !has(own) => Why::NotGranted,
                None if !lost.is_empty() => Why::Withheld,
                _ => Why::NotNeeded,
            };
            Denial { plugin: &plugin, capability, wanted: Wanted::Scope(host), why }.to_string()
        };
        let within = granted.into_iter().chain(needed).collect();
        Some(Arc::new(Targets::new(within, except, Box::new(denial))))
    }

    fn check(
        &self,
        capability: Capability,
        wanted: Wanted<'_>,
        permits: impl Fn(&Grants) -> bool,
    ) -> Result<(), Failure> {
        let why = if !permits(&self.grants) {
            let without_withholding = self.grants.granted_only();
            if permits(&without_withholding) { Why::Withheld } else { Why::NotGranted }
        } else if self.needs.as_ref().is_some_and(|needs| !permits(needs)) {
            Why::NotNeeded
        } else {
            return Ok(());
        };
        Err(Denial { plugin: &self.plugin, capability, wanted, why }.failure())
    }
}

/// `~/` is the home of the engine's user.
fn expanded(path: &str) -> Option<PathBuf> {
    match path.strip_prefix("~/") {
        Some(rest) => Some(std::env::home_dir()?.join(rest)),
        None => Some(Path::new(path).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use Capability::{Http, Kv, Process, Secrets, Storage};

    fn rights(grants: &str, withheld: &str, needs: Option<&[&str]>) -> Rights {
        let list = |text: &str| match text {
            "" => Grants::none(),
            text => Grants::parse_list(text, text).unwrap(),
        };
        let capabilities = needs.map(|needs| needs.iter().map(|&need| need.to_owned()).collect());
        let needs = Needs { capabilities, ..Needs::default() };
        Rights::new(&"inbox".into(), &list(grants).without(list(withheld)), false, &needs)
    }

    #[test]
    fn what_is_granted_counts_as_far_as_it_is_needed() {
        for (grants, withheld, needs, capability, scope, expected) in [
            ("secrets", "", None, Secrets, "A", None),
            ("", "", None, Secrets, "A", Some("`--grant inbox:secrets=A`")),
            ("secrets=B", "", None, Secrets, "A", Some("`--grant inbox:secrets=A`")),
            ("secrets", "secrets=A", None, Secrets, "A", Some("the configuration takes it away")),
            ("secrets", "secrets", None, Secrets, "A", Some("the configuration takes it away")),
            ("secrets", "", Some(&["kv"][..]), Secrets, "A", Some("its `needs` do not name it")),
            ("secrets", "", Some(&["secrets"]), Secrets, "A", None),
            ("secrets", "", Some(&["secrets=B"]), Secrets, "A", Some("its `needs` do not name it")),
            ("secrets", "", Some(&["secrets=A"]), Secrets, "A", None),
            ("all", "", Some(&[]), Process, "git", Some("its `needs` do not name it")),
            // What a newer contract has is not for this engine to give.
            ("all", "", Some(&["someday", "process=git"]), Process, "git", None),
        ] {
            let denied = rights(grants, withheld, needs).allow_scope(capability, scope).err();
            let message = denied.map(|failure| failure.message);
            match (&message, expected) {
                (None, None) => {}
                (Some(message), Some(part)) if message.contains(part) => {}
                _ => panic!("{grants} -{withheld} {needs:?}: {message:?}"),
            }
        }
    }

    #[test]
    fn files_of_storage_are_told_by_namespace() {
        for (grants, namespace, is_own, expected) in [
            ("storage", Some("team"), true, true),
            ("storage", Some("team"), false, false),
            ("storage=team", Some("team"), false, true),
            ("storage=other.*", Some("other.a"), false, true),
            ("storage=other.*", Some("team"), false, false),
            ("storage=other.*", None, false, false),
            ("storage=*", None, false, true),
            ("all", None, false, true),
        ] {
            let result = rights(grants, "", None).allow_file("kestra:///x", namespace, is_own);
            assert_eq!(result.is_ok(), expected, "{grants} {namespace:?} {is_own}");
        }
        let failure = rights("storage", "", None).allow_file("kestra:///x", Some("other.ns"), false);
        let message = failure.unwrap_err().message;
        assert!(message.contains("`--grant inbox:storage=other.ns`"), "{message}");
        let own = rights("", "", None).allow_namespace(Kv, "team", true).unwrap_err();
        assert!(own.message.contains("`--grant inbox:kv`"), "{}", own.message);
        assert!(rights("", "", None).allow(Storage).is_err());
    }

    #[tokio::test]
    async fn hosts_are_checked_by_the_network() {
        for (grants, withheld, needs, host, part) in [
            ("http=192.0.2.1", "", None, "192.0.2.2", "`--grant inbox:http=192.0.2.2`"),
            ("http", "http=192.0.2.0/24", None, "192.0.2.2", "the configuration takes it away"),
            ("http", "", Some(&["http=192.0.2.1"][..]), "192.0.2.2", "its `needs` do not name it"),
            ("http=10.0.0.0/8", "", None, "localhost", "`--grant inbox:http=localhost`"),
        ] {
            let network = rights(grants, withheld, needs).network(Http, &Network::default()).unwrap();
            let error = network.connect(host, 9, Duration::from_secs(5)).await.unwrap_err();
            assert_eq!(error.code(), "capability.denied", "{grants}: {error}");
            assert!(error.to_string().contains(part), "{grants}: {error}");
        }
        let everywhere = rights("http", "", Some(&["http"]));
        assert!(everywhere.http.is_none() && everywhere.network(Http, &Network::default()).is_ok());
        assert!(rights("tcp", "", None).network(Http, &Network::default()).is_err());
    }

    #[test]
    fn only_what_is_named_is_looked_at() {
        let needs = Needs {
            variables: vec!["AWS_*".into(), "HOME_REGION".into()],
            files: vec!["~/.aws/config".into(), "$AWS_CONFIG_FILE".into()],
            ..Needs::default()
        };
        let rights = Rights::new(&"aws".into(), &Grants::all(), true, &needs);
        for (name, expected) in
            [("AWS_PROFILE", true), ("HOME_REGION", true), ("HOME", false), ("PATH", false)]
        {
            assert_eq!(rights.names_variable(name), expected, "{name}");
        }
        let variable = |name: &str| (name == "AWS_CONFIG_FILE").then(|| "/etc/aws".to_owned());
        for (path, expected) in
            [("~/.aws/config", true), ("/etc/aws", true), ("/etc/passwd", false), ("~/.ssh/id", false)]
        {
            assert_eq!(rights.place(path, variable).is_some(), expected, "{path}");
        }
        assert_eq!(rights.place("/etc/aws", |_| None), None);
    }
}
