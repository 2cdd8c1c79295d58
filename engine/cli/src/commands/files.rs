//! Flows as files that the user names.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;
use walkdir::{DirEntry, WalkDir};
use weft_flow::{Diagnostic, Position, Span};

use crate::app::usage;

/// Folders of a project in which nobody writes flows.
const NOT_ENTERED: [&str; 3] = ["node_modules", "target", "__pycache__"];

/// The text of a flow and what to call it in messages.
pub struct Source {
    /// The path as given, or `<stdin>`.
    pub name: String,
    /// The YAML.
    pub text: String,
}

/// Why a file has no text.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// It is not there, or not for us.
    #[error("cannot read `{name}`: {error}")]
    Io {
        /// What it is called.
        name: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Its bytes are not text.
    #[error("{name}:{line}:{column}: the file is not UTF-8 text")]
    NotUtf8 {
        /// What it is called.
        name: String,
        /// The line of the first bad byte, from 1.
        line: usize,
        /// The byte in that line, from 1.
        column: usize,
    },
}

impl Unreadable {
    /// The form for programs, that of a mistake in a flow.
    pub fn to_machine(&self) -> serde_json::Result<Value> {
        let (file, line, column) = match self {
            Self::Io { name, .. } => (name, 1, 1),
            Self::NotUtf8 { name, line, column } => (name, *line, *column),
        };
        let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let position = Position { line: place(line), column: place(column), ..Position::default() };
        let mistake = Diagnostic::error("unreadable-file", Span::at(position), self.to_string());
        serde_json::to_value(mistake.to_machine(file))
    }
}

/// Reads a flow; `-` is standard input. The error is one of usage.
pub fn read_flow(path: &Path) -> anyhow::Result<Source> {
    read(path).map_err(|error| usage(error.to_string()))
}

/// Reads a file; `-` is standard input.
pub fn read(path: &Path) -> Result<Source, Unreadable> {
    let (name, bytes) = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().read_to_end(&mut bytes);
        ("<stdin>".to_owned(), read.map(|_| bytes))
    } else {
        (path.display().to_string(), std::fs::read(path))
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return Err(Unreadable::Io { name, error }),
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name, text }),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
            Err(Unreadable::NotUtf8 { name, line, column })
        }
    }
}

/// The YAML files below a folder, to a depth, sorted; not those of hidden folders and of what tools put there.
pub fn yaml_files(folder: &Path, depth: usize) -> impl Iterator<Item = PathBuf> {
    let walk = WalkDir::new(folder).max_depth(depth).sort_by_file_name().into_iter();
    walk.filter_entry(is_entered)
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml"))
}

/// Whether a text looks like a flow: it has a list of tasks.
pub fn looks_like_flow(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("tasks:"))
}

fn is_entered(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0 || !(name.starts_with('.') || NOT_ENTERED.contains(&name.as_ref()))
}
