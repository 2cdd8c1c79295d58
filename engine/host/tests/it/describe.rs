//! Files that are no plugins, and plugins that say wrong things about themselves.

use serde_json::json;
use weft_host::Severity;

use crate::support::{GUESTS, Place, description, fail, lying, patched};

#[tokio::test]
async fn each_broken_plugin_is_a_problem_that_names_it() {
    let no_task = json!({"apiVersion": 1, "plugin": {"version": "1"}, "tasks": []}).to_string();
    let bad_schema = json!({
        "apiVersion": 1,
        "plugin": {"version": "1"},
        "tasks": [{"type": "a.Bad", "properties": {"type": "strng"}}],
    })
    .to_string();
    // A few lines, which double at each step.
    let mut defs: serde_json::Map<String, serde_json::Value> = (0..28)
        .map(|level| {
            let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
            (level.to_string(), json!({"allOf": [next, next]}))
        })
        .collect();
    defs.insert("28".into(), json!({"type": "object"}));
    let unfolding = json!({
        "apiVersion": 1,
        "plugin": {"version": "1"},
        "tasks": [{"type": "a.Bad", "properties": {"$ref": "#/$defs/0", "$defs": defs}}],
    })
    .to_string();
    let half = GUESTS.lying.len() / 2;
    for (wasm, code, message) in [
        (Vec::new(), "plugin.not-a-component", "the file is empty"),
        (b"tasks: []\n".to_vec(), "plugin.not-a-component", "it is text"),
        (b"\0asm\x01\0\0\0".to_vec(), "plugin.not-a-component", "it is a core WebAssembly module"),
        (GUESTS.lying[..half].to_vec(), "plugin.not-a-component", "it is not a valid component: "),
        (GUESTS.foreign.clone(), "plugin.world", "it exports `wasi:cli/run@0.2."),
        (patched(&GUESTS.lying, "@0.1.0", "@0.2.0"), "plugin.world", "`weft:plugin/"),
        (lying("not json"), "plugin.describe", "did not return a valid description"),
        (lying(r#"{"apiVersion": 2}"#), "plugin.describe", "apiVersion `2`, but this engine reads `1`"),
        (lying(&no_task), "plugin.describe", "names neither tasks nor triggers"),
        (lying(&bad_schema), "plugin.describe", "`properties` of type `a.Bad` is not a valid JSON Schema"),
        (lying(&description("")), "plugin.describe", "names the type ``"),
        (lying("!panic"), "plugin.describe", "panicked: lying/src/lib.rs:"),
        (lying("!loop"), "plugin.describe", "used more than 1s of processor time"),
        (lying("!memory"), "plugin.describe", "needed more than the 64 MiB of memory"),
        (lying("!secret"), "plugin.describe", "did not return a valid description"),
        (lying("!large"), "plugin.describe", "returned 4508877 bytes; at most 4194304 are accepted"),
        (lying(&unfolding), "plugin.describe", "its references unfold to more than 100,000 schemas"),
    ] {
        let place = Place::new();
        let path = place.add("broken", &wasm);
        let host = place.host();
        let problems = host.problems().await;
        assert_eq!(problems.len(), 1, "{problems:?}");
        let problem = &problems[0];
        assert_eq!((problem.code.as_str(), &problem.path), (code, &path), "{problem}");
        assert!(problem.message.contains(message), "{problem}\n  expected: {message}");
        assert_eq!(problem.severity, Severity::Error);
        assert_eq!(place.host().problems().await, problems, "the same at the next start");

        let failure = fail(&host, "a.Bad", json!({})).await;
        assert_eq!(failure.code, "plugin.unknown-type");
        assert!(failure.message.contains(&problem.to_string()), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_description_that_waits_for_ever_is_given_up() {
    let place = Place::new();
    place.add("broken", &lying("!wait"));
    let host = place.host();
    let problems = host.problems().await;
    assert!(problems[0].message.contains("ran longer than 5s"), "{problems:?}");
}

#[tokio::test]
async fn a_broken_plugin_does_not_keep_others_from_running() {
    let place = Place::with_behaviours();
    place.add("a-broken", b"");
    place.add("z-broken", &lying("!panic"));
    let host = place.host();
    crate::support::run(&host, "test.Noop", json!({})).await.1.unwrap();
    assert_eq!(host.problems().await.len(), 2);
}

#[tokio::test]
async fn what_comes_back_must_be_what_the_contract_says() {
    let place = Place::new();
    let both = json!({
        "apiVersion": 1,
        "plugin": {"version": "1"},
        "tasks": [{"type": "a.Task", "properties": {}}],
        "triggers": [{"type": "a.Trigger", "properties": {}}],
    });
    place.add("p", &lying(&both.to_string()));
    let host = place.host();
    let failure = fail(&host, "a.Task", json!({})).await;
    assert_eq!(failure.code, "plugin.bad-output");
    assert_eq!(failure.message, "the result of plugin `p`: expected a JSON object or null");
    let engine = std::sync::Arc::new(crate::support::Engine::new());
    let poll =
        host.poll("a.Trigger", crate::run::evaluation(json!(null)), engine, std::future::pending()).await;
    assert!(poll.unwrap_err().message.starts_with("an event of plugin `p`: not valid JSON"));
}
