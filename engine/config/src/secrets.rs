//! `secrets`: where `secret()` looks, beside the environment.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Expected, SeqAccess, Visitor};

use crate::network::TimeText;

/// How long a command may take, unless the file says otherwise: somebody may have to type a passphrase.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// What the operator says of secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase", expecting = "a map")]
pub struct SecretsConfig {
    /// Directories with a file for each secret, and dotenv files.
    pub files: Vec<PathBuf>,
    /// A program and its arguments, in which `{key}` stands for the key.
    command: Option<Argv>,
    /// How long it may take.
    command_timeout: Option<TimeText>,
}

impl SecretsConfig {
    /// The command to ask, and how long it may take.
    pub fn command(&self) -> Option<(Vec<String>, Duration)> {
        let limit = self.command_timeout.map_or(COMMAND_TIMEOUT, |limit| limit.0);
        self.command.as_ref().map(|argv| (argv.0.clone(), limit))
    }
}

/// A command line that has a program.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Argv(Vec<String>);

impl<'de> Deserialize<'de> for Argv {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ArgvVisitor)
    }
}

/// A visitor of its own, so that the reader knows where the list stands when it has no program.
struct ArgvVisitor;

impl<'de> Visitor<'de> for ArgvVisitor {
    type Value = Argv;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a program and its arguments, as in `[pass, show, \"weft/{key}\"]`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Argv, A::Error> {
        let mut argv = Vec::<String>::new();
        while let Some(part) = parts.next_element()? {
            argv.push(part);
        }
        if argv.first().is_none_or(String::is_empty) {
            return Err(A::Error::custom(format_args!("expected {}", &self as &dyn Expected)));
        }
        Ok(Argv(argv))
    }
}
