//! From a command to a running container.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bollard::errors::Error as ApiError;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, StartContainerOptions,
};
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit, mpsc, watch};
use uuid::Uuid;
use weft_contract::container::{FileHandlingStrategy, Options, PullPolicy};

use super::caches::{self, Cache};
use super::create::{Role, Spec, environment};
use super::daemon::Daemon;
use super::endpoint::{Machine, docker_folder};
use super::error::{reason, status};
use super::pull::{self, Puller};
use super::pump::Pump;
use super::remains::Remains;
use super::shelf::{Kept, Shelf};
use super::supervise::{Finish, Place, Supervisor};
use super::{
    Container, ContainerCommand, ContainerError, Core, DETACHED_LABEL, ENGINE_LABEL, Importance, KEPT_LABEL,
    Notes, OWNER_LABEL, TASK_LABEL, archive, keeper, ownership,
};
use crate::{Command, Exit, LineSink};

/// Bytes that are read from the daemon at once.
const CAPACITY: usize = 64 << 10;

/// Starts a task in a container; see [`super::Docker::run`].
pub(super) async fn start(
    core: &Arc<Core>,
    command: ContainerCommand,
    shelf: Option<&Arc<Shelf>>,
    notes: Notes,
    sink: Box<dyn LineSink>,
) -> Result<Container, ContainerError> {
    let caches = caches::of_task(&command.image, &command.options, &core.settings)?;
    let mut labels = command.labels.clone();
    labels.push((ENGINE_LABEL.to_owned(), core.settings.engine.clone()));
    labels.push((OWNER_LABEL.to_owned(), core.settings.owner.clone()));
    labels.push((TASK_LABEL.to_owned(), command.command.marker.clone()));
    if command.options.wait == Some(false) {
        labels.push((DETACHED_LABEL.to_owned(), "true".to_owned()));
    }
    if command.options.delete == Some(false) {
        labels.push((KEPT_LABEL.to_owned(), "true".to_owned()));
    }
    let daemon = core.daemon(command.options.host.as_deref()).await?;
    let start = Start { core, daemon, command: &command, caches, labels, notes };
    // Mistakes are told before anything is waited for.
    start.spec(&start.role(true), false).body()?;
    let slot = start.slot().await;
    if let Some(mark) = &core.mark {
        mark.set(&start.daemon.address);
    }
    if pull::is_pulled_first(&command.options) {
        start.pull(None).await?;
    }
    ownership::share(&command.directory, &command.shared)
        .map_err(|error| ContainerError::Copy { way: "into", reason: error.to_string() })?;
    if command.options.wait == Some(false) {
        return start.detached().await;
    }
    match shelf.filter(|_| start.is_shared()) {
        Some(shelf) => start.shared(shelf, slot, sink).await,
        None => start.own(slot, sink).await,
    }
}

/// Everything that the start of one task needs.
struct Start<'a> {
    core: &'a Arc<Core>,
    daemon: Arc<Daemon>,
    command: &'a ContainerCommand,
    caches: Vec<Cache>,
    labels: Vec<(String, String)>,
    notes: Notes,
}

