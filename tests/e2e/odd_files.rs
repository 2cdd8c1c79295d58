//! What else may lie in a folder of flows: pipes, sockets, devices, links in circles, files larger than the machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::harness::Sandbox;

const CHILD: &str =
    "id: child\nnamespace: tests\ntasks:\n  - {id: t, type: io.kestra.plugin.core.log.Log, message: x}\n";

const CALLER: &str = "id: caller
namespace: tests
inputs:
  - {id: file, type: FILE, required: false}
tasks:
  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: tests, flowId: child}
  - {id: json, type: io.kestra.plugin.core.flow.Subflow, namespace: tests, flowId: written_as_json}
";

fn fifo(path: &std::path::Path) {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

#[test]
fn a_folder_with_odd_files_stops_nothing() {
    let sandbox = Sandbox::new();
    sandbox.file("flows/caller.yaml", CALLER);
    sandbox.file("flows/z-child.yaml", CHILD);
    let json = r#"{"id": "written_as_json", "namespace": "tests", "tasks": [{"id": "t", "type": "io.kestra.plugin.core.debug.Return"}]}"#;
    sandbox.file("flows/json.yaml", json);
    sandbox.file(
        "flows/child.test.yaml",
        "id: t\nnamespace: tests\nflowId: child\ntestCases:\n  - {id: runs, state: SUCCESS}\n",
    );
    let at = |name: &str| sandbox.home().join("flows").join(name);
    for number in 0..12 {
        fifo(&at(&format!("pipe-{number:02}.yaml")));
    }
    let _listener = UnixListener::bind(at("socket.yaml")).unwrap();
    fs::File::create(at("sparse.yaml")).unwrap().set_len(3 << 30).unwrap();
    fs::write(at("bytes.yaml"), b"tasks: \xff\n").unwrap();
    symlink("loop.yaml", at("loop.yaml")).unwrap();
    symlink("/dev/zero", at("zero.yaml")).unwrap();
    symlink(".", at("again")).unwrap();
    sandbox.file("flows/folder.yaml/inner.yaml", CHILD.replace("child", "inner"));

    let run = sandbox.weft(["validate", "flows"]).expect(0);
    for valid in ["caller.yaml", "z-child.yaml", "json.yaml", "child.test.yaml", "folder.yaml/inner.yaml"] {
        assert!(run.stdout.contains(&format!("flows/{valid}: valid\n")), "{valid}: {}", run.stdout);
    }
    assert_eq!(run.stdout.lines().count(), 5, "{}", run.stdout);
    assert!(run.stderr.contains("`flows/bytes.yaml` is left out: it is not UTF-8 text"), "{}", run.stderr);
    assert!(run.stderr.contains("`flows/pipe-00.yaml` is left out: it is a named pipe, not a file"));
    assert!(run.stderr.ends_with("and 5 more are left out\n"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 11, "{}", run.stderr);
    let run = sandbox.weft(["validate", "flows", "--json"]).expect(0);
    let found: Vec<serde_json::Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(found.len(), 15, "{}", run.stdout);
    let sparse = found.iter().find(|one| one["file"] == "flows/sparse.yaml").unwrap();
    assert!(sparse["message"].as_str().unwrap().contains("larger than 16 MiB"), "{sparse}");

    let run = sandbox.weft(["run", "flows/caller.yaml", "--quiet"]).expect(0);
    assert!(!run.stderr.contains("error"), "{}", run.stderr);
    let run = sandbox.weft(["test", "flows"]).expect(0);
    assert!(run.stdout.contains("1 passed") || run.stderr.contains("1 passed"), "{run:?}");
    sandbox.weft(["test", "flows/z-child.yaml"]).expect(0);
}

#[test]
fn what_is_named_must_be_a_file() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", CALLER);
    fifo(&sandbox.home().join("pipe"));
    fs::create_dir(sandbox.home().join("folder")).unwrap();
    fs::File::create(sandbox.home().join("sparse")).unwrap().set_len(3 << 30).unwrap();
    for (args, expected) in [
        (&["run", "pipe"][..], "cannot read `pipe`: it is a named pipe, not a file"),
        (&["run", "folder"], "cannot read `folder`: it is a folder, not a file"),
        (&["validate", "pipe"], "cannot read `pipe`: it is a named pipe, not a file"),
        (&["validate", "sparse"], "cannot read `sparse`: it is larger than 16 MiB"),
        (&["test", "pipe"], "cannot read `pipe`: it is a named pipe, not a file"),
        (&["flow", "graph", "/dev/zero"], "cannot read `/dev/zero`: it is a device, not a file"),
        (&["run", "flow.yaml", "-i", "file=@pipe"], "it is a named pipe, not a file"),
        (&["--config", "pipe", "validate", "flow.yaml"], "it is a named pipe, not a file"),
        (&["--config", "sparse", "validate", "flow.yaml"], "it is larger than 1 MiB"),
    ] {
        let run = sandbox.weft(args).expect(2);
        assert!(run.stderr.contains(expected), "{args:?}: {}", run.stderr);
    }
    // A pipe that the shell made has somebody who writes to it.
    sandbox.file("child.yaml", CHILD);
    let mut shell = std::process::Command::new("bash");
    shell.arg("-c").arg(format!("{} validate <(cat child.yaml)", env!("CARGO_BIN_EXE_weft")));
    let command = sandbox.command();
    shell
        .current_dir(sandbox.home())
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = crate::harness::finish(&mut shell).expect(0);
    assert!(run.stdout.ends_with(": valid\n"), "{run:?}");
}

#[test]
fn subflows_have_a_bound() {
    let sandbox = Sandbox::new();
    let config = sandbox.file("config.yaml", "subflows: {maxDepth: 3}\n");
    sandbox.file(
        "flow.yaml",
        "id: again
namespace: tests
inputs:
  - {id: other, type: STRING, defaults: again}
tasks:
  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: tests, flowId: \"{{ inputs.other }}\", wait: true, transmitFailed: true}
",
    );
    let run = sandbox.weft(["--config", config.to_str().unwrap(), "run", "flow.yaml", "--json"]).expect(1);
    assert!(run.stderr.contains("more than 3 subflows deep"), "{}", run.stderr);
    assert!(run.stderr.contains("subflows.maxDepth"), "{}", run.stderr);
    let list = sandbox.weft(["executions", "list", "--json"]).expect(0);
    let list: Vec<serde_json::Value> = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list.len(), 4);
    assert!(list.iter().all(|one| one["state"] == "FAILED"), "{list:#?}");
}
