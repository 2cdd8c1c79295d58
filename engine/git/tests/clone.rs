//! Clones of repositories of this machine, good ones and ones that are made to do harm. What goes over a network is
//! tested end to end, against real servers.
#![allow(clippy::unwrap_used, reason = "in tests, helpers included, it is the assertion")]

use std::fs;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository, Signature};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use weft_git::{CloneRequest, Cloned, GitError, Report, Target, clone};
use weft_network::Network;

/// A repository to clone from, and a directory to clone into.
struct Place {
    folder: TempDir,
    runtime: Runtime,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), runtime: Runtime::new().unwrap() };
        fs::create_dir(place.target()).unwrap();
        place
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    fn bare(&self, name: &str) -> Repository {
        Repository::init_bare(self.folder.path().join(name)).unwrap()
    }

    fn url(&self, name: &str) -> String {
        format!("file://{}", self.folder.path().join(name).display())
    }

    fn request(&self, name: &str) -> CloneRequest {
        CloneRequest {
            url: self.url(name),
            directory: self.target(),
            ignored: vec![".weft".to_owned()],
            ..CloneRequest::default()
        }
    }

    fn clone(&self, request: &CloneRequest) -> (Result<Cloned, GitError>, Vec<Report>) {
        let (_sender, cancelled) = watch::channel(false);
        let mut reports = Vec::new();
        let runtime = self.runtime.handle().clone();
        let result =
            clone(request, &Network::default(), runtime, cancelled, &mut |report| reports.push(report));
        (result, reports)
    }

    /// The names in the target, without Git's own.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.target())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".git")
            .collect();
        names.sort();
        names
    }
}

/// Adds a commit with these entries, written as they are: libgit2's own builder would refuse the bad ones.
fn commit(repository: &Repository, branch: &str, entries: &[(&str, &str, &str)]) -> Oid {
    let tree = tree(repository, entries);
    let tree = repository.find_tree(tree).unwrap();
    let who = Signature::new("Tester", "tester@example.com", &git2::Time::new(0, 0)).unwrap();
    let reference = format!("refs/heads/{branch}");
    let parent = repository.refname_to_id(&reference).ok().map(|id| repository.find_commit(id).unwrap());
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some(&reference), &who, &who, "a commit", &tree, &parents).unwrap()
}

/// `(mode, name, content)`; the content of a tree (mode 40000) is `name=content`, of a submodule (160000) an id.
fn tree(repository: &Repository, entries: &[(&str, &str, &str)]) -> Oid {
    let odb = repository.odb().unwrap();
    let mut bytes = Vec::new();
    for (mode, name, content) in entries {
        let id = match *mode {
            "160000" => Oid::from_str(content).unwrap(),
            "40000" => {
                let (name, content) = content.split_once('=').unwrap();
                tree(repository, &[("100644", name, content)])
            }
            _ => repository.blob(content.as_bytes()).unwrap(),
        };
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        bytes.extend_from_slice(id.as_bytes());
    }
    odb.write(git2::ObjectType::Tree, &bytes).unwrap()
}

/// Whether `git status` has nothing to say.
fn is_clean(repository: &Repository) -> bool {
    repository.statuses(None).unwrap().iter().all(|entry| entry.status() == git2::Status::IGNORED)
}

fn file<'a>(name: &'a str, content: &'a str) -> (&'static str, &'a str, &'a str) {
    ("100644", name, content)
}

/// A repository with two commits on `main`, a tag on the first, and a branch.
fn usual(place: &Place) -> (Oid, Oid) {
    let repository = place.bare("a.git");
    let first = commit(&repository, "main", &[file("a.txt", "1")]);
    let who = Signature::new("Tester", "tester@example.com", &git2::Time::new(0, 0)).unwrap();
    let object = repository.find_object(first, None).unwrap();
    repository.tag("v1", &object, &who, "first", false).unwrap();
    let second = commit(&repository, "main", &[file("a.txt", "2"), file("b.txt", "2")]);
    repository.reference("refs/heads/topic/x", first, false, "").unwrap();
    repository.set_head("refs/heads/main").unwrap();
    (first, second)
}

#[test]
fn what_is_asked_for_is_checked_out() {
    let place = Place::new();
    let (first, second) = usual(&place);
    let short = first.to_string()[..8].to_owned();
    for (target, id, branch, content) in [
        (Target::Default, second, Some("main"), "2"),
        (Target::Branch("topic/x".into()), first, Some("topic/x"), "1"),
        (Target::Branch("v1".into()), first, None, "1"),
        (Target::Tag("v1".into()), first, None, "1"),
        (Target::Commit(short), first, None, "1"),
        (Target::Commit(second.to_string().to_uppercase()), second, None, "2"),
    ] {
        let directory = place.folder.path().join(format!("{target:?}").replace(['/', '"'], "-"));
        let request =
            CloneRequest { target: target.clone(), directory: directory.clone(), ..place.request("a.git") };
        let cloned = place.clone(&request).0.unwrap_or_else(|error| panic!("{target:?}: {error}"));
        assert_eq!(
            cloned,
            Cloned { commit: Some(id.to_string()), branch: branch.map(str::to_owned), shallow: false }
        );
        assert_eq!(fs::read_to_string(directory.join("a.txt")).unwrap(), content, "{target:?}");
        let repository = Repository::open(&directory).unwrap();
        assert!(is_clean(&repository), "{target:?}");
    }
}

