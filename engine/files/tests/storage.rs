//! The same behaviour from a local directory and from a remote store.
#![allow(clippy::unwrap_used, reason = "in tests, helpers included, it is the assertion")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;
use weft_files::{ExecutionFiles, OpenFile, Storage, StorageUri};

fn uri(text: &str) -> StorageUri {
    StorageUri::parse(&format!("kestra:///{text}")).unwrap()
}

fn stores(root: &Path) -> [(&'static str, Storage); 3] {
    [
        ("local", Storage::local(root.join("durable"))),
        ("relaxed", Storage::local_relaxed(root.join("relaxed"))),
        ("remote", Storage::with_store(Arc::new(InMemory::new()))),
    ]
}

#[tokio::test]
async fn objects_are_stored_read_listed_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("source"), dir.path().join("deep/er/target"));
    fs::write(&source, "from a file").unwrap();
    for (name, storage) in stores(dir.path()) {
        let names = ["a/b/one", "a/b/two#1", "a/b/50% größe", "a/c d", "a/b.txt"];
        for object in names {
            let bytes = object.as_bytes();
            let place = uri("a").join(object.strip_prefix("a/").unwrap()).unwrap();
            storage.put_bytes(&place, bytes).await.unwrap();
            assert_eq!(storage.read(&place, 100).await.unwrap(), bytes, "{name}");
            assert_eq!(storage.size(&place).await.unwrap(), bytes.len() as u64, "{name}");
        }
        let listed: Vec<String> = storage
            .list(&uri("a"))
            .await
            .unwrap()
            .iter()
            .map(|object| object.uri.path().to_owned())
            .collect();
        let mut expected = names.to_vec();
        expected.sort_unstable();
        assert_eq!(listed, expected, "{name}");
        let below: Vec<_> = storage.list(&uri("a/b")).await.unwrap();
        assert_eq!(below.len(), 3, "{name}: {below:?}");

        assert_eq!(
            storage.put_file(&uri("a/b/one"), OpenFile::open(&source).unwrap()).await.unwrap(),
            11,
            "{name}"
        );
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, "old").unwrap();
        assert_eq!(storage.get_file(&uri("a/b/one"), &target).await.unwrap(), 11, "{name}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "from a file", "{name}");

        assert!(storage.delete(&uri("a/b/one")).await.unwrap(), "{name}");
        assert!(!storage.delete(&uri("a/b/one")).await.unwrap(), "{name}");
        assert!(!storage.exists(&uri("a/b/one")).await.unwrap(), "{name}");
        assert!(storage.exists(&uri("a/b.txt")).await.unwrap(), "{name}");
        assert!(!storage.exists(&uri("a/b.txt/c")).await.unwrap(), "{name}");
        assert_eq!(storage.delete_prefix(&uri("a")).await.unwrap(), 4, "{name}");
        assert!(storage.list(&uri("a")).await.unwrap().is_empty(), "{name}");
    }
    for local in ["durable", "relaxed"] {
        assert_eq!(fs::read_dir(dir.path().join(local)).unwrap().count(), 0, "empty folders are removed");
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    for (name, storage) in stores(dir.path()) {
        let object = uri("no/such%20file");
        let errors = [
            storage.read(&object, 1).await.unwrap_err(),
            storage.get_file(&object, &target).await.unwrap_err(),
            storage.size(&object).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code(), "storage.not-found", "{name}: {error}");
            assert!(error.to_string().contains("`kestra:///no/such%20file`"), "{name}: {error}");
        }
        assert!(storage.list(&object).await.unwrap().is_empty(), "{name}");
        assert_eq!(storage.delete_prefix(&object).await.unwrap(), 0, "{name}");
        assert!(!storage.delete(&object).await.unwrap(), "{name}");
        assert!(!storage.exists(&object).await.unwrap(), "{name}");
    }
    assert!(!target.exists());
}

#[tokio::test]
async fn reading_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    for (name, storage) in stores(dir.path()) {
        storage.put_bytes(&uri("a"), vec![0; 10]).await.unwrap();
        assert_eq!(storage.read(&uri("a"), 10).await.unwrap().len(), 10, "{name}");
        let error = storage.read(&uri("a"), 9).await.unwrap_err();
        assert_eq!(error.code(), "storage.too-large", "{name}");
        storage.put_bytes(&uri("a"), Vec::new()).await.unwrap();
        assert_eq!(storage.read(&uri("a"), 0).await.unwrap(), b"", "{name}");
    }
}

#[tokio::test]
async fn large_files_stream() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    let bytes: Vec<u8> = (0..25_000_000_u32).map(|n| (n % 251) as u8).collect();
    fs::write(&source, &bytes).unwrap();
    for (name, storage) in stores(dir.path()) {
        assert_eq!(
            storage.put_file(&uri("big"), OpenFile::open(&source).unwrap()).await.unwrap(),
            bytes.len() as u64,
            "{name}"
        );
        assert_eq!(storage.get_file(&uri("big"), &target).await.unwrap(), bytes.len() as u64, "{name}");
        assert!(fs::read(&target).unwrap() == bytes, "{name}");
    }
}

#[tokio::test]
async fn a_fetched_file_replaces_a_link_and_not_its_target() {
    let dir = tempfile::tempdir().unwrap();
    let (victim, link) = (dir.path().join("victim"), dir.path().join("link"));
    fs::write(&victim, "untouched").unwrap();
    for (name, storage) in stores(dir.path()) {
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        storage.put_bytes(&uri("a"), "new").await.unwrap();
        storage.get_file(&uri("a"), &link).await.unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "new", "{name}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched", "{name}");
    }
}