impl Start<'_> {
    fn options(&self) -> &Options {
        &self.command.options
    }

    fn inner(&self) -> &Command {
        &self.command.command
    }

    /// Waits until one more container may run.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        let slots = Arc::clone(&self.core.slots);
        if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
            return Some(slot);
        }
        let text = format!("waiting: {} containers are running", self.core.settings.max_containers);
        (self.notes)(Importance::Info, &text);
        // Never closed.
        slots.acquire_owned().await.ok()
    }

    fn strategy(&self) -> Option<FileHandlingStrategy> {
        self.options().file_handling_strategy.or(self.core.settings.file_handling)
    }

    fn is_mounted(&self) -> bool {
        match self.strategy() {
            Some(strategy) => strategy == FileHandlingStrategy::Mount,
            None => self.daemon.may_mount(),
        }
    }

    /// Whether the task may share a container with others.
    fn is_shared(&self) -> bool {
        let options = self.options();
        let has_entry_point = options.entry_point.iter().flatten().any(|word| !word.is_empty());
        self.core.settings.reuse
            && options.reuse != Some(false)
            && options.delete != Some(false)
            && !has_entry_point
            && !self.inner().argv.is_empty()
            && self.is_mounted()
            && self.daemon.may_have_shell(&self.command.image)
    }

    /// One task, with a container of its own.
    fn role(&self, attached: bool) -> Role<'_> {
        let Command { argv, env, .. } = self.inner();
        Role::Task { argv, env, init: attached && self.daemon.may_have_init(), attached }
    }

    fn spec<'s>(&'s self, role: &'s Role<'s>, mounted: bool) -> Spec<'s> {
        Spec {
            image: &self.command.image,
            options: self.options(),
            settings: &self.core.settings,
            labels: &self.labels,
            cwd: &self.inner().cwd,
            mounted: mounted.then_some(self.command.directory.path()),
            caches: &self.caches,
            role,
        }
    }

    async fn pull(&self, missing_since: Option<Instant>) -> Result<(), ContainerError> {
        let user_file = docker_folder(&Machine).map(|folder| folder.join("config.json"));
        let files: Vec<PathBuf> =
            self.core.settings.registry_config.iter().cloned().chain(user_file).collect();
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let puller = Puller {
            daemon: &self.daemon,
            image: &self.command.image,
            options: self.options(),
            settings: &self.core.settings,
            files: &files,
            notes: &self.notes,
        };
        puller.pull(missing_since).await
    }

    /// Creates the container, with its files in it. Whether the daemon has the image is not asked before: it says so.
    ///
    /// The permit is for starting it: pulling the image does not keep others from theirs.
    async fn create(
        &self,
        role: &Role<'_>,
    ) -> Result<(Remains, Option<SemaphorePermit<'_>>), ContainerError> {
        let mut pulled = false;
        loop {
            // Never closed.
            let permit = self.daemon.starts.acquire().await.ok();
            let mounted = self.is_mounted();
            let body = self.spec(role, mounted).body()?;
            let name = self.name();
            let mut remains = Remains::expected(self.core, &self.daemon, &name);
            let named = CreateContainerOptionsBuilder::default().name(&name).build();
            let asked = Instant::now();
            let error = match self.daemon.api.create_container(Some(named), body).await {
                Ok(created) => {
                    remains.created(created.id);
                    for warning in created.warnings {
                        (self.notes)(Importance::Debug, &warning);
                    }
                    if mounted && !self.sees_files(&remains.id).await {
                        continue;
                    }
                    if !mounted {
                        archive::upload(&self.daemon, &remains.id, &self.command.directory).await?;
                    }
                    return Ok((remains, permit));
                }
                Err(error) => error,
            };
            // An answer, also one that says no, means that there is no container.
            if status(&error).is_some() {
                remains.keep();
            }
            drop(permit);
            let text = reason(&error);
            if status(&error) == Some(404) && !pulled && is_missing_image(&text) {
                if self.options().pull_policy == Some(PullPolicy::Never) {
                    return Err(pull::forbidden(&self.command.image));
                }
                self.pull(Some(asked)).await?;
                pulled = true;
            } else if mounted && self.strategy().is_none() && is_missing_source(&text) {
                self.cannot_mount();
            } else if self.daemon.may_have_init() && is_missing_init(&text) {
                self.daemon.has_no_init();
                return Err(ContainerError::Abandoned);
            } else {
                return Err(self.refused("create", &error));
            }
        }
    }

    fn cannot_mount(&self) {
        self.daemon.cannot_mount();
        (self.notes)(
            Importance::Info,
            "the container daemon does not see the engine's files: working directories are copied",
        );
    }

    /// Whether what the daemon has mounted is the engine's directory. It may be another one under the same name where the
    /// engine runs in a container itself.
    async fn sees_files(&self, id: &str) -> bool {
        let in_container = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists());
        if !in_container || self.strategy().is_some() {
            return true;
        }
        let (directory, probe) =
            (&self.command.directory, format!(".weft-probe-{}", Uuid::new_v4().simple()));
        if directory.write(&probe, b"").is_err() {
            return true;
        }
        let options = bollard::query_parameters::ContainerArchiveInfoOptionsBuilder::default()
            .path(&directory.path().join(&probe).to_string_lossy())
            .build();
        let seen = self.daemon.api.get_container_archive_info(id, Some(options)).await;
        let _ = directory.remove(&probe);
        let seen = !seen.is_err_and(|error| status(&error) == Some(404));
        if !seen {
            self.cannot_mount();
        }
        seen
    }

    /// `weft-NAME-1a2b3c4d`, in the letters that daemons allow.
    fn name(&self) -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
        let readable: String = self.command.name.chars().map(letter).take(80).collect();
        let unique = Uuid::new_v4().simple().to_string();
        format!("weft-{readable}-{}", &unique[..8])
    }

    /// What a refused call means.
    fn refused(&self, action: &'static str, error: &ApiError) -> ContainerError {
        let reason = reason(error);
        let lower = reason.to_lowercase();
        match self.daemon.failed(action, error) {
            ContainerError::Api { .. } if is_missing_program(&lower) => self.missing_program(),
            ContainerError::Api { .. } if lower.contains("invalid reference format") => {
                ContainerError::InvalidOption {
                    option: "image".to_owned(),
                    problem: format!(
                        "`{}` is not the name of an image\nhint: write `[registry/]name[:tag]`",
                        self.command.image
                    ),
                }
            }
            ContainerError::Api { .. } => {
                ContainerError::Refused { action, image: self.command.image.clone(), reason }
            }
            other => other,
        }
    }

    fn missing_program(&self) -> ContainerError {
        ContainerError::Interpreter {
            program: self.inner().argv.first().cloned().unwrap_or_default(),
            image: self.command.image.clone(),
        }
    }

    /// A container for this task alone, removed after it.
    async fn own(
        &self,
        slot: Option<OwnedSemaphorePermit>,
        sink: Box<dyn LineSink>,
    ) -> Result<Container, ContainerError> {
        let (remains, frames) = loop {
            let role = self.role(true);
            match self.create_and_start(&role).await {
                Ok(started) => break started,
                // Learnt on the way: there is no `docker-init`.
                Err(ContainerError::Abandoned) => {}
                Err(error) => return Err(error),
            }
        };
        let pump = Pump::new(self.inner().max_line, None, sink);
        Ok(self.supervise(Place::Own { remains }, frames, pump, slot))
    }

    async fn create_and_start(
        &self,
        role: &Role<'_>,
    ) -> Result<(Remains, super::pump::Frames), ContainerError> {
        let (remains, _permit) = self.create(role).await?;
        let attach = AttachContainerOptionsBuilder::default().stdout(true).stderr(true).stream(true).build();
        let attached = self.daemon.api.attach_container(&remains.id, Some(attach)).await;
        let attached = attached.map_err(|error| self.refused("attach to", &error))?;
        self.start_created(&remains).await?;
        Ok((remains, attached.output))
    }

    async fn start_created(&self, remains: &Remains) -> Result<(), ContainerError> {
        let Err(error) = self.daemon.api.start_container(&remains.id, None::<StartContainerOptions>).await
        else {
            return Ok(());
        };
        if self.daemon.may_have_init() && is_missing_init(&reason(&error)) {
            self.daemon.has_no_init();
            return Err(ContainerError::Abandoned);
        }
        Err(self.refused("start", &error))
    }

    /// A container that nobody waits for.
    async fn detached(&self) -> Result<Container, ContainerError> {
        let role = self.role(false);
        let (remains, permit) = self.create(&role).await?;
        self.start_created(&remains).await?;
        drop(permit);
        (self.notes)(Importance::Info, &format!("container `{}` runs by itself", short(&remains.id)));
        remains.keep();
        let (signals, _) = mpsc::unbounded_channel();
        let exit = Exit {
            code: Some(0),
            signal: None,
            timed_out: false,
            killed: false,
            stdout_lines: 0,
            stderr_lines: 0,
            survivors: false,
        };
        let (_, exit) = watch::channel(Some(Ok(exit)));
        Ok(Container { signals, exit })
    }

    /// In a container that this directory's tasks share.
    async fn shared(
        &self,
        shelf: &Arc<Shelf>,
        slot: Option<OwnedSemaphorePermit>,
        sink: Box<dyn LineSink>,
    ) -> Result<Container, ContainerError> {
        let key = self.key();
        while let Some(kept) = shelf.take(&key) {
            match self.exec(&kept).await {
                Ok((exec, frames, nonce)) => {
                    (self.notes)(
                        Importance::Debug,
                        &format!("in container `{}` again", short(&kept.remains.id)),
                    );
                    let pump = Pump::new(self.inner().max_line, Some(&nonce), sink);
                    let place = Place::Kept { kept, shelf: Arc::downgrade(shelf), exec: Some(exec) };
                    return Ok(self.supervise(place, frames, pump, slot));
                }
                // It has ended meanwhile. It is removed, and another one takes its place.
                Err(error) => {
                    (self.notes)(
                        Importance::Debug,
                        &format!("a kept container cannot be used: {}", reason(&error)),
                    );
                }
            }
        }
        let nonce = Uuid::new_v4().simple().to_string();
        let (env, argv) = (dedupe(&self.inner().env), &self.inner().argv);
        if !keeper::can_export(&env) {
            return self.own(slot, sink).await;
        }
        let line = keeper::first(&nonce, &env, argv);
        let role = Role::Keeper { argv: &line };
        let (remains, permit) = self.create(&role).await?;
        let attach = AttachContainerOptionsBuilder::default()
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .stream(true)
            .build();
        let attached = self.daemon.api.attach_container(&remains.id, Some(attach)).await;
        let attached = attached.map_err(|error| self.refused("attach to", &error))?;
        match self.start_created(&remains).await {
            Ok(()) => {}
            Err(ContainerError::Interpreter { .. }) => {
                drop((permit, remains));
                self.daemon.has_no_shell(&self.command.image);
                return self.own(slot, sink).await;
            }
            Err(error) => return Err(error),
        }
        drop(permit);
        let kept = Kept { key, remains, _input: Mutex::new(attached.input) };
        let pump = Pump::new(self.inner().max_line, Some(&nonce), sink);
        let place = Place::Kept { kept, shelf: Arc::downgrade(shelf), exec: None };
        Ok(self.supervise(place, attached.output, pump, slot))
    }

    /// What two tasks must have in common to share a container.
    fn key(&self) -> String {
        // Options are plain data, so this cannot fail.
        let options = serde_json::to_string(self.options()).unwrap_or_default();
        format!("{} {} {options}", self.daemon.address, self.command.image)
    }

    /// Starts a further task in a kept container.
    async fn exec(&self, kept: &Kept) -> Result<(String, super::pump::Frames, String), ApiError> {
        let nonce = Uuid::new_v4().simple().to_string();
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            env: Some(environment(&self.inner().env)),
            cmd: Some(keeper::further(&nonce, &self.inner().argv)),
            user: self.options().user.as_ref().map(|user| user.0.clone()),
            working_dir: Some(self.inner().cwd.to_string_lossy().into_owned()),
            ..CreateExecOptions::default()
        };
        let exec = self.daemon.api.create_exec(&kept.remains.id, options).await?.id;
        let how = StartExecOptions { output_capacity: Some(CAPACITY), ..StartExecOptions::default() };
        match self.daemon.api.start_exec(&exec, Some(how)).await? {
            StartExecResults::Attached { output, .. } => Ok((exec, output, nonce)),
            StartExecResults::Detached => {
                Err(ApiError::DockerStreamError { error: "the daemon did not attach".to_owned() })
            }
        }
    }

    fn supervise(
        &self,
        place: Place,
        frames: super::pump::Frames,
        pump: Pump,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Container {
        let (signals, requests) = mpsc::unbounded_channel();
        let (result, exit) = watch::channel(None);
        let grace = self.options().kill_grace_period.map_or(self.inner().grace, |grace| grace.0);
        let finish = Finish {
            image: self.command.image.clone(),
            program: self.inner().argv.first().cloned().unwrap_or_default(),
            memory: self
                .options()
                .memory
                .as_ref()
                .and_then(|memory| memory.memory.as_ref())
                .map(|text| text.0.clone()),
            directory: self.command.directory.clone(),
            copied: !self.is_mounted(),
            delete: self.options().delete != Some(false),
            caches: self.caches.clone(),
        };
        let supervisor = Supervisor::new(
            Arc::clone(self.core),
            Arc::clone(&self.daemon),
            place,
            finish,
            (self.inner().timeout, grace),
            Arc::clone(&self.notes),
            slot,
        );
        self.core.runtime.spawn(supervisor.run(frames, pump, requests, result));
        Container { signals, exit }
    }
}

