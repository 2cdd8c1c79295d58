//! Which plugin provides which type, and what is remembered between starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::json;
use weft_host::{Bundled, Host, HostOptions, Progress, Severity};

use crate::support::{GUESTS, Place, description, fail, lying, run};

/// A host that writes down what it compiles.
fn watched(options: HostOptions) -> (Host, Arc<Mutex<Vec<String>>>) {
    let compiled = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&compiled);
    let progress = move |event: Progress<'_>| {
        if let Progress::Compiling { plugin } = event {
            seen.lock().unwrap().push(plugin.to_owned());
        }
    };
    (Host::new(HostOptions { progress: Some(Arc::new(progress)), ..options }), compiled)
}

/// The compiled code in a cache.
fn codes(place: &Place) -> Vec<PathBuf> {
    let folder = place.cache().join("code");
    let names = files(&folder).into_iter().filter(|name| name.ends_with(".cwasm"));
    names.map(|name| folder.join(name)).collect()
}

/// Looks for a type until the hash of a file is kept: as soon as the file's next change will show.
async fn settle(place: &Place, name: &str, type_name: &str) {
    let old = SystemTime::now() - Duration::from_secs(60);
    let path = place.plugins().join(name);
    fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    let hashes = place.cache().join("files.json");
    while !fs::read_to_string(&hashes).is_ok_and(|text| text.contains(name)) {
        std::thread::sleep(Duration::from_millis(10));
        assert!(place.host().catalogue().await.get(type_name).is_some());
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_type_is_described_by_its_plugin() {
    let place = Place::with_behaviours();
    let host = place.host();
    let catalogue = host.catalogue().await;
    let echo = catalogue.get("test.Echo").unwrap();
    assert_eq!(echo.properties()["properties"]["text"]["type"], "string");
    assert_eq!((echo.title.as_deref(), echo.plugin.as_str()), (Some("Echo"), "behaviours"));
    assert!(catalogue.get("test.Nothing").is_none());
    assert!(catalogue.get("test.Tick").is_none());
    assert_eq!(catalogue.trigger("tick").unwrap().type_name, "test.Tick");
    assert!(catalogue.type_names().any(|name| name == "tick"));
    let plugin = catalogue.plugins().next().unwrap();
    assert_eq!(
        (plugin.name.as_str(), plugin.version.as_str(), plugin.bundled),
        ("behaviours", "0.1.0", false)
    );
    assert!(catalogue.problems().is_empty());
    assert_eq!(catalogue.explain_missing("test.Nothing"), None);
}

#[tokio::test]
async fn bundled_plugins_win_then_the_first_file() {
    let place = Place::new();
    let first = place.add("first", &lying(&description("a.Task")));
    let second = place.add("second", &lying(&(description("a.Task") + " ")));
    let wasm: &'static [u8] = lying(&description("a.Task")).leak();
    let bundled = vec![Bundled { name: "own", wasm, sha256: "of-the-build", descriptor: None }];
    for (bundled, winner, losers) in
        [(bundled, "bundled:own".as_ref(), vec![&first, &second]), (vec![], first.as_path(), vec![&second])]
    {
        let host = Host::new(HostOptions { bundled, ..place.options() });
        let problems = host.problems().await;
        assert_eq!(problems.iter().map(|problem| &problem.path).collect::<Vec<_>>(), losers);
        for problem in problems {
            assert_eq!((problem.code.as_str(), problem.severity), ("plugin.conflict", Severity::Warning));
            let expected =
                format!("type `a.Task` is provided by {} as well; that one is used", winner.display());
            assert_eq!(problem.message, expected);
        }
    }
}

#[tokio::test]
async fn types_of_the_engine_cannot_be_claimed() {
    let place = Place::new();
    place.add("greedy", &lying(&description("core.Sequential")));
    let options = HostOptions { reserved_types: vec!["core.Sequential".into()], ..place.options() };
    let host = Host::new(options);
    assert!(host.catalogue().await.get("core.Sequential").is_none());
    assert_eq!(host.problems().await[0].code, "plugin.reserved-type");
}

#[tokio::test]
async fn code_and_descriptions_are_made_once() {
    let place = Place::new();
    place.add("behaviours", &GUESTS.behaviours);
    place.add("other", &lying(&description("a.Task")));
    let (host, compiled) = watched(place.options());
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    host.full_catalogue().await;
    let mut first = compiled.lock().unwrap().clone();
    first.sort();
    assert_eq!(first, ["behaviours", "other"]);

    let (host, compiled) = watched(place.options());
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    assert!(compiled.lock().unwrap().is_empty());
    let (code, described) = (place.cache().join("code"), place.cache().join("describe"));
    assert_eq!((codes(&place).len(), files(&described).len()), (2, 2));

    // Without its code, a plugin is compiled when a flow names it, and only then.
    fs::remove_dir_all(&code).unwrap();
    let (host, compiled) = watched(place.options());
    assert!(host.catalogue().await.get("a.Task").is_some());
    assert!(compiled.lock().unwrap().is_empty());
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    assert_eq!(*compiled.lock().unwrap(), ["behaviours"]);
    assert!(host.precompile().await.is_empty());
    assert_eq!(*compiled.lock().unwrap(), ["behaviours", "other"]);
}

#[tokio::test]
async fn a_plugin_that_changed_is_asked_again() {
    let place = Place::new();
    place.add("p", &lying(&description("a.One")));
    settle(&place, "p.wasm", "a.One").await;
    place.add("p", &lying(&description("a.Two")));
    let host = place.host();
    let catalogue = host.catalogue().await;
    assert!(catalogue.get("a.One").is_none() && catalogue.get("a.Two").is_some());
    // It changes once more after it was looked at.
    fs::remove_dir_all(place.cache().join("code")).unwrap();
    let host = place.host();
    host.full_catalogue().await;
    place.add("p", &lying(&description("a.Three")));
    let failure = fail(&host, "a.Two", json!({})).await;
    assert!(failure.message.contains("the file has changed since the engine started"), "{}", failure.message);
}

#[tokio::test]
async fn damaged_code_in_the_cache_is_made_again() {
    let place = Place::with_behaviours();
    run(&place.host(), "test.Noop", json!({})).await.1.unwrap();
    let file = codes(&place).remove(0);
    for damage in [&b""[..], b"not code", &fs::read(&file).unwrap()[..1000]] {
        fs::remove_file(&file).unwrap();
        fs::write(&file, damage).unwrap();
        let (host, compiled) = watched(place.options());
        run(&host, "test.Noop", json!({})).await.1.unwrap();
        assert_eq!(*compiled.lock().unwrap(), ["behaviours"]);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn without_a_safe_cache_plugins_run_all_the_same() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::with_behaviours();
    fs::remove_dir_all(place.cache()).unwrap();
    fs::create_dir(place.cache()).unwrap();
    fs::set_permissions(place.cache(), fs::Permissions::from_mode(0o777)).unwrap();
    let host = place.host();
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    assert_eq!(files(&place.cache()), [""; 0]);
    let problem = host.problems().await.remove(0);
    assert_eq!((problem.code.as_str(), problem.severity), ("plugin.cache", Severity::Warning));
    assert!(problem.message.contains("can be written by others (mode 0777)"), "{problem}");
}

#[tokio::test]
async fn compiled_code_in_a_plugin_directory_is_not_run() {
    let place = Place::with_behaviours();
    run(&place.host(), "test.Noop", json!({})).await.1.unwrap();
    let code = codes(&place).remove(0);
    let dropped = Place::new();
    fs::copy(&code, dropped.plugins().join("native.wasm")).unwrap();
    fs::copy(&code, dropped.plugins().join("native.cwasm")).unwrap();
    let host = dropped.host();
    assert!(host.catalogue().await.get("test.Noop").is_none());
    let problems = host.problems().await;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.starts_with("it is native code, not a component"), "{}", problems[0]);
}

#[tokio::test]
async fn a_description_of_the_build_needs_no_code() {
    let place = Place::new();
    let descriptor: &'static str = description("own.Task").leak();
    // Not even a component: it is not looked at until a task of it runs.
    let bundled = vec![Bundled { name: "own", wasm: b"", sha256: "none", descriptor: Some(descriptor) }];
    let host = Host::new(HostOptions { bundled, ..place.options() });
    assert!(host.catalogue().await.get("own.Task").is_some());
    assert!(host.problems().await.is_empty());
    let failure = fail(&host, "own.Task", json!({})).await;
    assert_eq!(failure.code, "plugin.not-a-component");
    assert_eq!(failure.message, "plugin bundled:own: the file is empty");
}

#[tokio::test]
async fn files_are_looked_at_when_a_type_needs_them() {
    let place = Place::new();
    place.add("a", &lying(&description("a.Task")));
    place.add("b", &lying(&description("b.Task")));
    place.add("broken", b"text");
    let descriptor: &'static str = description("own.Task").leak();
    let bundled = vec![Bundled { name: "own", wasm: b"", sha256: "none", descriptor: Some(descriptor) }];
    let options = || HostOptions {
        bundled: bundled.clone(),
        reserved_types: vec!["core.Sequential".into()],
        ..place.options()
    };
    let (host, compiled) = watched(options());
    let catalogue = host.catalogue().await;
    assert!(catalogue.get("own.Task").is_some() && catalogue.get("core.Sequential").is_none());
    assert!(catalogue.trigger("own.Task").is_none());
    assert_eq!((catalogue.problems(), catalogue.plugins().count()), (Vec::new(), 1));
    assert!(compiled.lock().unwrap().is_empty());
    assert!(!place.cache().join("files.json").exists());

    // The last by name: all before it may have the type as well, and would provide it.
    assert!(catalogue.get("b.Task").is_some());
    let mut names = compiled.lock().unwrap().clone();
    names.sort();
    assert_eq!(names, ["a", "b"]);
    assert!(catalogue.get("c.Task").is_none());
    assert!(catalogue.explain_missing("c.Task").unwrap().contains("broken.wasm: it is text"));
}

#[tokio::test]
async fn the_first_file_provides_a_type_whenever_it_came() {
    let place = Place::new();
    place.add("second", &lying(&description("a.Task")));
    let provider = async || {
        let host = place.host();
        host.catalogue().await.get("a.Task").map(|found| found.plugin.clone())
    };
    assert_eq!(provider().await.as_deref(), Some("second"));
    settle(&place, "second.wasm", "a.Task").await;
    // The same plugin in other bytes: a custom section more.
    let other = |letter: u8| [lying(&description("a.Task")), vec![0, 2, 1, letter]].concat();
    place.add("first", &other(b'f'));
    place.add("third", &other(b't'));
    let (host, compiled) = watched(place.options());
    assert_eq!(host.catalogue().await.get("a.Task").unwrap().plugin, "first");
    assert_eq!(*compiled.lock().unwrap(), ["first"], "what goes after it is not asked");
}

/// Who asks for a type may be a part of any runtime, or of none, and nothing of it has to go on meanwhile.
#[test]
fn types_are_found_from_everywhere() {
    let place = Place::new();
    place.add("p", &lying(&description("a.Task")));
    let host = place.host();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let catalogue = runtime.block_on(host.catalogue());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(catalogue.get("a.Task").is_some()));
        }
        runtime.block_on(async { assert!(catalogue.get("a.Task").is_some()) });
    });
}
