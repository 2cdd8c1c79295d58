//! Containers for plugins: what a command's options say, and a container as the host hands it to a plugin.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};
use weft_contract::container::Options;
use weft_host::{Capabilities, Child, Command, Exit};
use weft_model::{Failure, Level, Map, TaskRunRequest};
use weft_network::Network;
use weft_runner::{
    Container, ContainerCommand, ContainerError, Docker, DockerSettings, Importance, Notes, Shelf,
};

use crate::children::exit_of;
use crate::collected::Collected;
use crate::output::OutputSink;
use crate::records::TaskLog;
use crate::staging::storage_failure;
use crate::task::TaskContext;
use crate::trigger::TriggerRequest;

/// The container runner, set up when the first container is wanted.
#[derive(Clone)]
pub struct Containers {
    settings: Arc<dyn Fn() -> DockerSettings + Send + Sync>,
    network: Network,
    docker: Arc<OnceLock<Docker>>,
}

impl Containers {
    /// Nothing is done before the first container is wanted, not even `settings` asked for.
    pub fn new(settings: Arc<dyn Fn() -> DockerSettings + Send + Sync>, network: &Network) -> Self {
        Self { settings, network: network.clone(), docker: Arc::default() }
    }

    fn docker(&self) -> &Docker {
        self.docker.get_or_init(|| Docker::new((self.settings)(), self.network.clone()))
    }

    /// Waits until all containers that were to be removed are gone.
    pub async fn settle(&self) {
        if let Some(docker) = self.docker.get() {
            docker.settle().await;
        }
    }
}

/// What the containers of one attempt have in common.
pub struct ContainerScope {
    /// The runner.
    pub containers: Containers,
    /// Labels, as Kestra names them.
    pub labels: Vec<(String, String)>,
    /// What a person would call them.
    pub name: String,
    /// Where containers wait that tasks of the same directory share.
    pub shelf: Option<Arc<Shelf>>,
    /// The folder of the directory all of whose files are kept.
    pub output: Option<String>,
}

impl ContainerScope {
    /// For the attempt that `request` asks for.
    pub fn new(
        containers: &Containers,
        request: &TaskRunRequest,
        shelf: Option<Arc<Shelf>>,
        output: Option<String>,
    ) -> Self {
        Self {
            containers: containers.clone(),
            labels: vec![
                label("namespace", &request.namespace),
                label("flow-id", &request.flow_id),
                label("task-id", &request.task_id),
                label("execution-id", &request.execution_id),
                label("taskrun-id", &request.task_run_id),
                label("taskrun-attempt", &request.attempt.to_string()),
            ],
            name: format!("{}-{}", request.flow_id, request.task_id),
            shelf,
            output,
        }
    }

    /// For an evaluation of a trigger.
    pub fn of_trigger(containers: &Containers, request: &TriggerRequest<'_>) -> Self {
        Self {
            containers: containers.clone(),
            labels: vec![
                label("namespace", request.namespace),
                label("flow-id", request.flow_id),
                label("trigger-id", &request.trigger.id),
            ],
            name: format!("{}-{}", request.flow_id, request.trigger.id),
            shelf: None,
            output: None,
        }
    }
}

fn label(key: &str, value: &str) -> (String, String) {
    (format!("kestra.io/{key}"), value.to_owned())
}

