//! Somebody swaps folders and files of a working directory with symbolic links that lead out of it, as fast as he can, while
//! everything that the engine does there is done again and again. Nothing outside is ever read, written, renamed or removed.
#![allow(clippy::unwrap_used, reason = "in tests, helpers included, it is the assertion")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::fs::{RenameFlags, renameat_with};
use weft_files::cache::Cache;
use weft_files::workdir::Directory;
use weft_files::{PatternSet, Storage, StorageError, StorageUri};

const SECRET: &str = "what nobody may see";
const ROUNDS: usize = 1000;
/// Names in the root that are swapped with each other: a folder or a file, and the link that takes its place.
const PAIRS: [(&str, &str); 4] = [("d", "way"), ("f", "leak"), ("e/inner", "e/way"), (".weft", "weft-way")];

/// A working directory, and what lies beside it.
struct Place {
    dir: tempfile::TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap().join("root");
        let outside = root.with_file_name("outside");
        for folder in [&root, &outside] {
            for inner in ["d", "e/inner", "inner", "run/output", ".weft/run/output", "tree/deep"] {
                fs::create_dir_all(folder.join(inner)).unwrap();
            }
        }
        for name in ["f", "d/f", "inner/f", "run/f", "tree/deep/f"] {
            fs::write(outside.join(name), SECRET).unwrap();
        }
        fs::write(outside.join("f"), SECRET).unwrap();
        for name in ["f", "d/f", "e/inner/f"] {
            fs::write(root.join(name), "inside").unwrap();
        }
        symlink("../outside", root.join("way")).unwrap();
        symlink(outside.join("f"), root.join("leak")).unwrap();
        symlink(&outside, root.join("e/way")).unwrap();
        symlink("../outside", root.join("weft-way")).unwrap();
        Self { dir, root }
    }

    fn directory(&self) -> Directory {
        Directory::open(&self.root).unwrap()
    }

    fn storage(&self) -> Storage {
        Storage::local_relaxed(self.dir.path().join("storage"))
    }

    /// Everything outside: names, kinds, permissions, contents, and which file it is.
    fn outside(&self) -> BTreeMap<PathBuf, (u32, u64, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.with_file_name("outside")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                if metadata.is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path, (metadata.mode(), metadata.ino(), content));
            }
        }
        found
    }
}

/// Swaps the pairs until it is told to stop.
fn swap(root: &Path, go_on: impl Fn() -> bool) -> u64 {
    let folder = File::open(root).unwrap();
    let mut swapped = 0;
    while go_on() {
        for (one, other) in PAIRS {
            // What an operation has just removed comes back with the next one.
            let done = renameat_with(&folder, one, &folder, other, RenameFlags::EXCHANGE);
            swapped += u64::from(done.is_ok());
        }
    }
    swapped
}

/// One in a thread, and one in another process.
struct Swappers {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
    process: Child,
}

impl Swappers {
    fn start(root: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, place) = (Arc::clone(&stop), root.to_owned());
        let thread = std::thread::spawn(move || swap(&place, || !told.load(Ordering::Relaxed)));
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "swap_in_another_process"])
            .env("WEFT_TEST_SWAP", root)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { stop, thread: Some(thread), process }
    }

    /// How often the one in the thread did it.
    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Swappers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Not a test of its own: the other process. It ends with its standard input.
#[test]
fn swap_in_another_process() {
    let Some(root) = std::env::var_os("WEFT_TEST_SWAP") else { return };
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        told.store(true, Ordering::Relaxed);
    });
    swap(Path::new(&root), || !stop.load(Ordering::Relaxed));
}

/// Whether it came to something; if not, the reason is one that such a directory gives.
fn came_to<T>(result: Result<T, StorageError>, what: &str) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let expected = ["files.escape", "files.invalid-name", "storage.io"];
            assert!(expected.contains(&error.code()), "{what}: {error}");
            None
        }
    }
}

