//! Collecting from a working directory, and its end.
#![allow(clippy::unwrap_used, reason = "in tests, helpers included, it is the assertion")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use weft_files::workdir::{Workspace, collect, collect_tree};
use weft_files::{PatternSet, Result};

fn names(root: &Path, patterns: &[&str]) -> Result<Vec<String>> {
    let patterns = PatternSet::in_directory(root, patterns)?;
    Ok(collect(root, &patterns)?.into_iter().map(|file| file.name).collect())
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    let root = base.join("root");
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::create_dir_all(base.join("outside")).unwrap();
    fs::write(base.join("outside/secret.csv"), "secret").unwrap();
    for file in ["a.csv", ".hidden.csv", "b.txt", "sub/c.csv", "sub/deep/d.csv"] {
        fs::write(root.join(file), file).unwrap();
    }
    (dir, root)
}

#[test]
fn regular_files_that_match_are_collected_in_order() {
    let (_dir, root) = directory();
    for (patterns, expected) in [
        (&["*.csv"][..], &[".hidden.csv", "a.csv"][..]),
        (&["**.csv"], &[".hidden.csv", "a.csv", "sub/c.csv", "sub/deep/d.csv"]),
        (&["**/*.csv"], &["sub/c.csv", "sub/deep/d.csv"]),
        (&["sub/*"], &["sub/c.csv"]),
        (&["sub"], &[]),
        (&["b.txt", "a.csv", "a.*"], &["a.csv", "b.txt"]),
        (&["/a.csv"], &["a.csv"]),
        (&["none*"], &[]),
        (&[], &[]),
    ] {
        assert_eq!(names(&root, patterns).unwrap(), expected, "{patterns:?}");
    }
    let found = collect(&root, &PatternSet::in_directory(&root, &["sub/c.csv"]).unwrap()).unwrap();
    assert_eq!(found[0].path, root.join("sub/c.csv"));
    let tree = collect_tree(&root, &root.join("sub")).unwrap();
    assert_eq!(tree.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["c.csv", "deep/d.csv"]);
}

#[test]
fn links_inside_are_files_and_links_outside_are_refused() {
    let (_dir, root) = directory();
    symlink("sub/c.csv", root.join("link.csv")).unwrap();
    symlink("absent", root.join("dangling.csv")).unwrap();
    symlink("sub", root.join("folder")).unwrap();
    symlink("../outside", root.join("way_out")).unwrap();
    let expected = [".hidden.csv", "a.csv", "link.csv", "sub/c.csv", "sub/deep/d.csv"];
    assert_eq!(names(&root, &["**.csv"]).unwrap(), expected);
    let found = collect(&root, &PatternSet::in_directory(&root, &["link.csv"]).unwrap()).unwrap();
    assert_eq!(found[0].path, root.join("sub/c.csv"));
    for unfollowed in ["folder/*", "way_out/*", "way_out/secret.csv"] {
        assert!(names(&root, &[unfollowed]).unwrap().is_empty(), "{unfollowed}");
    }

    symlink("../outside/secret.csv", root.join("leak.csv")).unwrap();
    symlink("../../outside/secret.csv", root.join("sub/leak.txt")).unwrap();
    for (patterns, leak) in [("*.csv", "leak.csv"), ("leak.csv", "leak.csv"), ("sub/*.txt", "sub/leak.txt")] {
        let error = names(&root, &[patterns]).unwrap_err();
        assert_eq!(error.code(), "files.escape");
        assert!(error.to_string().contains(&format!("`{leak}`")), "{error}");
        assert!(error.to_string().contains("outside/secret.csv"), "{error}");
    }
    assert_eq!(names(&root, &["b*"]).unwrap(), ["b.txt"], "a link that was not asked for harms nobody");
    // In an output directory, what is elsewhere in the working directory is not outside.
    symlink("../../a.csv", root.join("sub/deep/up.csv")).unwrap();
    assert_eq!(collect_tree(&root, &root.join("sub/deep")).unwrap().len(), 2);
    assert_eq!(
        collect_tree(&root.join("sub/deep"), &root.join("sub/deep")).unwrap_err().code(),
        "files.escape"
    );
}

#[test]
fn an_output_directory_may_be_gone_but_not_elsewhere() {
    let (_dir, root) = directory();
    assert_eq!(collect_tree(&root, &root.join("absent")).unwrap(), []);
    symlink("../outside", root.join("output")).unwrap();
    let error = collect_tree(&root, &root.join("output")).unwrap_err();
    assert_eq!(error.code(), "files.escape");
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(names(&root, &["*"]).unwrap(), [""; 0]);
}

#[test]
fn special_files_are_left_and_strange_names_are_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let (_dir, root) = directory();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe.csv"), 0o600.into()).unwrap();
    assert_eq!(names(&root, &["*.csv"]).unwrap(), [".hidden.csv", "a.csv"]);
    fs::write(root.join(OsStr::from_bytes(b"bad\xff.txt")), "").unwrap();
    assert_eq!(names(&root, &["*.csv"]).unwrap().len(), 2);
    let error = names(&root, &["*.txt"]).unwrap_err();
    assert_eq!(error.code(), "files.invalid-name");
}

#[test]
fn a_workspace_is_private_and_goes_away_with_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base/of/work");
    fs::create_dir(dir.path().join("precious")).unwrap();
    fs::write(dir.path().join("precious/file"), "x").unwrap();
    for close in [false, true] {
        let workspace = Workspace::create(&base).unwrap();
        let path = workspace.path().to_owned();
        assert_eq!(path.parent(), Some(base.as_path()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/c"), "x").unwrap();
        symlink(dir.path().join("precious"), path.join("a/link")).unwrap();
        for (name, mode) in [("a/b/c", 0o400), ("a/b", 0o000), ("a", 0o500), ("", 0o500)] {
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        match close {
            true => workspace.close().unwrap(),
            false => drop(workspace),
        }
        assert!(!path.exists());
        assert!(dir.path().join("precious/file").exists());
    }
}

#[test]
fn a_sweep_removes_only_what_nobody_uses() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Workspace::sweep(&dir.path().join("absent")).unwrap(), 0);
    let used = Workspace::create(dir.path()).unwrap();
    let forgotten = dir.path().join("0123456789abcdefghijkL");
    fs::create_dir_all(forgotten.join("x")).unwrap();
    let foreign = dir.path().join("somebody-elses");
    fs::create_dir(&foreign).unwrap();
    assert_eq!(Workspace::sweep(dir.path()).unwrap(), 1);
    assert!(used.path().exists() && foreign.exists() && !forgotten.exists());
    assert_eq!(Workspace::sweep(dir.path()).unwrap(), 0);
}

/// Not a test of its own: the process that [`what_a_killed_process_left_is_swept`] kills.
#[test]
fn hold_a_workspace() {
    let Some(base) = std::env::var_os("WEFT_TEST_BASE") else { return };
    let workspace = Workspace::create(Path::new(&base)).unwrap();
    // The child outlives this process. It must not keep the directory: the lock is not inherited.
    let mut child = Command::new("sleep").arg("5").spawn().unwrap();
    fs::write(workspace.path().join("held"), "").unwrap();
    child.wait().unwrap();
}

#[test]
fn what_a_killed_process_left_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hold_a_workspace"])
        .env("WEFT_TEST_BASE", dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let held = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().path().join("held").exists();
    while !fs::read_dir(dir.path()).unwrap().any(held) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(Workspace::sweep(dir.path()).unwrap(), 0, "it is held");
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(Workspace::sweep(dir.path()).unwrap(), 1);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
