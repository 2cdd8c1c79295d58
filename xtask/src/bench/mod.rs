//! `cargo xtask bench`: what the shipped binary costs over the same work without it.
//!
//! Every number is of whole processes, from start to exit, and comes with a floor measured in the same minutes: times on
//! a shared machine say little, their ratios and differences do. The budgets are printed beside the results; nothing
//! fails, since a busy machine is no defect.

mod cases;
mod docker;
mod language;
mod measure;
mod network;
mod report;
mod stores;
mod subject;

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum as _;

use crate::dist;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// Run only this case; can be given several times.
    #[arg(long, value_name = "CASE")]
    only: Vec<Case>,
    /// How often each side is measured, after one run to warm up.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure this binary, instead of building the one that is shipped.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How many lines the child of the cases `lines` and `docker-logs` prints.
    #[arg(long, default_value_t = 5_000_000, value_name = "N")]
    lines: u64,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Case {
    /// `weft run` of one shell task, with compiled plugins in the cache.
    Single,
    /// The same with nothing on disk, as right after the installation.
    FirstRun,
    /// A flow of 100 shell tasks, one after the other.
    Seq,
    /// A child that prints millions of lines.
    Lines,
    /// A file of 1 GiB over HTTP.
    Download,
    /// A Git repository of 200 MB over HTTP.
    Clone,
    /// 100,000 documents into MongoDB.
    Load,
    /// An object of 1 GiB to S3 and back.
    Objects,
    /// Flows of 1,000 and 10,000 tasks, read and checked.
    Validate,
    /// Flows of 1,000 and 10,000 core tasks, run one after the other.
    Returns,
    /// 100 shell tasks in a `Parallel`, beside `xargs -P`.
    Parallel,
    /// Bytes of the binary.
    Size,
    /// One task in a container, against `docker run`.
    DockerSingle,
    /// Five tasks of one directory in containers.
    DockerWdir,
    /// A container that prints millions of lines.
    DockerLogs,
}

/// Builds the binary as it is shipped and measures it.
pub fn run(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => dist::build()?,
    };
    // Cases with containers need a daemon, so they are measured only where somebody asks for them.
    let chosen = |case: &Case| match case {
        Case::DockerSingle | Case::DockerWdir | Case::DockerLogs => options.only.contains(case),
        _ => options.only.is_empty() || options.only.contains(case),
    };
    for case in Case::value_variants().iter().filter(|case| chosen(case)) {
        match case {
            Case::Single => cases::single(&binary, options.rounds)?,
            Case::FirstRun => cases::first_run(&binary, options.rounds)?,
            Case::Seq => cases::seq(&binary, options.rounds)?,
            Case::Lines => cases::lines(&binary, options.rounds, options.lines)?,
            Case::Download => network::download(&binary, options.rounds)?,
            Case::Clone => network::clone(&binary, options.rounds)?,
            Case::Load => stores::load(&binary, options.rounds)?,
            Case::Objects => stores::objects(&binary, options.rounds)?,
            Case::Validate => language::validate(&binary, options.rounds)?,
            Case::Returns => language::returns_in_a_row(&binary, options.rounds)?,
            Case::Parallel => language::parallel(&binary, options.rounds)?,
            Case::Size => cases::size(&binary)?,
            Case::DockerSingle => docker::single(&binary, options.rounds)?,
            Case::DockerWdir => docker::wdir(&binary, options.rounds)?,
            Case::DockerLogs => docker::logs(&binary, options.rounds, options.lines)?,
        }
    }
    Ok(())
}
