//! Names of images. Pure.

/// Where images come from that name no registry.
pub(super) const DEFAULT_REGISTRY: &str = "docker.io";

/// The parts of an image's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// The registry, as `host[:port]`; [`DEFAULT_REGISTRY`] where the name has none.
    pub(super) registry: String,
    /// What the daemon is to pull: the name without tag, but with its digest.
    pub(super) name: String,
    /// The tag; none where a digest says exactly which image.
    pub(super) tag: Option<String>,
}

impl Reference {
    /// Takes a name apart. Whether it is one, the daemon says.
    pub(super) fn parse(image: &str) -> Self {
        let (name, tag) = if image.contains('@') {
            (image, None)
        } else {
            match image.rsplit_once(':') {
                // A colon before a slash is that of a port.
                Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
                _ => (image, Some("latest")),
            }
        };
        let registry = match name.split_once('/') {
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
            _ => DEFAULT_REGISTRY,
        };
        Self { registry: registry.to_owned(), name: name.to_owned(), tag: tag.map(str::to_owned) }
    }

    /// The registry and the repository, as credentials may name them.
    pub(super) fn repository(&self) -> String {
        let name = self.name.split('@').next().unwrap_or(&self.name);
        if name.starts_with(&self.registry) { name.to_owned() } else { format!("{}/{name}", self.registry) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_parts() {
        for (image, registry, name, tag, repository) in [
            ("python", "docker.io", "python", Some("latest"), "docker.io/python"),
            ("python:3.11-slim", "docker.io", "python", Some("3.11-slim"), "docker.io/python"),
            ("kestra/x:1", "docker.io", "kestra/x", Some("1"), "docker.io/kestra/x"),
            ("ghcr.io/a/b", "ghcr.io", "ghcr.io/a/b", Some("latest"), "ghcr.io/a/b"),
            ("127.0.0.1:5000/t/b:1", "127.0.0.1:5000", "127.0.0.1:5000/t/b", Some("1"), "127.0.0.1:5000/t/b"),
            ("localhost/b", "localhost", "localhost/b", Some("latest"), "localhost/b"),
            ("h:1/b", "h:1", "h:1/b", Some("latest"), "h:1/b"),
            ("a@sha256:12", "docker.io", "a@sha256:12", None, "docker.io/a"),
            ("h.io/a:1@sha256:12", "h.io", "h.io/a:1@sha256:12", None, "h.io/a:1"),
        ] {
            let reference = Reference::parse(image);
            assert_eq!(
                (reference.registry.as_str(), reference.name.as_str(), reference.tag.as_deref()),
                (registry, name, tag),
                "{image}"
            );
            assert_eq!(reference.repository(), repository, "{image}");
        }
    }
}
