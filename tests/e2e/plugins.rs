//! What can be seen of plugins, and what broken ones do.

use std::io::Write;
use std::process::Stdio;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::harness::{Sandbox, example_plugin};

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

const LOG: &str = "id: ok\nnamespace: tests\ntasks:\n  - id: log\n    type: io.kestra.plugin.core.log.Log\n    message: ok\n";

const HELLO: &str =
    "id: greet\nnamespace: tests\ntasks:\n  - id: hello\n    type: examples.hello\n    name: Ada\n";

static HELLO_WASM: LazyLock<Vec<u8>> = LazyLock::new(|| example_plugin("hello"));

#[test]
fn files_that_are_no_plugins_are_named_and_harm_nobody() {
    let sandbox = Sandbox::new();
    sandbox.file("data/plugins/text.wasm", "not a component");
    sandbox.file("data/plugins/empty.wasm", "");
    // The preamble of a core module.
    sandbox.file("data/plugins/module.wasm", b"\0asm\x01\0\0\0");
    let listed = sandbox.weft(["plugins", "list"]).expect(0);
    for name in ["text.wasm", "empty.wasm", "module.wasm"] {
        assert!(listed.stderr.contains(name), "{}", listed.stderr);
    }
    assert_eq!(listed.stderr.matches("warning:").count(), 1, "{}", listed.stderr);
    let document: Value =
        serde_json::from_str(&sandbox.weft(["plugins", "list", "--json"]).expect(0).stdout).unwrap();
    let plugins = document.as_array().unwrap();
    let codes: Vec<_> = plugins.iter().flat_map(|plugin| plugin["problems"].as_array().unwrap()).collect();
    assert_eq!(codes.len(), 3, "{codes:?}");
    assert!(codes.iter().all(|problem| problem["code"] == "plugin.not-a-component"), "{codes:?}");

    sandbox.run_flow(LOG).expect("SUCCESS");
    let checked = sandbox.weft(["validate", "flow.yaml"]).expect(0);
    assert_eq!(checked.stderr, "", "nothing in the folder matters to this flow");
    sandbox.file(
        "flow.yaml",
        "id: bad\nnamespace: tests\ntasks:\n  - id: task\n    type: somebody.elses.Task\n",
    );
    let run = sandbox.weft(["run", "flow.yaml"]).expect(2);
    assert!(run.stderr.contains("somebody.elses.Task") && run.stderr.contains("text.wasm"), "{}", run.stderr);
    assert_eq!(run.stderr.matches("warning:").count(), 1, "{}", run.stderr);
}

#[test]
fn what_is_no_file_stops_no_command() {
    use rustix::fs::{CWD, FileType, mknodat};

    let sandbox = Sandbox::new();
    sandbox.file("data/plugins/hello.wasm", &*HELLO_WASM);
    let folder = sandbox.data().join("plugins");
    mknodat(CWD, folder.join("a.wasm"), FileType::Fifo, 0o600.into(), 0).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.join("b.wasm")).unwrap();
    std::fs::create_dir(folder.join("c.wasm")).unwrap();
    std::fs::File::create(folder.join("d.wasm")).unwrap().set_len(3 << 30).unwrap();
    sandbox.run_flow(LOG).expect("SUCCESS");
    sandbox.run_flow(HELLO).expect("SUCCESS");
    let listed = sandbox.weft(["plugins", "list"]).expect(0);
    assert!(listed.stdout.contains("examples.hello"), "{}", listed.stdout);
    for line in [
        "warning: 4 problems with plugins:",
        "a.wasm: it is a FIFO, not a file",
        "b.wasm: it is a device, not a file",
        "c.wasm: it is a directory, not a file",
        "d.wasm: it is 3221225472 bytes long; a plugin has at most 67108864",
    ] {
        assert!(listed.stderr.contains(line), "{}", listed.stderr);
    }
}

#[test]
fn the_plugins_of_a_project_are_used_when_they_are_trusted() {
    let sandbox = Sandbox::new();
    sandbox.file("plugins/hello.wasm", &*HELLO_WASM);
    sandbox.file("flow.yaml", HELLO);
    // Nothing in it is needed: nothing is said.
    sandbox.file("log.yaml", LOG);
    assert_eq!(sandbox.weft(["validate", "log.yaml"]).expect(0).stderr, "");

    let run = sandbox.weft(["run", "flow.yaml"]).expect(2);
    for part in [
        "unknown task type `examples.hello`; the plugins in the folder `plugins` here are not trusted",
        "look at them, then `weft trust plugins`",
    ] {
        assert!(run.stderr.contains(part), "no `{part}` in {}", run.stderr);
    }
    assert!(!run.stderr.contains("warning:"), "{}", run.stderr);
    let listed = sandbox.weft(["plugins", "list"]).expect(0);
    assert_eq!(
        listed.stderr,
        "note: the plugins in `plugins` are not trusted, so they are not here; look at them, then `weft trust plugins`\n"
    );
    let shown = sandbox.weft(["plugins", "show", "examples.hello"]).expect(2);
    assert!(shown.stderr.contains("hint: look at them, then `weft trust plugins`"), "{}", shown.stderr);

    let trusted = sandbox.weft(["trust", "plugins"]).expect(0);
    assert!(
        trusted.stdout.contains("plugins` is trusted as it is now: 1 plugin\n  hello.wasm  "),
        "{trusted:?}"
    );
    sandbox.run_flow(HELLO).expect("SUCCESS");
    assert_eq!(sandbox.weft(["validate", "flow.yaml"]).expect(0).stderr, "");
    let list = sandbox.weft(["trust", "--list"]).expect(0);
    assert!(list.stdout.contains("folder") && list.stdout.contains("hello.wasm"), "{}", list.stdout);

    // It changes, and another one comes.
    let mut changed = HELLO_WASM.clone();
    changed.extend([0, 2, 1, b'x']);
    sandbox.file("plugins/hello.wasm", &changed);
    sandbox.file("plugins/later.wasm", "text");
    let run = sandbox.weft(["run", "flow.yaml"]).expect(2);
    assert!(
        run.stderr.contains("warning: 2 problems with plugins: `plugins/hello.wasm`, `plugins/later.wasm`"),
        "{}",
        run.stderr
    );
    let listed = sandbox.weft(["plugins", "list"]).expect(0);
    for line in [
        "it has changed since it was trusted",
        "`weft trust plugins/hello.wasm`",
        "it is not among the files that were trusted",
    ] {
        assert!(listed.stderr.contains(line), "{}", listed.stderr);
    }
    sandbox.weft(["trust", "plugins/hello.wasm"]).expect(0);
    sandbox.run_flow(HELLO).expect("SUCCESS");

    // Named on the command line, it is the operator's.
    sandbox.weft(["trust", "--remove", "plugins"]).expect(0);
    sandbox.weft(["run", "flow.yaml"]).expect(2);
    sandbox.run_flow_with(HELLO, &["--plugins", "plugins"]).expect("SUCCESS");
    sandbox.weft(["trust", "--remove", "plugins"]).expect(2);
    for arguments in [&["trust"][..], &["trust", "flow.yaml"], &["trust", "nowhere"]] {
        sandbox.weft(arguments).expect(2);
    }
}

