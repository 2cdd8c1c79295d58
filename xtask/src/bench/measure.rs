//! One process measured from start to exit, and two of them compared.

use std::{
    io::{Read as _, Seek as _},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// What one process took.
#[derive(Clone, Copy)]
pub struct Sample {
    /// From before its start to after its exit.
    pub wall: Duration,
    /// The largest resident set of the process or of a descendant it waited for, in bytes. Never less than the resident
    /// set of this program, which the kernel counts for the moment before `exec`.
    pub peak_rss: u64,
}

/// Samples of the same thing; never empty.
pub struct Series(Vec<Sample>);

/// Least, middle and largest of a series.
#[derive(Clone, Copy)]
pub struct Spread<T> {
    /// The smallest value.
    pub min: T,
    /// The middle value; the upper one of two.
    pub median: T,
    /// The largest value.
    pub max: T,
}

impl Series {
    /// Wall-clock times.
    pub fn wall(&self) -> Spread<Duration> {
        self.spread(|sample| sample.wall)
    }

    /// Peak resident sets, in bytes.
    pub fn peak_rss(&self) -> Spread<u64> {
        self.spread(|sample| sample.peak_rss)
    }

    fn spread<T: Copy + Ord>(&self, value: impl Fn(&Sample) -> T) -> Spread<T> {
        let mut values: Vec<T> = self.0.iter().map(value).collect();
        values.sort_unstable();
        Spread { min: values[0], median: values[values.len() / 2], max: values[values.len() - 1] }
    }
}

/// Runs `a` and `b` by turns, `rounds` times each (at least once) after one run of each that is not counted: by turns,
/// so that a change of the machine's load meets both.
pub fn compare(
    rounds: u32,
    mut a: impl FnMut() -> Command,
    mut b: impl FnMut() -> Command,
) -> Result<(Series, Series)> {
    measure(a())?;
    measure(b())?;
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        of_a.push(measure(a())?);
        of_b.push(measure(b())?);
    }
    Ok((Series(of_a), Series(of_b)))
}

fn measure(mut command: Command) -> Result<Sample> {
    // Into a file: a pipe that nobody reads would stop a process that says much.
    let mut said = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone()?);
    let start = Instant::now();
    let child =
        command.spawn().with_context(|| format!("cannot run `{}`", command.get_program().display()))?;
    let (status, peak_rss) = wait(&child)?;
    let wall = start.elapsed();
    if status != 0 {
        let mut stderr = String::new();
        said.rewind()?;
        said.read_to_string(&mut stderr)?;
        bail!("expected success of {command:?}, got wait status {status}\n{}", stderr.trim());
    }
    Ok(Sample { wall, peak_rss })
}

/// Waits for `child`; returns its status as `wait(2)` gives it, and its peak resident set in bytes.
fn wait(child: &Child) -> Result<(i32, u64)> {
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: `rusage` is made of integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live, writable values of the right type; the child is ours and not waited for by
        // anyone else.
        if unsafe { libc::wait4(pid, &mut status, 0, &mut usage) } == pid {
            break;
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error).context("cannot wait for the measured process");
        }
    }
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok((status, u64::try_from(usage.ru_maxrss)? * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_of_sorted_values() {
        for (values, expected) in [(&[7][..], (7, 7, 7)), (&[3, 1], (1, 3, 3)), (&[5, 1, 9, 2, 4], (1, 4, 9))]
        {
            let series =
                Series(values.iter().map(|&peak_rss| Sample { wall: Duration::ZERO, peak_rss }).collect());
            let Spread { min, median, max } = series.peak_rss();
            assert_eq!((min, median, max), expected, "{values:?}");
        }
    }

    #[test]
    fn failure_of_the_measured_process_is_an_error() {
        let result = compare(1, || Command::new("false"), || Command::new("true"));
        assert!(result.is_err());
    }

    #[test]
    fn time_and_memory_are_of_the_child() {
        let sleep = || {
            let mut command = Command::new("sleep");
            command.arg("0.05");
            command
        };
        let (sleep, nothing) = compare(3, sleep, || Command::new("true")).unwrap();
        assert!(sleep.wall().min >= Duration::from_millis(50));
        assert!(nothing.wall().min < sleep.wall().min);
        assert!(nothing.peak_rss().min > 0);
    }
}
