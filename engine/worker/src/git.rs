//! The capability `git`: from a plugin's JSON to a clone on a thread of its own, and from what it says to the log.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::sync::watch;
use weft_files::workdir::{self, ENGINE_FOLDER};
use weft_git::{CloneRequest, Credentials, GitError, Report, Target};
use weft_model::{Failure, Level};
use weft_network::Network;

use crate::records::TaskLog;
use crate::staging::storage_failure;
use crate::task::TaskContext;

/// How often it is looked whether the task was asked to stop.
const LOOK: Duration = Duration::from_millis(100);

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
    let directory =
        workdir::resolve(&task.directory, request.directory.as_deref().unwrap_or(".")).map_err(|error| {
            Failure { message: format!("property `directory`: {error}"), ..storage_failure(&error) }
        })?;
    let ca_pem = match &request.ca_path {
        Some(path) => Some(authorities(task, path)?),
        None => None,
    };
    let request = clone_request(request, directory.clone(), ca_pem);

    // Whatever becomes of this future, the thread is told: it holds the other end.
    let (cancel, cancelled) = watch::channel(false);
    let cancel = CancelOnDrop(cancel);
    let (network, log, runtime) = (network.clone(), Arc::clone(&task.log), Handle::current());
    let mut work = tokio::task::spawn_blocking(move || {
        weft_git::clone(&request, &network, runtime, cancelled, &mut |report| say(&log, report))
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
    let cloned = cloned
        .map_err(|error| Failure::new("engine.panic", format!("the clone failed: {error}")))?
        .map_err(|error| failure(&error))?;
    Ok(json!({
        "directory": directory,
        "commit": cloned.commit,
        "branch": cloned.branch,
        "shallow": cloned.shallow,
    }))
}

struct CancelOnDrop(watch::Sender<bool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

fn clone_request(request: Request, directory: PathBuf, ca_pem: Option<String>) -> CloneRequest {
    CloneRequest {
        url: request.url,
        directory,
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
    }
}

/// A file of certificate authorities: of the working directory, or of the machine where its path is whole.
fn authorities(task: &TaskContext, path: &str) -> Result<String, Failure> {
    let file = if path.starts_with('/') {
        PathBuf::from(path)
    } else {
        workdir::resolve(&task.directory, path).map_err(|error| storage_failure(&error))?
    };
    std::fs::read_to_string(&file).map_err(|error| {
        Failure::new(
            "network.authorities",
            format!("cannot read the certificate authorities in `{path}`: {error}"),
        )
    })
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
