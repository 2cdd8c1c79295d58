//! From options to what the daemon is asked to create. Pure.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, HostConfig, HostConfigLogConfig, Mount, MountType, PortBinding,
    PortMap,
};
use weft_contract::Text;
use weft_contract::container::{Memory, Options};

use super::caches::Cache;
use super::{ContainerError, DockerSettings, size};

/// What a container is to be.
pub(super) struct Spec<'a> {
    pub(super) image: &'a str,
    pub(super) options: &'a Options,
    pub(super) settings: &'a DockerSettings,
    pub(super) labels: &'a [(String, String)],
    /// Where it begins, as the container sees it.
    pub(super) cwd: &'a Path,
    /// The working directory, if it is mounted.
    pub(super) mounted: Option<&'a Path>,
    pub(super) caches: &'a [Cache],
    pub(super) role: &'a Role<'a>,
}

/// What runs in it.
pub(super) enum Role<'a> {
    /// One task.
    Task {
        argv: &'a [String],
        env: &'a [(String, String)],
        /// Whether `docker-init` is put before it, which passes signals on and collects orphans.
        init: bool,
        /// Whether somebody takes its output.
        attached: bool,
    },
    /// Several tasks, see `keeper`.
    Keeper { argv: &'a [String] },
}

impl Spec<'_> {
    /// What the daemon is asked to create.
    pub(super) fn body(&self) -> Result<ContainerCreateBody, ContainerError> {
        let Self { options, settings, .. } = self;
        let labels: HashMap<String, String> = self.labels.iter().cloned().collect();
        let (ports, exposed) = ports(options.port_bindings.as_deref().unwrap_or_default())?;
        let mut body = ContainerCreateBody {
            image: Some(self.image.to_owned()),
            user: text(&options.user),
            working_dir: Some(self.cwd.to_string_lossy().into_owned()),
            labels: Some(labels),
            exposed_ports: (!exposed.is_empty()).then_some(exposed),
            ..ContainerCreateBody::default()
        };
        let mut host = HostConfig {
            binds: self.volumes()?,
            mounts: Some(self.mounts()),
            port_bindings: (!ports.is_empty()).then_some(ports),
            network_mode: text(&options.network_mode),
            extra_hosts: texts(&options.extra_hosts),
            privileged: self.privileged()?,
            shm_size: options.shm_size.as_ref().map(|size| size::bytes("shmSize", size)).transpose()?,
            nano_cpus: options.cpu.as_ref().and_then(|cpu| cpu.cpus).map(nano_cpus).transpose()?,
            device_requests: self.devices(),
            ..HostConfig::default()
        };
        if let Some(memory) = &options.memory {
            bound_memory(memory, &mut host)?;
        }
        let entry_point = options.entry_point.as_deref().unwrap_or_default();
        let entry_point: Vec<String> =
            entry_point.iter().map(|word| word.0.clone()).filter(|word| !word.is_empty()).collect();
        // One empty word is how a daemon is told to forget the image's entry point.
        let none = || vec![String::new()];
        match self.role {
            Role::Task { argv, env, init, attached } => {
                body.env = Some(environment(env));
                body.cmd = (!argv.is_empty()).then(|| argv.to_vec());
                // Without a command of its own, the container does what its image is for.
                body.entrypoint =
                    if entry_point.is_empty() { (!argv.is_empty()).then(none) } else { Some(entry_point) };
                (body.attach_stdout, body.attach_stderr) = (Some(*attached), Some(*attached));
                host.init = init.then_some(true);
                host.auto_remove = Some(!attached && options.delete != Some(false));
                if *attached {
                    host.log_config = log_config(&settings.log_driver);
                }
            }
            Role::Keeper { argv } => {
                body.cmd = Some(argv.to_vec());
                body.entrypoint = Some(none());
                (body.attach_stdout, body.attach_stderr) = (Some(true), Some(true));
                (body.attach_stdin, body.open_stdin, body.stdin_once) = (Some(true), Some(true), Some(true));
                host.log_config = log_config(&settings.log_driver);
            }
        }
        body.host_config = Some(host);
        Ok(body)
    }

    fn volumes(&self) -> Result<Option<Vec<String>>, ContainerError> {
        let Some(volumes) = self.options.volumes.as_ref().filter(|volumes| !volumes.is_empty()) else {
            return Ok(None);
        };
        if !self.settings.volumes_enabled {
            return Err(ContainerError::NotAllowed { option: "volumes", key: "volumesEnabled" });
        }
        for volume in volumes {
            let parts: Vec<&str> = volume.split(':').collect();
            let well_formed = matches!(parts.len(), 2 | 3)
                && parts.iter().all(|part| !part.is_empty())
                && parts[1].starts_with('/')
                && !parts[0].starts_with('.');
            if !well_formed {
                return Err(ContainerError::InvalidOption {
                    option: "volumes".to_owned(),
                    problem: format!(
                        "`{volume}` is not a volume\nhint: write `/on/the/machine:/in/the/container` or `name:/in/the/container`, \
                         and `:ro` behind it for one that is only read"
                    ),
                });
            }
        }
        Ok(Some(volumes.iter().map(|volume| volume.0.clone()).collect()))
    }

    fn privileged(&self) -> Result<Option<bool>, ContainerError> {
        match self.options.privileged {
            Some(true) if !self.settings.privileged_enabled => {
                Err(ContainerError::NotAllowed { option: "privileged", key: "privilegedEnabled" })
            }
            privileged => Ok(privileged),
        }
    }

    fn mounts(&self) -> Vec<Mount> {
        let directory = self.mounted.map(|directory| {
            // Not as one of `binds`: there, a daemon that does not see the directory would make an empty one.
            let path = directory.to_string_lossy().into_owned();
            Mount {
                source: Some(path.clone()),
                target: Some(path),
                typ: Some(MountType::BIND),
                ..Mount::default()
            }
        });
        let caches = self.caches.iter().map(|cache| Mount {
            source: Some(cache.volume.clone()),
            target: Some(cache.target.clone()),
            typ: Some(MountType::VOLUME),
            volume_options: Some(cache.options()),
            ..Mount::default()
        });
        directory.into_iter().chain(caches).collect()
    }

    fn devices(&self) -> Option<Vec<DeviceRequest>> {
        let requests = self.options.device_requests.as_ref()?;
        let request =
            |request: &weft_contract::container::DeviceRequest| DeviceRequest {
                driver: text(&request.driver),
                count: request.count,
                device_ids: texts(&request.device_ids),
                capabilities: request.capabilities.as_ref().map(|any| {
                    any.iter().map(|all| all.iter().map(|name| name.0.clone()).collect()).collect()
                }),
                options: request.options.as_ref().map(|options| {
                    options.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect()
                }),
            };
        Some(requests.iter().map(request).collect())
    }
}

