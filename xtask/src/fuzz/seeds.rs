//! Inputs to begin with, and words to make more of: from flows, documents and texts that stand in the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::literals;
use crate::exec;

/// Longer ones find nothing that shorter ones do not.
const LONGEST: usize = 6_000;
/// Words of a dictionary are so long at most.
const WORD: usize = 32;
/// libFuzzer tries each; many more would dilute those that matter.
const WORDS: usize = 700;

/// Where a target's inputs come from.
struct Sources {
    target: &'static str,
    /// Files that are inputs as they are: a folder, and how their names end.
    files: &'static [(&'static str, &'static str)],
    /// Rust sources of which texts are inputs.
    texts: &'static [&'static str],
    /// Which of those texts.
    wanted: fn(&[u8]) -> bool,
    /// What stands before a text, so that it is an input: some targets read what to do from their first bytes.
    before: &'static [&'static [u8]],
    /// Rust sources of whose texts the words are.
    words: &'static [&'static str],
}

const SOURCES: &[Sources] = &[
    Sources {
        target: "flow",
        files: &[("examples", ".yaml"), ("tests", ".yaml")],
        texts: &["engine/flow", "engine/executor/tests", "engine/testing/src", "plugins", "tests/e2e"],
        wanted: is_flow,
        before: &[b""],
        words: &["engine/flow/src"],
    },
    Sources {
        target: "agreement",
        files: &[("examples", ".yaml"), ("tests", ".yaml")],
        texts: &["engine/flow", "plugins", "tests/e2e"],
        wanted: is_flow,
        before: &[b""],
        words: &[
            "engine/flow/src/parse",
            "engine/flow/src/aliases.rs",
            "fuzz/src",
            "engine/expr/src/functions",
        ],
    },
    Sources {
        target: "expression",
        files: &[],
        texts: &["engine/expr", "engine/flow/tests", "tests/e2e"],
        wanted: |text| contains(text, b"{{") || contains(text, b"{%"),
        before: &[b""],
        words: &["engine/expr/src"],
    },
    Sources {
        target: "ion",
        files: &[],
        texts: &["engine/expr/src/ion.rs", "engine/expr/tests", "plugins/mongodb/src"],
        wanted: |text| text.iter().any(|byte| b"{[(':".contains(byte)) && !contains(text, b"{{ "),
        before: &[b""],
        words: &["engine/expr/src/ion.rs", "plugins/mongodb/src/ion.rs"],
    },
    Sources {
        target: "protocol",
        files: &[],
        texts: &["engine/worker/src/protocol.rs", "tests/e2e"],
        wanted: |text| contains(text, b"::{"),
        before: &[b""],
        words: &["engine/worker/src/protocol.rs"],
    },
    Sources {
        target: "terminal",
        files: &[],
        texts: &["engine/cli/src/ui", "tests/e2e/terminal.rs"],
        wanted: |text| text.iter().any(|byte| !(b' '..=b'~').contains(byte)),
        before: &[b""],
        words: &["engine/cli/src/ui/printable.rs"],
    },
    Sources {
        target: "descriptor",
        files: &[],
        texts: &["engine/host", "engine/schema"],
        wanted: |text| text.starts_with(b"{") || text.starts_with(b"["),
        before: &[b""],
        words: &[
            "engine/host/src/descriptor.rs",
            "engine/worker/src/schema.rs",
            "engine/flow/src/validate",
            "sdk/rust/src",
        ],
    },
    Sources {
        target: "files",
        files: &[],
        texts: &["engine/files"],
        wanted: |text| text.len() < 200,
        before: &[b"", b"*\n", b"{a,b}[a-c]?**/x\n"],
        words: &["engine/files"],
    },
    Sources {
        target: "config",
        files: &[],
        texts: &["engine/config", "tests/e2e"],
        wanted: |text| contains(text, b":") && text.len() < 1_000,
        before: &[b""],
        words: &["engine/config/src", "engine/network/src/rules.rs"],
    },
    Sources {
        target: "journal",
        files: &[],
        texts: &["engine/state"],
        wanted: |text| text.starts_with(b"{"),
        before: &[b""],
        words: &["engine/state/src", "engine/model/src"],
    },
    Sources {
        target: "s3",
        files: &[],
        texts: &["plugins/aws/src"],
        wanted: |text| contains(text, b"<") || contains(text, b" GMT"),
        before: &[b"\0\0", b"\x01\x03", b"\x02\0", b"\x05\0", b"\x07\0"],
        words: &["plugins/aws/src"],
    },
    Sources {
        target: "mongodb",
        files: &[],
        texts: &["plugins/mongodb/src"],
        wanted: |text| text.iter().any(|byte| b"{[:/".contains(byte)),
        before: &[b"\x05", b"\x06", b"\x07"],
        words: &["plugins/mongodb/src"],
    },
];

