//! File patterns with the meaning that `java.nio.file.FileSystem.getPathMatcher` gives them.
//!
//! | pattern | matches |
//! |---|---|
//! | `*` | any run of characters without `/`, also an empty one and one that begins with a dot |
//! | `**` | any run of characters, `/` included; `**/x` needs a folder, so it does not match `x` itself |
//! | `?` | one character that is not `/` |
//! | `[a-z]`, `[!a-z]` | one character (not) of these, never `/`; `-` first stands for itself |
//! | `{a,b*}` | one of these; groups do not nest |
//! | `\x` | `x` itself; outside of brackets |
//!
//! Beginning with `glob:` or `regex:` a pattern is matched against the absolute path instead of the relative one, as
//! upstream does it.

use std::path::Path;

use regex::{Regex, RegexBuilder};

use crate::{Result, StorageError};

/// A bound on the compiled size of one pattern, in bytes.
const MAX_COMPILED: usize = 1 << 20;

/// One compiled pattern. Matching is on the whole text.
#[derive(Debug, Clone)]
pub struct Glob {
    regex: Regex,
}

impl Glob {
    /// Compiles `pattern`: a glob, or after `regex:` a regular expression (without look-around and back references).
    pub fn new(pattern: &str) -> Result<Self> {
        match split_syntax(pattern) {
            Some(Syntax::Regex(expression)) => Self::compile(pattern, &format!(r"\A(?:{expression})\z")),
            Some(Syntax::Glob(glob)) => Self::compile(pattern, &translate(pattern, glob)?),
            None => Self::compile(pattern, &translate(pattern, pattern)?),
        }
    }

    fn compile(pattern: &str, expression: &str) -> Result<Self> {
        let regex = RegexBuilder::new(expression).size_limit(MAX_COMPILED).build().map_err(|error| {
            let text = error.to_string();
            // A syntax error is several lines with the cause in the last one.
            let reason = text.rsplit("error: ").next().unwrap_or(&text).trim().to_owned();
            StorageError::InvalidPattern { pattern: pattern.to_owned(), position: None, reason }
        })?;
        Ok(Self { regex })
    }

    /// Whether the whole of `path`, parts separated by `/`, matches.
    pub fn matches(&self, path: &str) -> bool {
        self.regex.is_match(path)
    }
}

/// The patterns of `outputFiles`, `LocalFiles.outputs` or a cache, for one working directory.
#[derive(Debug, Clone)]
pub struct PatternSet {
    /// Matched against the path below the directory.
    relative: Vec<Glob>,
    /// Matched against the absolute path: those with a `glob:` or `regex:` in front.
    absolute: Vec<Glob>,
    /// The absolute path of the directory with `/` at its end.
    root: String,
    /// How deep a match can lie below the directory; none if any depth is possible.
    max_depth: Option<usize>,
}

impl PatternSet {
    /// Compiles patterns that users wrote for files in `root`, which must be absolute.
    ///
    /// A pattern is relative to `root` also with a `/` in front, as upstream has it; one that begins with the path of
    /// `root` itself (`{{ workingDir }}/out.csv`) is taken as meant. `..` as a part is an error.
    pub fn in_directory(root: &Path, patterns: &[impl AsRef<str>]) -> Result<Self> {
        let mut root = root.to_string_lossy().into_owned();
        if !root.ends_with('/') {
            root.push('/');
        }
        let mut set = Self { relative: Vec::new(), absolute: Vec::new(), root, max_depth: Some(0) };
        for pattern in patterns {
            set.add(pattern.as_ref())?;
        }
        Ok(set)
    }

    fn add(&mut self, pattern: &str) -> Result<()> {
        if split_syntax(pattern).is_some() {
            self.absolute.push(Glob::new(pattern)?);
            self.max_depth = None;
            return Ok(());
        }
        let below = pattern.strip_prefix(&self.root).unwrap_or(pattern).trim_start_matches('/');
        if below.split('/').any(|part| part == "..") {
            let reason =
                "`..` is not allowed in a file pattern; patterns are relative to that directory".to_owned();
            return Err(StorageError::Escape { name: pattern.to_owned(), reason });
        }
        // `./x` is `x`: paths are compared in their shortest form.
        let below = below.strip_prefix("./").unwrap_or(below);
        self.relative.push(Glob::compile(pattern, &translate(pattern, below)?)?);
        let depth = (!below.contains("**")).then(|| 1 + below.matches('/').count());
        self.max_depth = self.max_depth.zip(depth).map(|(a, b)| a.max(b));
        Ok(())
    }

    /// Whether the file at `relative` below the directory matches one of the patterns.
    pub fn matches(&self, relative: &str) -> bool {
        if self.relative.iter().any(|glob| glob.matches(relative)) {
            return true;
        }
        !self.absolute.is_empty() && {
            let path = format!("{}{relative}", self.root);
            self.absolute.iter().any(|glob| glob.matches(&path))
        }
    }

    /// How deep below the directory a match can lie: 1 is directly in it, `None` is any depth.
    pub(crate) fn max_depth(&self) -> Option<usize> {
        self.max_depth
    }
}

