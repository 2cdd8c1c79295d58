//! `environment`: variables and files of the engine's user, by two keys: the plugin's `needs` name them, and the operator
//! has granted the capability.

use std::path::{Path, PathBuf};

use weft_files::{OpenFile, StorageError};
use weft_model::Failure as ModelFailure;

use crate::bindings::weft::plugin::{environment::Host, types::Failure};
use crate::store::RunState;
use crate::{Capability, Needs};

/// A larger file is none of credentials.
const MAX_FILE: u64 = 1 << 20;
/// What the names of variables have whose values are hidden.
const SECRET: [&str; 4] = ["SECRET", "TOKEN", "PASSWORD", "CREDENTIAL"];

/// What a plugin says it looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    variables: Vec<String>,
    files: Vec<String>,
}

impl Declared {
    /// What the types of a plugin say, together.
    pub(crate) fn of<'n>(needs: impl Iterator<Item = &'n Needs>) -> Self {
        let mut declared = Self::default();
        for needs in needs {
            declared.variables.extend(needs.variables.iter().cloned());
            declared.files.extend(needs.files.iter().cloned());
        }
        declared
    }

    /// `AWS_*` stands for every name that begins so.
    fn names_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|known| match known.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => known == name,
        })
    }

    /// The place of a file that is named, or that a named variable names.
    fn place(&self, path: &str, variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let named = self.files.iter().any(|known| match known.strip_prefix('$') {
            Some(name) => variable(name).as_deref() == Some(path),
            None => known == path,
        });
        named.then(|| expanded(path)).flatten()
    }
}

/// `~/` is the home of the engine's user.
fn expanded(path: &str) -> Option<PathBuf> {
    match path.strip_prefix("~/") {
        Some(rest) => Some(std::env::home_dir()?.join(rest)),
        None => Some(Path::new(path).to_owned()),
    }
}

impl RunState {
    fn declared(&self, what: &str, name: &str) -> ModelFailure {
        let message = format!(
            "plugin `{}` may not look at the {what} `{name}`: its `needs` do not name it",
            self.plugin()
        );
        ModelFailure::new("capability.denied", message)
    }
}

impl Host for RunState {
    async fn variable(&mut self, name: String) -> Result<Option<String>, Failure> {
        self.allow(Capability::Environment)?;
        if !self.needs().names_variable(&name) {
            return Err(self.declared("variable", &name).into());
        }
        let value = std::env::var(&name).ok();
        if let Some(value) = &value
            && SECRET.iter().any(|word| name.contains(word))
        {
            self.caps.hide(value);
        }
        Ok(value)
    }

    async fn file(&mut self, path: String) -> Result<Option<String>, Failure> {
        self.allow(Capability::Environment)?;
        let Some(place) = self.needs().place(&path, |name| std::env::var(name).ok()) else {
            return Err(self.declared("file", &path).into());
        };
        let unreadable = |error: &dyn std::fmt::Display| {
            ModelFailure::new("files.unreadable", format!("cannot read `{path}`: {error}"))
        };
        // A pipe there would be waited for.
        let file = match OpenFile::open(&place) {
            Ok(file) => file,
            Err(StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(StorageError::Io { source, .. }) => return Err(unreadable(&source).into()),
            Err(error) => return Err(unreadable(&error).into()),
        };
        file.read_to_string(MAX_FILE).map(Some).map_err(|error| unreadable(&error).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_looked_at() {
        let declared = Declared {
            variables: vec!["AWS_*".into(), "HOME_REGION".into()],
            files: vec!["~/.aws/config".into(), "$AWS_CONFIG_FILE".into()],
        };
        for (name, expected) in
            [("AWS_PROFILE", true), ("HOME_REGION", true), ("HOME", false), ("PATH", false)]
        {
            assert_eq!(declared.names_variable(name), expected, "{name}");
        }
        let variable = |name: &str| (name == "AWS_CONFIG_FILE").then(|| "/etc/aws".to_owned());
        for (path, expected) in
            [("~/.aws/config", true), ("/etc/aws", true), ("/etc/passwd", false), ("~/.ssh/id", false)]
        {
            assert_eq!(declared.place(path, variable).is_some(), expected, "{path}");
        }
        assert_eq!(declared.place("/etc/aws", |_| None), None);
    }
}
