//! Names of files from flows and scripts: patterns and addresses are refused or mean one thing, and nothing leads out of its
//! place. The first line is a pattern or an address, those after it are paths.

use std::path::Path;

use weft_files::{ExecutionFiles, FileFilter, Glob, PatternSet, StorageUri, address, cache_archive, namespace_files};

use crate::text;

const ROOT: &str = "/tmp/work";

pub fn run(input: &[u8]) -> Option<()> {
    let text = text(input)?;
    let (first, paths) = text.split_once('\n').unwrap_or((text, ""));
    let paths: Vec<&str> = paths.lines().chain([first]).take(8).collect();
    pattern(first, &paths);
    for text in &paths {
        uri(text);
        places(text, first);
    }
    Some(())
}

fn pattern(pattern: &str, paths: &[&str]) {
    let glob = Glob::new(pattern);
    if let Err(error) = &glob {
        assert!(!error.to_string().is_empty() && !error.code().is_empty());
    }
    let set = PatternSet::in_directory(Path::new(ROOT), &[pattern]);
    let filter = FileFilter::new(&[pattern], &[] as &[&str]);
    let all_but = FileFilter::new(&[] as &[&str], &[pattern]);
    assert_eq!(filter.is_ok(), all_but.is_ok(), "included or excluded, it is the same pattern");
    for path in paths {
        if let Ok(glob) = &glob {
            glob.matches(path);
        }
        if let Ok(set) = &set {
            set.matches(path);
        }
        if let (Ok(filter), Ok(all_but)) = (&filter, &all_but) {
            assert_ne!(filter.matches(path), all_but.matches(path), "`{pattern}` includes or excludes `{path}`");
        }
    }
    // What has no sign of a pattern matches itself, and only that.
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '.' | ' ');
    if let Ok(glob) = &glob
        && pattern.chars().all(plain)
    {
        for path in paths {
            assert_eq!(glob.matches(path), *path == pattern, "`{pattern}` and `{path}`");
        }
    }
}

fn uri(text: &str) {
    for uri in [StorageUri::parse(text).ok(), address(text, "company.team").and_then(Result::ok)].into_iter().flatten() {
        is_inside(&uri);
        let printed = uri.to_string();
        assert_eq!(StorageUri::parse(&printed).ok().as_ref(), Some(&uri), "`{printed}` reads back");
        let found = |c: char| c.is_ascii_alphanumeric() || "-%._+~#=/:".contains(c);
        assert!(printed.chars().all(found), "`{printed}` is found in a script's text");
        assert_eq!(uri.relative_to(&uri), None);
    }
}

/// Whatever a name is, what is made of it lies where it belongs.
fn places(name: &str, other: &str) {
    let Ok(execution) = ExecutionFiles::new("company.team", "flow", "execution") else { panic!("plain names are fine") };
    let prefix = execution.prefix().clone();
    let made = [
        execution.input(other, name).ok(),
        execution.trigger(name).ok().map(|place| place.prefix().clone()),
        execution.task_run(name, other).ok().map(|place| place.prefix().clone()),
        execution.task_run("task", "run").ok().and_then(|place| place.output_file(name).ok()),
        execution.task_run("task", "run").ok().and_then(|place| place.file(name).ok()),
    ];
    for uri in made.into_iter().flatten() {
        is_inside(&uri);
        assert!(uri.relative_to(&prefix).is_some(), "{uri} is not below {prefix}");
    }
    for uri in [
        ExecutionFiles::new(name, other, "execution").ok().map(|files| files.prefix().clone()),
        namespace_files(name).ok(),
        cache_archive(name, other, name, Some(other)).ok(),
    ]
    .into_iter()
    .flatten()
    {
        is_inside(&uri);
    }
}

fn is_inside(uri: &StorageUri) {
    let wrong = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
    assert!(!uri.path().split('/').any(wrong), "{uri}");
}