/// Starts a container for a plugin.
pub async fn run(task: &TaskContext, image: &str, command: Command) -> Result<Box<dyn Child>, Failure> {
    let cwd = match &command.cwd {
        Some(cwd) => {
            // Looked at here, but found anew in the container, from where it leads nowhere else.
            task.directory.open_directory(cwd).map_err(|error| storage_failure(&error))?;
            task.directory.path().join(cwd)
        }
        None => task.directory.path().to_owned(),
    };
    let (options, sink) = (options(&command.options)?, task.sink(&command.options));
    let grace = options.kill_grace_period.map_or(task.grace, |grace| grace.0);
    let mut start = weft_runner::Command::new(command.argv, cwd, &task.marker);
    start.env = command.env;
    start.grace = task.grace;
    let command = ContainerCommand {
        image: image.to_owned(),
        options,
        command: start,
        directory: task.directory.clone(),
        shared: task.container.output.iter().cloned().collect(),
        name: task.container.name.clone(),
        labels: task.container.labels.clone(),
    };
    let scope = &task.container;
    let started = scope.containers.docker().run(command, scope.shelf.as_ref(), notes(&task.log), sink);
    let container = tokio::select! {
        biased;
        () = task.children.stopping() => Err(ContainerError::Abandoned),
        started = started => started,
    };
    let container = Arc::new(container.map_err(|error| container_failure(&error))?);
    task.children.add_container(&container, grace);
    if task.cancel_requested() {
        task.children.stop();
    }
    Ok(Box::new(ContainerChild { container, collected: Arc::clone(&task.collected) }))
}

/// The options of a container, without those that are about its output.
fn options(options: &Value) -> Result<Options, Failure> {
    let mut options: Map = options.as_object().cloned().unwrap_or_default();
    options.retain(|key, value| !OutputSink::OPTIONS.contains(&key.as_str()) && !value.is_null());
    serde_json::from_value(Value::Object(options)).map_err(|error| {
        let message = format!(
            "the container's options cannot be used: {error}\nhint: the fields of `docker` and of a Docker `taskRunner` are \
             listed by `weft plugins show TYPE`, with the type of the task"
        );
        Failure::new("container.invalid-option", message)
    })
}

/// What is said about a container goes into the attempt's log, as long as there is one.
fn notes(log: &Arc<TaskLog>) -> Notes {
    let log = Arc::downgrade(log);
    Arc::new(move |importance, text| {
        if let Some(log) = log.upgrade() {
            let level = match importance {
                Importance::Debug => Level::Debug,
                Importance::Info => Level::Info,
                Importance::Warn => Level::Warn,
            };
            log.write(level, text);
        }
    })
}

/// A container as the host hands it to a plugin. Dropping it ends and removes the container.
struct ContainerChild {
    container: Arc<Container>,
    collected: Arc<Mutex<Collected>>,
}

#[async_trait]
impl Child for ContainerChild {
    async fn wait(&mut self) -> Result<Exit, Failure> {
        Ok(exit_of(&self.container.wait().await.map_err(|error| container_failure(&error))?))
    }

    fn outputs(&self) -> Value {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner).vars()
    }

    fn kill(&self, signal: i32) -> Result<(), Failure> {
        self.container.kill(signal).map_err(|error| container_failure(&error))
    }
}

/// A failure of the runner as a failure of the task.
fn container_failure(error: &ContainerError) -> Failure {
    let mut failure = Failure::new(error.code(), error.to_string());
    failure.retryable = error.is_retryable();
    failure.detail = error.exit_code().map(|code| json!({"exitCode": code}));
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_mistakes_named() {
        for (given, expected) in [
            (json!({}), Ok(Options::default())),
            (json!({"stdoutLevel": "INFO", "stderrLevel": "WARN"}), Ok(Options::default())),
            (json!({"user": null}), Ok(Options::default())),
            (json!({"user": "a"}), Ok(Options { user: Some("a".into()), ..Options::default() })),
            (json!({"usr": "a"}), Err("unknown field `usr`")),
            (json!({"delete": "perhaps"}), Err("invalid type: string \"perhaps\", expected a boolean")),
        ] {
            match (options(&given), expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{given}"),
                (Err(failure), Err(part)) => {
                    assert_eq!(failure.code, "container.invalid-option");
                    assert!(failure.message.contains(part), "{given}: {}", failure.message);
                }
                (read, expected) => panic!("{given}: {read:?}, expected {expected:?}"),
            }
        }
    }
}
