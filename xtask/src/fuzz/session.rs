//! One run of libFuzzer on one target: how it is started, and what it says of itself.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::build::Driver;
use super::{Target, files};
use crate::exec::joined;

/// An input that takes longer is a hang.
const TIMEOUT: &str = "-timeout=10";
/// A process that has more is out of memory.
const MEMORY: &str = "-rss_limit_mb=2048";
/// Longer inputs find what shorter ones do, later. What is long on purpose is for ordinary tests.
const LENGTH: &str = "-max_len=6000";

/// What came of a run.
#[derive(Default)]
pub struct Outcome {
    target: String,
    seeds: usize,
    executions: u64,
    seconds: u64,
    /// Edges of the program that were covered, at first and at last.
    edges: (u64, u64),
    features: u64,
    corpus: u64,
    /// Hangs, crashes, and processes out of memory.
    counts: [u64; 3],
    /// Of the slowest input, in microseconds.
    slowest: Option<u64>,
    found: Vec<PathBuf>,
}

impl Outcome {
    /// What to do about each input that broke something.
    pub fn findings(&self) -> Vec<String> {
        let replay = |file: &PathBuf| {
            format!(
                "  {}\n  hint: `cargo xtask fuzz {} --replay {}`",
                file.display(),
                self.target,
                file.display()
            )
        };
        self.found.iter().map(replay).collect()
    }

    /// Takes in a line of libFuzzer's:
    /// `#8192: cov: 1636 ft: 7119 corp: 2151 exec/s 16450 oom/timeout/crash: 0/0/0 time: 498s job: 7 dft_time: 0`.
    fn read(&mut self, line: &str) {
        let Some((executions, rest)) = line.strip_prefix('#').and_then(|line| line.split_once(": ")) else {
            return;
        };
        let Ok(executions) = executions.parse() else { return };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let after = |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1));
        let number = |name: &str| after(name).and_then(|word| word.parse::<u64>().ok());
        let Some(edges) = number("cov:") else { return };
        self.executions = executions;
        if self.edges.0 == 0 {
            self.edges.0 = edges;
        }
        self.edges.1 = edges;
        self.features = number("ft:").unwrap_or(self.features);
        self.corpus = number("corp:").unwrap_or(self.corpus);
        if let Some(counts) = after("oom/timeout/crash:") {
            let counts: Vec<u64> = counts.split('/').filter_map(|count| count.parse().ok()).collect();
            if let [memory, hangs, crashes] = counts[..] {
                self.counts = [crashes, hangs, memory];
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [crashes, hangs, memory] = self.counts;
        writeln!(f, "{}", self.target)?;
        writeln!(f, "  seeds         {}", self.seeds)?;
        writeln!(f, "  executions    {} in {} s", self.executions, self.seconds)?;
        writeln!(f, "  per second    {}", self.executions / self.seconds.max(1))?;
        writeln!(f, "  edges         {} -> {} ({} features)", self.edges.0, self.edges.1, self.features)?;
        writeln!(f, "  corpus        {}", self.corpus)?;
        writeln!(f, "  found         {crashes} crashes, {hangs} hangs, {memory} out of memory")?;
        match self.slowest {
            Some(micros) => write!(f, "  slowest       {}.{} ms", micros / 1_000, micros / 100 % 10),
            None => write!(f, "  slowest       under 1 ms"),
        }
    }
}

