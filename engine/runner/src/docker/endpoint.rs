//! Where the daemon is: an option, `DOCKER_HOST`, a context of the `docker` command, or one of the usual sockets. Pure,
//! but for what [`Surroundings`] looks at.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ContainerError, DockerSettings};

/// A daemon's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Address {
    /// A socket of this machine.
    Unix(PathBuf),
    /// Without encryption.
    Tcp(String),
    /// With TLS, and the folder of `ca.pem`, `cert.pem` and `key.pem`.
    Tls(String, PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(host) | Self::Tls(host, _) => write!(f, "tcp://{host}"),
        }
    }
}

impl Address {
    /// Whether the daemon certainly runs on another machine, whose files are others.
    pub(super) fn is_remote(&self) -> bool {
        match self {
            Self::Unix(_) => false,
            Self::Tcp(host) | Self::Tls(host, _) => {
                let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
                !matches!(name, "localhost" | "127.0.0.1" | "[::1]")
            }
        }
    }

    /// Reads an address. `certificates` is where those for TLS are, if it is to be spoken.
    fn parse(text: &str, certificates: Option<PathBuf>) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("`{text}` is not an address"));
        };
        let rest = rest.trim_end_matches('/');
        match (scheme, certificates) {
            ("unix", _) => Ok(Self::Unix(rest.into())),
            ("tcp" | "http", None) => Ok(Self::Tcp(with_port(rest, "2375"))),
            ("tcp" | "https", Some(certificates)) => Ok(Self::Tls(with_port(rest, "2376"), certificates)),
            ("https", None) => Err(format!("`{text}` needs certificates")),
            ("ssh", _) => {
                Err("ssh is not spoken: forward the socket with `ssh -L ./docker.sock:/var/run/docker.sock \
                               HOST` and use `unix://$PWD/docker.sock`"
                    .to_owned())
            }
            _ => Err(format!("`{text}` is not an address")),
        }
    }
}

fn with_port(host: &str, port: &str) -> String {
    let name = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    if name.contains(':') { host.to_owned() } else { format!("{host}:{port}") }
}

/// What the search looks at.
pub(super) trait Surroundings {
    /// An environment variable that is not empty.
    fn variable(&self, name: &str) -> Option<String>;
    /// Whether there is a file.
    fn exists(&self, path: &Path) -> bool;
    /// The text of a file.
    fn read(&self, path: &Path) -> Option<String>;
    /// A path without symbolic links and `..`, as far as it exists.
    fn canonical(&self, path: &Path) -> PathBuf;
}

/// The machine itself.
pub(super) struct Machine;

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn read(&self, path: &Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }
}

/// The folder of the `docker` command's own configuration.
pub(super) fn docker_folder(machine: &dyn Surroundings) -> Option<PathBuf> {
    let home = || Some(Path::new(&machine.variable("HOME")?).join(".docker"));
    machine.variable("DOCKER_CONFIG").map(PathBuf::from).or_else(home)
}

/// Who has chosen a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum NamedBy {
    /// The operator, or nobody: it is where daemons usually are.
    Operator,
    /// A flow: connections to it fall under the rules of the network.
    Flow,
}

/// Finds the daemon: what the task says, then the operator, `DOCKER_HOST`, the context that the `docker` command uses,
/// and the sockets of Docker and podman that exist.
pub(super) fn find(
    option: Option<&str>,
    settings: &DockerSettings,
    machine: &dyn Surroundings,
) -> Result<(Address, NamedBy), ContainerError> {
    let Some(text) = option else { return Ok((usual(settings, machine)?, NamedBy::Operator)) };
    let address = named("host", text, settings, machine)?;
    if is_of_operator(&address, settings, machine) {
        return Ok((address, NamedBy::Operator));
    }
    match &address {
        Address::Unix(_) => Err(ContainerError::HostNotAllowed { host: address.to_string() }),
        Address::Tcp(_) | Address::Tls(..) => Ok((address, NamedBy::Flow)),
    }
}