#[tokio::test]
async fn nothing_outside_is_seen_or_changed() {
    let place = Place::new();
    let (directory, storage, before) = (place.directory(), place.storage(), place.outside());
    let uri = |name: &str| StorageUri::parse(&format!("kestra:///n/{name}")).unwrap();
    storage.put_bytes(&uri("given"), "given").await.unwrap();
    let patterns = PatternSet::in_directory(&place.root, &["**", "f", "d/*", "e/**"]).unwrap();
    let swappers = Swappers::start(&place.root);
    let mut seen = BTreeMap::<&str, usize>::new();
    let mut count = |what: &'static str, done: bool| *seen.entry(what).or_default() += usize::from(done);
    let is_harmless = |text: &str, what: &str| assert_ne!(text, SECRET, "{what}");

    for round in 0..ROUNDS {
        // Reading, as digests do, and storing.
        for name in ["d/f", "f", "e/inner/f", "leak", "way/f"] {
            if let Some(file) = came_to(directory.open_file(name), name) {
                is_harmless(&file.read_to_string(100).unwrap(), name);
                count("read", true);
            }
            if let Some(file) = came_to(directory.open_file(name), name) {
                storage.put_file(&uri("put"), file).await.unwrap();
                is_harmless(&String::from_utf8(storage.read(&uri("put"), 100).await.unwrap()).unwrap(), name);
                count("put", true);
            }
        }
        // Collecting.
        for found in came_to(directory.collect(&patterns), "collect").into_iter().flatten() {
            if let Some(file) = came_to(found.open(), &found.name) {
                is_harmless(&file.read_to_string(100).unwrap(), &found.name);
                count("collected", true);
            }
        }
        for found in came_to(directory.collect_tree(".weft/run"), "tree").into_iter().flatten() {
            if let Some(file) = came_to(found.open(), &found.name) {
                is_harmless(&file.read_to_string(100).unwrap(), &found.name);
            }
        }
        // Writing.
        count("written", came_to(directory.write("d/new", b"new"), "write").is_some());
        count(
            "got",
            came_to(storage.get_into(&uri("given"), &directory, "e/inner/got").await, "get").is_some(),
        );
        let folder = format!(".weft/run/output/{}", round % 10);
        count("folder", came_to(directory.make_directory(&folder), "make").is_some());
        // Permissions.
        if let Some(folder) = came_to(directory.open_directory("d"), "open") {
            count("mode", came_to(folder.set_mode(0o711), "mode").is_some());
        }
        // Moving.
        if came_to(directory.write("d/moved", b"inside"), "write").is_some()
            && came_to(storage.move_file(&uri("moved"), &directory, "d/moved").await, "move").is_some()
        {
            let moved = storage.read(&uri("moved"), 100).await.unwrap();
            assert_eq!(moved, b"inside");
            count("moved", true);
        }
        count(
            "moved out",
            came_to(storage.move_file(&uri("m"), &directory, "way/f").await, "move").is_some(),
        );
        if storage.exists(&uri("m")).await.unwrap() {
            assert_ne!(storage.read(&uri("m"), 100).await.unwrap(), SECRET.as_bytes());
        }
        // Removing.
        let _ = directory.write("d/tree/deep/f", b"inside");
        count("removed", came_to(directory.remove("d/tree"), "remove").is_some());
        count("scratch", came_to(directory.remove(".weft/run"), "remove").is_some());
        let _ = directory.write("d/f", b"inside");
        let _ = directory.write("e/inner/f", b"inside");
    }
    let swapped = swappers.end();
    assert!(swapped > ROUNDS as u64, "{swapped}");
    for what in
        ["read", "put", "collected", "written", "got", "folder", "mode", "moved", "removed", "scratch"]
    {
        assert!(
            seen.get(what).is_some_and(|&count| count > ROUNDS / 20),
            "{what} of {seen:?}, {swapped} swaps"
        );
    }
    assert_eq!(place.outside(), before);
}

#[tokio::test]
async fn a_cache_is_made_of_and_restored_to_what_is_inside() {
    let place = Place::new();
    let (directory, storage, before) = (place.directory(), place.storage(), place.outside());
    let uri = weft_files::cache_archive("n", "flow", "wd", None).unwrap();
    let cache = Cache::new(storage.clone(), uri.clone(), vec!["**".to_owned()], None);
    let swappers = Swappers::start(&place.root);
    let fresh = place.root.with_file_name("fresh");
    let (mut saved, mut restored) = (0, 0);
    for round in 0..ROUNDS / 10 {
        storage.delete(&uri).await.unwrap();
        let Some(nothing) = came_to(cache.restore(&directory).await, "restore") else { continue };
        let _ = directory.write("d/changed", round.to_string().as_bytes());
        if came_to(cache.save(&directory, &nothing).await, "save").is_none() {
            continue;
        }
        saved += 1;
        // What is in the archive shows when it is unpacked elsewhere.
        fs::create_dir(&fresh).unwrap();
        cache.restore(&Directory::open(&fresh).unwrap()).await.unwrap();
        for entry in walkdir(&fresh) {
            assert_ne!(fs::read(&entry).unwrap(), SECRET.as_bytes(), "{}", entry.display());
        }
        fs::remove_dir_all(&fresh).unwrap();
        // And back to where folders become links. What is missing there is made anew.
        let _ = directory.remove("d/f");
        let _ = directory.remove("e/inner/f");
        restored += usize::from(came_to(cache.restore(&directory).await, "restore").is_some());
    }
    drop(swappers);
    assert!(saved > ROUNDS / 50 && restored > ROUNDS / 50, "{saved} {restored}");
    assert_eq!(place.outside(), before);
}

/// The regular files below a directory where nobody changes anything.
fn walkdir(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            files.extend(walkdir(&path));
        } else if kind.is_file() {
            files.push(path);
        }
    }
    files
}

#[test]
fn a_working_directory_goes_away_while_it_is_changed() {
    for _ in 0..50 {
        let place = Place::new();
        let before = place.outside();
        let workspace = weft_files::workdir::Workspace::create(&place.root.with_file_name("base")).unwrap();
        for folder in ["d/deep/er", "e/inner"] {
            fs::create_dir_all(workspace.path().join(folder)).unwrap();
        }
        for index in 0..200 {
            fs::write(workspace.path().join(format!("d/deep/er/{index}")), "").unwrap();
        }
        symlink("../../outside", workspace.path().join("way")).unwrap();
        symlink(place.root.with_file_name("outside"), workspace.path().join("e/way")).unwrap();
        let path = workspace.path().to_owned();
        let swappers = Swappers::start(&path);
        drop(workspace);
        drop(swappers);
        assert!(!path.exists());
        assert_eq!(place.outside(), before);
    }
}
