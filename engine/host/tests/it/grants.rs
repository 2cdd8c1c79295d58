//! What a plugin may use, and how far that reaches.

use serde_json::{Value, json};
use weft_host::{Bundled, Grants, Host, HostOptions};

use crate::support::{GUESTS, Place, run};

/// A host where the plugin is granted a list, less another one.
fn host(place: &Place, granted: &str, withheld: &str) -> Host {
    let list = |text: &str| match text {
        "" => Grants::none(),
        text => Grants::parse_list(text, text).expect(text),
    };
    Host::new(HostOptions {
        grants: [("behaviours".to_owned(), list(granted))].into(),
        withheld: [("behaviours".to_owned(), list(withheld))].into(),
        ..place.options()
    })
}

/// What came of each call: its value, or its code and message.
async fn tries(host: &Host, type_name: &str, properties: Value) -> Vec<Value> {
    let result = run(host, type_name, properties).await.1;
    let results = result.expect("the task tells what came of its calls")["results"].take();
    serde_json::from_value(results).unwrap()
}

fn message(result: &Value) -> &str {
    result["message"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_reaches_as_far_as_its_scope() {
    let place = Place::with_behaviours();
    let secret = |name| json!({"call": "secret", "name": name});
    let kv = |namespace: Option<&str>| json!({"call": "kv", "namespace": namespace, "key": "k"});
    let spawn = |program| json!({"call": "spawn", "argv": [program]});
    let container = |image| json!({"call": "container", "image": image});
    let variable = |name| json!({"call": "variable", "name": name});
    for (call, granted, withheld, denied_with) in [
        (
            secret("A"),
            "",
            "",
            Some("`secrets` for `A`\nhint: to allow it, start with `--grant behaviours:secrets=A`"),
        ),
        (secret("A"), "kv,process", "", Some("`--grant behaviours:secrets=A`")),
        (secret("A"), "secrets", "", None),
        (secret("A"), "secrets=A", "", None),
        (secret("AB"), "secrets=A", "", Some("`--grant behaviours:secrets=AB`")),
        (secret("API_KEY"), "secrets=API_*", "", None),
        (secret("API_KEY"), "secrets", "secrets=API_*", Some("the configuration takes it away")),
        (
            kv(None),
            "",
            "",
            Some("`kv` for the namespace `n`\nhint: to allow it, start with `--grant behaviours:kv`"),
        ),
        (kv(None), "kv", "", None),
        (kv(Some("n")), "kv", "", None),
        (kv(Some("other")), "kv", "", Some("`--grant behaviours:kv=other`")),
        (kv(Some("other")), "kv=other", "", None),
        (kv(None), "kv=other", "", Some("`--grant behaviours:kv`")),
        (kv(Some("other")), "kv=*", "", None),
        (
            json!({"call": "kvSet", "namespace": "other", "key": "k"}),
            "kv",
            "",
            Some("`--grant behaviours:kv=other`"),
        ),
        (
            json!({"call": "kvDelete", "namespace": "other", "key": "k"}),
            "kv",
            "",
            Some("`--grant behaviours:kv=other`"),
        ),
        (json!({"call": "kvKeys", "namespace": "other"}), "kv", "", Some("`--grant behaviours:kv=other`")),
        (spawn("git"), "", "", Some("`--grant behaviours:process=git`")),
        (spawn("git"), "process=git", "", None),
        (spawn("/usr/bin/git"), "process=git", "", Some("`--grant behaviours:process=/usr/bin/git`")),
        (spawn("./git"), "process=git", "", Some("`--grant behaviours:process=./git`")),
        (
            json!({"call": "spawn", "argv": ["git"], "env": [["LD_PRELOAD", "/work/x.so"]]}),
            "process=git",
            "",
            Some("may not set `LD_PRELOAD` for a program"),
        ),
        (
            json!({"call": "spawn", "argv": ["git"], "env": [["PATH", "/work"]]}),
            "process=git",
            "",
            Some("may not set `PATH`"),
        ),
        (
            json!({"call": "spawn", "argv": ["git"], "env": [["PATH", "/work"], ["A", "b"]]}),
            "process",
            "",
            None,
        ),
        (container("python:3.12"), "container=python:3.*", "", None),
        (container("alpine"), "container=python:3.*", "", Some("`--grant behaviours:container=alpine`")),
        (variable("WEFT_TEST_NOTHING"), "environment=WEFT_TEST_*", "", None),
        (
            variable("WEFT_TEST_NOTHING"),
            "environment=AWS_*",
            "",
            Some("`--grant behaviours:environment=WEFT_TEST_NOTHING`"),
        ),
        // What its needs do not name, no grant can give.
        (variable("HOME"), "all", "", Some("its `needs` do not name it")),
        (json!({"call": "file", "path": "/etc/passwd"}), "all", "", Some("its `needs` do not name it")),
        (
            json!({"call": "file", "path": "/etc/hostname"}),
            "environment=/etc/hosts",
            "",
            Some("`--grant behaviours:environment=/etc/hostname`"),
        ),
        (json!({"call": "label", "key": "a"}), "", "", None),
        (json!({"call": "label", "key": "a"}), "", "execution", Some("the configuration takes it away")),
    ] {
        let results = tries(&host(&place, granted, withheld), "test.Tries", json!({"calls": [call]})).await;
        match denied_with {
            None => assert!(results[0]["code"].is_null(), "{call} {granted} -{withheld}: {}", results[0]),
            Some(part) => {
                assert_eq!(results[0]["code"], "capability.denied", "{call} {granted} -{withheld}");
                assert!(message(&results[0]).contains(part), "{call} {granted}: {}", message(&results[0]));
            }
        }
    }
}

#[tokio::test]
async fn files_of_storage_that_are_not_the_task_runs_own_need_a_right_or_are_handed_over() {
    let place = Place::with_behaviours();
    let read = |uri: &str| json!({"call": "size", "uri": uri});
    let get = |uri: &str| json!({"call": "get", "uri": uri});
    let delete = |uri: &str| json!({"call": "delete", "uri": uri});
    let other = "kestra|in/other.ns/x";
    let given = "kestra:///in/other.ns/x";
    for (call, note, granted, denied_with) in [
        (json!({"call": "put", "name": "x"}), "", "", None),
        (json!({"call": "putAndDelete", "name": "x"}), "", "", None),
        (read("kestra|run/x"), "", "", None),
        (get("kestra|run/x"), "", "", None),
        // Put by another attempt.
        (delete("kestra|run/x"), "", "", Some("`--grant behaviours:storage`")),
        (read("kestra|flow/x"), "", "", Some("`--grant behaviours:storage`")),
        (read("kestra|flow/x"), "", "storage", None),
        (delete("kestra|flow/x"), "", "storage", None),
        (read("kestra|flow/x"), "look at kestra:///flow/x now", "", None),
        (get(other), "", "storage", Some("`--grant behaviours:storage=other.ns`")),
        (get(other), "", "storage=other.*", None),
        (get(other), "", "storage=*", None),
        (get(other), "", "all", None),
        (get(other), given, "", None),
        (get(other), "x.kestra:///in/other.ns/x", "", Some("`--grant behaviours:storage=other.ns`")),
        (get(other), "kestra:///in/other.ns/xy", "", Some("`--grant behaviours:storage=other.ns`")),
        // To hand a file over is not to let it be removed.
        (delete(other), given, "", Some("`--grant behaviours:storage=other.ns`")),
        (delete(other), "", "storage=other.ns", None),
        // What the flow may not read, it cannot hand over.
        (get("kestra|in/o/of-a-stranger/x"), "kestra:///in/o/of-a-stranger/x", "", Some("of a stranger")),
        (get("kestra|in/o/of-a-stranger/x"), "", "storage=o", None),
        (get("kestra|nowhere"), "", "storage", Some("`--grant behaviours:storage`")),
    ] {
        let properties = json!({"calls": [call], "note": {"deep": [note]}});
        let results = tries(&host(&place, granted, ""), "test.Tries", properties).await;
        match denied_with {
            None => assert!(results[0]["code"].is_null(), "{call} {note} {granted}: {}", results[0]),
            Some(part) => {
                assert!(message(&results[0]).contains(part), "{call} {note} {granted}: {}", results[0]);
            }
        }
    }
}

#[tokio::test]
async fn a_type_gets_what_it_needs_and_no_more() {
    let place = Place::with_behaviours();
    let calls = json!({"calls": [
        {"call": "secret", "name": "MODEST_A"},
        {"call": "secret", "name": "OTHER"},
        {"call": "kv", "key": "k"},
        {"call": "kv", "namespace": "other", "key": "k"},
        {"call": "spawn", "argv": ["git"]},
        {"call": "spawn", "argv": ["sh"]},
        {"call": "label", "key": "a"},
        {"call": "container", "image": "alpine"},
        {"call": "put", "name": "x"},
    ]});
    for type_name in ["test.Modest", "test.Humble"] {
        let results = tries(&host(&place, "all", ""), type_name, calls.clone()).await;
        let allowed: Vec<bool> = results.iter().map(|result| result["code"].is_null()).collect();
        assert_eq!(allowed, [true, false, true, false, true, false, false, false, true], "{results:?}");
        for result in results.iter().filter(|result| !result["code"].is_null()) {
            assert_eq!(result["code"], "capability.denied");
            assert!(
                message(result).contains("its `needs` do not name it\nhint: the plugin's author"),
                "{result}"
            );
        }
    }
    // What it needs it gets only if it is granted.
    let results = tries(&host(&place, "secrets", ""), "test.Modest", calls).await;
    assert!(results[0]["code"].is_null(), "{}", results[0]);
    assert!(message(&results[2]).contains("`--grant behaviours:kv`"), "{}", results[2]);
}

#[tokio::test]
async fn a_file_may_use_what_stays_within_the_task_run() {
    let place = Place::with_behaviours();
    let host = place.host();
    let outputs = run(&host, "test.Storage", json!({})).await.1.unwrap();
    assert_eq!(outputs["uri"], "kestra:///run/file.txt/name.txt");
    let (engine, result) = run(&host, "test.Labels", json!({})).await;
    result.unwrap();
    assert_eq!(*engine.updates.lock().unwrap(), [json!({"setVariables": {"a": 1}})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_those_of_the_scope() {
    let place = Place::with_behaviours();
    let clone = |url: &str| json!({"call": "clone", "url": url});
    for (call, granted, code, part) in [
        (
            json!({"call": "http", "url": "http://127.0.0.1:9/"}),
            "http=127.0.0.1:80",
            "capability.denied",
            "`--grant behaviours:http=127.0.0.1`",
        ),
        (json!({"call": "http", "url": "http://localhost:9/"}), "http=127.0.0.1", "network.connect", ""),
        (
            json!({"call": "http", "url": "http://localhost:9/"}),
            "http=example.com",
            "capability.denied",
            "`http` for `localhost`",
        ),
        (
            json!({"call": "http", "url": "http://169.254.169.254/"}),
            "http=169.254.169.254",
            "network.denied",
            "",
        ),
        (json!({"call": "connect", "host": "localhost", "port": 9}), "tcp=localhost", "network.connect", ""),
        (
            json!({"call": "connect", "host": "127.0.0.1", "port": 9}),
            "tcp=localhost",
            "capability.denied",
            "`--grant behaviours:tcp=127.0.0.1`",
        ),
        (
            json!({"call": "connect", "host": "127.0.0.1", "port": 9}),
            "http=127.0.0.1",
            "capability.denied",
            "`--grant behaviours:tcp`",
        ),
        (
            json!({"call": "socket", "address": "127.0.0.1:9"}),
            "tcp=10.0.0.0/8",
            "capability.denied",
            "`--grant behaviours:tcp=127.0.0.1`",
        ),
        (
            json!({"call": "socket", "address": "127.0.0.1:9"}),
            "tcp=127.0.0.0/8:10",
            "capability.denied",
            "`tcp` for `127.0.0.1`",
        ),
        (
            clone("https://127.0.0.1/a"),
            "git=github.com",
            "capability.denied",
            "`--grant behaviours:git=127.0.0.1`",
        ),
        (clone("https://127.0.0.1/a"), "git=127.0.0.1", "network.connect", ""),
        (clone("file:///srv/a"), "git=127.0.0.1", "capability.denied", "`--grant behaviours:git`"),
        (clone("FILE:///srv/a"), "git=127.0.0.1", "capability.denied", "`--grant behaviours:git`"),
        (clone(" ../a"), "git=127.0.0.1", "capability.denied", "`--grant behaviours:git`"),
        (clone("file:///srv/a"), "git", "", ""),
    ] {
        let results = tries(&host(&place, granted, ""), "test.Tries", json!({"calls": [call]})).await;
        assert_eq!(results[0]["code"].as_str().unwrap_or_default(), code, "{call} {granted}: {}", results[0]);
        assert!(message(&results[0]).contains(part), "{call} {granted}: {}", results[0]);
    }
}

#[tokio::test]
async fn a_bundled_plugin_may_use_everything_that_the_flow_may() {
    let place = Place::new();
    // What a build script computes.
    let sha256 = "of-the-build";
    let bundled = vec![Bundled { name: "own", wasm: &GUESTS.behaviours, sha256, descriptor: None }];
    let host = Host::new(HostOptions { bundled, ..place.options() });
    let (engine, result) = run(&host, "test.Spawn", json!({"argv": ["git", "status"]})).await;
    assert_eq!(Value::Object(result.unwrap()), json!({"code": 7, "outputs": {"answer": 42}}));
    assert_eq!(engine.spawned.lock().unwrap()[0].argv, ["git", "status"]);
    assert_eq!(*engine.dropped.lock().unwrap(), 1);
    assert_eq!(run(&host, "test.Secret", json!({"name": "A"})).await.1.unwrap()["value"], "secret of A");
    assert_eq!(run(&host, "test.Kv", json!({})).await.1.unwrap()["value"], json!({"a": 1}));
    let calls = ["in/other.ns/x", "nowhere", "in/o/of-a-stranger/x"].map(|path| {
        let uri = format!("kestra:///{path}");
        [json!({"call": "get", "uri": uri}), json!({"call": "delete", "uri": uri})]
    });
    let results = tries(&host, "test.Tries", json!({"calls": calls.concat()})).await;
    let codes: Vec<_> = results.iter().map(|result| result["code"].as_str()).collect();
    let stranger = Some("storage.not-allowed");
    assert_eq!(codes, [None, None, None, None, stranger, stranger]);
}
