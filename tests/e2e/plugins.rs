//! What can be seen of plugins, and what broken ones do.

use crate::harness::Sandbox;

#[test]
fn bundled_types_are_listed_and_shown() {
    let sandbox = Sandbox::new();
    let listed = sandbox.weft(["plugins", "list"]).expect(0);
    assert_eq!(listed.stderr, "");
    for name in ["io.kestra.plugin.core.log.Log", "io.kestra.plugin.scripts.python.Script"] {
        assert!(listed.stdout.contains(name), "{}", listed.stdout);
    }
    let shown = sandbox.weft(["plugins", "show", "io.kestra.core.tasks.log.Log"]).expect(0);
    for part in ["io.kestra.plugin.core.log.Log", "message", "(required)", "level"] {
        assert!(shown.stdout.contains(part), "no `{part}` in {}", shown.stdout);
    }
    let shown = sandbox.weft(["plugins", "show", "io.kestra.plugin.git.Clone"]).expect(0);
    let title = "Clones a Git repository into the working directory";
    assert_eq!(shown.stdout.matches(title).count(), 1, "the description begins with it: {}", shown.stdout);
    let run = sandbox.weft(["plugins", "show", "io.kestra.plugin.core.log.Lgo"]).expect(2);
    assert!(run.stderr.contains("io.kestra.plugin.core.log.Log"), "{}", run.stderr);
}

#[test]
fn types_of_the_engine_are_listed_and_shown_too() {
    let sandbox = Sandbox::new();
    let listed = sandbox.weft(["plugins", "list"]).expect(0);
    for name in ["io.kestra.plugin.core.flow.ForEach", "io.kestra.plugin.core.trigger.Schedule"] {
        assert!(listed.stdout.contains(name), "{}", listed.stdout);
    }
    for (name, parts) in [
        ("io.kestra.plugin.core.flow.ForEach", &["values", "(required)", "concurrencyLimit"][..]),
        ("io.kestra.core.models.triggers.types.Schedule", &["cron", "recoverMissedSchedules ALL|LAST|NONE"]),
    ] {
        let shown = sandbox.weft(["plugins", "show", name]).expect(0);
        for part in parts {
            assert!(shown.stdout.contains(part), "no `{part}` in {}", shown.stdout);
        }
    }
}

#[test]
fn values_and_inner_maps_of_properties_are_shown() {
    let sandbox = Sandbox::new();
    let shown = sandbox.weft(["plugins", "show", "io.kestra.plugin.aws.s3.Trigger"]).expect(0);
    assert!(shown.stdout.contains("action MOVE|DELETE|NONE"), "{}", shown.stdout);
    let shown = sandbox.weft(["plugins", "show", "io.kestra.plugin.mongodb.Load"]).expect(0);
    assert!(shown.stdout.contains("      uri (required) string"), "{}", shown.stdout);
}

#[test]
fn a_plugin_directory_that_is_named_must_be_there() {
    let sandbox = Sandbox::new();
    let run = sandbox.weft(["plugins", "list", "--plugins", "nowhere"]).expect(2);
    assert!(run.stderr.contains("--plugins") && run.stderr.contains("nowhere"), "{}", run.stderr);
}

#[test]
fn files_that_are_no_plugins_are_named_and_harm_nobody() {
    let sandbox = Sandbox::new();
    sandbox.file("plugins/text.wasm", "not a component");
    sandbox.file("plugins/empty.wasm", "");
    // The preamble of a core module.
    sandbox.file("plugins/module.wasm", b"\0asm\x01\0\0\0");
    let listed = sandbox.weft(["plugins", "list"]).expect(0);
    for name in ["text.wasm", "empty.wasm", "module.wasm"] {
        assert!(listed.stderr.contains(name), "{}", listed.stderr);
    }
    sandbox
        .run_flow("id: ok\nnamespace: tests\ntasks:\n  - id: log\n    type: io.kestra.plugin.core.log.Log\n    message: ok\n")
        .expect("SUCCESS");
    sandbox.file(
        "flow.yaml",
        "id: bad\nnamespace: tests\ntasks:\n  - id: task\n    type: somebody.elses.Task\n",
    );
    let run = sandbox.weft(["run", "flow.yaml"]).expect(2);
    assert!(run.stderr.contains("somebody.elses.Task") && run.stderr.contains("text.wasm"), "{}", run.stderr);
}
