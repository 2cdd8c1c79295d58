//! What can be wrong with a configuration file.

use std::path::PathBuf;

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read the configuration `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its text is not a configuration.
    #[error("{}:{place} {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// `line:column:`, or nothing where the reader does not know.
        place: String,
        /// What was expected.
        message: String,
    },
}
