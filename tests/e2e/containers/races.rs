//! A script in a container changes the working directory while the engine works in it.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Daemon;
use crate::harness::Sandbox;

const SECRET: &str = "what nobody may see, of the machine";
/// Files in the folder that is swapped with a link to one that has others of the same names.
const FILES: usize = 100;

/// A container that swaps folders with symbolic links that lead out, from before the first task to after the last one.
const FLOW: &str = r#"
id: races
namespace: tests
tasks:
  - id: wdir
    type: io.kestra.plugin.core.flow.WorkingDirectory
    cache:
      patterns: ["d/**", "e/**"]
    outputFiles: ["d/**", "e/*"]
    tasks:
      - id: make
        type: io.kestra.plugin.scripts.shell.Commands
        docker:
          image: weft-test/busybox:1
        commands:
          - "mkdir d e; for i in $(seq 100); do echo inside > d/$i; echo inside > e/$i; done"
          - "ln -s OUTSIDE way; ln -s OUTSIDE e-way; ln -s OUTSIDE weft-way"
      - id: both
        type: io.kestra.plugin.core.flow.Parallel
        tasks:
          - id: swap
            type: io.kestra.plugin.scripts.python.Commands
            docker:
              image: weft-test/python:1
              reuse: false
            allowFailure: true
            commands:
              - |
                python3 - <<'END'
                import os, time
                def move(one, other):
                    try:
                        os.rename(one, other)
                    except OSError:
                        pass
                end, count = time.time() + SECONDS, 0
                while time.time() < end and not os.path.exists('stop'):
                    for one, other in (('d', 'way'), ('e', 'e-way'), ('.weft', 'weft-way')):
                        move(one, one + '-aside'); move(other, one)
                        move(one, other); move(one + '-aside', one)
                    count += 1
                print('::{"outputs": {"swaps": %d}}::' % count)
                END
          - id: work
            type: io.kestra.plugin.core.flow.Sequential
            tasks:
              - id: each
                type: io.kestra.plugin.core.flow.ForEach
                values: "{{ range(1, 40) }}"
                tasks:
                  - id: processes
                    type: io.kestra.plugin.scripts.shell.Commands
                    runner: PROCESS
                    allowFailure: true
                    inputFiles:
                      "d/in": "put in"
                      "e/deeper/in": "put in"
                    outputFiles: ["d/*", "e/**"]
                    commands:
                      - "echo 1 > {{ outputDir }}/x"
                  - id: containers
                    type: io.kestra.plugin.scripts.shell.Commands
                    docker:
                      image: weft-test/busybox:1
                    allowFailure: true
                    inputFiles:
                      "d/in": "put in"
                    outputFiles: ["d/*", "e/**"]
                    commands:
                      - "echo 1 > {{ outputDir }}/x"
              - id: stop
                type: io.kestra.plugin.scripts.shell.Commands
                runner: PROCESS
                commands: ["touch {{ workingDir }}/stop"]
"#;

/// Everything below a folder.
fn below(folder: &Path) -> Vec<(PathBuf, Metadata)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            found.push((path, metadata));
        }
    }
    found
}

/// Names, permissions, owners and contents of everything below a folder.
fn census(folder: &Path) -> BTreeMap<PathBuf, (u32, u32, u64, Vec<u8>)> {
    let look = |(path, metadata): (PathBuf, Metadata)| {
        let content = if metadata.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        (path, (metadata.permissions().mode(), metadata.uid(), metadata.ino(), content))
    };
    below(folder).into_iter().map(look).collect()
}

#[test]
fn a_container_that_swaps_folders_with_links_reaches_nothing_of_the_machine() {
    let Some(daemon) = Daemon::find() else { return };
    // Where files are copied, the container works on a copy of its own, and its folders come back at its end.
    for (strategy, seconds) in [("mount", "120"), ("volume", "5")] {
        let sandbox = Sandbox::new();
        sandbox.file("data/config.yaml", format!("docker:\n  fileHandlingStrategy: {strategy}\n"));
        for index in 0..=FILES {
            sandbox.file(&format!("outside/{index}"), SECRET);
        }
        sandbox.file("outside/output/file", SECRET);
        let outside = sandbox.home().join("outside");
        let before = census(&outside);
        let flow = FLOW.replace("OUTSIDE", &outside.display().to_string()).replace("SECONDS", seconds);
        let execution = sandbox.run_flow(&flow);

        let swaps = execution.outputs("swap")["vars"]["swaps"].as_u64();
        if strategy == "mount" {
            assert!(swaps.is_some_and(|swaps| swaps > 1000), "{swaps:?} {:?}", execution.log(&sandbox));
        }
        let ended = |task: &str, state: &str| {
            let wanted = format!("{task}={state}");
            execution.states().iter().filter(|found| **found == wanted).count()
        };
        assert_eq!(ended("make", "SUCCESS"), 1);
        assert!(
            ended("processes", "SUCCESS") + ended("processes", "WARNING") > 10,
            "{:?}",
            execution.states()
        );
        for (path, (.., content)) in census(&sandbox.data()) {
            let found = content.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
            assert!(!found, "{}", path.display());
        }
        assert_eq!(census(&outside), before, "{strategy}");
        daemon.expect_nothing_left(&sandbox);
    }
}

const KINDS: &str = r#"
id: kinds
namespace: tests
tasks:
  - id: make
    type: io.kestra.plugin.scripts.shell.Commands
    docker:
      image: weft-test/busybox:1
      STRATEGY
    outputFiles: ["*.out"]
    commands:
      - "mkfifo pipe.out; echo file > file.out; ln -s file.out link.out; ln -s pipe.out to-pipe.out"
      - "mknod null.out c 1 3 || true"
      - "dd if=/dev/zero of=sparse.out bs=1 count=1 seek=10737418240 2> /dev/null"
      - "mkfifo {{ outputDir }}/pipe; echo kept > {{ outputDir }}/kept"
"#;

#[test]
fn what_is_no_file_is_left_and_nothing_is_waited_for() {
    let Some(daemon) = Daemon::find() else { return };
    let sandbox = Sandbox::new();
    let execution =
        sandbox.run_flow(&KINDS.replace("STRATEGY", "fileHandlingStrategy: MOUNT")).expect("SUCCESS");
    let files = execution.outputs("make")["outputFiles"].as_object().unwrap();
    let mut names: Vec<_> = files.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["file.out", "kept", "link.out", "sparse.out"]);
    // Ten gigabytes that are one byte and a hole.
    let stored: Vec<_> = below(&sandbox.data())
        .into_iter()
        .filter(|(path, _)| path.to_string_lossy().ends_with("sparse.out"))
        .map(|(_, metadata)| (metadata.len(), metadata.blocks() * 512 < 1 << 20))
        .collect();
    assert_eq!(stored, [((10 << 30) + 1, true)]);
    daemon.expect_nothing_left(&sandbox);
}
