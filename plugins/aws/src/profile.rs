//! The files `~/.aws/credentials` and `~/.aws/config`.

use std::collections::BTreeMap;
use std::time::Duration;

use weft_sdk::Result;

use crate::client::Hands;
use crate::credentials::Credentials;
use crate::error;
use crate::sts::Role;

/// Roles whose source is another role, at most.
const MAX_CHAIN: usize = 5;

type Section = BTreeMap<String, String>;

/// Both files, and the profile that is meant.
pub struct Profiles {
    name: String,
    sections: BTreeMap<String, Section>,
}

/// What a profile says about who asks.
#[derive(Debug, PartialEq)]
pub enum Found {
    Keys(Credentials),
    /// A role, taken on with the credentials of another profile.
    Role {
        arn: String,
        source: String,
        external_id: Option<String>,
        session_name: Option<String>,
    },
}

impl Profiles {
    pub fn read(hands: &Hands<'_>) -> Result<Self> {
        let name = hands.variable("AWS_PROFILE")?.unwrap_or_else(|| "default".to_owned());
        let mut sections = BTreeMap::new();
        // What stands in the first file wins.
        for (variable, usual, prefix) in [
            ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", ""),
            ("AWS_CONFIG_FILE", "~/.aws/config", "profile "),
        ] {
            let path = hands.variable(variable)?.unwrap_or_else(|| usual.to_owned());
            if let Some(text) = hands.file(&path)? {
                add(&mut sections, &text, prefix);
            }
        }
        Ok(Self { name, sections })
    }

    #[cfg(test)]
    pub fn of(name: &str, credentials: &str, config: &str) -> Self {
        let mut sections = BTreeMap::new();
        add(&mut sections, credentials, "");
        add(&mut sections, config, "profile ");
        Self { name: name.to_owned(), sections }
    }

    pub fn region(&self) -> Option<String> {
        self.sections.get(&self.name)?.get("region").cloned()
    }

    /// What the chosen profile says.
    pub fn credentials(&self) -> Result<Option<Found>> {
        self.credentials_of(&self.name)
    }

    fn credentials_of(&self, name: &str) -> Result<Option<Found>> {
        let Some(section) = self.sections.get(name) else { return Ok(None) };
        let get = |key: &str| section.get(key).cloned();
        if let (Some(arn), Some(source)) = (get("role_arn"), get("source_profile")) {
            // A role of the same profile's own keys.
            if source != name {
                let (external_id, session_name) = (get("external_id"), get("role_session_name"));
                return Ok(Some(Found::Role { arn, source, external_id, session_name }));
            }
        }
        match (get("aws_access_key_id"), get("aws_secret_access_key")) {
            (Some(key_id), Some(secret)) => {
                Ok(Some(Found::Keys(Credentials { key_id, secret, token: get("aws_session_token") })))
            }
            _ => Ok(None),
        }
    }

    /// Why nothing was found, as the end of a sentence.
    pub fn missing(&self) -> String {
        match self.sections.get(&self.name) {
            None if self.sections.is_empty() => "there is no `~/.aws/credentials`".to_owned(),
            None => format!("`~/.aws/credentials` has no profile `{}`", self.name),
            Some(section)
                if section.contains_key("credential_process") || section.contains_key("sso_start_url") =>
            {
                format!(
                    "the profile `{}` gets its keys from a program or a sign-in, which is not done here",
                    self.name
                )
            }
            Some(_) => format!("the profile `{}` has no keys", self.name),
        }
    }
}

impl Found {
    /// Keys that requests can be signed with.
    pub fn resolve(
        self,
        hands: &Hands<'_>,
        profiles: &Profiles,
        region: &str,
        sts_endpoint: Option<&str>,
    ) -> Result<Credentials> {
        let mut roles = Vec::new();
        let mut found = self;
        let mut keys = loop {
            match found {
                Self::Keys(keys) => break keys,
                Self::Role { arn, source, external_id, session_name } => {
                    roles.push((arn, external_id, session_name));
                    let next = profiles.credentials_of(&source)?;
                    found = match next {
                        Some(next) if roles.len() < MAX_CHAIN => next,
                        _ => {
                            let problem = format!("`source_profile = {source}` of a role leads to no keys");
                            return Err(error::no_credentials(&problem));
                        }
                    };
                }
            }
        };
        for (arn, external_id, session_name) in roles.into_iter().rev() {
            let role = Role {
                arn: &arn,
                external_id: external_id.as_deref(),
                session_name: session_name.as_deref().unwrap_or("weft"),
                duration: Duration::from_secs(900),
            };
            keys = role.assume(hands, &keys, region, sts_endpoint)?;
        }
        Ok(keys)
    }
}

/// Adds the sections of a file; what is there already stays.
fn add(sections: &mut BTreeMap<String, Section>, text: &str, prefix: &str) {
    let mut current: Option<String> = None;
    for line in text.lines() {
        // A line that is indented belongs to the setting before it; none of those that are read here has any.
        if line.starts_with([' ', '\t']) || line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let name = name.trim();
            // `[profile x]` in one of the files, but `[default]` in both.
            current = name
                .strip_prefix(prefix)
                .or((name == "default").then_some(name))
                .map(|name| name.trim().to_owned());
        } else if let (Some(section), Some((key, value))) = (&current, line.split_once('=')) {
            let section = sections.entry(section.clone()).or_default();
            let value = value.split(" #").next().unwrap_or(value).trim();
            section.entry(key.trim().to_ascii_lowercase()).or_insert_with(|| value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "\
# keys
[default]
aws_access_key_id = AKIA1
aws_secret_access_key=secret1 # mine
[other]
aws_access_key_id = AKIA2
aws_secret_access_key = secret2
aws_session_token = token2
";
    const CONFIG: &str = "\
[default]
region = eu-west-1
s3 =
  max_concurrent_requests = 20
[profile role]
role_arn = arn:aws:iam::1:role/r
source_profile = other
[profile program]
credential_process = /bin/keys
[other]
aws_access_key_id = not-this-file's-form
";

    #[test]
    fn profiles_are_read_from_both_files() {
        let profiles = Profiles::of("default", CREDENTIALS, CONFIG);
        assert_eq!(profiles.region().as_deref(), Some("eu-west-1"));
        for (name, expected) in [
            ("default", Some(("AKIA1", "secret1", None))),
            ("other", Some(("AKIA2", "secret2", Some("token2")))),
            ("program", None),
            ("missing", None),
        ] {
            let found = Profiles::of(name, CREDENTIALS, CONFIG).credentials().unwrap();
            let keys = expected.map(|(key_id, secret, token)| {
                Found::Keys(Credentials {
                    key_id: key_id.to_owned(),
                    secret: secret.to_owned(),
                    token: token.map(str::to_owned),
                })
            });
            assert_eq!(found, keys, "{name}");
        }
        let role = Profiles::of("role", CREDENTIALS, CONFIG).credentials().unwrap();
        assert!(matches!(role, Some(Found::Role { source, .. }) if source == "other"));
    }

    #[test]
    fn what_is_missing_is_said() {
        for (name, credentials, expected) in [
            ("default", "", "there is no `~/.aws/credentials`"),
            ("x", CREDENTIALS, "has no profile `x`"),
            ("program", CREDENTIALS, "gets its keys from a program"),
            ("y", "[y]\nregion = a\n", "the profile `y` has no keys"),
        ] {
            let config = if credentials.is_empty() { "" } else { CONFIG };
            let missing = Profiles::of(name, credentials, config).missing();
            assert!(missing.contains(expected), "{name}: {missing}");
        }
    }
}
