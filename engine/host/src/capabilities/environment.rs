//! `environment`: variables and files of the engine's user, by two keys: the type's `needs` name them, and the operator
//! has granted the capability for them.

use weft_files::{OpenFile, StorageError};
use weft_model::Failure as ModelFailure;

use crate::Capability;
use crate::bindings::weft::plugin::{environment::Host, types::Failure};
use crate::store::RunState;

/// A larger file is none of credentials.
const MAX_FILE: u64 = 1 << 20;
/// What the names of variables have whose values are hidden.
const SECRET: [&str; 4] = ["SECRET", "TOKEN", "PASSWORD", "CREDENTIAL"];

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
        self.rights.allow_scope(Capability::Environment, &name)?;
        self.name("the variable", &name)?;
        if !self.rights.names_variable(&name) {
            return Err(self.declared("variable", &name).into());
        }
        let value = std::env::var(&name).ok();
        if let Some(value) = &value
            && SECRET.iter().any(|word| name.contains(word))
        {
            self.caps.hide(value)?;
        }
        Ok(value)
    }

    async fn file(&mut self, path: String) -> Result<Option<String>, Failure> {
        self.rights.allow_scope(Capability::Environment, &path)?;
        self.name("the path", &path)?;
        let Some(place) = self.rights.place(&path, |name| std::env::var(name).ok()) else {
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
