//! `weft expr`: the rendered text and status 0, or an error and status 1.

use crate::harness::Sandbox;

#[test]
fn expressions() {
    let sandbox = Sandbox::new();
    sandbox.file("context.json", r#"{"name": "Ada", "list": [3, 1, 2], "map": {"b-c": null}}"#);
    for (template, expected) in [
        ("{{ name | upper }}", Ok("ADA")),
        ("{{ missing ?? 'none' }}", Ok("none")),
        ("{{ list | sort }}", Ok("[1,2,3]")),
        ("{{ list | jq('.[0]') | first }}", Ok("3")),
        ("{{ map['b-c'] }}", Ok("")),
        ("plain", Ok("plain")),
        ("{{ missing }}", Err("missing")),
        ("{{ name | nosuch }}", Err("nosuch")),
        ("{{ 1 +", Err("line 1")),
    ] {
        let run = sandbox.weft(["expr", template, "--context", "context.json"]);
        match expected {
            Ok(text) => {
                assert_eq!((run.status, run.stdout.trim_end()), (0, text), "{template}: {}", run.stderr)
            }
            Err(part) => {
                assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{template}");
                assert!(run.stderr.contains(part), "{template}: {}", run.stderr);
            }
        }
    }
}

#[test]
fn a_context_names_the_namespace_and_is_an_object() {
    let sandbox = Sandbox::new();
    sandbox.weft(["namespace", "kv", "set", "tests", "key", "here"]).expect(0);
    sandbox.file("context.json", r#"{"flow": {"namespace": "tests"}}"#);
    let run = sandbox.weft(["expr", "{{ kv('key') }}", "--context", "context.json"]).expect(0);
    assert_eq!(run.stdout, "here\n");
    let run = sandbox.weft(["expr", "{{ kv('key') }}"]).expect(1);
    assert!(run.stderr.contains("flow.namespace"), "{}", run.stderr);
    sandbox.file("list.json", "[1]");
    let run = sandbox.weft(["expr", "{{ 1 }}", "--context", "list.json"]).expect(2);
    assert!(run.stderr.contains("list.json:1:1: expected an object"), "{}", run.stderr);
}

#[test]
fn a_context_that_is_no_json_is_a_usage_error() {
    let sandbox = Sandbox::new();
    sandbox.file("context.json", "{\n  oops");
    let run = sandbox.weft(["expr", "{{ 1 }}", "--context", "context.json"]).expect(2);
    assert!(run.stderr.contains("context.json:2:3"), "{}", run.stderr);
}