/// `include` and `exclude` of namespace files. A pattern matches in any folder, unless it begins with `/`.
#[derive(Debug, Clone)]
pub struct FileFilter {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

impl FileFilter {
    /// Compiles both lists. An empty `include` takes everything.
    pub fn new(include: &[impl AsRef<str>], exclude: &[impl AsRef<str>]) -> Result<Self> {
        let compile = |pattern: &str| {
            // Upstream does it where a pattern begins with a word character; `*.py` would then never match anything.
            let anywhere = !pattern.starts_with('/') && !pattern.starts_with("**");
            if split_syntax(pattern).is_none() && anywhere {
                Glob::compile(pattern, &translate(pattern, &format!("**/{pattern}"))?)
            } else {
                Glob::new(pattern)
            }
        };
        Ok(Self {
            include: include.iter().map(|pattern| compile(pattern.as_ref())).collect::<Result<_>>()?,
            exclude: exclude.iter().map(|pattern| compile(pattern.as_ref())).collect::<Result<_>>()?,
        })
    }

    /// Whether the namespace file at `relative` is taken. It is compared with a `/` in front.
    pub fn matches(&self, relative: &str) -> bool {
        let path = format!("/{}", relative.trim_start_matches('/'));
        (self.include.is_empty() || self.include.iter().any(|glob| glob.matches(&path)))
            && !self.exclude.iter().any(|glob| glob.matches(&path))
    }
}

enum Syntax<'a> {
    Glob(&'a str),
    Regex(&'a str),
}

fn split_syntax(pattern: &str) -> Option<Syntax<'_>> {
    let glob = pattern.strip_prefix("glob:").map(Syntax::Glob);
    glob.or_else(|| pattern.strip_prefix("regex:").map(Syntax::Regex))
}

/// The regular expression for `glob`, which is the end of `pattern`, or has `**/` more in front.
fn translate(pattern: &str, glob: &str) -> Result<String> {
    Translation { pattern, rest: glob, out: String::from(r"(?s)\A"), in_group: None }.run()
}

struct Translation<'a> {
    pattern: &'a str,
    rest: &'a str,
    out: String,
    /// What was left of the glob when the open group began.
    in_group: Option<usize>,
}

impl Translation<'_> {
    fn run(mut self) -> Result<String> {
        loop {
            let left = self.rest.len();
            let Some(c) = self.next() else { break };
            match c {
                '\\' => match self.next() {
                    Some(escaped) => self.literal(escaped),
                    None => return Err(self.error(left, "no character follows the `\\`")),
                },
                '[' => self.class(left)?,
                '{' if self.in_group.is_some() => {
                    return Err(self.error(left, "groups `{...}` cannot be nested"));
                }
                '{' => {
                    self.in_group = Some(left);
                    self.out.push_str("(?:");
                }
                '}' if self.in_group.take().is_some() => self.out.push(')'),
                ',' if self.in_group.is_some() => self.out.push('|'),
                '*' if self.skip('*') => self.out.push_str(".*"),
                '*' => self.out.push_str("[^/]*"),
                '?' => self.out.push_str("[^/]"),
                c => self.literal(c),
            }
        }
        if let Some(left) = self.in_group {
            return Err(
                self.error(left, "this `{` is never closed with `}`; write `\\{` for the character itself")
            );
        }
        self.out.push_str(r"\z");
        Ok(self.out)
    }

    /// A class after its `[`; `opened` is what was left of the glob there.
    fn class(&mut self, opened: usize) -> Result<()> {
        self.out.push_str("[[^/]&&[");
        if self.skip('!') {
            self.out.push('^');
        }
        let mut empty = true;
        if self.skip('-') {
            self.literal('-');
            empty = false;
        }
        // What a range may begin with: the character before, unless that ended a range itself.
        let mut range_start = None;
        loop {
            let left = self.rest.len();
            match self.next() {
                None => return Err(self.unclosed(opened)),
                Some(']') if empty => return Err(self.error(opened, "the brackets `[]` are empty")),
                Some(']') => break,
                Some('/') => return Err(self.error(left, "`/` cannot be in brackets")),
                Some('-') if self.rest.starts_with(']') => self.literal('-'),
                Some('-') => {
                    let Some(end) = self.next() else { return Err(self.unclosed(opened)) };
                    if range_start.take().is_none_or(|start| end < start) {
                        return Err(self
                            .error(left, "a range in brackets runs from a lower character to a higher one"));
                    }
                    self.out.push('-');
                    self.literal(end);
                }
                Some(c) => {
                    self.literal(c);
                    range_start = Some(c);
                }
            }
            empty = false;
        }
        self.out.push_str("]]");
        Ok(())
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn skip(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn literal(&mut self, c: char) {
        self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    fn unclosed(&self, opened: usize) -> StorageError {
        self.error(opened, "this `[` is never closed with `]`; write `\\[` for the character itself")
    }

    /// An error at the character where `left` bytes of the glob were still to come.
    fn error(&self, left: usize, reason: &str) -> StorageError {
        let before = self.pattern.len().saturating_sub(left);
        let position = Some(self.pattern[..before].chars().count() + 1);
        StorageError::InvalidPattern { pattern: self.pattern.to_owned(), position, reason: reason.to_owned() }
    }
}

#[cfg(test)]
#[path = "glob_tests.rs"]
mod tests;
