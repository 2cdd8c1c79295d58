//! What stands in a directory of plugins and is none, and what it may cost.

use std::fs;
use std::path::Path;

use serde_json::json;
use weft_host::{Bounds, ComponentBounds, Grants, Host, HostOptions, PluginDirectory, TrustStore, Whose};

use crate::support::{Place, description, fail, lying, run};

#[cfg(unix)]
fn odd_files(folder: &Path) -> Vec<(&'static str, &'static str, &'static str)> {
    use rustix::fs::{CWD, FileType, mknodat};
    use std::os::unix::fs::symlink;

    mknodat(CWD, folder.join("a-fifo.wasm"), FileType::Fifo, 0o600.into(), 0).unwrap();
    symlink("/dev/zero", folder.join("b-zero.wasm")).unwrap();
    fs::create_dir(folder.join("c-folder.wasm")).unwrap();
    // 3 GiB that take no room.
    fs::File::create(folder.join("d-sparse.wasm")).unwrap().set_len(3 << 30).unwrap();
    // As large as a plugin may be, and none by its first bytes.
    fs::File::create(folder.join("e-zeros.wasm")).unwrap().set_len(64 << 20).unwrap();
    symlink("gone.wasm", folder.join("f-dangling.wasm")).unwrap();
    let _ = std::os::unix::net::UnixListener::bind(folder.join("g-socket.wasm")).unwrap();
    vec![
        ("a-fifo.wasm", "plugin.unreadable", "it is a FIFO, not a file"),
        ("b-zero.wasm", "plugin.unreadable", "it is a device, not a file"),
        ("c-folder.wasm", "plugin.unreadable", "it is a directory, not a file"),
        ("d-sparse.wasm", "plugin.too-large", "it is 3221225472 bytes long; a plugin has at most 67108864"),
        ("e-zeros.wasm", "plugin.not-a-component", "it is not WebAssembly"),
        ("f-dangling.wasm", "plugin.unreadable", "it cannot be read: No such file"),
        ("g-socket.wasm", "plugin.unreadable", "it is a socket, not a file"),
    ]
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_file_stops_nobody() {
    let place = Place::with_behaviours();
    let expected = odd_files(&place.plugins());
    // A link to a file elsewhere is as good as the file.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("linked.wasm"), lying(&description("a.Linked"))).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("linked.wasm"), place.plugins().join("h.wasm")).unwrap();
    let host = place.host();
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    assert!(host.catalogue().await.get("a.Linked").is_some());
    let problems = host.problems().await;
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for ((name, code, message), problem) in expected.into_iter().zip(problems) {
        assert_eq!((problem.path, problem.code.as_str()), (place.plugins().join(name), code));
        assert!(problem.message.starts_with(message), "{name}: {}", problem.message);
    }
}

#[tokio::test]
async fn a_directory_has_a_bound() {
    let place = Place::with_behaviours();
    for index in 0..2_000 {
        fs::write(place.plugins().join(format!("f{index:04}.wasm")), "text").unwrap();
    }
    let host = place.host();
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    let problems = host.problems().await;
    assert_eq!(problems.len(), 1_000, "999 files and the folder");
    assert_eq!((&problems[0].path, problems[0].code.as_str()), (&place.plugins(), "plugin.too-large"));
    assert!(
        problems[0].message.starts_with("it has 2001 plugin files; the first 1000 by name are looked at")
    );
    let missing = host.catalogue().await.explain_missing("a.Gone").unwrap();
    assert!(missing.contains("and 997 more") && missing.lines().count() < 20, "{missing}");
}

#[tokio::test]
async fn components_have_bounds() {
    let place = Place::with_behaviours();
    fs::remove_dir_all(place.cache()).unwrap();
    let with =
        |component| HostOptions { bounds: Bounds { component, ..Bounds::default() }, ..place.options() };
    let bounds = ComponentBounds { functions: 10, ..ComponentBounds::default() };
    let host = Host::new(with(bounds));
    let problem = host.problems().await.remove(0);
    assert_eq!(problem.code, "plugin.too-large");
    assert!(problem.message.starts_with("it has more than 10 functions"), "{problem}");
    assert!(fail(&host, "test.Noop", json!({})).await.message.contains(&problem.to_string()));
}

fn project(place: &Place) -> HostOptions {
    HostOptions {
        directories: vec![PluginDirectory { path: place.plugins(), whose: Whose::Project }],
        trust: Some(place.directory.path().join("trust.json")),
        ..place.options()
    }
}

#[tokio::test]
async fn the_files_of_a_project_are_used_as_they_were_when_they_were_trusted() {
    let place = Place::with_behaviours();
    let options = project(&place);
    let host = Host::new(options.clone());
    assert_eq!(host.catalogue().await.untrusted(), None, "nobody has asked for a type yet");
    assert!(host.catalogue().await.get("test.Noop").is_none());
    assert_eq!(host.catalogue().await.untrusted(), Some(place.plugins().as_path()));
    assert!(host.problems().await.is_empty());

    let store = TrustStore::new(options.trust.clone().unwrap());
    store.trust(&place.plugins(), &Bounds::default()).unwrap();
    place.add("later", &lying(&description("a.Later")));
    let host = Host::new(options.clone());
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    assert!(host.catalogue().await.get("a.Later").is_none());
    let problem = host.problems().await.remove(0);
    assert_eq!(problem.code, "plugin.untrusted");
    assert!(problem.message.starts_with("it is not among the files that were trusted"), "{problem}");
    assert!(problem.message.ends_with(&format!("`weft trust {}`", place.plugins().display())), "{problem}");

    place.add("behaviours", &lying(&description("a.Other")));
    let host = Host::new(options.clone());
    assert!(host.catalogue().await.get("a.Other").is_none());
    let problem = host.problems().await.remove(0);
    assert!(problem.message.starts_with("it has changed since it was trusted"), "{problem}");
    store.trust(&place.plugins(), &Bounds::default()).unwrap();
    let host = Host::new(options);
    assert!(
        host.catalogue().await.get("a.Other").is_some() && host.catalogue().await.get("a.Later").is_some()
    );
    assert!(host.problems().await.is_empty());
}

#[tokio::test]
async fn a_folder_that_is_named_twice_counts_once() {
    let place = Place::with_behaviours();
    let project = project(&place);
    let directories = [place.options().directories, project.directories.clone()].concat();
    let host = Host::new(HostOptions { directories, ..project });
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    assert!(host.problems().await.is_empty());
}

#[tokio::test]
async fn a_configured_grant_stays_with_the_file() {
    let place = Place::with_behaviours();
    let (_, secrets) = Grants::parse("behaviours:secrets").unwrap();
    let options = |options: HostOptions| HostOptions {
        configured_grants: [("behaviours".to_owned(), Grants::clone(&secrets))].into(),
        trust: Some(place.directory.path().join("trust.json")),
        ..options
    };
    let secret = json!({"name": "A"});
    run(&Host::new(options(place.options())), "test.Secret", secret.clone()).await.1.unwrap();

    // The same types, other bytes.
    let path = place.plugins().join("behaviours.wasm");
    let mut changed = fs::read(&path).unwrap();
    // An empty custom section with a name of one letter.
    changed.extend([0, 2, 1, b'x']);
    fs::write(&path, changed).unwrap();
    let host = Host::new(options(place.options()));
    assert_eq!(fail(&host, "test.Secret", secret.clone()).await.code, "capability.denied");
    let problem = host.problems().await.remove(0);
    assert_eq!(problem.code, "plugin.grant");
    assert!(problem.message.contains(&format!("`weft trust {}`", path.display())), "{problem}");
    TrustStore::new(place.directory.path().join("trust.json")).trust(&path, &Bounds::default()).unwrap();
    run(&Host::new(options(place.options())), "test.Secret", secret.clone()).await.1.unwrap();

    // In a project's folder it is another file that only has the name.
    TrustStore::new(place.directory.path().join("trust.json"))
        .trust(&place.plugins(), &Bounds::default())
        .unwrap();
    let host = Host::new(options(project(&place)));
    assert_eq!(fail(&host, "test.Secret", secret).await.code, "capability.denied");
    assert!(host.problems().await[0].message.contains("this one is in a project's"));
}