/// The last of two variables of one name wins.
fn dedupe(env: &[(String, String)]) -> Vec<(String, String)> {
    let is_last = |index: usize, name: &str| !env[index + 1..].iter().any(|(later, _)| later == name);
    env.iter()
        .enumerate()
        .filter(|(index, (name, _))| is_last(*index, name))
        .map(|(_, pair)| pair.clone())
        .collect()
}

/// The beginning of a container's id, as `docker ps` shows it.
pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The words of Docker and of podman.
fn is_missing_image(reason: &str) -> bool {
    reason.contains("No such image") || reason.contains("image not known") || reason.contains("no such image")
}

fn is_missing_source(reason: &str) -> bool {
    reason.contains("bind source path does not exist")
        || reason.contains("statfs") && reason.contains("no such file or directory")
}

fn is_missing_init(reason: &str) -> bool {
    reason.contains("docker-init") || reason.contains("init binary not found") || reason.contains("catatonit")
}

fn is_missing_program(reason: &str) -> bool {
    reason.contains("executable file not found")
        || reason.contains("no such file or directory")
            && (reason.contains("exec: ") || reason.contains("exec format"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_runtimes_are_understood() {
        type Is = fn(&str) -> bool;
        let cases: [(&str, Is); 6] = [
            ("No such image: nosuch:latest", is_missing_image),
            (
                "invalid mount config for type \"bind\": bind source path does not exist: /x",
                is_missing_source,
            ),
            ("exec: \"docker-init\": executable file not found in $path", is_missing_init),
            (
                "oci runtime create failed: exec: \"pwsh\": executable file not found in $path: unknown",
                is_missing_program,
            ),
            (
                "oci runtime create failed: exec: \"/bin/sh\": stat /bin/sh: no such file or directory",
                is_missing_program,
            ),
            ("statfs /x: no such file or directory", is_missing_source),
        ];
        for (reason, is_so) in cases {
            assert!(is_so(reason), "{reason}");
        }
        assert!(!is_missing_program("network x not found"));
    }
}