#[tokio::test]
async fn nothing_is_made_before_the_first_write() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("not/yet");
    let storage = Storage::local(&root);
    assert!(!storage.exists(&uri("a")).await.unwrap());
    assert!(storage.list(&uri("a")).await.unwrap().is_empty());
    assert!(!dir.path().join("not").exists());
    let files = ExecutionFiles::new("company.team", "flow", "e").unwrap();
    let output = files.task_run("task", "r").unwrap().output_file("out/x.csv").unwrap();
    storage.put_bytes(&output, "x").await.unwrap();
    assert!(root.join("company/team/flow/executions/e/tasks/task/r").is_dir());
    assert_eq!(storage.list(files.prefix()).await.unwrap()[0].uri, output);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_and_deleters_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::local_relaxed(dir.path().join("root"));
    let tasks = (0..8).map(|task| {
        let storage = storage.clone();
        tokio::spawn(async move {
            let (mine, shared) = (uri(&format!("x/y/{task}")), uri("x/y/shared"));
            for round in 0..50 {
                storage.put_bytes(&mine, vec![b'x'; round]).await.unwrap();
                storage.put_bytes(&shared, vec![b'y'; 100]).await.unwrap();
                assert_eq!(storage.size(&mine).await.unwrap(), round as u64);
                if let Ok(bytes) = storage.read(&shared, 1000).await {
                    assert_eq!(bytes.len(), 100);
                }
                storage.delete(&mine).await.unwrap();
                storage.delete(&shared).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(storage.list(&uri("x")).await.unwrap(), []);
}

#[tokio::test]
async fn a_directory_stands_for_a_part_of_storage() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    for (name, storage) in stores(&root) {
        let tree = root.join(format!("tree-{name}"));
        fs::create_dir_all(tree.join("sub")).unwrap();
        fs::create_dir_all(tree.join(".git")).unwrap();
        fs::write(tree.join(".git/config"), "").unwrap();
        fs::write(tree.join("both.txt"), "of the directory").unwrap();
        fs::write(tree.join("sub/own.txt"), "own").unwrap();
        for object in ["both.txt", "stored.txt"] {
            storage
                .put_bytes(&uri("n/_files").join(object).unwrap(), b"of the store".to_vec())
                .await
                .unwrap();
        }
        // All clones know of it.
        storage.clone().mount(uri("n/_files"), &tree);

        let listed: Vec<_> = storage.list(&uri("n")).await.unwrap();
        let seen: Vec<_> = listed.iter().map(|object| (object.uri.path(), object.size)).collect();
        let expected = [("n/_files/both.txt", 16), ("n/_files/stored.txt", 12), ("n/_files/sub/own.txt", 3)];
        assert_eq!(seen, expected, "{name}");
        assert_eq!(storage.list(&uri("n/_files/sub")).await.unwrap().len(), 1, "{name}");
        assert_eq!(storage.list(&uri("other")).await.unwrap(), [], "{name}");
        for (object, content) in
            [("both.txt", "of the directory"), ("stored.txt", "of the store"), ("sub/own.txt", "own")]
        {
            let at = uri("n/_files").join(object).unwrap();
            assert_eq!(storage.read(&at, 100).await.unwrap(), content.as_bytes(), "{name}");
            let copy = root.join("copy");
            assert_eq!(storage.get_file(&at, &copy).await.unwrap(), content.len() as u64, "{name}");
            assert_eq!(fs::read_to_string(&copy).unwrap(), content, "{name}");
        }
        assert_eq!(storage.read(&uri("n/_files/both.txt"), 3).await.unwrap_err().code(), "storage.too-large");
        assert!(!storage.exists(&uri("n/_files/both.txt/x")).await.unwrap(), "{name}");

        storage.put_bytes(&uri("n/_files/new/a.txt"), b"written".to_vec()).await.unwrap();
        assert_eq!(fs::read_to_string(tree.join("new/a.txt")).unwrap(), "written", "{name}");
        for (object, there) in [("both.txt", true), ("new/a.txt", true), ("stored.txt", true), ("no", false)]
        {
            let at = uri("n/_files").join(object).unwrap();
            assert_eq!(storage.delete(&at).await.unwrap(), there, "{name} {object}");
            assert!(!storage.exists(&at).await.unwrap(), "{name} {object}");
        }
        assert!(!tree.join("new").exists(), "{name}: an empty folder stays");
        assert!(tree.join("sub").exists(), "{name}");
    }
}

#[tokio::test]
async fn nothing_outside_of_a_mounted_directory_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let tree = root.join("tree");
    fs::create_dir_all(&tree).unwrap();
    fs::write(root.join("secret"), "x").unwrap();
    std::os::unix::fs::symlink(root.join("secret"), tree.join("link")).unwrap();
    let storage = Storage::local(root.join("storage"));
    storage.mount(uri("n/_files"), &tree);
    let link = uri("n/_files/link");
    assert_eq!(storage.read(&link, 100).await.unwrap_err().code(), "files.escape");
    assert_eq!(storage.put_bytes(&link, b"y".to_vec()).await.unwrap_err().code(), "files.escape");
    assert_eq!(storage.list(&uri("n/_files")).await.unwrap_err().code(), "files.escape");
    assert_eq!(fs::read_to_string(root.join("secret")).unwrap(), "x");
}
