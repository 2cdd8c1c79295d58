//! Secrets from a password manager, by a command.

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use weft_runner::{Answer, Helper};

use super::{SecretError, Secrets, plain_key};

/// What stands for the key in an argument.
const KEY: &str = "{key}";
/// How long an answer is good for: a loop over a thousand items must not start a thousand programs.
const FRESH: Duration = Duration::from_secs(30);
/// More output than this is no secret.
const MAX_BYTES: u64 = 1 << 20;
/// How much of what a program complains about goes into a message.
const MAX_COMPLAINT: usize = 500;

/// Asks a program for each secret: `pass show weft/{key}`, `vault kv get -field=value secret/weft/{key}`.
///
/// What it prints is the secret, without a line break at the end. Its environment is the engine's.
pub struct SecretCommand {
    argv: Vec<String>,
    limit: Duration,
    answers: Mutex<HashMap<String, (Instant, String)>>,
}

impl SecretCommand {
    /// This program with these arguments, in which `{key}` stands for the key; where it stands nowhere, the key is one
    /// more argument. It is ended after `limit`.
    pub fn new(argv: Vec<String>, limit: Duration) -> Self {
        Self { argv, limit, answers: Mutex::default() }
    }

    fn arguments(&self, key: &str) -> Vec<String> {
        let arguments = self.argv.iter().skip(1);
        let mut all: Vec<String> = arguments.clone().map(|argument| argument.replace(KEY, key)).collect();
        if !arguments.clone().any(|argument| argument.contains(KEY)) {
            all.push(key.to_owned());
        }
        all
    }

    fn ask(&self, key: &str) -> Result<String, SecretError> {
        let program = self.argv.first().map_or("", String::as_str);
        let failed = |reason: String| SecretError::Command {
            program: program.to_owned(),
            key: key.to_owned(),
            reason,
        };
        let mut command = Command::new(program);
        command.args(self.arguments(key));
        let helper = Helper { command, input: &[], limit: self.limit, max_bytes: MAX_BYTES };
        let Answer { status, stdout, stderr } = helper.ask().map_err(|error| failed(error.to_string()))?;
        if !status.success() {
            let complaint = String::from_utf8_lossy(&stderr);
            let complaint = complaint.trim();
            let end = complaint.floor_char_boundary(MAX_COMPLAINT);
            let how = match status.code() {
                Some(code) => format!("it ended with exit code {code}"),
                None => "it was killed".to_owned(),
            };
            let reason = if end == 0 { how } else { format!("{how}: {}", &complaint[..end]) };
            return Err(failed(reason));
        }
        if stdout.len() as u64 >= MAX_BYTES {
            return Err(failed(format!("it printed {MAX_BYTES} bytes or more, which is no secret")));
        }
        let text =
            String::from_utf8(stdout).map_err(|_| failed("what it printed is not UTF-8 text".to_owned()))?;
        let text = text.strip_suffix('\n').map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() {
            return Err(failed("it printed nothing".to_owned()));
        }
        Ok(text.to_owned())
    }
}

impl Secrets for SecretCommand {
    fn get(&self, key: &str) -> Result<Option<String>, SecretError> {
        let key = plain_key(key)?;
        {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.retain(|_, (asked, _)| asked.elapsed() < FRESH);
            if let Some((_, secret)) = answers.get(key) {
                return Ok(Some(secret.clone()));
            }
        }
        let secret = self.ask(key)?;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(key.to_owned(), (Instant::now(), secret.clone()));
        Ok(Some(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> SecretCommand {
        let argv = ["sh", "-c", script, "sh", "pre/{key}"].map(str::to_owned).to_vec();
        SecretCommand::new(argv, limit)
    }

    #[test]
    fn what_a_command_prints_is_the_secret() {
        let secrets = shell("printf 'value of %s\\n' \"$1\"", Duration::from_secs(20));
        assert_eq!(secrets.get("A.b").unwrap().as_deref(), Some("value of pre/A.b"));
        let echo = SecretCommand::new(vec!["echo".into(), "got".into()], Duration::from_secs(20));
        assert_eq!(echo.get("KEY").unwrap().as_deref(), Some("got KEY"));
    }

    #[test]
    fn a_command_is_asked_once_for_a_while() {
        let count = tempfile::NamedTempFile::new().unwrap();
        let script = format!("echo x >> {0}; wc -l < {0}", count.path().display());
        let secrets = shell(&script, Duration::from_secs(20));
        assert_eq!(secrets.get("A").unwrap(), secrets.get("A").unwrap());
        assert_ne!(secrets.get("A").unwrap(), secrets.get("B").unwrap());
    }

    #[test]
    fn what_goes_wrong_is_said_with_what_the_command_said() {
        let long = Duration::from_secs(20);
        for (secrets, expected) in [
            (shell("echo out; echo 'not in the store' >&2; exit 3", long), "exit code 3: not in the store"),
            (shell("kill -9 $$", long), "it was killed"),
            (shell(":", long), "it printed nothing"),
            (shell("printf '\\377'", long), "not UTF-8"),
            (shell("exec sleep 60", Duration::from_millis(50)), "took longer than 50ms"),
            (SecretCommand::new(vec!["no-such-program".into()], long), "cannot be started"),
        ] {
            let error = secrets.get("KEY").unwrap_err();
            assert_eq!(error.code(), "secret.command");
            let text = error.to_string();
            assert!(text.contains(expected) && !text.contains("echo out"), "{text}");
        }
        assert_eq!(shell(":", long).get("--help").unwrap_err().code(), "secret.invalid");
    }
}
