//! The capability `git`: from a plugin's JSON to a clone on a thread of its own, and from what it says to the log.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::sync::watch;
use weft_files::workdir::{Directory, ENGINE_FOLDER, Workspace};
use weft_files::{OpenFile, StorageError};
use weft_git::{CloneRequest, Credentials, GitError, Report, Target};
use weft_model::{Failure, Level};
use weft_network::Network;

use crate::records::TaskLog;
use crate::staging::storage_failure;
use crate::task::TaskContext;

/// How often it is looked whether the task was asked to stop.
const LOOK: Duration = Duration::from_millis(100);
/// More authorities than anybody has, in bytes of PEM text.
const MAX_AUTHORITIES: u64 = 16 << 20;

/// What a plugin asks for. Unknown fields are ignored: a newer plugin may know more.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    url: String,
    directory: Option<String>,
    branch: Option<String>,
    tag: Option<String>,
    commit: Option<String>,
    depth: Option<u32>,
    #[serde(default)]
    submodules: bool,
    #[serde(default)]
    all_branches: bool,
    #[serde(default)]
    no_tags: bool,
    username: Option<String>,
    password: Option<String>,
    private_key: Option<String>,
    passphrase: Option<String>,
    ca_path: Option<String>,
    #[serde(default)]
    no_proxy: bool,
    connect_timeout_ms: Option<u64>,
    read_timeout_ms: Option<u64>,
    #[serde(default)]
    config: Map<String, Value>,
}

/// Clones a repository for a task.
pub async fn clone(task: &TaskContext, request: Value, network: &Network) -> Result<Value, Failure> {
    let request: Request = serde_json::from_value(request)
        .map_err(|error| Failure::new("plugin.bad-output", format!("what to clone: {error}")))?;
    for secret in [&request.password, &request.private_key, &request.passphrase].into_iter().flatten() {
        // It may stand in the flow as it is: then nobody has hidden it yet.
        weft_host::Capabilities::hide(task, secret)?;
    }
    let place = Place::of(task, request.directory.as_deref().unwrap_or("."))?;
    let directory = place.path();
    let ca_pem = match &request.ca_path {
        Some(path) => Some(authorities(task, path)?),
        None => None,
    };
    let mut request = clone_request(request, ca_pem);

    // Whatever becomes of this future, the thread is told: it holds the other end.
    let (cancel, cancelled) = watch::channel(false);
    let cancel = CancelOnDrop(cancel);
    let (network, log, runtime) = (network.clone(), Arc::clone(&task.log), Handle::current());
    let mut work = tokio::task::spawn_blocking(move || {
        // Where no script comes: what is checked out there is what the repository says, and lies where it says.
        let fresh = place.fresh().map_err(|error| storage_failure(&error))?;
        request.directory = fresh.path().to_owned();
        let report = &mut |report| say(&log, report);
        let cloned = weft_git::clone(&request, &network, runtime, cancelled, report)
            .map_err(|error| place.named(failure(&error), fresh.path()))?;
        place.take(fresh).map(|()| cloned)
    });
    let cloned = loop {
        tokio::select! {
            ended = &mut work => break ended,
            () = tokio::time::sleep(LOOK) => {
                if weft_host::Capabilities::cancel_requested(task) {
                    cancel.0.send_replace(true);
                }
            }
        }
    };
    let cloned =
        cloned.map_err(|error| Failure::new("engine.panic", format!("the clone failed: {error}")))??;
    Ok(json!({
        "directory": directory,
        "commit": cloned.commit,
        "branch": cloned.branch,
        "shallow": cloned.shallow,
    }))
}

/// Where in the working directory a repository is to be.
struct Place {
    directory: Directory,
    name: String,
}

impl Place {
    /// An empty folder, or one that is not there yet.
    fn of(task: &TaskContext, name: &str) -> Result<Self, Failure> {
        let place = Self { directory: task.directory.clone(), name: name.to_owned() };
        place.check()?;
        Ok(place)
    }

    /// Its path, to be shown.
    fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name).components().collect()
    }

    fn not_empty(&self) -> Failure {
        failure(&GitError::NotEmpty(self.path().display().to_string()))
    }

    fn refused(error: &StorageError) -> Failure {
        Failure { message: format!("property `directory`: {error}"), ..storage_failure(error) }
    }

    /// Whether the folder is there. If it is not empty, that is the failure.
    fn check(&self) -> Result<bool, Failure> {
        let folder = match self.directory.metadata(&self.name) {
            Ok(metadata) if !metadata.is_dir() => return Err(self.not_empty()),
            Ok(_) => self.directory.open_directory(&self.name).map_err(|error| Self::refused(&error))?,
            Err(StorageError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Self::refused(&error)),
        };
        let names = folder.names().map_err(|error| Self::refused(&error))?;
        match names.iter().all(|name| name == ENGINE_FOLDER) {
            true => Ok(true),
            false => Err(self.not_empty()),
        }
    }

    /// A directory beside the working directory.
    fn fresh(&self) -> Result<Workspace, StorageError> {
        Workspace::create(self.directory.path().parent().unwrap_or(Path::new("/")))
    }

    /// Moves what was cloned to its place, where nothing may be by now.
    fn take(&self, fresh: Workspace) -> Result<(), Failure> {
        let was_there = self.check()?;
        let target = self.directory.make_directory(&self.name).map_err(|error| Self::refused(&error))?;
        let moved = fresh.directory().move_all_to(&target).map_err(|error| match &error {
            StorageError::Io { source, .. } if source.kind() == ErrorKind::AlreadyExists => self.not_empty(),
            error => Self::refused(error),
        });
        if moved.is_err() && !was_there {
            // The first error is the one to report.
            let _ = self.directory.remove(&self.name);
        }
        moved
    }

    /// The failure with the place's own path in its message.
    fn named(&self, failure: Failure, fresh: &Path) -> Failure {
        let (fresh, own) = (fresh.display().to_string(), self.path().display().to_string());
        Failure { message: failure.message.replace(&fresh, &own), ..failure }
    }
}

