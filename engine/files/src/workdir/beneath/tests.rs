use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;

use proptest::prelude::*;
use rustix::fs::fstat;

use super::*;

fn directory() -> (tempfile::TempDir, Directory) {
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    let root = base.join("root");
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::create_dir_all(base.join("outside")).unwrap();
    fs::write(root.join("file"), "file").unwrap();
    fs::write(root.join("sub/inner"), "inner").unwrap();
    fs::write(base.join("outside/secret"), "secret").unwrap();
    for (target, link) in [
        ("../outside", "out"),
        ("../outside/secret", "out_file"),
        ("../outside/absent", "dangling"),
        ("/", "top"),
        ("..", "up"),
        ("sub", "in"),
        ("sub/", "in_slash"),
        ("file", "in_file"),
        ("absent", "in_absent"),
        ("loop", "loop"),
        ("../in/inner", "sub/round"),
        ("../../root/file", "sub/about"),
        ("deep/../../file", "sub/back"),
        ("in_file", "twice"),
        (".", "self"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    symlink(root.join("sub/inner"), root.join("whole")).unwrap();
    symlink(base.join("outside/secret"), root.join("out_whole")).unwrap();
    // The root by another name, as a script may know it.
    symlink(&root, base.join("alias")).unwrap();
    symlink(base.join("alias/sub/inner"), root.join("aliased")).unwrap();
    let directory = Directory::open(&base.join("alias")).unwrap();
    (dir, directory)
}

fn by_parts(directory: &Directory, name: &str) -> Result<OwnedFd> {
    pin_part_by_part(directory, name, &parts(name)?)
}

fn text(handle: OwnedFd) -> Option<String> {
    let kind = FileType::from_raw_mode(fstat(&handle).unwrap().st_mode);
    let mut text = String::new();
    (kind == FileType::RegularFile).then(|| {
        reopen(&handle).unwrap().read_to_string(&mut text).unwrap();
        text
    })
}

#[test]
fn names_inside_are_found_in_both_ways() {
    let (_dir, directory) = directory();
    for (name, expected) in [
        ("file", Some("file")),
        ("./sub//inner", Some("inner")),
        ("in/inner", Some("inner")),
        ("in_slash/inner", Some("inner")),
        ("in_file", Some("file")),
        ("twice", Some("file")),
        ("sub/round", Some("inner")),
        ("sub/about", Some("file")),
        ("sub/back", Some("file")),
        ("self/self/file", Some("file")),
        ("whole", Some("inner")),
        ("aliased", Some("inner")),
        ("sub/", None),
        ("in", None),
        (".", None),
    ] {
        for (way, find) in
            [("at once", pin as fn(&Directory, &str) -> Result<OwnedFd>), ("by parts", by_parts)]
        {
            let found = find(&directory, name).unwrap_or_else(|error| panic!("{name} {way}: {error}"));
            assert_eq!(text(found).as_deref(), expected, "{name} {way}");
        }
    }
}

#[test]
fn names_that_lead_out_are_refused_in_both_ways() {
    let (_dir, directory) = directory();
    for (name, code, reason) in [
        ("/etc/hostname", "files.escape", "relative"),
        ("../x", "files.escape", "`..`"),
        ("a/../../x", "files.escape", "`..`"),
        ("a/..", "files.escape", "`..`"),
        ("out", "files.escape", "../outside"),
        ("out/secret", "files.escape", "../outside"),
        ("in/../out_file", "files.escape", "`..`"),
        ("out_file", "files.escape", "outside/secret"),
        ("out_whole", "files.escape", "outside/secret"),
        ("dangling", "files.escape", "outside/absent"),
        ("top", "files.escape", "`/`"),
        ("top/etc", "files.escape", "`/`"),
        ("up", "files.escape", "`..`"),
        ("up/outside/secret", "files.escape", "`..`"),
        ("loop/x", "files.escape", "nowhere"),
        ("loop", "files.escape", "nowhere"),
        ("", "files.invalid-name", "empty"),
        ("file/x", "files.invalid-name", "is a file"),
        ("in_file/x", "files.invalid-name", "is a file"),
        ("a\0b", "files.invalid-name", "NUL"),
        ("absent", "storage.io", "absent"),
        ("sub/absent/x", "storage.io", "absent"),
        ("in_absent", "storage.io", "absent"),
    ] {
        for (way, find) in
            [("at once", pin as fn(&Directory, &str) -> Result<OwnedFd>), ("by parts", by_parts)]
        {
            let error = find(&directory, name).map(|_| ()).unwrap_err();
            assert_eq!(error.code(), code, "{name} {way}: {error}");
            assert!(error.to_string().contains(reason), "{name} {way}: {error}");
        }
    }
}

#[test]
fn files_are_written_where_the_name_leads() {
    for (name, lands) in [
        ("a.txt", "a.txt"),
        ("a/b/c.txt", "a/b/c.txt"),
        ("./a//b.txt", "a/b.txt"),
        ("file", "file"),
        ("in/x", "sub/x"),
        ("in_file", "file"),
        ("in_absent", "absent"),
        ("sub/about", "file"),
        ("aliased", "sub/inner"),
        (".hidden", ".hidden"),
        ("...", "..."),
    ] {
        let (_dir, directory) = directory();
        directory.write(name, b"written").unwrap_or_else(|error| panic!("{name}: {error}"));
        let landed = directory.path().join(lands);
        assert!(fs::symlink_metadata(&landed).unwrap().is_file(), "{name}");
        assert_eq!(fs::read(landed).unwrap(), b"written", "{name}");
    }
    let (dir, directory) = directory();
    for (name, code) in [
        ("../x", "files.escape"),
        ("out/x", "files.escape"),
        ("out_file", "files.escape"),
        ("dangling", "files.escape"),
        ("up/x", "files.escape"),
        ("loop", "files.escape"),
        ("file/x", "files.invalid-name"),
        (".", "files.invalid-name"),
        ("sub", "files.invalid-name"),
        ("in", "files.invalid-name"),
        ("new/", "files.invalid-name"),
    ] {
        let error = directory.write(name, b"x").unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
    }
    assert!(!directory.has("new"));
    let outside: Vec<_> = fs::read_dir(dir.path().join("outside")).unwrap().collect();
    assert_eq!(outside.len(), 1);
    assert_eq!(fs::read(dir.path().join("outside/secret")).unwrap(), b"secret");
}

#[test]
fn links_themselves_are_removed_and_not_what_they_lead_to() {
    let (dir, directory) = directory();
    for name in ["out", "out_file", "in", "loop", "whole", "sub", "absent", "absent/x"] {
        directory.remove(name).unwrap();
        assert!(!directory.has(name), "{name}");
    }
    assert_eq!(directory.remove("up/outside/secret").unwrap_err().code(), "files.escape");
    assert_eq!(fs::read(dir.path().join("outside/secret")).unwrap(), b"secret");
    directory.remove(".").unwrap();
    assert_eq!(directory.names().unwrap().len(), 0);
}

proptest! {
    /// Whatever a name is made of, both ways lead to the same, and to nothing but what is inside.
    #[test]
    fn both_ways_agree(parts in prop::collection::vec(
        prop::sample::select(vec!["sub", "in", "out", "up", "self", "top", "file", "deep", "inner", "round", "about", "."]), 1..6
    )) {
        let (_dir, directory) = directory();
        let name = parts.join("/");
        let describe = |found: Result<OwnedFd>| match found {
            Ok(handle) => {
                let stat = fstat(&handle).unwrap();
                (stat.st_ino, text(handle).unwrap_or_default())
            }
            Err(error) => (0, error.to_string()),
        };
        let (at_once, slowly) = (describe(pin(&directory, &name)), describe(by_parts(&directory, &name)));
        prop_assert!(at_once.1 != "secret");
        prop_assert_eq!(at_once, slowly);
    }
}
