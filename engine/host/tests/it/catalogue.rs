//! Which plugin provides which type, and what is remembered between starts.

use std::fs;
use std::path::Path;
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
    let plugin = &catalogue.plugins()[0];
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
    let mut first = compiled.lock().unwrap().clone();
    first.sort();
    assert_eq!(first, ["behaviours", "other"]);

    let (host, compiled) = watched(place.options());
    run(&host, "test.Noop", json!({})).await.1.unwrap();
    assert!(compiled.lock().unwrap().is_empty());
    let (code, described) = (place.cache().join("code"), place.cache().join("describe"));
    assert_eq!((files(&code).len(), files(&described).len()), (2, 2));

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
    let path = place.add("p", &lying(&description("a.One")));
    let old = SystemTime::now() - Duration::from_secs(60);
    fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    assert!(place.host().catalogue().await.get("a.One").is_some());
    assert!(fs::read_to_string(place.cache().join("files.json")).unwrap().contains("p.wasm"));
    place.add("p", &lying(&description("a.Two")));
    let host = place.host();
    let catalogue = host.catalogue().await;
    assert!(catalogue.get("a.One").is_none() && catalogue.get("a.Two").is_some());
    // It changes once more after it was looked at.
    fs::remove_dir_all(place.cache().join("code")).unwrap();
    let host = place.host();
    host.catalogue().await;
    place.add("p", &lying(&description("a.Three")));
    let failure = fail(&host, "a.Two", json!({})).await;
    assert!(failure.message.contains("the file has changed since the engine started"), "{}", failure.message);
}

#[tokio::test]
async fn damaged_code_in_the_cache_is_made_again() {
    let place = Place::with_behaviours();
    run(&place.host(), "test.Noop", json!({})).await.1.unwrap();
    let code = place.cache().join("code");
    let file = code.join(&files(&code)[0]);
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
    let problem = &host.problems().await[0];
    assert_eq!((problem.code.as_str(), problem.severity), ("plugin.cache", Severity::Warning));
    assert!(problem.message.contains("can be written by others (mode 0777)"), "{problem}");
}

#[tokio::test]
async fn compiled_code_in_a_plugin_directory_is_not_run() {
    let place = Place::with_behaviours();
    run(&place.host(), "test.Noop", json!({})).await.1.unwrap();
    let code = place.cache().join("code");
    let dropped = Place::new();
    fs::copy(code.join(&files(&code)[0]), dropped.plugins().join("native.wasm")).unwrap();
    fs::copy(code.join(&files(&code)[0]), dropped.plugins().join("native.cwasm")).unwrap();
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