struct CancelOnDrop(watch::Sender<bool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

fn clone_request(request: Request, ca_pem: Option<String>) -> CloneRequest {
    CloneRequest {
        url: request.url,
        // The most exact of the three counts.
        target: match (request.commit, request.tag, request.branch) {
            (Some(commit), _, _) => Target::Commit(commit),
            (None, Some(tag), _) => Target::Tag(tag),
            (None, None, Some(branch)) => Target::Branch(branch),
            (None, None, None) => Target::Default,
        },
        depth: request.depth,
        submodules: request.submodules,
        all_branches: request.all_branches,
        no_tags: request.no_tags,
        credentials: Credentials {
            username: request.username,
            password: request.password,
            private_key: request.private_key,
            passphrase: request.passphrase,
        },
        ca_pem,
        no_proxy: request.no_proxy,
        connect_timeout: request.connect_timeout_ms.map(Duration::from_millis),
        read_timeout: request.read_timeout_ms.map(Duration::from_millis),
        config: request
            .config
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(text) => (key, text),
                other => (key, other.to_string()),
            })
            .collect(),
        ignored: vec![ENGINE_FOLDER.to_owned()],
        ..CloneRequest::default()
    }
}

/// A file of certificate authorities: of the working directory, or of the machine where its path is whole.
fn authorities(task: &TaskContext, path: &str) -> Result<String, Failure> {
    let file = match path.starts_with('/') {
        true => OpenFile::open(Path::new(path)),
        false => task.directory.open_file(path),
    };
    let unreadable = |reason: String| {
        let message = format!("cannot read the certificate authorities in `{path}`: {reason}");
        Failure::new("network.authorities", message)
    };
    match file {
        Ok(file) => file.read_to_string(MAX_AUTHORITIES).map_err(|error| unreadable(error.to_string())),
        Err(error @ StorageError::Escape { .. }) => Err(storage_failure(&error)),
        Err(StorageError::Io { source, .. }) => Err(unreadable(source.to_string())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

fn say(log: &TaskLog, report: Report) {
    match report {
        Report::Progress(text) => log.write(Level::Info, &text),
        Report::Server(text) => log.write(Level::Debug, &format!("remote: {text}")),
        Report::Warning(text) => log.write(Level::Warn, &text),
    }
}

fn failure(error: &GitError) -> Failure {
    let failure = Failure::new(error.code(), error.to_string());
    if error.is_retryable() { failure.retryable() } else { failure }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_clone_gets_to_its_place_or_nowhere() {
        type Meanwhile = fn(&Path);
        let cases: [(&str, Meanwhile, Result<&str, &str>); 7] = [
            (".", |_| {}, Ok("README")),
            ("new/folder", |_| {}, Ok("new/folder/README")),
            ("empty", |_| {}, Ok("empty/README")),
            ("empty", |root| fs::write(root.join("empty/README"), "mine").unwrap(), Err("git.not-empty")),
            ("new", |root| fs::write(root.join("new"), "mine").unwrap(), Err("git.not-empty")),
            (
                "empty",
                |root| {
                    fs::remove_dir(root.join("empty")).unwrap();
                    symlink("../outside", root.join("empty")).unwrap();
                },
                Err("files.escape"),
            ),
            ("new", |root| symlink("../../outside", root.join("new")).unwrap(), Err("files.escape")),
        ];
        for (name, meanwhile, expected) in cases {
            let home = tempfile::tempdir().unwrap();
            let root = home.path().join("root");
            fs::create_dir_all(root.join("empty")).unwrap();
            fs::create_dir_all(root.join(ENGINE_FOLDER)).unwrap();
            fs::create_dir(home.path().join("outside")).unwrap();
            let directory = Directory::open(&root).unwrap();
            if name == "." {
                fs::remove_dir(root.join("empty")).unwrap();
            }
            let place = Place { directory, name: name.to_owned() };
            place.check().unwrap();
            let fresh = place.fresh().unwrap();
            fs::create_dir(fresh.path().join(".git")).unwrap();
            fs::write(fresh.path().join("README"), "cloned").unwrap();
            meanwhile(&root);
            match (place.take(fresh), expected) {
                (Ok(()), Ok(path)) => assert_eq!(fs::read_to_string(root.join(path)).unwrap(), "cloned"),
                (Err(failure), Err(code)) => assert_eq!(failure.code, code, "{name}: {}", failure.message),
                (result, expected) => panic!("{name}: {result:?}, expected {expected:?}"),
            }
            assert_eq!(fs::read_dir(home.path().join("outside")).unwrap().count(), 0, "{name}");
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "{name}: the fresh directory is gone");
        }
    }
}
