//! Flows as files that the user names.

use std::io::Read;
use std::path::Path;

use crate::app::usage;

/// The text of a flow and what to call it in messages.
pub struct Source {
    /// The path as given, or `<stdin>`.
    pub name: String,
    /// The YAML.
    pub text: String,
}

/// Reads a flow; `-` is standard input.
pub fn read_flow(path: &Path) -> anyhow::Result<Source> {
    let (name, bytes) = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().read_to_end(&mut bytes);
        ("<stdin>".to_owned(), read.map(|_| bytes))
    } else {
        (path.display().to_string(), std::fs::read(path))
    };
    let bytes = bytes.map_err(|error| usage(format!("cannot read `{name}`: {error}")))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name, text }),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
            Err(usage(format!("{name}:{line}:{column}: the file is not UTF-8 text")))
        }
    }
}
