//! Who the engine is to a registry: from the task, from the operator, and from what `docker login` has left.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use weft_contract::container::{Config, Credentials, Options};

use super::ContainerError;
use super::image::{DEFAULT_REGISTRY, Reference};
use crate::Helper;

/// What names Docker's own registry in a `config.json`.
const DEFAULT_KEYS: [&str; 4] =
    ["index.docker.io", DEFAULT_REGISTRY, "registry-1.docker.io", "registry.hub.docker.com"];

/// Credentials, and where they come from.
pub(super) struct Found {
    /// What the daemon is given.
    pub(super) credentials: DockerCredentials,
    /// Where they come from, for messages.
    pub(super) source: String,
}

/// What is read of a `config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigFile {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

/// One registry's entry.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(alias = "identityToken")]
    identitytoken: Option<String>,
    #[serde(alias = "registryToken")]
    registrytoken: Option<String>,
}

/// How long a credential helper may take. It may ask a service on the network.
const HELPER_LIMIT: Duration = Duration::from_secs(30);
/// More than this is no answer.
const HELPER_MAX_BYTES: u64 = 1 << 20;

/// What a credential helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Finds the credentials for an image: those of the task, then those in the files, in their order.
pub(super) fn find(
    options: &Options,
    image: &Reference,
    files: &[PathBuf],
) -> Result<Option<Found>, ContainerError> {
    if let Some(credentials) = &options.credentials
        && let Some(found) = of_task(credentials, image)?
    {
        return Ok(Some(found));
    }
    if let Some(config) = &options.config {
        let config = match config {
            Config::Map(map) => serde_json::from_value(map.clone().into()),
            Config::Json(text) => serde_json::from_str(text),
        };
        // Not with the error's own words: they may quote a secret.
        let config: ConfigFile = config.map_err(|error| {
            let place = if error.line() > 0 { format!(" (line {})", error.line()) } else { String::new() };
            invalid("config", &format!("it does not have the form of Docker's `config.json`{place}"))
        })?;
        if let Some(found) = config.find(image, "`docker.config` of the task")? {
            return Ok(Some(found));
        }
    }
    for file in files {
        let Ok(text) = std::fs::read_to_string(file) else { continue };
        let config: ConfigFile = serde_json::from_str(&text)
            .map_err(|_| invalid(&file.display().to_string(), "it is not a `config.json` of Docker"))?;
        if let Some(found) = config.find(image, &format!("`{}`", file.display()))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn invalid(option: &str, problem: &str) -> ContainerError {
    let hint = "hint: write `{\"auths\": {\"REGISTRY\": {\"username\": \"...\", \"password\": \"...\"}}}`";
    ContainerError::InvalidOption { option: option.to_owned(), problem: format!("{problem}\n{hint}") }
}

fn of_task(credentials: &Credentials, image: &Reference) -> Result<Option<Found>, ContainerError> {
    let text = |text: &Option<weft_contract::Text>| text.as_ref().map(|text| text.0.clone());
    let registry = text(&credentials.registry);
    if registry.as_ref().is_some_and(|registry| matches(registry, image).is_none()) {
        return Ok(None);
    }
    let entry = Entry {
        auth: text(&credentials.auth),
        username: text(&credentials.username),
        password: text(&credentials.password),
        identitytoken: text(&credentials.identity_token),
        registrytoken: text(&credentials.registry_token),
    };
    let registry = registry.unwrap_or_else(|| image.registry.clone());
    let credentials = entry.credentials(&registry).map_err(|problem| invalid("credentials.auth", problem))?;
    Ok(Some(Found { source: describe(&credentials, "`docker.credentials` of the task"), credentials }))
}

impl ConfigFile {
    fn find(&self, image: &Reference, source: &str) -> Result<Option<Found>, ContainerError> {
        let helper =
            best(self.cred_helpers.iter(), image).map(|(registry, helper)| (registry.clone(), helper));
        let store = || {
            let registry = best(self.auths.iter(), image).map(|(registry, _)| registry.clone());
            Some((registry.unwrap_or_else(|| server(image)), self.creds_store.as_ref()?))
        };
        let asked = helper.or_else(store);
        // The name becomes a part of a program's, which must be one that is installed.
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if let Some((_, helper)) = &asked
            && !helper.chars().all(plain)
        {
            return Err(invalid(source, "it names a credential helper that is none"));
        }
        if let Some((registry, helper)) = asked
            && let Some(credentials) = ask_helper(helper, &registry)
        {
            let source = format!("{source} through `docker-credential-{helper}`");
            return Ok(Some(Found { source: describe(&credentials, &source), credentials }));
        }
        let Some((registry, entry)) = best(self.auths.iter(), image) else { return Ok(None) };
        if entry.is_empty() {
            return Ok(None);
        }
        let credentials = entry
            .credentials(registry)
            .map_err(|problem| invalid(&format!("auths.{registry}.auth in {source}"), problem))?;
        Ok(Some(Found { source: describe(&credentials, source), credentials }))
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        let texts = [&self.auth, &self.username, &self.identitytoken, &self.registrytoken];
        texts.iter().all(|text| text.as_ref().is_none_or(String::is_empty))
    }

    /// What the daemon is given. It does not look into `auth`.
    fn credentials(&self, registry: &str) -> Result<DockerCredentials, &'static str> {
        let (mut username, mut password) = (self.username.clone(), self.password.clone());
        if let (None, Some(auth)) = (&username, &self.auth) {
            let decoded =
                BASE64_STANDARD.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let decoded = decoded.ok_or("it is not base64 text")?;
            let (name, secret) = decoded.split_once(':').ok_or("it is not base64 of `name:password`")?;
            username = Some(name.to_owned());
            // Docker pads with NUL.
            password = Some(secret.trim_end_matches('\0').to_owned());
        }
        Ok(DockerCredentials {
            username,
            password,
            serveraddress: Some(registry.to_owned()),
            identitytoken: self.identitytoken.clone(),
            registrytoken: self.registrytoken.clone(),
            ..DockerCredentials::default()
        })
    }
}

/// The entry that says most exactly that it is for this image.
fn best<'a, T>(
    entries: impl Iterator<Item = (&'a String, &'a T)>,
    image: &Reference,
) -> Option<(&'a String, &'a T)> {
    entries
        .filter_map(|entry| Some((matches(entry.0, image)?, entry)))
        .max_by_key(|(length, _)| *length)
        .map(|(_, entry)| entry)
}