#[test]
fn grants_of_the_configuration_do_not_follow_a_name_into_a_project() {
    let sandbox = Sandbox::new();
    sandbox.file("plugins/hello.wasm", &*HELLO_WASM);
    sandbox.file("data/config.yaml", "plugins:\n  grants:\n    hello: [secrets]\n");
    sandbox.weft(["trust", "plugins"]).expect(0);
    let listed = sandbox.weft(["plugins", "list"]).expect(0);
    assert!(listed.stderr.contains("is for files in the operator's folders"), "{}", listed.stderr);
    let path = sandbox.home().canonicalize().unwrap().join("plugins/hello.wasm");
    let by_path = format!("plugins:\n  grants:\n    {}: [secrets]\n", path.display());
    sandbox.file("data/config.yaml", by_path);
    assert_eq!(sandbox.weft(["plugins", "list"]).expect(0).stderr, "");
    // It is remembered by then, and is another file now.
    let mut changed = HELLO_WASM.clone();
    changed.extend([0, 2, 1, b'x']);
    sandbox.file("plugins/hello.wasm", &changed);
    sandbox.weft(["trust", "--remove", "plugins"]).expect(0);
    let listed = sandbox.weft(["plugins", "list", "--plugins", "plugins"]).expect(0);
    assert!(listed.stderr.contains("it has changed since its grants were first used"), "{}", listed.stderr);
    assert!(listed.stderr.contains("`weft trust plugins/hello.wasm`"), "{}", listed.stderr);
    sandbox.weft(["trust", "plugins/hello.wasm"]).expect(0);
    assert_eq!(sandbox.weft(["plugins", "list", "--plugins", "plugins"]).expect(0).stderr, "");

    for (grants, said) in
        [("./hello: [secrets]", "names no plugin"), ("hello@sha256:12: [secrets]", "names no plugin")]
    {
        sandbox.file("data/config.yaml", format!("plugins:\n  grants:\n    {grants}\n"));
        let run = sandbox.weft(["plugins", "list"]).expect(2);
        assert!(
            run.stderr.contains("configuration: plugins.grants: ") && run.stderr.contains(said),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_relative_directory_of_the_configuration_stands_beside_it() {
    let sandbox = Sandbox::new();
    sandbox.file("etc/weft.yaml", "plugins:\n  directories: [mine]\n");
    sandbox.file("etc/mine/hello.wasm", &*HELLO_WASM);
    sandbox.file("mine/hello.wasm", "somebody else's");
    let run = sandbox.run_flow_with(HELLO, &["--config", "etc/weft.yaml"]).expect("SUCCESS");
    assert!(!run.run.stderr.contains("warning"), "{}", run.run.stderr);
}

/// The process that compiles plugin files.
#[test]
fn the_compiling_process_keeps_its_bounds_and_ends_with_its_engine() {
    let sandbox = Sandbox::new();
    let compile = |settings: &str, sent: &[u8]| {
        let mut command = sandbox.command();
        command.args(["__compile", settings]).env_clear();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // One that has ended reads no more.
        let _ = stdin.write_all(sent);
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.stdout.is_empty());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let settings = |memory: u64| {
        json!({"pooled": true, "run_memory": 1 << 28, "key": 0, "memory": memory, "cpu": 10}).to_string()
    };
    let length = (32_u64 << 20).to_le_bytes();
    let (status, said) = compile(&settings(16 << 20), &length);
    assert!(
        status.is_none() && said.contains("memory allocation of 33554432 bytes failed"),
        "{status:?} {said}"
    );
    // Whoever sends goes away in the middle.
    let (status, said) = compile(&settings(1 << 30), &length);
    assert!(status == Some(2) && said.starts_with("the component did not arrive"), "{status:?} {said}");
    let (status, said) = compile("no settings", &[]);
    assert!(status == Some(2) && said.starts_with("the settings cannot be read"), "{status:?} {said}");
    let (status, said) = compile(&settings(1 << 30), &[&4_u64.to_le_bytes()[..], b"\0asm"].concat());
    // It may see first that the other side is gone.
    let ended = status == Some(3) || (status == Some(2) && said.contains("of another version"));
    assert!(ended, "{status:?} {said}");
}