#[test]
fn one_branch_or_all_with_or_without_tags() {
    for (all_branches, no_tags, expected) in [
        (false, false, &["refs/heads/main", "refs/remotes/origin/main", "refs/tags/v1"][..]),
        (true, true, &["refs/heads/main", "refs/remotes/origin/main", "refs/remotes/origin/topic/x"]),
    ] {
        let place = Place::new();
        usual(&place);
        place.clone(&CloneRequest { all_branches, no_tags, ..place.request("a.git") }).0.unwrap();
        let repository = Repository::open(place.target()).unwrap();
        let mut references = repository.references().unwrap();
        let mut names: Vec<String> = references.names().map(|name| name.unwrap().to_owned()).collect();
        names.sort();
        assert_eq!(names, expected);
    }
}

#[test]
fn what_the_engine_keeps_does_not_count_and_everything_else_does() {
    let place = Place::new();
    usual(&place);
    fs::create_dir(place.target().join(".weft")).unwrap();
    fs::write(place.target().join("mine.txt"), "x").unwrap();
    let error = place.clone(&place.request("a.git")).0.unwrap_err();
    assert_eq!(error.code(), "git.not-empty");
    let expected = format!(
        "Destination path \"{}\" already exists and is not an empty directory",
        place.target().display()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(place.files(), [".weft", "mine.txt"]);

    fs::remove_file(place.target().join("mine.txt")).unwrap();
    place.clone(&place.request("a.git")).0.unwrap();
    assert_eq!(place.files(), [".weft", "a.txt", "b.txt"]);
    assert!(is_clean(&Repository::open(place.target()).unwrap()));
}

#[test]
fn a_failed_clone_leaves_the_directory_as_it_was() {
    let place = Place::new();
    usual(&place);
    let new = place.folder.path().join("new");
    for (request, code, part) in [
        (CloneRequest { url: place.url("none.git"), ..place.request("a.git") }, "git.not-found", "none.git"),
        (
            CloneRequest { target: Target::Branch("gone".into()), ..place.request("a.git") },
            "git.reference",
            "branch `gone` is not in `file://",
        ),
        (
            CloneRequest { target: Target::Tag("v9".into()), ..place.request("a.git") },
            "git.reference",
            "hint: there is `v1`",
        ),
        (
            CloneRequest { target: Target::Commit("not hex".into()), ..place.request("a.git") },
            "git.reference",
            "commit",
        ),
        (
            CloneRequest { target: Target::Commit("0".repeat(40)), ..place.request("a.git") },
            "git.reference",
            "commit",
        ),
        (
            CloneRequest { url: "../a.git".into(), ..place.request("a.git") },
            "git.url",
            "expected the whole path",
        ),
        (
            CloneRequest { config: vec![("nodots".into(), "1".into())], ..place.request("a.git") },
            "git.config",
            "the Git configuration `nodots`",
        ),
    ] {
        for directory in [place.target(), new.clone()] {
            let error = place.clone(&CloneRequest { directory, ..request.clone() }).0.expect_err(code);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(fs::read_dir(place.target()).unwrap().count(), 0, "{code}");
        assert!(!new.exists(), "{code}");
    }
}

#[test]
fn an_empty_repository_is_cloned_with_a_word() {
    let place = Place::new();
    place.bare("a.git");
    let (cloned, reports) = place.clone(&place.request("a.git"));
    assert_eq!(cloned.unwrap().commit, None);
    assert!(matches!(&reports[..], [Report::Warning(text)] if text.ends_with("is empty")), "{reports:?}");
}

#[test]
fn configuration_is_taken_and_that_of_the_machine_is_not() {
    let place = Place::new();
    usual(&place);
    let config = vec![("core.fileMode".to_owned(), "false".to_owned()), ("a.b.c".to_owned(), "d".to_owned())];
    place.clone(&CloneRequest { config, ..place.request("a.git") }).0.unwrap();
    let text = fs::read_to_string(place.target().join(".git/config")).unwrap();
    assert!(text.contains("fileMode = false") && text.contains("[a \"b\"]"), "{text}");
    let hooks = place.target().join(".git/hooks");
    // libgit2 leaves an explanation there, which is no hook.
    let names = fs::read_dir(hooks).into_iter().flatten().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name != "README.sample").count(), 0);
}

