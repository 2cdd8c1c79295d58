//! `weft executions`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueHint};
use weft_model::State;

use super::{HowArgs, LevelChoice};

/// States that a person may give a task run.
const FINAL: [State; 6] =
    [State::Success, State::Warning, State::Failed, State::Killed, State::Cancelled, State::Skipped];

/// One of some states by its name.
fn states(known: &'static [State]) -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(known.iter().map(|state| state.as_str())).try_map(|name| {
        let state = known.iter().find(|state| state.as_str().eq_ignore_ascii_case(&name));
        state.copied().ok_or_else(|| format!("there is no state `{name}`"))
    })
}

/// `weft executions`.
#[derive(Debug, Args)]
pub struct ExecutionsArgs {
    /// What to look at.
    #[command(subcommand)]
    pub command: ExecutionsCommand,
}

/// What to look at.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "An ID may be shortened as long as it is unique; `last` is the newest that is no subflow of another."
)]
pub enum ExecutionsCommand {
    /// List executions, newest first
    #[command(after_help = "Examples:
  weft executions list --state failed
  weft executions list --flow company.team.orders -n 100 --json")]
    List {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
        limit: usize,
        /// Only those of this flow: `namespace.flow` or `flow`
        #[arg(long)]
        flow: Option<String>,
        /// Only those in this state
        #[arg(long, ignore_case = true, value_parser = states(&State::ALL))]
        state: Option<State>,
        /// Print JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Show an execution and its task runs
    #[command(after_help = "Examples:
  weft executions show last
  weft executions show 4kP --json")]
    Show {
        /// Its id, or `last`
        id: String,
        /// Print JSON on stdout
        #[arg(long)]
        json: bool,
        /// Print secrets in inputs, outputs and the like instead of `******`
        #[arg(long)]
        reveal: bool,
    },
    /// Print the log of an execution
    #[command(after_help = "Examples:
  weft executions logs last --level warn
  weft executions logs last --task extract -n 50")]
    Logs {
        /// Its id, or `last`
        id: String,
        /// Only this task
        #[arg(long, value_name = "TASK")]
        task: Option<String>,
        /// The least level
        #[arg(long, value_enum, default_value_t = LevelChoice::Trace, value_name = "LEVEL")]
        level: LevelChoice,
        /// Only the last N lines
        #[arg(short = 'n', long, value_name = "N")]
        tail: Option<usize>,
        /// Print JSON lines on stdout
        #[arg(long)]
        json: bool,
        /// Print control characters as they were written: not for a terminal
        #[arg(long, conflicts_with = "json")]
        raw: bool,
        /// Print lines as they are stored: what became known as a secret after they were written is not masked in them
        #[arg(long)]
        reveal: bool,
    },
    /// Print the outputs of an execution's tasks as JSON
    #[command(after_help = "Examples:
  weft executions outputs last
  weft executions outputs last extract | jq -r .uri")]
    Outputs {
        /// Its id, or `last`
        id: String,
        /// Only this task
        task: Option<String>,
        /// Print JSON on stdout, which is what it does anyhow
        #[arg(long, hide = true)]
        json: bool,
        /// Print secrets instead of `******`
        #[arg(long)]
        reveal: bool,
    },
    /// List the files of an execution, or fetch one
    #[command(after_help = "Examples:
  weft executions files last
  weft executions files last orders.csv -o orders.csv")]
    Files {
        /// Its id, or `last`
        id: String,
        /// The file's name in an output, or its `kestra://` address
        name: Option<String>,
        /// Where to put it (standard output where it is not given)
        #[arg(short, long, value_name = "PATH", requires = "name", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// Print JSON on stdout
        #[arg(long)]
        json: bool,
        /// Print secrets in names instead of `******`
        #[arg(long)]
        reveal: bool,
    },
    /// Let a paused execution go on
    Resume {
        /// Its id, or `last`
        id: String,
        /// A value for an input of `onResume`
        #[arg(short, long = "input", value_name = "KEY=VALUE")]
        inputs: Vec<String>,
        /// How the rest of it is run
        #[command(flatten)]
        how: HowArgs,
    },
    /// Run the failed tasks of an execution again, in the same execution
    Restart {
        /// Its id, or `last`
        id: String,
        /// How the rest of it is run
        #[command(flatten)]
        how: HowArgs,
    },
    /// Run an execution again as a new one, with the same inputs
    #[command(after_help = "Examples:
  weft executions replay last
  weft executions replay last --from transform          Keep what came before the task
  weft executions replay last --from transform --flow fixed.yaml")]
    Replay {
        /// Its id, or `last`
        id: String,
        /// The task to start from, or one of its task runs by id; what came before it is taken over
        #[arg(long, value_name = "TASK")]
        from: Option<String>,
        /// Another revision of the flow (as it was run, where this is not given)
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        flow: Option<PathBuf>,
        /// How it is run
        #[command(flatten)]
        how: HowArgs,
    },
    /// Give a task run another final state, and go on from there
    #[command(after_help = "Example:
  weft executions change-status last --task flaky --state success")]
    ChangeStatus {
        /// Its id, or `last`
        id: String,
        /// The task, or one of its task runs by id
        #[arg(long, value_name = "TASK")]
        task: String,
        /// The state
        #[arg(long, ignore_case = true, value_parser = states(&FINAL))]
        state: State,
        /// How the rest of it is run
        #[command(flatten)]
        how: HowArgs,
    },
    /// Remove an execution with its logs and files
    Delete {
        /// Ids
        #[arg(required = true)]
        ids: Vec<String>,
    },
}