/// `NAME=value` each; the last of two equal names wins.
pub(super) fn environment(env: &[(String, String)]) -> Vec<String> {
    let last = |index: usize, name: &str| !env[index + 1..].iter().any(|(later, _)| later == name);
    env.iter()
        .enumerate()
        .filter(|(index, (name, _))| last(*index, name))
        .map(|(_, (name, value))| format!("{name}={value}"))
        .collect()
}

fn text(text: &Option<Text>) -> Option<String> {
    text.as_ref().map(|text| text.0.clone()).filter(|text| !text.is_empty())
}

fn texts(texts: &Option<Vec<Text>>) -> Option<Vec<String>> {
    texts.as_ref().map(|texts| texts.iter().map(|text| text.0.clone()).collect())
}

fn log_config(driver: &str) -> Option<HostConfigLogConfig> {
    Some(HostConfigLogConfig { typ: Some(driver.to_owned()), config: None })
}

fn nano_cpus(cpus: f64) -> Result<i64, ContainerError> {
    if cpus.is_finite() && cpus > 0.0 && cpus < 1e6 {
        return Ok((cpus * 1e9) as i64);
    }
    Err(ContainerError::InvalidOption {
        option: "cpu.cpus".to_owned(),
        problem: format!("{cpus} is not a number of cores\nhint: write a number greater than 0, such as 0.5"),
    })
}