#[test]
fn paths_that_are_made_to_do_harm_are_not_written() {
    for (name, entries) in [
        ("up", &[("40000", "..", "evil=x")][..]),
        ("own", &[("40000", ".git", "config=[core]\n\tfsmonitor = touch evil\n")]),
        ("own in capitals", &[("40000", ".GIT", "config=x")]),
        ("own of another system", &[("40000", "git~1", "config=x")]),
        ("with ignored characters", &[("40000", ".g\u{200c}it", "config=x")]),
        ("slash", &[("100644", "../evil", "x")]),
        ("through a link", &[("120000", "link", "../../outside"), ("40000", "link", "evil=x")]),
        ("hidden link", &[("120000", ".git", "../outside")]),
    ] {
        let place = Place::new();
        let outside = place.folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        commit(&place.bare("a.git"), "main", entries);
        let request = CloneRequest { target: Target::Branch("main".into()), ..place.request("a.git") };
        let result = place.clone(&request).0;
        if let Ok(cloned) = &result {
            // Fine where nothing came of it.
            assert!(!place.target().join(".git").is_symlink(), "{name}: {cloned:?}");
            let config = fs::read_to_string(place.target().join(".git/config")).unwrap();
            assert!(
                config.contains("[remote \"origin\"]") && !config.contains("fsmonitor"),
                "{name}: {config}"
            );
        } else {
            assert_eq!(fs::read_dir(place.target()).unwrap().count(), 0, "{name}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{name}: {result:?}");
        assert!(!place.folder.path().join("evil").exists(), "{name}: {result:?}");
    }
}

#[test]
fn a_link_out_of_the_repository_is_only_a_link() {
    let place = Place::new();
    commit(&place.bare("a.git"), "main", &[("120000", "passwd", "/etc/passwd")]);
    place.clone(&CloneRequest { target: Target::Branch("main".into()), ..place.request("a.git") }).0.unwrap();
    // Reading through it is up to whoever reads: the files of a task are taken out without following it.
    assert!(place.target().join("passwd").is_symlink());
}

fn with_submodule(place: &Place, path: &str, url: &str, commit_id: Oid) {
    let modules = format!("[submodule \"lib\"]\n\tpath = {path}\n\turl = {url}\n");
    let repository = place.bare("main.git");
    let entries = [file(".gitmodules", &modules), ("160000", path, &commit_id.to_string())].map(|entry| {
        let (mode, name, content) = entry;
        (mode.to_owned(), name.to_owned(), content.to_owned())
    });
    let entries: Vec<_> = entries
        .iter()
        .map(|(mode, name, content)| (mode.as_str(), name.as_str(), content.as_str()))
        .collect();
    commit(&repository, "main", &entries);
    repository.set_head("refs/heads/main").unwrap();
}

#[test]
fn submodules_are_cloned_at_their_commits() {
    let place = Place::new();
    let (first, _) = usual(&place);
    with_submodule(&place, "lib", "../a.git", first);
    let request = CloneRequest { submodules: true, ..place.request("main.git") };
    place.clone(&request).0.unwrap();
    assert_eq!(fs::read_to_string(place.target().join("lib/a.txt")).unwrap(), "1");

    let without =
        CloneRequest { directory: place.folder.path().join("without"), submodules: false, ..request };
    place.clone(&without).0.unwrap();
    assert_eq!(fs::read_dir(without.directory.join("lib")).unwrap().count(), 0);
}

#[test]
fn submodules_that_are_made_to_do_harm_are_refused() {
    for (path, url, part) in [
        ("lib", "-u./payload", "is no URL of a repository"),
        ("lib", "ext::sh -c 'touch evil'", "is no URL of a repository"),
        ("lib", "ssh://-oProxyCommand=evil/x", "is no URL of a repository"),
        ("lib", "../../../../../../../../../x", "leads out of the server"),
        ("lib", "../missing.git", "there is no repository"),
    ] {
        let place = Place::new();
        let (first, _) = usual(&place);
        with_submodule(&place, path, url, first);
        let error =
            place.clone(&CloneRequest { submodules: true, ..place.request("main.git") }).0.expect_err(url);
        assert_eq!(error.code(), "git.submodule", "{url}: {error}");
        assert!(error.to_string().contains(part), "{url}: {error}");
        assert_eq!(fs::read_dir(place.target()).unwrap().count(), 0, "{url}");
    }
}

#[test]
fn a_clone_that_is_cancelled_ends_and_leaves_nothing() {
    let place = Place::new();
    usual(&place);
    let (sender, cancelled) = watch::channel(false);
    sender.send_replace(true);
    let runtime = place.runtime.handle().clone();
    let request = place.request("a.git");
    let result = clone(&request, &Network::default(), runtime, cancelled, &mut |_| {});
    assert_eq!(result.unwrap_err().code(), "git.cancelled");
    assert_eq!(fs::read_dir(place.target()).unwrap().count(), 0);
    assert!(Path::new(&place.folder.path().join("a.git")).exists());
}