/// Writes the inputs of a target to begin with into `folder`, a file each, and its words to `dictionary`.
pub fn write(target: &str, folder: &Path, dictionary: &Path) -> Result<()> {
    let Some(sources) = SOURCES.iter().find(|sources| sources.target == target) else {
        // What is checked in has to do.
        return put(dictionary, b"");
    };
    let mut inputs: BTreeSet<Vec<u8>> = BTreeSet::new();
    for (place, end) in sources.files {
        for file in below(&exec::root().join(place), end)? {
            inputs.insert(read(&file)?);
        }
    }
    for text in texts(sources.texts)? {
        if (sources.wanted)(&text) {
            inputs.extend(sources.before.iter().map(|before| [before, &text[..]].concat()));
        }
    }
    for (number, input) in inputs.iter().filter(|input| input.len() <= LONGEST).enumerate() {
        put(&folder.join(number.to_string()), input)?;
    }
    put(dictionary, words(sources.words)?.as_bytes())
}

/// The dictionary: words and signs, not sentences.
fn words(places: &[&str]) -> Result<String> {
    let is_word = |text: &Vec<u8>| {
        (2..=WORD).contains(&text.len())
            && text.is_ascii()
            && text.iter().filter(|byte| **byte == b' ').count() < 2
    };
    let words: BTreeSet<Vec<u8>> = texts(places)?.into_iter().filter(is_word).collect();
    let mut dictionary = String::new();
    for word in words.iter().take(WORDS) {
        dictionary.push('"');
        for &byte in word {
            match byte {
                b'"' | b'\\' => dictionary.extend(['\\', char::from(byte)]),
                b' '..=b'~' => dictionary.push(char::from(byte)),
                byte => dictionary.push_str(&format!("\\x{byte:02X}")),
            }
        }
        dictionary.push_str("\"\n");
    }
    Ok(dictionary)
}

/// All texts of Rust sources.
fn texts(places: &[&str]) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for place in places {
        for file in below(&exec::root().join(place), ".rs")? {
            found.extend(literals::of(&String::from_utf8_lossy(&read(&file)?)));
        }
    }
    Ok(found)
}

/// A file, or all files below a folder whose names end so; build directories are left out.
fn below(place: &Path, end: &str) -> Result<Vec<PathBuf>> {
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let mut found = Vec::new();
    let entries = fs::read_dir(place).with_context(|| format!("cannot read `{}`", place.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read `{}`", place.display()))?.path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(below(&path, end)?);
        } else if path.is_file() && path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    Ok(found)
}

fn is_flow(text: &[u8]) -> bool {
    contains(text, b": ") && (contains(text, b"id:") || contains(text, b"type:"))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))
}

fn put(file: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(file, bytes).with_context(|| format!("cannot write `{}`", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_inputs_and_words() {
        for target in super::super::names().unwrap() {
            let folder = tempfile::tempdir().unwrap();
            let dictionary = folder.path().join("dictionary");
            let seeds = folder.path().join("seeds");
            fs::create_dir(&seeds).unwrap();
            write(&target, &seeds, &dictionary).unwrap();
            assert!(fs::read_dir(&seeds).unwrap().count() >= 5, "{target}");
            assert!(fs::read_to_string(&dictionary).unwrap().lines().count() >= 5, "{target}");
        }
    }
}
