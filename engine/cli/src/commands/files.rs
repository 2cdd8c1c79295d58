//! Flows as files that the user names.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;
use walkdir::{DirEntry, WalkDir};
use weft_files::regular;
use weft_flow::{Diagnostic, ParseOptions, Position, Span};
use weft_local::MOST_FLOW_BYTES;

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
    let (name, bytes) = match path {
        path if path == Path::new("-") => {
            ("<stdin>".to_owned(), regular::read_all(std::io::stdin(), MOST_FLOW_BYTES))
        }
        // What a shell makes of `<(command)` is a pipe that somebody writes to.
        path if is_open_file(path) => {
            let bytes = File::open(path).and_then(|file| regular::read_all(file, MOST_FLOW_BYTES));
            (path.display().to_string(), bytes)
        }
        path => (path.display().to_string(), regular::read(path, MOST_FLOW_BYTES)),
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

/// Whether a path names a file that this process was started with.
fn is_open_file(path: &Path) -> bool {
    ["/dev/fd", "/proc/self/fd", "/dev/stdin"].iter().any(|place| path.starts_with(place))
}

/// What is below a folder.
#[derive(Debug, Default)]
pub struct Below {
    /// The YAML files that are wanted, sorted.
    pub files: Vec<PathBuf>,
    /// What is called like one and cannot be read, and folders that cannot be: why.
    pub left_out: Vec<LeftOut>,
}

/// Something in a folder that was left out.
#[derive(Debug)]
pub struct LeftOut {
    path: PathBuf,
    why: String,
}

impl LeftOut {
    /// What is said of it.
    pub fn message(&self) -> String {
        format!("`{}` is left out: {}", self.path.display(), self.why)
    }

    /// The form for programs, that of a mistake in a flow.
    pub fn to_machine(&self) -> serde_json::Result<Value> {
        let position = Position { line: 1, column: 1, ..Position::default() };
        let mistake = Diagnostic::warning("unreadable-file", Span::at(position), self.message());
        serde_json::to_value(mistake.to_machine(&self.path.display().to_string()))
    }
}

/// The YAML files below a folder, to a depth, whose texts are wanted; not those of hidden folders and of what tools put
/// there.
pub fn yaml_files(folder: &Path, depth: usize, is_wanted: impl Fn(&str) -> bool) -> Below {
    let mut below = Below::default();
    let walk = WalkDir::new(folder).max_depth(depth).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(is_entered) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                let why =
                    error.io_error().map_or_else(|| "it leads to itself".to_owned(), ToString::to_string);
                below.left_out.push(LeftOut { path, why });
                continue;
            }
        };
        let (found, path) = (entry.file_type(), entry.path());
        // Links are not followed: what they lead to has a place of its own.
        if found.is_dir() || found.is_symlink() || !is_yaml(path) {
            continue;
        }
        match regular::read(path, MOST_FLOW_BYTES).map(String::from_utf8) {
            Ok(Ok(text)) if is_wanted(&text) => below.files.push(entry.into_path()),
            Ok(Ok(_)) => {}
            Ok(Err(_)) => {
                below
                    .left_out
                    .push(LeftOut { path: entry.into_path(), why: "it is not UTF-8 text".to_owned() });
            }
            Err(error) => {
                below.left_out.push(LeftOut { path: entry.into_path(), why: error.to_string() });
            }
        }
    }
    below
}

/// The folders below a folder that have YAML files, itself first.
pub fn folders(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    let walk = WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(is_entered);
    for entry in walk.filter_map(Result::ok) {
        if entry.file_type().is_file()
            && is_yaml(entry.path())
            && let Some(parent) = entry.path().parent()
            && folders.last().is_none_or(|last| last != parent)
        {
            folders.push(parent.to_owned());
        }
    }
    folders
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml" || end == "yml")
}

/// Whether a text looks like a flow: it has a list of tasks.
pub fn looks_like_flow(text: &str) -> bool {
    if text.lines().any(|line| line.starts_with("tasks:")) {
        return true;
    }
    // One written as JSON, or with its keys indented or quoted.
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with(['#', '-']));
    first.is_some_and(|first| first.starts_with([' ', '{', '"', '\'']))
        && text.contains("tasks")
        && weft_flow::yaml_to_json(text, &ParseOptions::default())
            .is_ok_and(|flow| flow.get("tasks").is_some())
}

fn is_entered(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0 || !(name.starts_with('.') || NOT_ENTERED.contains(&name.as_ref()))
}
