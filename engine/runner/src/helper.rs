//! Programs of the operator that answer a question: password managers, credential helpers.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// Between two looks at whether it has ended: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// A program that is asked something. It is trusted and short, so it is in no control group; what it leaves behind in its
/// process group is killed.
#[derive(Debug)]
pub struct Helper<'a> {
    /// The program with its arguments. Its environment is the engine's.
    pub command: Command,
    /// What it reads from standard input: at most what a pipe holds, for it may not read it.
    pub input: &'a [u8],
    /// When it is killed.
    pub limit: Duration,
    /// How many bytes of each stream are read.
    pub max_bytes: u64,
}

/// What a [`Helper`] has answered.
#[derive(Debug)]
pub struct Answer {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: Vec<u8>,
}

/// Why a [`Helper`] has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// There is no such program, or it may not be executed.
    #[error("it cannot be started: {0}")]
    Start(io::Error),
    /// It was killed.
    #[error("it took longer than {0:?}")]
    Limit(Duration),
    /// The system does not tell how it ended.
    #[error("it cannot be waited for: {0}")]
    Wait(io::Error),
}

impl Helper<'_> {
    /// Runs it to its end. Blocks for as long.
    pub fn ask(mut self) -> Result<Answer, HelperError> {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(HelperError::Start)?;
        let (stdout, stderr) = (self.collect(child.stdout.take()), self.collect(child.stderr.take()));
        if let Some(mut stdin) = child.stdin.take() {
            // It need not read the question to have an answer.
            let _ = stdin.write_all(self.input);
        }
        let status = self.wait(&mut child);
        end_group(&child);
        // Each ends with its pipe, which nobody has any more.
        let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
        Ok(Answer { status: status?, stdout, stderr })
    }

    fn collect(&self, pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
        let limit = self.max_bytes;
        thread::spawn(move || {
            let mut all = Vec::new();
            if let Some(pipe) = pipe {
                // What was read before an error is still what it printed.
                let _ = pipe.take(limit).read_to_end(&mut all);
            }
            all
        })
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus, HelperError> {
        let begin = Instant::now();
        let (mut pause, longest) = PAUSE;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if begin.elapsed() < self.limit => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(longest);
                }
                Ok(None) => {
                    // It may have ended by itself in this moment.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(HelperError::Limit(self.limit));
                }
                Err(error) => return Err(HelperError::Wait(error)),
            }
        }
    }
}

/// Ends what a program has left behind: it would keep the pipes open.
fn end_group(child: &Child) {
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(leader) = leader {
        // Most leave nothing behind, and then there is no group.
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(script: &str, limit: Duration) -> Result<(Option<i32>, String), String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let answer = Helper { command, input: b"question", limit, max_bytes: 12 }.ask();
        let answer = answer.map_err(|error| error.to_string())?;
        Ok((answer.status.code(), String::from_utf8(answer.stdout).unwrap()))
    }

    #[test]
    fn answers() {
        let long = Duration::from_secs(60);
        for (script, limit, expected) in [
            ("cat", long, Ok((Some(0), "question"))),
            ("echo no; exit 3", long, Ok((Some(3), "no\n"))),
            ("printf %20d 1", long, Ok((Some(0), "            "))),
            ("sleep 600 & echo left", long, Ok((Some(0), "left\n"))),
            ("sleep 600", Duration::from_millis(50), Err("it took longer than 50ms")),
            ("sleep 600 & sleep 600", Duration::from_millis(50), Err("it took longer than 50ms")),
        ] {
            let expected = expected.map(|(code, text)| (code, text.to_owned())).map_err(str::to_owned);
            assert_eq!(ask(script, limit), expected, "{script}");
        }
    }
}