/// Whether a key (`host`, `https://host/v1/`, `host/team`) is for this image; the longer, the more exactly.
fn matches(key: &str, image: &Reference) -> Option<usize> {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest).trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    let (host, path) = key.split_once('/').map_or((key, None), |(host, path)| (host, Some(path)));
    let is_host =
        host == image.registry || image.registry == DEFAULT_REGISTRY && DEFAULT_KEYS.contains(&host);
    let Some(path) = path else { return is_host.then_some(0) };
    let repository = image.repository();
    let (_, repository) = repository.split_once('/')?;
    let rest = repository.strip_prefix(path)?;
    (is_host && (rest.is_empty() || rest.starts_with('/'))).then_some(path.len())
}

/// What a credential helper knows a registry by.
fn server(image: &Reference) -> String {
    if image.registry == DEFAULT_REGISTRY {
        "https://index.docker.io/v1/".to_owned()
    } else {
        image.registry.clone()
    }
}

/// Asks `docker-credential-NAME`, as the `docker` command does. One that fails, or that has no answer in time, knows nothing.
fn ask_helper(name: &str, registry: &str) -> Option<DockerCredentials> {
    let mut command = Command::new(format!("docker-credential-{name}"));
    command.arg("get");
    let helper =
        Helper { command, input: registry.as_bytes(), limit: HELPER_LIMIT, max_bytes: HELPER_MAX_BYTES };
    let output = helper.ask().ok()?;
    if !output.status.success() {
        return None;
    }
    let answer: Answer = serde_json::from_slice(&output.stdout).ok()?;
    let mut credentials =
        DockerCredentials { serveraddress: Some(registry.to_owned()), ..DockerCredentials::default() };
    if answer.username == "<token>" {
        credentials.identitytoken = Some(answer.secret);
    } else {
        (credentials.username, credentials.password) = (Some(answer.username), Some(answer.secret));
    }
    Some(credentials)
}

