//! Collecting from a working directory, and its end.
#![allow(clippy::unwrap_used, reason = "in tests, helpers included, it is the assertion")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use weft_files::workdir::{Directory, Found, Workspace};
use weft_files::{PatternSet, Result, Storage, StorageUri};

fn collect(root: &Path, patterns: &[&str]) -> Result<Vec<Found>> {
    Directory::open(root)?.collect(&PatternSet::in_directory(root, patterns)?)
}

fn names(root: &Path, patterns: &[&str]) -> Result<Vec<String>> {
    Ok(collect(root, patterns)?.into_iter().map(|file| file.name).collect())
}

fn names_in(root: &Path, below: &str) -> Result<Vec<String>> {
    Ok(Directory::open(root)?.collect_tree(below)?.into_iter().map(|file| file.name).collect())
}

fn text(found: &Found) -> String {
    found.open().unwrap().read_to_string(100).unwrap()
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
    let found = collect(&root, &["sub/c.csv"]).unwrap();
    assert_eq!(text(&found[0]), "sub/c.csv");
    assert_eq!(names_in(&root, "sub").unwrap(), ["c.csv", "deep/d.csv"]);
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
    assert_eq!(text(&collect(&root, &["link.csv"]).unwrap()[0]), "sub/c.csv");
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
    assert_eq!(names_in(&root, "sub/deep").unwrap().len(), 2);
    assert_eq!(names_in(&root.join("sub/deep"), ".").unwrap_err().code(), "files.escape");
}

#[test]
fn an_output_directory_may_be_gone_but_not_elsewhere() {
    let (_dir, root) = directory();
    assert_eq!(names_in(&root, "absent").unwrap(), [""; 0]);
    symlink("../outside", root.join("output")).unwrap();
    assert_eq!(names_in(&root, "output").unwrap_err().code(), "files.escape");
    let directory = Directory::open(&root).unwrap();
    let all = PatternSet::in_directory(&root, &["*"]).unwrap();
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(directory.collect(&all).unwrap().len(), 0);
    // A script may make the directory anew.
    fs::create_dir(&root).unwrap();
    fs::write(root.join("new"), "new").unwrap();
    let found = directory.collect(&all).unwrap();
    assert_eq!((found[0].name.as_str(), text(&found[0]).as_str()), ("new", "new"));
}

#[test]
fn special_files_are_left_and_strange_names_are_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let (_dir, root) = directory();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe.csv"), 0o600.into()).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.csv")).unwrap();
    symlink("pipe.csv", root.join("link.csv")).unwrap();
    assert_eq!(names(&root, &["*.csv"]).unwrap(), [".hidden.csv", "a.csv"]);
    fs::write(root.join(OsStr::from_bytes(b"bad\xff.txt")), "").unwrap();
    assert_eq!(names(&root, &["*.csv"]).unwrap().len(), 2);
    let error = names(&root, &["*.txt"]).unwrap_err();
    assert_eq!(error.code(), "files.invalid-name");
}

/// What a file was when it was found may be another thing when it is opened. Nothing of it is waited for.
#[tokio::test]
async fn what_took_the_place_of_a_file_is_named_at_once() {
    let (dir, root) = directory();
    let storage = Storage::local_relaxed(dir.path().join("storage"));
    let uri = StorageUri::parse("kestra:///a").unwrap();
    let file = root.join("a.csv");
    type Change = fn(&Path);
    let changes: [(Change, &str, &str); 6] = [
        (|_| {}, "storage.io", "a.csv"),
        (|file| fs::create_dir(file).unwrap(), "files.invalid-name", "a directory"),
        (
            |file| rustix::fs::mkfifoat(rustix::fs::CWD, file, 0o600.into()).unwrap(),
            "files.invalid-name",
            "a pipe",
        ),
        (
            |file| drop(std::os::unix::net::UnixListener::bind(file).unwrap()),
            "files.invalid-name",
            "a socket",
        ),
        (|file| symlink("../outside/secret.csv", file).unwrap(), "files.escape", "outside/secret.csv"),
        (|file| symlink("/dev/zero", file).unwrap(), "files.escape", "/dev/zero"),
    ];
    for (change, code, reason) in changes {
        let directory = Directory::open(&root).unwrap();
        fs::write(&file, "x").unwrap();
        let found = collect(&root, &["a.csv"]).unwrap();
        fs::remove_file(&file).unwrap();
        change(&file);
        for error in [
            found[0].open().unwrap_err(),
            directory.open_file("a.csv").unwrap_err(),
            storage.move_file(&uri, &directory, "a.csv").await.unwrap_err(),
        ] {
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(reason), "{error}");
            assert!(error.to_string().contains("a.csv"), "{error}");
        }
        directory.remove("a.csv").unwrap();
    }
    assert!(!storage.exists(&uri).await.unwrap());
}

#[tokio::test]
async fn a_file_is_moved_into_storage_and_what_replaces_it_stays() {
    use std::os::unix::fs::MetadataExt as _;
    let (dir, root) = directory();
    let directory = Directory::open(&root).unwrap();
    let storage = Storage::local_relaxed(dir.path().join("storage"));
    let uri = StorageUri::parse("kestra:///n/moved").unwrap();
    symlink("a.csv", root.join("link.csv")).unwrap();
    fs::hard_link(root.join("sub/c.csv"), root.join("second.csv")).unwrap();
    for (name, gone, text) in [
        ("b.txt", "b.txt", "b.txt"),
        ("sub/deep/d.csv", "sub/deep/d.csv", "sub/deep/d.csv"),
        ("link.csv", "a.csv", "a.csv"),
        ("second.csv", "second.csv", "sub/c.csv"),
    ] {
        assert_eq!(storage.move_file(&uri, &directory, name).await.unwrap(), text.len() as u64, "{name}");
        assert_eq!(storage.read(&uri, 100).await.unwrap(), text.as_bytes(), "{name}");
        assert!(!root.join(gone).exists(), "{name}");
        let stored = fs::metadata(dir.path().join("storage/n/moved")).unwrap();
        assert_eq!(stored.nlink(), 1, "{name}");
    }
    assert_eq!(fs::read(root.join("sub/c.csv")).unwrap(), b"sub/c.csv");
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

/// Deeper than a process may have files open, and than a path may be long.
#[test]
fn however_deep_folders_lie_they_are_removed() {
    use rustix::fs::{Mode, OFlags, mkdirat, openat};
    let dir = tempfile::tempdir().unwrap();
    let workspace = Workspace::create(dir.path()).unwrap();
    let mut folder = std::os::fd::OwnedFd::from(fs::File::open(workspace.path()).unwrap());
    for level in 0..3000 {
        let name = format!("a folder with a name {}", level % 2);
        mkdirat(&folder, &*name, Mode::RWXU).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        folder = openat(&folder, &*name, flags, Mode::empty()).unwrap();
    }
    drop(folder);
    workspace.close().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
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
