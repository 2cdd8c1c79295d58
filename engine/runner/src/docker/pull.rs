//! Getting images: with progress, with patience, and each only once at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bollard::errors::Error as ApiError;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;
use tokio::task::spawn_blocking;
use weft_contract::container::{Options, PullPolicy};

use super::credentials::{self, Found};
use super::daemon::Daemon;
use super::error::{self, reason};
use super::image::Reference;
use super::{ContainerError, DockerSettings, Importance, Notes};

/// Between two lines about the progress.
const PROGRESS: Duration = Duration::from_secs(3);
/// Before the second attempt; then twice as long each time.
const PAUSE: Duration = Duration::from_secs(1);

/// What is needed to pull.
pub(super) struct Puller<'a> {
    pub(super) daemon: &'a Daemon,
    pub(super) image: &'a str,
    pub(super) options: &'a Options,
    pub(super) settings: &'a DockerSettings,
    /// Files with credentials beside those of the task, the first to be asked first.
    pub(super) files: &'a [&'a Path],
    pub(super) notes: &'a Notes,
}

impl Puller<'_> {
    /// Pulls the image. Whoever asks for the same one meanwhile waits; `missing_since` is when the image was seen to be
    /// missing: one that came later needs no pulling.
    pub(super) async fn pull(&self, missing_since: Option<Instant>) -> Result<(), ContainerError> {
        let lock = self.daemon.pull_lock(self.image);
        let _guard = match lock.try_lock() {
            Ok(guard) => guard,
            Err(_) => {
                (self.notes)(
                    Importance::Debug,
                    &format!("waiting for image `{}`, which is being pulled", self.image),
                );
                let guard = lock.lock().await;
                if missing_since.is_some() && self.daemon.api.inspect_image(self.image).await.is_ok() {
                    return Ok(());
                }
                guard
            }
        };
        let reference = Reference::parse(self.image);
        let found = self.credentials(&reference).await?;
        let attempts = self.settings.pull_attempts.max(1);
        let mut pause = PAUSE;
        for attempt in 1.. {
            let error = match self.attempt(&reference, found.as_ref()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let failure = judge(self.image, &error, &reference, found.as_ref(), attempt);
            if attempt >= attempts || !matches!(failure, ContainerError::Pull { .. }) {
                return Err(failure);
            }
            (self.notes)(
                Importance::Warn,
                &format!(
                    "cannot pull image `{}`, trying again in {} s: {}",
                    self.image,
                    pause.as_secs(),
                    reason(&error)
                ),
            );
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }

    /// On a thread of its own, for a credential helper may take its time.
    async fn credentials(&self, reference: &Reference) -> Result<Option<Found>, ContainerError> {
        let (options, reference) = (self.options.clone(), reference.clone());
        let files: Vec<PathBuf> = self.files.iter().map(|&file| file.to_owned()).collect();
        let found = spawn_blocking(move || credentials::find(&options, &reference, &files)).await;
        found.unwrap_or_else(|panic| {
            let action = "find the credentials of the registry".to_owned();
            Err(ContainerError::Api { action, reason: panic.to_string() })
        })
    }

    async fn attempt(&self, reference: &Reference, found: Option<&Found>) -> Result<(), ApiError> {
        (self.notes)(Importance::Info, &format!("pulling image `{}`", self.image));
        let mut options = CreateImageOptionsBuilder::default().from_image(&reference.name);
        if let Some(tag) = &reference.tag {
            options = options.tag(tag);
        }
        let credentials = found.map(|found| found.credentials.clone());
        let mut stream = self.daemon.api.create_image(Some(options.build()), None, credentials).boxed();
        let begin = Instant::now();
        let mut said = begin;
        let mut layers = Layers::default();
        while let Some(info) = stream.next().await {
            layers.take(&info?);
            if said.elapsed() >= PROGRESS {
                said = Instant::now();
                (self.notes)(Importance::Info, &format!("pulling image `{}`: {}", self.image, layers.say()));
            }
        }
        let took = begin.elapsed();
        (self.notes)(
            Importance::Info,
            &format!("pulled image `{}` in {:.1} s", self.image, took.as_secs_f64()),
        );
        Ok(())
    }
}

/// The error for an image that may not be pulled.
pub(super) fn forbidden(image: &str) -> ContainerError {
    ContainerError::ImageNotFound {
        image: image.to_owned(),
        reason: "the daemon does not have it, and `pullPolicy` is `NEVER`".to_owned(),
        hint: "build or load it there, or use `pullPolicy: IF_NOT_PRESENT`",
    }
}

/// When an image is to be pulled before anything is tried.
pub(super) fn is_pulled_first(options: &Options) -> bool {
    options.pull_policy == Some(PullPolicy::Always)
}

/// What a failed attempt means. Daemons answer with status 500 to almost everything, so their words decide.
fn judge(
    image: &str,
    error: &ApiError,
    reference: &Reference,
    found: Option<&Found>,
    attempts: u32,
) -> ContainerError {
    let reason = reason(error);
    let lower = reason.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let image = image.to_owned();
    if error::is_no_space(&lower) {
        ContainerError::NoSpace { reason }
    } else if says(&["invalid reference format", "repository name must be lowercase"]) {
        ContainerError::InvalidOption {
            option: "image".to_owned(),
            problem: format!("`{image}` is not the name of an image\nhint: write `[registry/]name[:tag]`"),
        }
    } else if says(&[
        "unauthorized",
        "no basic auth credentials",
        "authentication required",
        "incorrect username",
    ]) || says(&["access forbidden", "403 forbidden"])
        || says(&["denied"]) && found.is_some()
    {
        let given = found.map_or_else(|| "no credentials".to_owned(), |found| found.source.clone());
        let hint = if found.is_some() {
            "check the user name and the password or token"
        } else {
            "give credentials in `docker.credentials` or `docker.config`, or log in with `docker login`"
        };
        ContainerError::Credentials { registry: reference.registry.clone(), image, given, reason, hint }
    } else if says(&["denied"]) {
        let hint =
            "check the name; a private image needs credentials, in `docker.credentials` or `docker.config`";
        ContainerError::ImageNotFound { image, reason, hint }
    } else if says(&["not found", "manifest unknown", "no matching manifest", "name unknown"]) {
        ContainerError::ImageNotFound { image, reason, hint: "check the name and the tag" }
    } else {
        ContainerError::Pull { image, attempts, reason }
    }
}

/// How far the layers of an image are.
#[derive(Default)]
struct Layers {
    /// Bytes that are there, and bytes in all, by layer; none where a layer is complete.
    layers: BTreeMap<String, Option<(i64, i64)>>,
}

impl Layers {
    fn take(&mut self, info: &CreateImageInfo) {
        let (Some(id), Some(status)) = (&info.id, &info.status) else { return };
        match status.as_str() {
            "Pulling fs layer" | "Waiting" | "Verifying Checksum" => {
                self.layers.entry(id.clone()).or_insert(Some((0, 0)));
            }
            "Downloading" => {
                let detail = info.progress_detail.as_ref();
                let current = detail.and_then(|detail| detail.current).unwrap_or_default();
                let total = detail.and_then(|detail| detail.total).unwrap_or_default();
                self.layers.insert(id.clone(), Some((current, total)));
            }
            "Download complete" | "Pull complete" | "Already exists" => {
                self.layers.insert(id.clone(), None);
            }
            _ => {}
        }
    }

    fn say(&self) -> String {
        let open: Vec<(i64, i64)> = self.layers.values().flatten().copied().collect();
        let (current, total) = open.iter().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        let done = self.layers.len() - open.len();
        let mebibytes = |bytes: i64| bytes as f64 / f64::from(1 << 20);
        if total == 0 {
            return format!("{done} of {} layers", self.layers.len());
        }
        format!(
            "{done} of {} layers, {:.1} of {:.1} MiB of the others",
            self.layers.len(),
            mebibytes(current),
            mebibytes(total)
        )
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn progress_is_added_up() {
        let mut layers = Layers::default();
        let mut take = |id: &str, status: &str, progress: Option<(i64, i64)>| {
            layers.take(&CreateImageInfo {
                id: Some(id.to_owned()),
                status: Some(status.to_owned()),
                progress_detail: progress
                    .map(|(current, total)| ProgressDetail { current: Some(current), total: Some(total) }),
                ..CreateImageInfo::default()
            });
            layers.say()
        };
        for (id, status, progress, expected) in [
            ("latest", "Pulling from library/x", None, "0 of 0 layers"),
            ("a", "Pulling fs layer", None, "0 of 1 layers"),
            ("b", "Already exists", None, "1 of 2 layers"),
            ("a", "Downloading", Some((1 << 20, 4 << 20)), "1 of 2 layers, 1.0 of 4.0 MiB of the others"),
            ("a", "Verifying Checksum", None, "1 of 2 layers, 1.0 of 4.0 MiB of the others"),
            ("a", "Pull complete", None, "2 of 2 layers"),
        ] {
            assert_eq!(take(id, status, progress), expected, "{id} {status}");
        }
    }

    #[test]
    fn words_of_daemons_are_understood() {
        let settings = DockerSettings::default();
        let found = || Found { credentials: Default::default(), source: "as `u`, from x".to_owned() };
        for (message, with_credentials, code) in [
            ("Head \"http://r/v2/x/manifests/1\": no basic auth credentials", false, "container.credentials"),
            (
                "Head \"http://r/v2/x/manifests/1\": unauthorized: authentication required",
                true,
                "container.credentials",
            ),
            (
                "pull access denied for x, repository does not exist or may require 'docker login'",
                false,
                "container.image-not-found",
            ),
            (
                "pull access denied for x, repository does not exist or may require 'docker login'",
                true,
                "container.credentials",
            ),
            (
                "manifest for x:1 not found: manifest unknown: manifest unknown",
                false,
                "container.image-not-found",
            ),
            (
                "Get \"https://r/v2/\": dial tcp: lookup r on 1.1.1.1:53: no such host",
                false,
                "container.pull",
            ),
            ("write /var/lib/docker/tmp/x: no space left on device", false, "container.no-space"),
            ("invalid reference format", false, "container.invalid-option"),
            ("received unexpected HTTP status: 503 Service Unavailable", true, "container.pull"),
        ] {
            let image = "r/x:1";
            let judged = judge_for_test(message, image, &settings, with_credentials.then(found).as_ref());
            assert_eq!(judged.code(), code, "{message}");
        }
    }

    fn judge_for_test(
        message: &str,
        image: &str,
        settings: &DockerSettings,
        found: Option<&Found>,
    ) -> ContainerError {
        let error = ApiError::DockerResponseServerError { status_code: 500, message: message.to_owned() };
        judge(image, &error, &Reference::parse(image), found, settings.pull_attempts)
    }
}
