//! Short commands in a container of their own, for what the engine may not do itself.

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptions,
};
use futures::StreamExt;

use super::ContainerError;
use super::daemon::Daemon;
use super::error;

/// The most of a command's output that is kept.
const OUTPUT: usize = 64 << 10;

/// Runs a program of the image as root, without a network, with one mount; its output, if it succeeds.
pub(super) async fn run(
    daemon: &Daemon,
    image: &str,
    argv: &[&str],
    mount: Mount,
) -> Result<String, ContainerError> {
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        user: Some("0:0".to_owned()),
        entrypoint: Some(vec![String::new()]),
        cmd: Some(argv.iter().map(|word| (*word).to_owned()).collect()),
        attach_stdout: Some(true),
        host_config: Some(HostConfig {
            mounts: Some(vec![mount]),
            network_mode: Some("none".to_owned()),
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let failed = |error| daemon.failed(&format!("run `{}` in image `{image}`", argv.join(" ")), &error);
    let created = daemon.api.create_container(None::<CreateContainerOptions>, body).await.map_err(failed)?;
    let result = perform(daemon, &created.id).await;
    let remove = RemoveContainerOptionsBuilder::default().force(true).build();
    let _ = daemon.api.remove_container(&created.id, Some(remove)).await;
    result.map_err(failed)
}

async fn perform(daemon: &Daemon, id: &str) -> Result<String, bollard::errors::Error> {
    let attach = AttachContainerOptionsBuilder::default().stdout(true).stderr(true).stream(true).build();
    let mut attached = daemon.api.attach_container(id, Some(attach)).await?;
    daemon.api.start_container(id, None::<StartContainerOptions>).await?;
    let mut output = Vec::new();
    while let Some(Ok(frame)) = attached.output.next().await {
        if let LogOutput::StdOut { message } = frame
            && output.len() < OUTPUT
        {
            output.extend_from_slice(&message);
        }
    }
    // Anything but exit code 0 is an error of the library's.
    match daemon.api.wait_container(id, None::<WaitContainerOptions>).next().await {
        Some(Err(error)) if !error::is_gone(&error) => Err(error),
        _ => Ok(String::from_utf8_lossy(&output).into_owned()),
    }
}
