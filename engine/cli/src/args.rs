//! The command line: what can be said, and its help. Nothing here does anything.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

mod executions;
mod namespace;

pub use executions::{ExecutionsArgs, ExecutionsCommand};
pub use namespace::{KvCommand, KvType, NamespaceArgs, NamespaceCommand, NamespaceFilesCommand};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Run YAML workflows written for Kestra: scripts, files, outputs and metrics, from one small binary.
#[derive(Debug, Parser)]
#[command(name = "weft", version, styles = STYLES, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "Examples:
  weft run flow.yaml -i user=ada            Run a flow with an input
  weft validate flows/*.yaml                Check flows without running them
  weft executions list                      What has run, newest first
  weft plugins show io.kestra.plugin.core.flow.ForEach

Exit status: 0 success, warning or paused, 1 the execution ended otherwise, 2 the flow or the usage is invalid.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Where executions, files and caches are kept
    #[arg(long, global = true, env = "WEFT_DATA_DIR", value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[arg(help_heading = "Global options")]
    pub data_dir: Option<PathBuf>,
    /// The configuration file (`config.yaml` in the data directory, where this is not given)
    #[arg(long, global = true, env = "WEFT_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// A directory with plugins (`*.wasm`), beside the one in the data directory and those that are trusted
    #[arg(long, global = true, env = "WEFT_PLUGINS", value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[arg(help_heading = "Global options")]
    pub plugins: Vec<PathBuf>,
    /// Where compiled plugins are kept (`cache` in the data directory, where this is not given)
    #[arg(long, global = true, env = "WEFT_CACHE_DIR", value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[arg(help_heading = "Global options")]
    pub cache_dir: Option<PathBuf>,
    /// Let a plugin file use more: `NAME:kv,secrets=API_*,http=api.example.com` or `NAME:all`
    #[arg(long = "grant", global = true, env = "WEFT_GRANT", value_name = "NAME:CAP[=SCOPE],...")]
    #[arg(help_heading = "Global options", value_delimiter = ';')]
    pub grants: Vec<String>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    #[arg(help_heading = "Global options")]
    pub color: ColorChoice,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a flow and wait for its end
    Run(RunArgs),
    /// Check flows without running them
    Validate(ValidateArgs),
    /// Explain an error code
    #[command(
        after_help = "Examples:\n  weft explain undefined-output\n  weft explain             List all codes"
    )]
    Explain {
        /// The code: `unknown-property`, also as it is printed, `error[unknown-property]`
        code: Option<String>,
    },
    /// Run the test files of flows
    Test(TestArgs),
    /// Evaluate an expression
    Expr(ExprArgs),
    /// Look at executions, their logs, outputs and files
    #[command(alias = "execution")]
    Executions(ExecutionsArgs),
    /// Look at what is remembered of triggers
    #[command(alias = "trigger")]
    Triggers(TriggersArgs),
    /// Look at the task types that can be used
    #[command(alias = "plugin")]
    Plugins(PluginsArgs),
    /// Let the plugins of a project be used
    Trust(TrustArgs),
    /// Look at a flow without running it
    Flow(FlowArgs),
    /// Look after the files and values of a namespace
    #[command(alias = "namespaces")]
    Namespace(NamespaceArgs),
    /// Print a JSON Schema of flows, for editors
    #[command(after_help = "Examples:
  weft schema > flow.schema.json
  weft schema --tests > flow-test.schema.json
  then put this line at the head of a flow:
  # yaml-language-server: $schema=flow.schema.json")]
    Schema {
        /// That of test files
        #[arg(long)]
        tests: bool,
    },
    /// Write everything that is stored to a file, or read it back
    Store(StoreArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  weft completions bash > ~/.local/share/bash-completion/completions/weft"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `weft run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft run flow.yaml
  weft run flow.yaml -i name=ada -i orders=@orders.csv
  weft run flow.yaml --runner process         Run scripts as local processes, whatever the flow says
  weft run flow.yaml --json | jq .outputs
  weft run --watch flow.yaml                  Start executions as the flow's triggers say, until Ctrl-C

Logs and progress go to stderr; --json prints one document, the execution, on stdout.
Exit status: 0 SUCCESS, WARNING or PAUSED, 1 the execution ended otherwise, 2 the flow or the usage is invalid.")]
pub struct RunArgs {
    /// The flow (`-` reads standard input)
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// An input: `key=value`, or `key=@file` for the content of a file
    #[arg(short, long = "input", value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
    /// A label for the execution
    #[arg(short, long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
    /// Evaluate the flow's triggers until SIGINT, and run what they start; with --json, one line for each execution
    #[arg(long)]
    pub watch: bool,
    /// How it is run
    #[command(flatten)]
    pub how: HowArgs,
}

/// How scripts are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunnerChoice {
    /// As local processes
    Process,
    /// In containers
    Docker,
}

/// A log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LevelChoice {
    /// Everything
    Trace,
    /// For finding a fault
    Debug,
    /// What happens
    Info,
    /// What may be wrong
    Warn,
    /// What is wrong
    Error,
}

/// `weft validate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft validate flow.yaml
  weft validate flows/                 Every flow and test file below a folder
  weft validate flows/*.yaml --json
  weft validate flow.yaml --flows flows/   The flows that it calls are in another folder")]
pub struct ValidateArgs {
    /// Flows, test files, or folders of them
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub files: Vec<PathBuf>,
    /// Where the flows are that others call; by default, the folders of the files
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub flows: Option<PathBuf>,
    /// Print what was found as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// `weft test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft test                                   Every test file below the current folder
  weft test flows/orders.yaml                 The tests beside a flow
  weft test --filter refund --keep            Some cases; look at their executions afterwards
  weft test --junit target/flows.xml          A report for CI

A test file is YAML with `testCases`, by custom `NAME.test.yaml`; docs/testing.md shows how to write one. Cases are run
in throw-away data directories and see no secret but those that they give themselves.
Exit status: 0 all passed, 1 some did not, 2 a test file is invalid or there was nothing to run.")]
pub struct TestArgs {
    /// Test files, flows (the tests beside them), or folders
    #[arg(default_value = ".", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Only cases with this in `TEST_ID/CASE_ID`; may be given several times
    #[arg(short = 'k', long = "filter", value_name = "TEXT")]
    pub filters: Vec<String>,
    /// How many cases at a time (as many as there are processors, where it is not given)
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<std::num::NonZeroU16>,
    /// Begin no case after one that failed
    #[arg(long)]
    pub fail_fast: bool,
    /// When to end a case that does not say so itself
    #[arg(long, value_name = "DURATION", default_value = "PT5M", value_parser = duration)]
    pub timeout: std::time::Duration,
    /// Where the tested flows and flows that they call are found, too
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub flows: Option<PathBuf>,
    /// Run scripts this way, whatever the flow says
    #[arg(long, value_enum, env = "WEFT_RUNNER")]
    pub runner: Option<RunnerChoice>,
    /// A worker group whose tasks may run here
    #[arg(long = "worker-group", env = "WEFT_WORKER_GROUP", value_name = "GROUP")]
    pub worker_groups: Vec<String>,
    /// Let cases read the secrets of this machine that they do not give themselves
    #[arg(long)]
    pub real_secrets: bool,
    /// Keep the data directories of the cases, and say where they are
    #[arg(long)]
    pub keep: bool,
    /// Print the reports as JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,
    /// Print nothing but what failed and the summary
    #[arg(short, long)]
    pub quiet: bool,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let duration = weft_flow::parse_duration(text).map_err(|error| error.to_string())?;
    match std::time::Duration::try_from(duration) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("it must be longer than nothing".to_owned()),
    }
}

/// `weft expr`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft expr '{{ 1 + 2 }}'
  weft expr '{{ inputs.name | upper }}' --context context.json
  weft expr '{{ vars.n * 21 }}' --context - <<< '{\"vars\": {\"n\": 2}}'

A context is a JSON object of the variables; `flow.namespace` is where `secret()`, `kv()` and `read()` look.")]
pub struct ExprArgs {
    /// Text with expressions; `\n` stands for a line break (`-` reads standard input as it is)
    pub template: String,
    /// A JSON file with what the expression sees (`-` reads standard input)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub context: Option<PathBuf>,
    /// Print secrets in the result instead of `******`
    #[arg(long)]
    pub reveal: bool,
}

/// How an execution is run.
#[derive(Debug, Args)]
pub struct HowArgs {
    /// Where flows that this one calls are found (by `run`: beside it, where this is not given)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub flows: Option<PathBuf>,
    /// A folder with the namespace's files: for the flow's own, or `NAMESPACE=DIR` (by `run`: `_files` beside the flow,
    /// where this is not given)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub namespace_files: Vec<String>,
    /// Run scripts this way, whatever the flow says
    #[arg(long, value_enum, env = "WEFT_RUNNER")]
    pub runner: Option<RunnerChoice>,
    /// A worker group whose tasks may run here
    #[arg(long = "worker-group", env = "WEFT_WORKER_GROUP", value_name = "GROUP")]
    pub worker_groups: Vec<String>,
    /// Print the execution as JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// The least level of log lines that are printed
    #[arg(long, value_enum, default_value_t = LevelChoice::Info, value_name = "LEVEL")]
    pub log_level: LevelChoice,
    /// Print no log lines and no progress, only errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// `weft flow`.
#[derive(Debug, Args)]
pub struct FlowArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: FlowCommand,
}

/// What to do with a flow.
#[derive(Debug, Subcommand)]
pub enum FlowCommand {
    /// Draw which task runs after which
    #[command(after_help = "Examples:
  weft flow graph flow.yaml
  weft flow graph flow.yaml --format dot | dot -Tsvg > flow.svg")]
    Graph {
        /// The flow (`-` reads standard input)
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// How to draw it
        #[arg(long, value_enum, default_value_t = GraphFormat::Tree)]
        format: GraphFormat,
    },
}

/// How to draw a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Lines for a terminal
    Tree,
    /// A Mermaid flowchart
    Mermaid,
    /// A Graphviz graph
    Dot,
}

/// `weft triggers`.
#[derive(Debug, Args)]
pub struct TriggersArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TriggersCommand,
}

/// What to do with triggers.
#[derive(Debug, Subcommand)]
pub enum TriggersCommand {
    /// List triggers that were watched, with what is remembered of them
    #[command(after_help = "Examples:\n  weft triggers list\n  weft triggers list --json")]
    List {
        /// Print JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Forget what a trigger remembers, so that it begins anew
    #[command(after_help = "Examples:\n  weft triggers reset company.team.orders.arrived")]
    Reset {
        /// Its id, or `namespace.flow.id`
        trigger: String,
    },
}

/// `weft plugins`.
#[derive(Debug, Args)]
pub struct PluginsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PluginsCommand,
}

/// `weft trust`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  weft trust plugins              Use the plugins of this project, as they are now
  weft trust plugins/inbox.wasm   The same for one file that has changed
  weft trust --list
  weft trust --remove plugins

A folder `plugins` beside a flow is used only if it is trusted: it may have come with somebody else's repository.
A file that changes or is added afterwards is not used until it is trusted too.")]
pub struct TrustArgs {
    /// A folder with plugins (`*.wasm`), or a plugin file
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath, required_unless_present = "list")]
    pub path: Option<PathBuf>,
    /// Show what is trusted
    #[arg(long, conflicts_with_all = ["path", "remove"])]
    pub list: bool,
    /// Trust it no longer
    #[arg(long, requires = "path")]
    pub remove: bool,
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// What to do with plugins.
#[derive(Debug, Subcommand)]
pub enum PluginsCommand {
    /// List the types of tasks and triggers and the plugins they come from
    #[command(after_help = "Examples:
  weft plugins list
  weft plugins list --plugins ./my-plugins --json")]
    List {
        /// Print JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Show a type: what it does, its properties, outputs and examples
    #[command(after_help = "Examples:
  weft plugins show io.kestra.plugin.core.flow.ForEach
  weft plugins show io.kestra.plugin.core.trigger.Schedule --json")]
    Show {
        /// The type, under an old or new name
        #[arg(value_name = "TYPE")]
        type_name: String,
        /// Print JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Compile every plugin now, so that no run has to
    Precompile,
}

/// `weft store`.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Write all executions as JSON lines to a file or stdout
    #[command(
        after_help = "Examples:\n  weft store export executions.jsonl\n  weft store export | gzip > executions.jsonl.gz\n  \
                      weft store export --reveal backup.jsonl    With the secrets in outputs"
    )]
    Export {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// Write secrets in inputs, outputs and the like instead of `******`
        #[arg(long)]
        reveal: bool,
    },
    /// Read executions from JSON lines; those that exist are left alone
    #[command(after_help = "Examples:\n  weft store import executions.jsonl --data-dir ./elsewhere")]
    Import {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
}
