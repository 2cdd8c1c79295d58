//! `plugins`: where plugin files are, and what they may use.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What the operator says of plugin files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a map")]
pub struct PluginsConfig {
    /// Directories with `*.wasm` files, beside those named by options.
    pub directories: Vec<PathBuf>,
    /// Capabilities beyond the default, by file name without `.wasm`: `{s3: [kv, {secrets: [DB_*]}]}`. `all` stands for
    /// every one, everywhere.
    pub grants: BTreeMap<String, Vec<GrantItem>>,
    /// Capabilities that a plugin is not to have, by its name; bundled ones too: `{aws: [environment]}`.
    pub withhold: BTreeMap<String, Vec<GrantItem>>,
}

/// One item of a list of capabilities: `kv`, or `{secrets: [DB_PASSWORD, "API_*"]}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantItem(Vec<(String, Vec<String>)>);

impl GrantItem {
    /// Each capability with each of its scopes, or with none.
    pub fn parts(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().flat_map(|(name, scopes)| {
            let whole = scopes.is_empty().then_some(None);
            whole
                .into_iter()
                .chain(scopes.iter().map(|scope| Some(scope.as_str())))
                .map(|scope| (name.as_str(), scope))
        })
    }
}

impl<'de> Deserialize<'de> for GrantItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Item;

        impl<'de> Visitor<'de> for Item {
            type Value = GrantItem;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a capability, or a map of one to its scopes, as in `secrets: [DB_PASSWORD]`")
            }

            // As on the command line: `secrets=DB_PASSWORD`.
            fn visit_str<E: Error>(self, text: &str) -> Result<GrantItem, E> {
                let (name, scopes) = match text.split_once('=') {
                    Some((name, scope)) => (name, vec![scope.trim().to_owned()]),
                    None => (text, Vec::new()),
                };
                Ok(GrantItem(vec![(name.trim().to_owned(), scopes)]))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<GrantItem, A::Error> {
                let mut parts = Vec::new();
                while let Some((name, Scopes(scopes))) = map.next_entry::<String, Scopes>()? {
                    parts.push((name, scopes));
                }
                Ok(GrantItem(parts))
            }
        }

        deserializer.deserialize_any(Item)
    }
}

/// The scopes of a capability: at least one, for none could be read as all.
struct Scopes(Vec<String>);

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Scopes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of scopes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scopes, E> {
                Ok(Scopes(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scopes, A::Error> {
                let mut scopes = Vec::new();
                while let Some(scope) = list.next_element()? {
                    scopes.push(scope);
                }
                match scopes.is_empty() {
                    true => Err(Error::invalid_length(0, &"at least one scope")),
                    false => Ok(Scopes(scopes)),
                }
            }
        }

        deserializer.deserialize_any(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_have_scopes_or_none() {
        for (text, expected) in [
            ("kv", &[("kv", None)][..]),
            (
                "{secrets: [DB_PASSWORD, \"API_*\"]}",
                &[("secrets", Some("DB_PASSWORD")), ("secrets", Some("API_*"))],
            ),
            ("{http: api.example.com}", &[("http", Some("api.example.com"))]),
            ("{http: [\"[::1]:80\"], kv: [a.b]}", &[("http", Some("[::1]:80")), ("kv", Some("a.b"))]),
            ("secrets=DB_PASSWORD", &[("secrets", Some("DB_PASSWORD"))]),
        ] {
            let item: GrantItem = serde_yaml::from_str(text).expect(text);
            assert_eq!(item.parts().collect::<Vec<_>>(), expected, "{text}");
        }
        for (text, part) in [
            ("3", "expected a capability, or a map of one to its scopes"),
            ("{secrets: []}", "at least one scope"),
            ("{secrets: }", "expected a list of scopes"),
            ("{secrets: {a: b}}", "expected a list of scopes"),
        ] {
            let error = serde_yaml::from_str::<GrantItem>(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
