//! `cargo xtask fuzz`: libFuzzer on the targets of `fuzz/`, with a stable compiler.
//!
//! What is fuzzed, and the tests that put kept inputs through it, are in the crate `fuzz`; here are the ways to run it:
//! building with coverage, inputs to begin with (from the sources' own strings and flows), a dictionary, and what is said of
//! the outcome. Everything that comes of a run is in `target/fuzz`, but for the corpus that `--minimize` keeps.

mod build;
mod corpus;
mod literals;
mod seeds;
mod session;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::exec::{self, say};
use build::Driver;
use session::Outcome;

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask fuzz --minutes 1               every target in turn, a minute each
  cargo xtask fuzz flow --minutes 60         one target for an hour
  cargo xtask fuzz flow --replay FILE        put one input through a target
  cargo xtask fuzz flow --minimize           keep the inputs that matter in `fuzz/corpus/flow`

A finding is kept: once it is mended, its input belongs into `fuzz/regressions/TARGET`, where `cargo test -p weft-fuzz`
puts it through the target each time.")]
pub struct Options {
    /// The targets; all where none is named.
    targets: Vec<String>,

    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with_all = ["replay", "minimize"])]
    minutes: u64,

    /// Processes beside each other.
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: u32,

    /// Put this input through the one target that is named, and do nothing else.
    #[arg(long, value_name = "FILE", conflicts_with = "minimize")]
    replay: Option<PathBuf>,

    /// Keep the inputs that cover most, of those in `fuzz/corpus` and those of earlier runs; others are thrown away.
    #[arg(long)]
    minimize: bool,

    /// Print the names of all targets.
    #[arg(long)]
    list: bool,
}

/// A target, and where its inputs are.
struct Target {
    name: String,
    /// Inputs that are checked in.
    kept: PathBuf,
    /// Inputs that once broke something, checked in.
    regressions: PathBuf,
    /// Everything that a run makes.
    work: PathBuf,
}

impl Target {
    fn of(name: &str) -> Self {
        let fuzz = exec::root().join("fuzz");
        Self {
            name: name.to_owned(),
            kept: fuzz.join("corpus").join(name),
            regressions: fuzz.join("regressions").join(name),
            work: exec::root().join("target/fuzz/work").join(name),
        }
    }

    /// Inputs that runs have found.
    fn found(&self) -> PathBuf {
        self.work.join("corpus")
    }

    /// Inputs from the sources.
    fn seeds(&self) -> PathBuf {
        self.work.join("seeds")
    }

    fn dictionary(&self) -> PathBuf {
        self.work.join("dictionary")
    }

    /// Inputs that broke something.
    fn artifacts(&self) -> PathBuf {
        self.work.join("artifacts")
    }

    /// The temporary directory of its processes; in memory where there is such a place, since some targets make and remove
    /// files for each input.
    fn scratch(&self) -> PathBuf {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { memory.join(format!("weft-fuzz-{}", self.name)) } else { self.work.join("tmp") }
    }

    /// Removes that.
    fn tidy(&self) -> Result<()> {
        remove(&self.scratch())
    }

    /// Makes its folders, seeds and dictionary.
    fn prepare(&self) -> Result<()> {
        // What processes left behind that were ended, and seeds of other sources.
        for folder in [self.scratch(), self.seeds()] {
            if folder.exists() {
                fs::remove_dir_all(&folder)
                    .with_context(|| format!("cannot remove `{}`", folder.display()))?;
            }
        }
        for folder in [self.found(), self.seeds(), self.artifacts(), self.scratch()] {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        seeds::write(&self.name, &self.seeds(), &self.dictionary())
    }
}

/// Runs what the options ask for; an error where something was found.
pub fn run(options: &Options) -> Result<()> {
    let all = names()?;
    if options.list {
        all.iter().for_each(|name| println!("{name}"));
        return Ok(());
    }
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        bail!("there is no target `{unknown}`\nhint: there are `{}`", all.join("`, `"));
    }
    let named = if options.targets.is_empty() { &all } else { &options.targets };
    let targets: Vec<Target> = named.iter().map(|name| Target::of(name)).collect();
    if let Some(input) = &options.replay {
        let [target] = &targets[..] else {
            bail!("expected one target\nhint: `cargo xtask fuzz TARGET --replay {}`", input.display())
        };
        return session::replay(&build::driver()?, target, input);
    }
    let driver = build::driver()?;
    if options.minimize {
        return targets.iter().try_for_each(|target| corpus::minimize(&driver, target));
    }
    fuzz(&driver, &targets, options)
}

fn fuzz(driver: &Driver, targets: &[Target], options: &Options) -> Result<()> {
    let mut outcomes = Vec::new();
    for target in targets {
        target.prepare()?;
        say(format!("{}: {} minutes", target.name, options.minutes));
        let outcome = session::fuzz(driver, target, options.minutes, options.jobs)?;
        target.tidy()?;
        println!("{outcome}");
        outcomes.push(outcome);
    }
    let findings: Vec<String> = outcomes.iter().flat_map(Outcome::findings).collect();
    if findings.is_empty() {
        return Ok(());
    }
    bail!(
        "{} found\n{}",
        if findings.len() == 1 { "an input was" } else { "inputs were" },
        findings.join("\n")
    )
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The names of all targets: those of their files.
fn names() -> Result<Vec<String>> {
    let folder = exec::root().join("fuzz/src/targets");
    let mut names: Vec<String> =
        files(&folder)?.iter().filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
    names.sort_unstable();
    Ok(names)
}

/// The files in a folder, in order; none where there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read `{}`", folder.display()))?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}
