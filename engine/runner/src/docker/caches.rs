//! What package managers have downloaded, kept from run to run in volumes of the daemon: one for each image and tool.
//!
//! Volumes, and not directories of the engine: they belong to root in the container whoever the engine is (pip refuses a
//! cache of somebody else), and a daemon on another machine has them too. They carry the label `io.weft.cache`; one that
//! has grown over the bound is removed whole, for it is only a cache.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::models::{Mount, MountType, MountVolumeOptions};
use bollard::query_parameters::RemoveVolumeOptions;
use sha2::{Digest, Sha256};
use weft_contract::container::Options;

use super::daemon::Daemon;
use super::{ContainerError, DockerSettings, Importance, Notes, helper};

/// The label of a volume that is a cache; its value is the tool.
const LABEL: &str = "io.weft.cache";
/// The label that says for which image.
const IMAGE_LABEL: &str = "io.weft.cache.image";

/// Where tools keep downloads, in the container's root user's home, which is `/root` in every image that anybody has met.
const TOOLS: [(&str, &str); 4] =
    [("pip", "/root/.cache/pip"), ("uv", "/root/.cache/uv"), ("npm", "/root/.npm"), ("R", "/root/.cache/R")];

/// One cache of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cache {
    /// The daemon's name of the volume.
    pub(super) volume: String,
    /// Where it is in the container.
    pub(super) target: String,
    tool: &'static str,
    image: String,
}

impl Cache {
    /// How the volume is made where there is none.
    pub(super) fn options(&self) -> MountVolumeOptions {
        let labels = [(LABEL, self.tool), (IMAGE_LABEL, self.image.as_str())];
        MountVolumeOptions {
            // What the image has at this place is not copied.
            no_copy: Some(true),
            labels: Some(
                labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ),
            ..MountVolumeOptions::default()
        }
    }
}

/// The caches for a task.
pub(super) fn of_task(
    image: &str,
    options: &Options,
    settings: &DockerSettings,
) -> Result<Vec<Cache>, ContainerError> {
    let asked = options.dependency_caches.as_deref().unwrap_or_default();
    let mut caches = Vec::new();
    for name in asked {
        let Some((tool, target)) = TOOLS.iter().find(|(tool, _)| *tool == name.0) else {
            let known: Vec<String> = TOOLS.iter().map(|(tool, _)| format!("`{tool}`")).collect();
            return Err(ContainerError::InvalidOption {
                option: "dependencyCaches".to_owned(),
                problem: format!("there is no cache for `{name}`, expected {}", known.join(", ")),
            });
        };
        caches.push(Cache {
            volume: volume(tool, image),
            target: (*target).to_owned(),
            tool,
            image: image.to_owned(),
        });
    }
    // Another user has another home, which nobody knows before the container runs.
    let is_root = options.user.as_deref().is_none_or(|user| {
        let name = user.split(':').next().unwrap_or_default();
        matches!(name, "" | "0" | "root")
    });
    if !settings.dependency_caches || !is_root {
        caches.clear();
    }
    Ok(caches)
}

/// `weft-cache-pip-python-3.11-slim-1a2b3c4d`.
fn volume(tool: &str, image: &str) -> String {
    let digest: String = Sha256::digest(image).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let letter = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' };
    let readable: String = image.chars().map(letter).take(100).collect();
    format!("weft-cache-{}-{readable}-{digest}", tool.to_ascii_lowercase())
}

/// Removes those of a task's caches that have grown over the bound. One that is in use is left for the next time.
pub(super) async fn prune(daemon: &Daemon, image: &str, caches: &[Cache], bound: u64, notes: &Notes) {
    for cache in caches {
        let Some(bytes) = size(daemon, image, cache).await else { continue };
        if bytes > bound && daemon.api.remove_volume(&cache.volume, None::<RemoveVolumeOptions>).await.is_ok()
        {
            let text = format!(
                "removed the dependency cache `{}`: it had grown to {} MiB, {} MiB are allowed",
                cache.volume,
                bytes >> 20,
                bound >> 20
            );
            (notes)(Importance::Info, &text);
        }
    }
}

/// The bytes of a cache: counted here where the engine can read the daemon's volumes, else now and then by a container,
/// which is slow.
async fn size(daemon: &Daemon, image: &str, cache: &Cache) -> Option<u64> {
    let volume = daemon.api.inspect_volume(&cache.volume).await.ok()?;
    let mountpoint = PathBuf::from(volume.mountpoint);
    let counted = tokio::task::spawn_blocking(move || count(&mountpoint)).await.ok()?;
    if counted.is_some() {
        return counted;
    }
    let is_time = SystemTime::now().duration_since(UNIX_EPOCH).is_ok_and(|now| now.subsec_micros() % 20 == 0);
    if !is_time {
        return None;
    }
    let mount = Mount {
        source: Some(cache.volume.clone()),
        target: Some(cache.target.clone()),
        typ: Some(MountType::VOLUME),
        ..Mount::default()
    };
    let output = helper::run(daemon, image, &["du", "-sk", &cache.target], mount).await.ok()?;
    output.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The bytes that a directory's files take; none where it cannot be read.
fn count(directory: &Path) -> Option<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).ok()? {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok()?;
        bytes += if metadata.is_dir() { count(&entry.path())? } else { metadata.len() };
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn caches_belong_to_tool_and_image() {
        let settings = DockerSettings::default();
        let off = DockerSettings { dependency_caches: false, ..DockerSettings::default() };
        for (options, settings, expected) in [
            (json!({}), &settings, vec![]),
            (
                json!({"dependencyCaches": ["pip", "uv"]}),
                &settings,
                vec!["/root/.cache/pip", "/root/.cache/uv"],
            ),
            (json!({"dependencyCaches": ["npm"], "user": "root"}), &settings, vec!["/root/.npm"]),
            (json!({"dependencyCaches": ["npm"], "user": "0:0"}), &settings, vec!["/root/.npm"]),
            (json!({"dependencyCaches": ["npm"], "user": 1000}), &settings, vec![]),
            (json!({"dependencyCaches": ["R"]}), &off, vec![]),
        ] {
            let read: Options = serde_json::from_value(options.clone()).unwrap();
            let caches = of_task("python:3", &read, settings).unwrap();
            let targets: Vec<_> = caches.iter().map(|cache| cache.target.as_str()).collect();
            assert_eq!(targets, expected, "{options}");
        }
        let unknown: Options = serde_json::from_value(json!({"dependencyCaches": ["cargo"]})).unwrap();
        let error = of_task("python:3", &unknown, &settings).unwrap_err().to_string();
        assert!(error.contains("no cache for `cargo`, expected `pip`, `uv`, `npm`, `R`"), "{error}");
    }

    #[test]
    fn names_of_volumes_tell_images_apart() {
        let name = volume("pip", "127.0.0.1:5000/team/py:3");
        assert!(name.starts_with("weft-cache-pip-127.0.0.1-5000-team-py-3-"), "{name}");
        assert_ne!(volume("pip", "a:b/c"), volume("pip", "a/b:c"));
        assert_ne!(volume("pip", "a"), volume("uv", "a"));
    }
}
