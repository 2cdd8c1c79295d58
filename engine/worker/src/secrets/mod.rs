//! Where `secret('KEY')` finds its values: the environment, files, a command.

mod command;
mod environment;
mod files;

use std::path::PathBuf;

pub use command::SecretCommand;
pub use environment::EnvironmentSecrets;
pub use files::FileSecrets;

/// A place that knows secrets. Keys are not case-sensitive.
pub trait Secrets: Send + Sync {
    /// The secret's text; none if it is not known here. May wait for a file or a program.
    fn get(&self, key: &str) -> Result<Option<String>, SecretError>;
}

/// Why a secret cannot be had although it may exist.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A value that must be base64 is not.
    #[error(
        "{place} does not hold base64 text\nhint: set it with `{name}=$(printf %s 'the secret' | base64)`"
    )]
    NotBase64 {
        /// Where the value stands.
        place: String,
        /// The variable.
        name: String,
    },
    /// A key that cannot be looked up in files or by a command.
    #[error(
        "`{0}` cannot be the key of a secret in a file or of a command\n\
         hint: use letters, digits, `_`, `-`, `.`, and `/` between parts that do not begin with `.` or `-`"
    )]
    Key(String),
    /// A file of secrets that cannot be read.
    #[error("cannot read the secrets in `{}`: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why; for a text that is no dotenv file, with the line.
        reason: String,
    },
    /// The command did not give the secret.
    #[error("the command `{program}` does not give the secret `{key}`: {reason}")]
    Command {
        /// The program, without arguments.
        program: String,
        /// The key.
        key: String,
        /// What happened.
        reason: String,
    },
    /// Whoever keeps it does not hand it out, for the reason given.
    #[error("{0}")]
    Refused(String),
}

impl SecretError {
    /// The documented code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotBase64 { .. } | Self::Key(_) => "secret.invalid",
            Self::Unreadable { .. } => "secret.file",
            Self::Command { .. } => "secret.command",
            Self::Refused(_) => "secret.not-found",
        }
    }
}

/// Several places, asked one after the other: the first that knows a key gives its value.
pub struct SecretSources(Vec<Box<dyn Secrets>>);

impl SecretSources {
    /// The environment, then these.
    pub fn new(more: Vec<Box<dyn Secrets>>) -> Self {
        let environment: Box<dyn Secrets> = Box::new(EnvironmentSecrets);
        Self(std::iter::once(environment).chain(more).collect())
    }
}

impl Secrets for SecretSources {
    fn get(&self, key: &str) -> Result<Option<String>, SecretError> {
        for source in &self.0 {
            if let Some(secret) = source.get(key)? {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }
}

/// The key, if it may be part of a path or an argument: a flow must not read other files or give options by it.
fn plain_key(key: &str) -> Result<&str, SecretError> {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
    };
    if key.split('/').all(part) { Ok(key) } else { Err(SecretError::Key(key.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_nowhere_else() {
        for (key, plain) in [
            ("API_TOKEN", true),
            ("team/db.password-1", true),
            ("", false),
            ("..", false),
            ("a/../b", false),
            ("/etc/passwd", false),
            ("a//b", false),
            ("-f", false),
            ("a/--help", false),
            (".ssh", false),
            ("a b", false),
            ("a\0b", false),
            ("$(id)", false),
        ] {
            assert_eq!(plain_key(key).is_ok(), plain, "{key:?}");
        }
    }

    #[test]
    fn the_first_place_that_knows_a_key_counts() {
        struct One(&'static str, &'static str);
        impl Secrets for One {
            fn get(&self, key: &str) -> Result<Option<String>, SecretError> {
                Ok((key == self.0).then(|| self.1.to_owned()))
            }
        }
        let sources = SecretSources::new(vec![
            Box::new(One("A", "first")),
            Box::new(One("A", "second")),
            Box::new(One("B", "other")),
        ]);
        for (key, expected) in [("A", Some("first")), ("B", Some("other")), ("C", None)] {
            assert_eq!(sources.get(key).unwrap().as_deref(), expected, "{key}");
        }
    }
}
