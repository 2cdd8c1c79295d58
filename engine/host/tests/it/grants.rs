//! What a plugin may use.

use serde_json::json;
use weft_host::{Bundled, Capability, Grants, Host, HostOptions};

use crate::support::{GUESTS, Place, fail, run};

#[tokio::test]
async fn a_file_may_use_only_what_is_granted_to_it() {
    let place = Place::with_behaviours();
    for (type_name, properties, capability) in [
        ("test.Spawn", json!({"argv": ["true"]}), Capability::Process),
        ("test.Container", json!({"image": "alpine"}), Capability::Container),
        ("test.Secret", json!({"name": "A"}), Capability::Secrets),
        ("test.Kv", json!({}), Capability::Kv),
    ] {
        let failure = fail(&place.host(), type_name, properties.clone()).await;
        assert_eq!(failure.code, "capability.denied", "{type_name}");
        assert_eq!(
            failure.message,
            format!(
                "plugin `behaviours` may not use `{capability}`\n\
                 hint: to allow it, start with `--grant behaviours:{capability}`"
            )
        );
        let (name, grants) = Grants::parse(&format!("behaviours:{capability}")).unwrap();
        let host = Host::new(HostOptions { grants: [(name, grants)].into(), ..place.options() });
        run(&host, type_name, properties).await.1.expect(type_name);
    }
}

#[tokio::test]
async fn a_file_may_use_what_stays_within_the_task_run() {
    let place = Place::with_behaviours();
    let host = place.host();
    let outputs = run(&host, "test.Storage", json!({})).await.1.unwrap();
    assert_eq!(outputs["uri"], "kestra:///file.txt/name.txt");
    let (engine, result) = run(&host, "test.Labels", json!({})).await;
    result.unwrap();
    assert_eq!(*engine.updates.lock().unwrap(), [json!({"setVariables": {"a": 1}})]);
}

#[tokio::test]
async fn a_bundled_plugin_may_use_everything() {
    let place = Place::new();
    // What a build script computes.
    let sha256 = "of-the-build";
    let bundled = vec![Bundled { name: "own", wasm: &GUESTS.behaviours, sha256, descriptor: None }];
    let host = Host::new(HostOptions { bundled, ..place.options() });
    let (engine, result) = run(&host, "test.Spawn", json!({"argv": ["git", "status"]})).await;
    assert_eq!(serde_json::Value::Object(result.unwrap()), json!({"code": 7, "outputs": {"answer": 42}}));
    assert_eq!(engine.spawned.lock().unwrap()[0].argv, ["git", "status"]);
    assert_eq!(*engine.dropped.lock().unwrap(), 1);
    assert_eq!(run(&host, "test.Secret", json!({"name": "A"})).await.1.unwrap()["value"], "secret of A");
    assert_eq!(run(&host, "test.Kv", json!({})).await.1.unwrap()["value"], json!({"a": 1}));
}
