//! `weft namespace`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

/// `weft namespace`.
#[derive(Debug, Args)]
pub struct NamespaceArgs {
    /// What of a namespace.
    #[command(subcommand)]
    pub command: NamespaceCommand,
}

/// What of a namespace.
#[derive(Debug, Subcommand)]
pub enum NamespaceCommand {
    /// Files that flows see through `namespaceFiles` and `read()`
    Files {
        /// What to do with them.
        #[command(subcommand)]
        command: NamespaceFilesCommand,
    },
    /// Values that flows keep between executions, for `kv()` and the kv tasks
    Kv {
        /// What to do with them.
        #[command(subcommand)]
        command: KvCommand,
    },
}

/// What to do with a namespace's files.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  weft namespace files put company.team scripts/        All files of a folder, under their names in it
  weft namespace files put company.team etl.py scripts/etl.py
  weft namespace files list company.team
  weft namespace files get company.team scripts/etl.py -o etl.py

For files that are developed beside a flow nothing needs to be put: `weft run` takes those in the folder `_files`
beside it, or in the folder that `--namespace-files` names.")]
pub enum NamespaceFilesCommand {
    /// List the files
    List {
        /// The namespace
        namespace: String,
        /// Print JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Put a file, or all files of a folder, into the namespace
    Put {
        /// The namespace
        namespace: String,
        /// The file or folder
        #[arg(value_hint = ValueHint::AnyPath)]
        source: PathBuf,
        /// Its path in the namespace (its name, where this is not given; a folder's files go to the top)
        path: Option<String>,
    },
    /// Fetch a file
    Get {
        /// The namespace
        namespace: String,
        /// The file's path in the namespace
        path: String,
        /// Where to put it (standard output where it is not given)
        #[arg(short, long, value_name = "PATH", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Delete files
    Delete {
        /// The namespace
        namespace: String,
        /// Paths in the namespace; one that ends with `/` is all files below it
        #[arg(required = true)]
        paths: Vec<String>,
    },
}

/// What to do with a namespace's values.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  weft namespace kv set company.team threshold 42
  weft namespace kv set company.team token abc --type string --ttl PT1H
  weft namespace kv get company.team threshold")]
pub enum KvCommand {
    /// List the keys
    List {
        /// The namespace
        namespace: String,
        /// Only keys that begin with this
        #[arg(long, default_value = "", hide_default_value = true)]
        prefix: String,
        /// Print keys, types and values as JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Print a value: a text as it is, anything else as JSON
    Get {
        /// The namespace
        namespace: String,
        /// The key
        key: String,
        /// Print the value with its type and times as JSON
        #[arg(long)]
        json: bool,
    },
    /// Set a value
    Set {
        /// The namespace
        namespace: String,
        /// The key
        key: String,
        /// The value
        value: String,
        /// What the value is (where this is not given: what it looks like in JSON, else a text)
        #[arg(long = "type", value_enum, ignore_case = true, value_name = "TYPE")]
        kind: Option<KvType>,
        /// How long it is kept, an ISO-8601 duration (for ever, where this is not given)
        #[arg(long, value_name = "DURATION")]
        ttl: Option<String>,
        /// Fail if the key has a value
        #[arg(long)]
        no_overwrite: bool,
    },
    /// Delete keys
    Delete {
        /// The namespace
        namespace: String,
        /// The keys
        #[arg(required = true)]
        keys: Vec<String>,
    },
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KvType {
    /// Text
    String,
    /// A number
    Number,
    /// `true` or `false`
    Boolean,
    /// A point in time, `2026-01-31T12:00:00Z`
    Datetime,
    /// A date, `2026-01-31`
    Date,
    /// An ISO-8601 duration, `PT1H`
    Duration,
    /// Any JSON
    Json,
}
