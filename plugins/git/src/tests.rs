//! What a flow's properties ask the host for.

use serde_json::{Value, json};
use weft_sdk::Error;
use weft_sdk::testing::{Harness, Run};

use crate::WeftPlugin;

fn clone(host: &Harness, properties: &Value) -> Run {
    host.call::<WeftPlugin>("io.kestra.plugin.git.Clone", properties)
}

#[test]
fn properties_become_a_request() {
    for (properties, expected) in [
        (json!({"url": "https://h/a"}), json!({"depth": 1, "allBranches": false, "submodules": false})),
        (json!({"url": "https://h/a", "depth": 0}), json!({"depth": null, "allBranches": true})),
        (json!({"url": "https://h/a", "cloneAllBranches": true}), json!({"depth": 1, "allBranches": true})),
        (json!({"url": "https://h/a", "branch": " ", "tag": "v1"}), json!({"branch": null, "tag": "v1"})),
        (json!({"url": "https://h/a", "commit": 1234567}), json!({"commit": "1234567"})),
        (
            json!({"url": "https://h/a", "gitConfig": {"core.fileMode": false}}),
            json!({"config": {"core.fileMode": false}}),
        ),
        (
            json!({"url": "https://h/a", "username": "u", "password": "p", "connectTimeout": 10, "trustedCaPemPath": "ca.pem"}),
            json!({"username": "u", "password": "p", "connectTimeoutMs": 10, "caPath": "ca.pem"}),
        ),
    ] {
        let run = clone(&Harness::new(), &properties);
        assert!(run.result.is_ok(), "{properties}: {:?}", run.result);
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(run.clones[0][key], *value, "{properties}: {key}");
        }
    }
}

#[test]
fn what_was_cloned_is_put_out_and_said_without_credentials() {
    let answer = json!({"directory": "/w", "commit": "0123456789abcdef", "branch": "main", "shallow": true});
    let run = clone(&Harness::new().cloned(Ok(answer)), &json!({"url": "https://u:s3cret@h/a"}));
    assert_eq!(
        Value::Object(run.outputs.clone()),
        json!({"directory": "/w", "commit": "0123456789abcdef", "branch": "main"})
    );
    assert_eq!(run.messages(), ["Start cloning from 'https://h/a'", "Cloned 'https://h/a' at 0123456789ab"]);
    for (url, shown) in [
        ("ssh://git:s3cret@h:22/a", "ssh://git@h:22/a"),
        ("ssh://h/a", "ssh://h/a"),
        ("git@h:a", "git@h:a"),
        ("https://token@h/a@b", "https://h/a@b"),
    ] {
        let run = clone(&Harness::new().cloned(Ok(json!({}))), &json!({"url": url}));
        assert_eq!(run.messages(), [format!("Start cloning from '{shown}'")]);
    }
    let failed = Harness::new().cloned(Err(Error::new("git.not-found", "no")));
    assert_eq!(clone(&failed, &json!({"url": "git@h:a"})).code(), Some("git.not-found"));
}

#[test]
fn a_directory_does_not_begin_with_a_dot_and_a_slash() {
    for directory in ["./source", "./"] {
        let run = clone(&Harness::new(), &json!({"url": "https://h/a", "directory": directory}));
        assert_eq!(run.code(), Some("property.invalid"), "{directory}");
        assert!(run.clones.is_empty(), "{directory}");
    }
    for directory in ["source", ".source", "a/./b"] {
        let run = clone(&Harness::new(), &json!({"url": "https://h/a", "directory": directory}));
        assert!(run.result.is_ok(), "{directory}: {:?}", run.result);
    }
}

#[test]
fn an_authority_that_is_not_known_can_be_named_in_a_property_of_the_task() {
    let error = Error::new("network.certificate", "not trusted\nhint: for all tasks");
    let run = clone(&Harness::new().cloned(Err(error)), &json!({"url": "https://h/a"}));
    let message = run.message().unwrap();
    assert!(
        message.starts_with("not trusted\nhint: name the authority's certificate in `trustedCaPemPath`"),
        "{message}"
    );
}
