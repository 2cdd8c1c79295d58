use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use std::path::{Path, PathBuf};

use super::*;

struct Fixture {
    _dir: tempfile::TempDir,
    base: PathBuf,
    cache: Cache,
}

impl Fixture {
    fn new(patterns: &[&str], ttl: Option<Duration>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(dir.path()).unwrap();
        let storage = Storage::local_relaxed(base.join("storage"));
        let uri = crate::cache_archive("company.team", "flow", "wd", None).unwrap();
        let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Self { cache: Cache::new(storage, uri, patterns, ttl), base, _dir: dir }
    }

    /// An empty directory.
    fn directory(&self, name: &str) -> PathBuf {
        let path = self.base.join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    async fn restore(&self, root: &Path) -> Result<Restored> {
        self.cache.restore(&Directory::open(root).unwrap()).await
    }

    async fn save(&self, root: &Path, restored: &Restored) -> Result<Saved> {
        self.cache.save(&Directory::open(root).unwrap(), restored).await
    }

    fn archive(&self) -> PathBuf {
        self.base.join("storage/company/team/flow/wd/cache/cache.zip")
    }
}

fn stored(saved: Saved) -> usize {
    match saved {
        Saved::Stored { files, bytes } if bytes > 0 => files,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_environment_survives_and_is_not_taken_for_changed() {
    let fixture = Fixture::new(&["venv/**", "*.lock"], None);
    let first = fixture.directory("first");
    let restored = fixture.restore(&first).await.unwrap();
    assert_eq!(restored.outcome, Outcome::Absent);
    fs::create_dir_all(first.join("venv/bin")).unwrap();
    fs::create_dir_all(first.join("venv/lib")).unwrap();
    fs::write(first.join("venv/bin/pip"), "#!/bin/sh").unwrap();
    fs::set_permissions(first.join("venv/bin/pip"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(first.join("venv/lib/größe.py"), "x = 1\n".repeat(10_000)).unwrap();
    fs::write(first.join("venv/empty"), "").unwrap();
    symlink("/usr/bin/env", first.join("venv/bin/python")).unwrap();
    symlink("lib", first.join("venv/lib64")).unwrap();
    fs::write(first.join("uv.lock"), "1").unwrap();
    fs::write(first.join("other"), "1").unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_600_000_001_123_456_700);
    fs::File::options().write(true).open(first.join("venv/lib/größe.py")).unwrap().set_modified(old).unwrap();
    assert_eq!(stored(fixture.save(&first, &restored).await.unwrap()), 6);

    let second = fixture.directory("second");
    let restored = fixture.restore(&second).await.unwrap();
    assert_eq!(restored.outcome, Outcome::Restored(6));
    assert!(restored.kept.is_empty());
    let mode = fs::metadata(second.join("venv/bin/pip")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(fs::read_link(second.join("venv/bin/python")).unwrap(), Path::new("/usr/bin/env"));
    assert_eq!(fs::read_link(second.join("venv/lib64")).unwrap(), Path::new("lib"));
    assert_eq!(fs::metadata(second.join("venv/lib/größe.py")).unwrap().modified().unwrap(), old);
    assert_eq!(fs::read_to_string(second.join("venv/lib64/größe.py")).unwrap().len(), 60_000);
    assert!(!second.join("other").exists());
    let left: Vec<_> = fs::read_dir(&second).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(fixture.save(&second, &restored).await.unwrap(), Saved::Unchanged);
}

#[tokio::test]
async fn changes_are_noticed() {
    let fixture = Fixture::new(&["*.txt"], None);
    let first = fixture.directory("first");
    let restored = fixture.restore(&first).await.unwrap();
    assert_eq!(fixture.save(&first, &restored).await.unwrap(), Saved::Unchanged);
    assert!(!fixture.archive().exists());
    fs::write(first.join("a.txt"), "1").unwrap();
    assert_eq!(stored(fixture.save(&first, &restored).await.unwrap()), 1);

    type Change = fn(&Path);
    let changes: [(&str, Change, bool); 4] = [
        ("nothing", |_| {}, false),
        ("another file", |root| fs::write(root.join("a.csv"), "2").unwrap(), false),
        ("content", |root| fs::write(root.join("a.txt"), "2").unwrap(), true),
        ("removal", |root| fs::remove_file(root.join("a.txt")).unwrap(), true),
    ];
    for (name, change, changed) in changes {
        let root = fixture.directory(name);
        let restored = fixture.restore(&root).await.unwrap();
        assert_eq!(restored.outcome, Outcome::Restored(1), "{name}");
        change(&root);
        let saved = fixture.save(&root, &restored).await.unwrap();
        assert_eq!(saved != Saved::Unchanged, changed, "{name}");
    }
}

#[tokio::test]
async fn existing_files_stay() {
    let fixture = Fixture::new(&["*.txt"], None);
    let first = fixture.directory("first");
    let restored = fixture.restore(&first).await.unwrap();
    fs::write(first.join("a.txt"), "cached").unwrap();
    fs::write(first.join("b.txt"), "cached").unwrap();
    fixture.save(&first, &restored).await.unwrap();
    let second = fixture.directory("second");
    fs::write(second.join("a.txt"), "own").unwrap();
    let restored = fixture.restore(&second).await.unwrap();
    assert_eq!((&restored.outcome, &restored.kept[..]), (&Outcome::Restored(1), &["a.txt".to_owned()][..]));
    assert_eq!(fs::read_to_string(second.join("a.txt")).unwrap(), "own");
    assert_eq!(fs::read_to_string(second.join("b.txt")).unwrap(), "cached");
}

#[tokio::test]
async fn an_old_archive_is_deleted() {
    let fixture = Fixture::new(&["*.txt"], Some(Duration::from_secs(3600)));
    let first = fixture.directory("first");
    let restored = fixture.restore(&first).await.unwrap();
    fs::write(first.join("a.txt"), "1").unwrap();
    fixture.save(&first, &restored).await.unwrap();
    for (age, outcome) in [(3000, Outcome::Restored(1)), (4000, Outcome::Expired), (0, Outcome::Absent)] {
        if let Ok(file) = fs::File::options().write(true).open(fixture.archive()) {
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        let root = fixture.directory(&format!("after {age}"));
        assert_eq!(fixture.restore(&root).await.unwrap().outcome, outcome);
    }
    assert!(!fixture.archive().exists());
}

#[tokio::test]
async fn a_broken_archive_is_deleted_and_leaves_nothing() {
    let fixture = Fixture::new(&["*.txt"], None);
    let first = fixture.directory("first");
    let restored = fixture.restore(&first).await.unwrap();
    fs::write(first.join("a.txt"), "good").unwrap();
    fs::write(first.join("b.txt"), "0123456789".repeat(100)).unwrap();
    fixture.save(&first, &restored).await.unwrap();
    let whole = fs::read(fixture.archive()).unwrap();
    let middle = whole.len() / 3;
    let mut flipped = whole.clone();
    flipped[middle..middle + 30].iter_mut().for_each(|byte| *byte ^= 0x55);
    for (name, bytes) in
        [("no zip", &b"not a zip"[..]), ("half", &whole[..middle]), ("flipped", &flipped), ("", &[])]
    {
        fs::write(fixture.archive(), bytes).unwrap_or_else(|_| {
            fs::create_dir_all(fixture.archive().parent().unwrap()).unwrap();
            fs::write(fixture.archive(), bytes).unwrap();
        });
        let root = fixture.directory(&format!("with {name}"));
        let restored = fixture.restore(&root).await.unwrap();
        assert!(matches!(restored.outcome, Outcome::Broken(_)), "{name}: {:?}", restored.outcome);
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "{name}");
        assert!(!fixture.archive().exists(), "{name}");
    }
}

#[tokio::test]
async fn an_archive_cannot_write_outside() {
    let fixture = Fixture::new(&["**"], None);
    fixture.directory("outside");
    for (name, link, file) in [
        ("up", None, "../outside/x"),
        ("absolute", None, "/tmp/weft-files-test-escape/x"),
        ("through a link", Some(("door", "../outside")), "door/x"),
    ] {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        if let Some((link, target)) = link {
            archive.add_symlink(link, target, options).unwrap();
        }
        archive.start_file(file, options).unwrap();
        let bytes = archive.finish().unwrap().into_inner();
        let uri = crate::cache_archive("company.team", "flow", "wd", None).unwrap();
        fixture.cache.storage.put_bytes(&uri, bytes).await.unwrap();
        let root = fixture.directory(name);
        let restored = fixture.restore(&root).await.unwrap();
        assert!(matches!(restored.outcome, Outcome::Broken(_)), "{name}: {:?}", restored.outcome);
        assert_eq!(fs::read_dir(fixture.base.join("outside")).unwrap().count(), 0, "{name}");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "{name}");
    }
    assert!(!Path::new("/tmp/weft-files-test-escape").exists());
}
