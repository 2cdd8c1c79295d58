//! What every command needs: where things are, and an engine if it wants one.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;
use weft_config::{Config, DockerConfig, FileHandling, GrantItem, Runner, SecretsConfig};
use weft_host::{
    Bundled, Compiler, GrantKey, GrantRules, Grants, HostOptions, PluginDirectory, Progress, TrustStore,
    Whose,
};
use weft_local::{BaseEnvironment, DockerSettings, FileHandlingStrategy, Layout, Local, LocalOptions, Veil};
use weft_network::Network;
use weft_state::JournalStore;
use weft_worker::{FileSecrets, RunnerKind, SecretCommand, SecretSources, Secrets};

use crate::args::Global;
use crate::ui::{Terminal, printable, text};

/// The flow or the usage is invalid: exit status 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An error with exit status 2.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// From the polite request to end to the end, for what `weft run` started.
const GRACE: Duration = Duration::from_secs(5);

/// The folder of a project in which its plugins are.
pub const PROJECT_PLUGINS: &str = "plugins";

/// What every command needs.
pub struct App {
    /// Options that every command takes.
    pub global: Global,
    /// How to show things.
    pub terminal: Terminal,
}

/// What only a run decides.
#[derive(Default)]
pub struct RunSettings {
    /// Runs scripts this way whatever the flow says.
    pub runner: Option<RunnerKind>,
    /// Worker groups whose tasks may run here.
    pub groups: Vec<String>,
}

impl App {
    /// Takes the options; looks at nothing yet.
    pub fn new(global: Global, terminal: Terminal) -> Self {
        Self { global, terminal }
    }

    /// The data directory: the option, the variable, or the platform's place for it.
    pub fn layout(&self) -> anyhow::Result<Layout> {
        let root = match &self.global.data_dir {
            Some(dir) => {
                std::path::absolute(dir).with_context(|| format!("cannot use `{}`", dir.display()))?
            }
            None => directories::ProjectDirs::from("", "", "weft")
                .ok_or_else(|| usage("there is no home directory\nhint: name a place with `--data-dir DIR`"))?
                .data_dir()
                .to_owned(),
        };
        Ok(Layout::new(root))
    }

    /// The data directory, closed to others. That it cannot be is said.
    pub fn closed_layout(&self) -> anyhow::Result<Layout> {
        let layout = self.layout()?;
        for open in layout.close_to_others() {
            let label = text::styled("warning:", text::WARNING, self.terminal.stderr_color);
            let hint = text::styled("hint:", text::HINT, self.terminal.stderr_color);
            say(&format!(
                "{label} others can look into `{0}`, which belongs to another user\n\
                 {hint} let its owner `chmod 700` it, or name another data directory with `--data-dir`\n",
                open.display()
            ));
        }
        Ok(layout)
    }

    /// What the operator has configured.
    pub fn config(&self) -> anyhow::Result<Config> {
        let config = match &self.global.config {
            Some(path) => Config::read(path),
            None => Config::read_if_present(&self.layout()?.config()),
        };
        config.map_err(|error| usage(error.to_string()))
    }

    /// The executions that are kept.
    pub fn store(&self) -> anyhow::Result<JournalStore> {
        Ok(JournalStore::new(self.layout()?.root()))
    }

    /// What is not to be shown of what is kept.
    pub fn veil(&self) -> anyhow::Result<Veil> {
        Ok(Veil::of(&self.layout()?, self.config()?.encryption.secret_key))
    }