/// Fuzzes a target for some minutes. It goes on after what it finds.
pub fn fuzz(driver: &Driver, target: &Target, minutes: u64, jobs: u32) -> Result<Outcome> {
    let before: BTreeSet<PathBuf> = files(&target.artifacts())?.into_iter().collect();
    let slowest = target.work.join("slowest");
    // A figure of this run, not of those before.
    let _ = fs::remove_dir_all(&slowest);
    fs::create_dir_all(&slowest).with_context(|| format!("cannot make `{}`", slowest.display()))?;
    let given: Vec<PathBuf> = [target.kept.clone(), target.regressions.clone(), target.seeds()]
        .into_iter()
        .filter(|folder| folder.is_dir())
        .collect();
    let mut outcome = Outcome { target: target.name.clone(), ..Outcome::default() };
    for folder in &given {
        outcome.seeds += files(folder)?.len();
    }

    let begin = Instant::now();
    let mut command = driver.command(&target.name, &target.scratch());
    command.env("WEFT_FUZZ_SLOWEST", &slowest);
    command.arg(format!("-fork={jobs}")).arg(format!("-max_total_time={}", minutes * 60));
    command.args(["-ignore_crashes=1", "-ignore_ooms=1", "-ignore_timeouts=1", TIMEOUT, MEMORY, LENGTH]);
    command.arg(joined("-dict=", &target.dictionary()));
    // A folder, so it ends with a slash: libFuzzer puts names behind it.
    command.arg(joined("-artifact_prefix=", &target.artifacts().join("")));
    command.arg(target.found()).args(given);
    let mut child =
        command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot run the fuzzer")?;
    let log = target.work.join("log");
    let mut copy = fs::File::create(&log).with_context(|| format!("cannot write `{}`", log.display()))?;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line.context("cannot read what the fuzzer says")?;
            let line = String::from_utf8_lossy(&line);
            writeln!(copy, "{line}").with_context(|| format!("cannot write `{}`", log.display()))?;
            outcome.read(&line);
        }
    }
    let status = child.wait().context("cannot wait for the fuzzer")?;
    outcome.seconds = begin.elapsed().as_secs();
    outcome.slowest = fs::read_to_string(slowest.join("micros")).ok().and_then(|text| text.parse().ok());
    outcome.found = files(&target.artifacts())?
        .into_iter()
        // Units that are only slow are no mistake, and the slowest one is told.
        .filter(|file| !before.contains(file) && !name_begins(file, "slow-unit-"))
        .collect();
    if outcome.executions == 0 {
        bail!("the fuzzer ended with {status} before its first input\nhint: look at `{}`", log.display());
    }
    Ok(outcome)
}

fn name_begins(file: &Path, beginning: &str) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning))
}

/// Puts one input through a target.
pub fn replay(driver: &Driver, target: &Target, input: &Path) -> Result<()> {
    if !input.is_file() {
        bail!("there is no file `{}`", input.display());
    }
    let scratch = target.scratch();
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make `{}`", scratch.display()))?;
    let mut command = driver.command(&target.name, &scratch);
    command.env("RUST_BACKTRACE", "1").args([TIMEOUT, MEMORY]).arg(input);
    // Nothing new is written: the input is there.
    command.arg(joined("-artifact_prefix=", &scratch.join("")));
    let status = command.status().context("cannot run the fuzzer")?;
    target.tidy()?;
    if !status.success() {
        bail!("`{}` breaks `{}` ({status})", input.display(), target.name);
    }
    println!("`{}` holds for `{}`", input.display(), target.name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_libfuzzer_are_read() {
        let mut outcome = Outcome::default();
        for line in [
            "INFO: -fork=1: 110 seed inputs, starting to fuzz in /tmp/x",
            "#0: cov: 529 ft: 949 corp: 34 exec/s 0 oom/timeout/crash: 0/0/0 time: 1s job: 1 dft_time: 0",
            "#x: cov: 9",
            "#8193176: cov: 1636 ft: 7119 corp: 2151 exec/s 16450 oom/timeout/crash: 1/2/3 time: 498s job: 31 dft_time: 0",
            "INFO: exiting: 0 time: 499s",
        ] {
            outcome.read(line);
        }
        assert_eq!((outcome.executions, outcome.edges, outcome.features), (8_193_176, (529, 1_636), 7_119));
        assert_eq!((outcome.corpus, outcome.counts), (2_151, [3, 2, 1]));
    }
}