fn describe(credentials: &DockerCredentials, source: &str) -> String {
    match &credentials.username {
        Some(name) => format!("as `{name}`, from {source}"),
        None => format!("with a token from {source}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(options: Value, image: &str) -> Result<Option<(String, String)>, String> {
        let options: Options = serde_json::from_value(options).unwrap();
        let found = find(&options, &Reference::parse(image), &[]).map_err(|error| error.to_string())?;
        Ok(found.map(|Found { credentials, .. }| {
            (credentials.username.unwrap_or_default(), credentials.password.unwrap_or_default())
        }))
    }

    #[test]
    fn entries_are_found_by_registry() {
        let auths = |key: &str| json!({"config": {"auths": {key: {"username": "u", "password": "p"}}}});
        for (options, image, expected) in [
            (auths("https://index.docker.io/v1/"), "annageller/kestra:latest", true),
            (auths("docker.io"), "python", true),
            (auths("https://index.docker.io/v1/"), "ghcr.io/a/b", false),
            (auths("ghcr.io"), "ghcr.io/a/b", true),
            (auths("https://ghcr.io"), "ghcr.io/a/b:1", true),
            (auths("ghcr.io/a"), "ghcr.io/a/b:1", true),
            (auths("ghcr.io/a"), "ghcr.io/ab/b:1", false),
            (auths("127.0.0.1:5000"), "127.0.0.1:5000/x", true),
            (auths("127.0.0.1:5001"), "127.0.0.1:5000/x", false),
            (json!({"credentials": {"username": "u", "password": "p"}}), "any.where/x", true),
            (json!({"credentials": {"registry": "a.b", "username": "u", "password": "p"}}), "a.b/x", true),
            (json!({"credentials": {"registry": "a.b", "username": "u", "password": "p"}}), "c.d/x", false),
            (json!({"config": "{\"auths\": {\"a.b\": {\"auth\": \"dTpw\"}}}"}), "a.b/x", true),
            (json!({"config": {"auths": {"a.b": {}}}}), "a.b/x", false),
            (json!({}), "a.b/x", false),
        ] {
            let expected = expected.then(|| ("u".to_owned(), "p".to_owned()));
            assert_eq!(found(options.clone(), image), Ok(expected), "{options} {image}");
        }
    }

    #[test]
    fn the_most_exact_entry_counts() {
        let options = json!({"config": {"auths": {
            "ghcr.io": {"username": "host", "password": ""},
            "ghcr.io/team": {"username": "team", "password": ""},
        }}});
        for (image, expected) in [("ghcr.io/team/x", "team"), ("ghcr.io/other/x", "host")] {
            let found = found(options.clone(), image).unwrap().unwrap();
            assert_eq!(found.0, expected, "{image}");
        }
    }

    #[test]
    fn mistakes_are_named_without_the_secret() {
        for (options, part) in [
            (json!({"config": "{\"auths\": s3cret}"}), "option `config`"),
            (json!({"config": {"auths": {"a.b": {"auth": "s3cret!"}}}}), "option `auths.a.b.auth in"),
            (json!({"credentials": {"auth": "s3cret!"}}), "option `credentials.auth`: it is not base64"),
        ] {
            let error = found(options.clone(), "a.b/x").unwrap_err();
            assert!(error.contains(part) && !error.contains("s3cret"), "{options}: {error}");
        }
    }

    #[test]
    fn files_come_after_the_task() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, r#"{"auths": {"a.b": {"auth": "ZmlsZTpw"}}, "credsStore": "not-there"}"#)
            .unwrap();
        let image = Reference::parse("a.b/x");
        let options = Options::default();
        let missing = folder.path().join("missing");
        let found = find(&options, &image, &[missing, file.clone()]).unwrap().unwrap();
        assert_eq!(found.credentials.username.as_deref(), Some("file"));
        assert!(found.source.starts_with("as `file`, from `/"), "{}", found.source);
        std::fs::write(&file, "{").unwrap();
        assert!(find(&options, &image, std::slice::from_ref(&file)).is_err());
    }
}