    /// An engine. Must be called in a runtime.
    pub fn engine(&self, settings: RunSettings) -> anyhow::Result<Local> {
        let layout = self.closed_layout()?;
        let config = self.config()?;
        let host = HostOptions {
            bundled: bundled(),
            directories: self.plugin_directories(&layout, &config)?,
            trust: Some(layout.trust()),
            compiler: compiler()?,
            grants: given_grants(&self.global.grants)?,
            configured_grants: configured_grants(&config)?,
            withheld: withheld(&config)?,
            network: Network::new(config.network.options()),
            reserved_types: weft_flow::engine_types().map(str::to_owned).collect(),
            progress: self.terminal.live.then(|| Arc::new(report) as _),
            ..HostOptions::new(self.global.cache_dir.clone().unwrap_or_else(|| layout.cache()))
        };
        Ok(Local::new(LocalOptions {
            layout,
            host,
            secrets: Arc::new(secrets(&config.secrets)),
            encryption_key: config.encryption.secret_key,
            runner: settings.runner.or(config.runner.map(|runner| match runner {
                Runner::Process => RunnerKind::Process,
                Runner::Docker => RunnerKind::Docker,
            })),
            groups: settings.groups.into_iter().chain(config.worker_groups).collect(),
            grace: GRACE,
            limits: config.limits,
            environment: BaseEnvironment::new(&config.environment.pass(), config.environment.set()),
            docker: docker(config.docker),
            max_subflow_depth: config.subflows.max_depth,
        }))
    }

    /// What is trusted.
    pub fn trust(&self) -> anyhow::Result<TrustStore> {
        Ok(TrustStore::new(self.layout()?.trust()))
    }

    /// Where plugins are, in the order in which they go before each other. The folder of the project is used only as far as it
    /// is trusted.
    fn plugin_directories(&self, layout: &Layout, config: &Config) -> anyhow::Result<Vec<PluginDirectory>> {
        let named = &self.global.plugins;
        if let Some(missing) = named.iter().find(|directory| !directory.exists()) {
            let shown = missing.display();
            return Err(usage(format!("--plugins: there is no folder or file `{shown}`")));
        }
        // A relative one stands beside the file that names it, not wherever the command is run.
        let file = self.global.config.clone().unwrap_or_else(|| layout.config());
        let beside = file.parent().unwrap_or(Path::new(""));
        let configured = config.plugins.directories.iter().map(|directory| beside.join(directory));
        let operators = named.iter().cloned().chain(configured).map(PluginDirectory::from);
        let project = PluginDirectory { path: PathBuf::from(PROJECT_PLUGINS), whose: Whose::Project };
        Ok(operators.chain([project, layout.plugins().into()]).collect())
    }
}

/// What the configuration grants.
fn configured_grants(config: &Config) -> anyhow::Result<GrantRules> {
    let parse = |(name, items): (&String, &Vec<GrantItem>)| {
        let key = name.parse::<GrantKey>();
        let key = key.map_err(|error| usage(format!("configuration: plugins.grants: {error}")))?;
        Ok((key, listed("plugins.grants", name, items)?))
    };
    config.plugins.grants.iter().map(parse).collect()
}

/// What options grant, in this process.
fn given_grants(texts: &[String]) -> anyhow::Result<GrantRules> {
    let parse = |text: &String| {
        let error = |error: &dyn std::fmt::Display| usage(format!("--grant: {error}"));
        let (name, grants) = Grants::parse(text).map_err(|found| error(&found))?;
        Ok((name.parse::<GrantKey>().map_err(|found| error(&found))?, grants))
    };
    texts.iter().map(parse).collect()
}

/// How plugin files are compiled: by this program, in a process that has bounds.
fn compiler() -> anyhow::Result<Compiler> {
    // Leads to the program that is running also where another one has its name by now.
    let running = Path::new("/proc/self/exe");
    let path = match running.exists() {
        true => running.to_owned(),
        false => std::env::current_exe().context("cannot find this program, which compiles plugins")?,
    };
    Ok(Compiler::Program { path, arguments: vec![crate::COMPILE.into()] })
}

/// What the configuration takes from plugins.
fn withheld(config: &Config) -> anyhow::Result<BTreeMap<String, Grants>> {
    let read = |(name, items): (&String, &Vec<GrantItem>)| {
        Ok((name.clone(), listed("plugins.withhold", name, items)?))
    };
    config.plugins.withhold.iter().map(read).collect()
}

