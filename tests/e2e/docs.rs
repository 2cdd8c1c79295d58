//! Every code that the sources can raise has a page in `docs/errors`, and every page is about its code. Every promise of
//! `docs/security.md` names tests that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What stands before the dot of a code.
const AREAS: &[&str] = &[
    "capability",
    "container",
    "engine",
    "execution",
    "expression",
    "files",
    "flow",
    "git",
    "http",
    "kv",
    "mongodb",
    "network",
    "plugin",
    "process",
    "property",
    "s3",
    "script",
    "secret",
    "state",
    "storage",
    "subflow",
    "task",
    "trigger",
    "test",
    "worker",
];

#[test]
fn codes_are_read_from_sources() {
    for (source, expected) in [
        ("Failure::new(\"task.fail\", text)", &["task.fail"][..]),
        (
            "(Cause::Killed, \"execution.killed\"), (\"a\", \"kv.key-exists\")",
            &["execution.killed", "kv.key-exists"],
        ),
        ("// \"storage.not-found\"", &["storage.not-found"]),
        ("\"engine.json\" \"flow.yaml.j2\" \"task.Fail\" \"task.\" \"state\" \"other.fail\" task.fail", &[]),
        ("\"task.fail\"\n#[cfg(test)]\nmod tests { \"task.gone\" }", &["task.fail"]),
    ] {
        assert_eq!(codes_in(source), expected, "{source}");
    }
}

#[test]
fn every_code_has_a_page() {
    let mut missing = String::new();
    for (code, file) in codes() {
        if !pages().join(format!("{code}.md")).is_file() {
            missing += &format!("{code} in {}\n", file.display());
        }
    }
    assert!(missing.is_empty(), "these codes have no page in docs/errors:\n{missing}");
}

#[test]
fn every_page_begins_with_its_code() {
    for page in entries(&pages()) {
        let code = page.file_stem().unwrap().to_string_lossy().into_owned();
        if code != "README" {
            let text = fs::read_to_string(&page).unwrap();
            assert_eq!(text.lines().next(), Some(format!("# {code}").as_str()), "{}", page.display());
        }
    }
}

#[test]
fn promises_of_security_have_tests() {
    let text = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let mut files = Vec::new();
    for folder in ["engine", "plugins", "sdk", "tests", "fuzz"] {
        rust_files(&root().join(folder), &mut files);
    }
    let mut known = BTreeSet::new();
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        known.extend(source.split("fn ").skip(1).filter_map(|rest| Some(rest.split_once('(')?.0.to_owned())));
    }
    let mut promises = 0;
    for row in promises_in(&text) {
        promises += 1;
        let tests: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "a promise without a test: {row}");
        for test in tests {
            assert!(known.contains(test), "there is no test `{test}`: {row}");
        }
    }
    assert!(promises > 30, "tables with tests are read");
}

/// The last cells of the rows of all tables whose last column is `tests`.
fn promises_in(text: &str) -> Vec<&str> {
    let mut rows = Vec::new();
    let mut has_tests = false;
    for line in text.lines() {
        let Some(cells) = line.strip_prefix('|').and_then(|line| line.trim_end().strip_suffix('|')) else {
            has_tests = false;
            continue;
        };
        let last = cells.rsplit('|').next().unwrap_or_default().trim();
        if last == "tests" {
            has_tests = true;
        } else if has_tests && !last.starts_with("---") {
            rows.push(last);
        }
    }
    rows
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Every code, with a file that has it.
fn codes() -> BTreeMap<String, PathBuf> {
    let root = root();
    let mut crates = vec![root.join("sdk/rust")];
    crates.extend(["engine", "plugins"].iter().flat_map(|folder| entries(&root.join(folder))));
    let mut files = Vec::new();
    for folder in crates.iter().map(|folder| folder.join("src")).filter(|folder| folder.is_dir()) {
        sources(&folder, &mut files);
    }
    let mut codes = BTreeMap::new();
    for file in files {
        for code in codes_in(&fs::read_to_string(&file).unwrap()) {
            codes.insert(code.to_owned(), file.clone());
        }
    }
    let in_flow = root.join("engine/flow/src/codes.rs");
    codes.extend(weft_flow::CODES.iter().map(|(code, _)| ((*code).to_owned(), in_flow.clone())));
    codes
}

/// Quoted codes in a source, up to its tests.
fn codes_in(source: &str) -> Vec<&str> {
    let lines = source.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    // Names of metrics look the same.
    let lines = lines.filter(|line| !line.contains(".counter("));
    lines.flat_map(|line| line.split('"')).filter(|text| is_code(text)).collect()
}

fn is_code(text: &str) -> bool {
    let Some((area, reason)) = text.split_once('.') else { return false };
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    // `engine.json` is the name of a file.
    AREAS.contains(&area)
        && reason.len() > 1
        && !reason.starts_with('-')
        && letters(reason)
        && reason != "json"
}

/// The Rust files below a folder that are not tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn pages() -> PathBuf {
    root().join("docs/errors")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