fn bound_memory(memory: &Memory, host: &mut HostConfig) -> Result<(), ContainerError> {
    let bytes = |option: &str, text: &Option<Text>| {
        text.as_ref().map(|text| size::bytes(&format!("memory.{option}"), text)).transpose()
    };
    host.memory = bytes("memory", &memory.memory)?;
    // Docker: -1 is no bound on swap.
    host.memory_swap = match memory.memory_swap.as_deref() {
        Some("-1") => Some(-1),
        _ => bytes("memorySwap", &memory.memory_swap)?,
    };
    host.memory_reservation = bytes("memoryReservation", &memory.memory_reservation)?;
    host.oom_kill_disable = memory.oom_kill_disable;
    host.memory_swappiness = memory
        .memory_swappiness
        .as_ref()
        .map(|text| {
            text.trim().parse().ok().filter(|number| (0..=100).contains(number)).ok_or_else(|| {
                ContainerError::InvalidOption {
                    option: "memory.memorySwappiness".to_owned(),
                    problem: format!("`{text}` is not a number from 0 to 100"),
                }
            })
        })
        .transpose()?;
    Ok(())
}

/// `[address:]host:container[/protocol]` each, or `container[/protocol]` for any free port.
fn ports(bindings: &[Text]) -> Result<(PortMap, Vec<String>), ContainerError> {
    let (mut map, mut exposed) = (PortMap::new(), Vec::new());
    for binding in bindings {
        let (ports, protocol) = binding.split_once('/').unwrap_or((binding, "tcp"));
        let parts: Vec<&str> = ports.rsplitn(3, ':').collect();
        let number = |text: &str| text.parse::<u16>().is_ok();
        let bound = match parts.as_slice() {
            [container] if number(container) => Some((*container, "", "")),
            [container, host] if number(container) && number(host) => Some((*container, *host, "")),
            [container, host, address] if number(container) && (number(host) || host.is_empty()) => {
                Some((*container, *host, *address))
            }
            _ => None,
        };
        let Some((container, host, address)) = bound.filter(|_| matches!(protocol, "tcp" | "udp" | "sctp"))
        else {
            return Err(ContainerError::InvalidOption {
                option: "portBindings".to_owned(),
                problem: format!(
                    "`{binding}` is not a port binding\nhint: write `8080:80` or `127.0.0.1:8080:80/tcp`"
                ),
            });
        };
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let key = format!("{container}/{protocol}");
        let binding = PortBinding { host_ip: given(address), host_port: given(host) };
        map.entry(key.clone()).or_insert_with(|| Some(Vec::new())).get_or_insert_default().push(binding);
        exposed.push(key);
    }
    Ok((map, exposed))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn settings() -> DockerSettings {
        DockerSettings { volumes_enabled: true, privileged_enabled: true, ..DockerSettings::default() }
    }

    fn body(options: &Value, settings: &DockerSettings, argv: &[&str]) -> Result<Value, String> {
        let options: Options = serde_json::from_value(options.clone()).unwrap();
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let env =
            [("A", "1"), ("B", "2"), ("A", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let spec = Spec {
            image: "img",
            options: &options,
            settings,
            labels: &[("l".to_owned(), "v".to_owned())],
            cwd: Path::new("/w/sub"),
            mounted: Some(Path::new("/w")),
            caches: &[],
            role: &Role::Task { argv: &argv, env: &env, init: true, attached: options.wait != Some(false) },
        };
        spec.body().map(|body| serde_json::to_value(body).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_reaches_the_daemon() {
        for (options, pointer, expected) in [
            (json!({}), "/Image", json!("img")),
            (json!({}), "/Labels/l", json!("v")),
            (json!({}), "/WorkingDir", json!("/w/sub")),
            (json!({}), "/Env", json!(["B=2", "A=3"])),
            (json!({}), "/Cmd", json!(["a", "b"])),
            (json!({}), "/Entrypoint", json!([""])),
            (json!({}), "/HostConfig/Mounts/0/Source", json!("/w")),
            (json!({}), "/HostConfig/LogConfig/Type", json!("none")),
            (json!({}), "/HostConfig/AutoRemove", json!(false)),
            (json!({}), "/HostConfig/Init", json!(true)),
            (json!({"wait": false}), "/HostConfig/AutoRemove", json!(true)),
            (json!({"wait": false}), "/HostConfig/LogConfig", Value::Null),
            (json!({"wait": false, "delete": false}), "/HostConfig/AutoRemove", json!(false)),
            (json!({"user": 1000}), "/User", json!("1000")),
            (json!({"entryPoint": ["/bin/x", "-y"]}), "/Entrypoint", json!(["/bin/x", "-y"])),
            (json!({"entryPoint": [""]}), "/Entrypoint", json!([""])),
            (json!({"extraHosts": ["h:1.2.3.4"]}), "/HostConfig/ExtraHosts", json!(["h:1.2.3.4"])),
            (json!({"networkMode": "host"}), "/HostConfig/NetworkMode", json!("host")),
            (
                json!({"portBindings": ["8080:80"]}),
                "/HostConfig/PortBindings/80~1tcp/0/HostPort",
                json!("8080"),
            ),
            (json!({"portBindings": ["8080:80"]}), "/ExposedPorts", json!({"80/tcp": {}})),
            (
                json!({"portBindings": ["127.0.0.1::53/udp"]}),
                "/HostConfig/PortBindings/53~1udp/0/HostIp",
                json!("127.0.0.1"),
            ),
            (json!({"volumes": ["/a:/b:ro"]}), "/HostConfig/Binds", json!(["/a:/b:ro"])),
            (json!({"privileged": true}), "/HostConfig/Privileged", json!(true)),
            (json!({"cpu": {"cpus": 1.5}}), "/HostConfig/NanoCpus", json!(1_500_000_000)),
            (json!({"memory": {"memory": "512MB"}}), "/HostConfig/Memory", json!(512 << 20)),
            (json!({"memory": {"memorySwap": -1}}), "/HostConfig/MemorySwap", json!(-1)),
            (json!({"memory": {"memorySwappiness": "10"}}), "/HostConfig/MemorySwappiness", json!(10)),
            (json!({"memory": {"memoryReservation": "1k"}}), "/HostConfig/MemoryReservation", json!(1024)),
            (json!({"memory": {"oomKillDisable": true}}), "/HostConfig/OomKillDisable", json!(true)),
            (json!({"shmSize": "64m"}), "/HostConfig/ShmSize", json!(64 << 20)),
            (
                json!({"deviceRequests": [{"driver": "nvidia", "count": -1, "capabilities": [["gpu", "compute"]]}]}),
                "/HostConfig/DeviceRequests/0/Capabilities",
                json!([["gpu", "compute"]]),
            ),
        ] {
            let body = body(&options, &settings(), &["a", "b"]).unwrap();
            assert_eq!(body.pointer(pointer).unwrap_or(&Value::Null), &expected, "{options} {pointer}");
        }
    }

    #[test]
    fn without_a_command_the_image_decides() {
        let body = body(&json!({}), &settings(), &[]).unwrap();
        assert_eq!((&body["Cmd"], &body["Entrypoint"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn mistakes_are_named() {
        for (options, part) in [
            (json!({"volumes": ["/a"]}), "option `volumes`: `/a` is not a volume"),
            (json!({"volumes": ["./a:/b"]}), "option `volumes`: `./a:/b` is not a volume"),
            (json!({"volumes": ["/a:b"]}), "option `volumes`"),
            (json!({"portBindings": ["a:80"]}), "option `portBindings`: `a:80`"),
            (json!({"portBindings": ["1:80/xyz"]}), "option `portBindings`"),
            (json!({"portBindings": ["99999:80"]}), "option `portBindings`"),
            (json!({"cpu": {"cpus": 0}}), "option `cpu.cpus`: 0 is not a number of cores"),
            (json!({"memory": {"memory": "much"}}), "option `memory.memory`: `much` is not a size"),
            (json!({"memory": {"memorySwappiness": 101}}), "option `memory.memorySwappiness`: `101`"),
            (json!({"shmSize": "x"}), "option `shmSize`"),
        ] {
            let error = body(&options, &settings(), &["a"]).unwrap_err();
            assert!(error.starts_with(part), "{options}: {error}");
        }
    }

    #[test]
    fn what_the_operator_must_allow() {
        for (options, key) in [
            (json!({"volumes": ["/a:/b"]}), "volumesEnabled: true"),
            (json!({"privileged": true}), "privilegedEnabled: true"),
        ] {
            let error = body(&options, &DockerSettings::default(), &["a"]).unwrap_err();
            assert!(error.contains(key), "{options}: {error}");
        }
    }
}