/// A list of capabilities in the configuration.
fn listed(key: &str, plugin: &str, items: &[GrantItem]) -> anyhow::Result<Grants> {
    items.iter().flat_map(GrantItem::parts).try_fold(Grants::none(), |grants, (name, scope)| {
        let whole = match scope {
            Some(scope) => format!("{plugin}:{name}={scope}"),
            None => format!("{plugin}:{name}"),
        };
        match Grants::parse_one(name, scope, &whole) {
            Ok(one) => Ok(grants.union(one)),
            Err(error) => Err(usage(format!("configuration: {key}: {error}"))),
        }
    })
}

/// Where secrets are looked for, in the order of the documentation.
fn secrets(config: &SecretsConfig) -> SecretSources {
    let files = config.files.iter().map(|path| Box::new(FileSecrets::new(path)) as Box<dyn Secrets>);
    let command = config.command().map(|(argv, limit)| Box::new(SecretCommand::new(argv, limit)) as _);
    SecretSources::new(files.chain(command).collect())
}

/// A runtime for an engine.
pub fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the engine's threads")
}

/// Prints to stdout what a person reads, without what a terminal would take for a command.
pub fn print(text: &str) -> anyhow::Result<()> {
    print_as_it_is(&printable::clean(text))
}

/// Prints a text that is asked for as data: as it is, but on a terminal.
pub fn print_data(text: &str) -> anyhow::Result<()> {
    if std::io::stdout().is_terminal() { print(text) } else { print_as_it_is(text) }
}

/// Prints a JSON document to stdout.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print_as_it_is(&printable::json(&(serde_json::to_string_pretty(value)? + "\n")))
}

/// Prints a JSON document to stdout in one line.
pub fn print_json_line(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print_as_it_is(&printable::json(&(serde_json::to_string(value)? + "\n")))
}

/// A reader that went away (`| head`) has seen enough: what the command does, and the status that it ends with, do not
/// depend on it.
fn print_as_it_is(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// Says something on stderr, without what a terminal would take for a command. With stderr closed there is nobody to tell.
pub fn say(text: &str) {
    let _ = std::io::stderr().write_all(printable::clean(text).as_bytes());
}

fn bundled() -> Vec<Bundled> {
    let plugin = |plugin: &'static weft_bundle::Bundled| Bundled {
        name: plugin.name,
        wasm: plugin.wasm,
        sha256: plugin.sha256,
        descriptor: plugin.descriptor,
    };
    weft_bundle::plugins().iter().map(plugin).collect()
}

/// The operator's words about containers; what is not said has the runner's default.
fn docker(config: DockerConfig) -> DockerSettings {
    let default = DockerSettings::default();
    let caches = config.dependency_caches;
    DockerSettings {
        hosts: config.hosts.iter().map(|host| host.as_str().to_owned()).collect(),
        host: config.host,
        certificates: config.certificates,
        registry_config: config.registry_config,
        volumes_enabled: config.volumes_enabled,
        privileged_enabled: config.privileged_enabled,
        pull_attempts: config.pull_attempts.unwrap_or(default.pull_attempts),
        max_containers: config.max_containers.unwrap_or(default.max_containers),
        file_handling: config.file_handling_strategy.map(|strategy| match strategy {
            FileHandling::Mount => FileHandlingStrategy::Mount,
            FileHandling::Volume => FileHandlingStrategy::Volume,
        }),
        reuse: config.reuse.unwrap_or(default.reuse),
        log_driver: config.log_driver.unwrap_or(default.log_driver),
        dependency_caches: caches.enabled.unwrap_or(default.dependency_caches),
        cache_bytes: caches
            .max_mebibytes
            .map_or(default.cache_bytes, |mebibytes| mebibytes.saturating_mul(1 << 20)),
        ..DockerSettings::default()
    }
}

/// The first use of a plugin takes a moment; a person wants to know why.
fn report(progress: Progress<'_>) {
    if let Progress::Compiled { plugin, took } = progress
        && took > Duration::from_millis(500)
    {
        let took = text::duration(took.try_into().unwrap_or_default());
        say(&format!("compiled plugin `{plugin}` in {took} (once)\n"));
    }
}