/// Whether the operator has this daemon, or lets tasks have it.
fn is_of_operator(address: &Address, settings: &DockerSettings, machine: &dyn Surroundings) -> bool {
    let same = |known: &Address| match (known, address) {
        (Address::Unix(known), Address::Unix(path)) => machine.canonical(known) == machine.canonical(path),
        (known, address) => known == address,
    };
    let listed =
        settings.hosts.iter().any(|host| match (named("docker.hosts", host, settings, machine), address) {
            (Ok(Address::Unix(known)), Address::Unix(path)) => {
                machine.canonical(path).starts_with(machine.canonical(&known))
            }
            (Ok(known), _) => same(&known),
            (Err(_), _) => false,
        });
    // Where the operator has not chosen, the usual places are as good as the first of them.
    let is_usual = || {
        settings.host.is_none()
            && machine.variable("DOCKER_HOST").is_none()
            && sockets(machine).into_iter().any(|socket| same(&Address::Unix(socket)))
    };
    listed || is_usual() || usual(settings, machine).is_ok_and(|usual| same(&usual))
}

/// Reads an address, with the certificates that are there for it.
fn named(
    name: &str,
    text: &str,
    settings: &DockerSettings,
    machine: &dyn Surroundings,
) -> Result<Address, ContainerError> {
    let folder = docker_folder(machine);
    let configured = settings.certificates.clone().or_else(|| {
        machine.variable("DOCKER_TLS_VERIFY")?;
        machine.variable("DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| folder.clone())
    });
    let certificates = configured.or_else(|| text.starts_with("https://").then(|| folder.clone())?);
    Address::parse(text, certificates).map_err(|problem| invalid(name, &problem))
}

/// Where the daemon is that a task gets which names none.
fn usual(settings: &DockerSettings, machine: &dyn Surroundings) -> Result<Address, ContainerError> {
    if let Some(text) = &settings.host {
        return named("docker.host (configuration)", text, settings, machine);
    }
    if let Some(text) = machine.variable("DOCKER_HOST") {
        return named("DOCKER_HOST", &text, settings, machine);
    }
    if let Some(folder) = docker_folder(machine)
        && let Some(name) = context(&folder, machine)
    {
        return context_address(&name, &folder, machine);
    }
    let sockets = sockets(machine);
    match sockets.iter().find(|socket| machine.exists(socket)) {
        Some(socket) => Ok(Address::Unix(socket.clone())),
        None => Err(ContainerError::Unreachable {
            tried: sockets.iter().map(|socket| socket.display().to_string()).collect::<Vec<_>>().join(", "),
            reason: "none of these sockets exists".to_owned(),
            hint: "install and start Docker, name another address in `DOCKER_HOST`".to_owned(),
        }),
    }
}

fn invalid(option: &str, problem: &str) -> ContainerError {
    ContainerError::InvalidOption {
        option: option.to_owned(),
        problem: format!("{problem}\nhint: write `unix:///var/run/docker.sock` or `tcp://host:port`"),
    }
}

/// Sockets that daemons listen on by default, the likeliest first.
fn sockets(machine: &dyn Surroundings) -> Vec<PathBuf> {
    let mut sockets: Vec<PathBuf> = vec!["/var/run/docker.sock".into(), "/dind/docker.sock".into()];
    let runtime = machine.variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    sockets.extend(runtime.iter().map(|runtime| runtime.join("docker.sock")));
    sockets.extend(machine.variable("HOME").map(|home| Path::new(&home).join(".docker/run/docker.sock")));
    sockets.extend(runtime.iter().map(|runtime| runtime.join("podman/podman.sock")));
    sockets.push("/run/podman/podman.sock".into());
    sockets
}

/// What is read of the `docker` command's `config.json`.
#[derive(Deserialize)]
struct ClientConfig {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

/// The `meta.json` of a context.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextMeta {
    endpoints: ContextEndpoints,
}

#[derive(Deserialize)]
struct ContextEndpoints {
    docker: Option<ContextEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEndpoint {
    host: Option<String>,
}

/// The name of the context in use, unless that is the default one.
fn context(folder: &Path, machine: &dyn Surroundings) -> Option<String> {
    let configured = || {
        let text = machine.read(&folder.join("config.json"))?;
        serde_json::from_str::<ClientConfig>(&text).ok()?.current_context
    };
    machine
        .variable("DOCKER_CONTEXT")
        .or_else(configured)
        .filter(|name| !name.is_empty() && name != "default")
}

fn context_address(name: &str, folder: &Path, machine: &dyn Surroundings) -> Result<Address, ContainerError> {
    let id: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let option = format!("context {name}");
    let meta = folder.join("contexts/meta").join(&id).join("meta.json");
    let text = machine.read(&meta).ok_or_else(|| {
        invalid(&option, &format!("`{}` cannot be read; `docker context ls` lists contexts", meta.display()))
    })?;
    let host = serde_json::from_str::<ContextMeta>(&text)
        .ok()
        .and_then(|meta| meta.endpoints.docker?.host)
        .ok_or_else(|| invalid(&option, &format!("`{}` names no daemon", meta.display())))?;
    let certificates = folder.join("contexts/tls").join(&id).join("docker");
    let certificates = machine.exists(&certificates).then_some(certificates);
    Address::parse(&host, certificates).map_err(|problem| invalid(&option, &problem))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Variables by name, files by path.
    struct Fake(BTreeMap<&'static str, String>);

    impl Surroundings for Fake {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.get(name).cloned()
        }

        fn exists(&self, path: &Path) -> bool {
            self.0.contains_key(path.to_str().unwrap())
        }

        fn read(&self, path: &Path) -> Option<String> {
            self.0.get(path.to_str().unwrap()).cloned()
        }

        fn canonical(&self, path: &Path) -> PathBuf {
            let text = path.to_str().unwrap();
            self.0.get(format!("link {text}").as_str()).map_or_else(|| path.to_owned(), PathBuf::from)
        }
    }

    fn found(option: Option<&str>, host: Option<&str>, machine: &[(&'static str, &str)]) -> String {
        let machine = Fake(machine.iter().map(|(key, value)| (*key, (*value).to_owned())).collect());
        let settings = DockerSettings { host: host.map(str::to_owned), ..DockerSettings::default() };
        match find(option, &settings, &machine) {
            Ok((Address::Tls(host, folder), _)) => format!("tls {host} {}", folder.display()),
            Ok((address, _)) => address.to_string(),
            Err(error) => error.to_string().lines().next().unwrap().to_owned(),
        }
    }

    // sha256("far")
    const META: &str =
        "/h/.docker/contexts/meta/512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868/meta.json";
    const TLS: &str =
        "/h/.docker/contexts/tls/512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868/docker";

    #[test]
    fn the_nearest_word_counts() {
        let sock = ("/var/run/docker.sock", "");
        let home = ("HOME", "/h");
        for (option, host, machine, expected) in [
            (Some("tcp://a:1"), Some("unix:///b"), &[("DOCKER_HOST", "unix:///c")][..], "tcp://a:1"),
            (None, Some("unix:///b"), &[("DOCKER_HOST", "unix:///c")], "unix:///b"),
            (None, None, &[("DOCKER_HOST", "unix:///c"), sock], "unix:///c"),
            (None, None, &[sock, ("/run/podman/podman.sock", "")], "unix:///var/run/docker.sock"),
            (
                None,
                None,
                &[("XDG_RUNTIME_DIR", "/run/user/1"), ("/run/user/1/podman/podman.sock", "")],
                "unix:///run/user/1/podman/podman.sock",
            ),
            (None, None, &[("/run/podman/podman.sock", "")], "unix:///run/podman/podman.sock"),
            (None, None, &[home, ("/h/.docker/run/docker.sock", "")], "unix:///h/.docker/run/docker.sock"),
            (Some("/dind/docker.sock"), None, &[], "unix:///dind/docker.sock"),
            (Some("tcp://h"), None, &[], "tcp://h:2375"),
            (Some("tcp://[::1]:7"), None, &[], "tcp://[::1]:7"),
            (
                Some("tcp://h:1/"),
                None,
                &[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/certs")],
                "tls h:1 /certs",
            ),
            (Some("tcp://h"), None, &[("DOCKER_TLS_VERIFY", "1"), home], "tls h:2376 /h/.docker"),
            (Some("https://h:1"), None, &[home], "tls h:1 /h/.docker"),
            (
                None,
                None,
                &[
                    home,
                    sock,
                    ("DOCKER_CONTEXT", "far"),
                    (META, r#"{"Endpoints":{"docker":{"Host":"tcp://f:1"}}}"#),
                ],
                "tcp://f:1",
            ),
            (
                None,
                None,
                &[
                    home,
                    ("/h/.docker/config.json", r#"{"currentContext":"far"}"#),
                    (META, r#"{"Endpoints":{"docker":{"Host":"tcp://f:1"}}}"#),
                    (TLS, ""),
                ],
                &format!("tls f:1 {TLS}"),
            ),
            (
                None,
                None,
                &[home, sock, ("/h/.docker/config.json", r#"{"currentContext":"default"}"#)],
                "unix:///var/run/docker.sock",
            ),
        ] {
            assert_eq!(found(option, host, machine), expected, "{option:?} {host:?} {machine:?}");
        }
    }

    #[test]
    fn a_flow_names_the_operators_daemons_and_hosts_of_the_network() {
        use NamedBy::{Flow, Operator};
        let machine = |pairs: &[(&'static str, &str)]| {
            Fake(pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect())
        };
        let docker_host = ("DOCKER_HOST", "unix:///run/other.sock");
        for (option, host, hosts, surroundings, expected) in [
            (None, None, &[][..], &[docker_host][..], Some(Operator)),
            ("unix:///run/other.sock".into(), None, &[], &[docker_host], Some(Operator)),
            ("unix:///var/run/docker.sock".into(), None, &[], &[], Some(Operator)),
            ("/dind/docker.sock".into(), None, &[], &[], Some(Operator)),
            (
                "unix:///run/docker.sock".into(),
                None,
                &[],
                &[("link /var/run/docker.sock", "/run/docker.sock")],
                Some(Operator),
            ),
            // Where the operator has chosen, the usual places are others.
            ("unix:///var/run/docker.sock".into(), None, &[], &[docker_host], None),
            ("unix:///var/run/docker.sock".into(), Some("tcp://h:1"), &[], &[], None),
            ("unix:///run/private.sock".into(), None, &[], &[], None),
            ("unix:///srv/docker/a.sock".into(), None, &["unix:///srv/docker"], &[], Some(Operator)),
            ("unix:///srv/docker/a.sock".into(), None, &["unix:///srv/docker/a.sock"], &[], Some(Operator)),
            ("unix:///srv/docker-not/a.sock".into(), None, &["unix:///srv/docker"], &[], None),
            (
                "unix:///srv/docker/../x.sock".into(),
                None,
                &["unix:///srv/docker"],
                &[("link /srv/docker/../x.sock", "/srv/x.sock")],
                None,
            ),
            ("tcp://h:1".into(), None, &[], &[], Some(Flow)),
            ("tcp://h:1".into(), Some("tcp://h:1"), &[], &[], Some(Operator)),
            ("tcp://h:1".into(), None, &["tcp://h:1"], &[], Some(Operator)),
            ("tcp://h:2".into(), None, &["tcp://h:1"], &[], Some(Flow)),
        ] {
            let settings = DockerSettings {
                host: host.map(str::to_owned),
                hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
                ..DockerSettings::default()
            };
            let found = find(option, &settings, &machine(surroundings));
            match (found, expected) {
                (Ok((_, named_by)), Some(expected)) => assert_eq!(named_by, expected, "{option:?}"),
                (Err(error), None) => {
                    assert_eq!(error.code(), "container.not-allowed", "{option:?}");
                    let line = format!("`docker: {{hosts: [\"{}\"]}}`", option.unwrap());
                    assert!(error.to_string().contains(&line), "{error}");
                }
                (found, expected) => panic!("{option:?}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (option, machine, expected) in [
            (Some("docker"), &[][..], "option `host`: `docker` is not an address"),
            (Some("ssh://me@h"), &[], "option `host`: ssh is not spoken"),
            (None, &[("DOCKER_HOST", "fd://")], "option `DOCKER_HOST`: `fd://` is not an address"),
            (
                None,
                &[("HOME", "/h"), ("DOCKER_CONTEXT", "gone")],
                "option `context gone`: `/h/.docker/contexts/meta/",
            ),
            (
                None,
                &[],
                "cannot reach a container daemon at /var/run/docker.sock, /dind/docker.sock, /run/podman/podman.sock: none",
            ),
        ] {
            let found = found(option, None, machine);
            assert!(found.starts_with(expected), "{option:?} {machine:?}: {found}");
        }
    }
}
