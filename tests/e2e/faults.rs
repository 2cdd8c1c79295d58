//! Full disks and engines that are killed at every step: whatever happens, each execution gets an end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::audit::audit;
use crate::harness::{Sandbox, SmallDisk, finish};

/// A flow that writes to every store: outputs, files, metrics, log, values, and a subflow.
fn flows(sandbox: &Sandbox) -> PathBuf {
    sandbox.file(
        "flows/child.yaml",
        "id: child
namespace: tests
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: from the child
",
    );
    sandbox.file(
        "flows/parent.yaml",
        "id: parent
namespace: tests
inputs:
  - id: file
    type: FILE
tasks:
  - id: first
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ inputs.file }}\"
  - id: script
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    outputFiles: [made.txt]
    commands:
      - head -c 3000 /dev/zero > made.txt
      - |-
        echo '::{\"outputs\": {\"a\": 1}, \"metrics\": [{\"name\": \"rows\", \"type\": \"counter\", \"value\": 1}]}::'
      - for i in 1 2 3 4 5 6 7 8 9; do echo \"line $i\"; done
  - id: remember
    type: io.kestra.plugin.core.kv.Set
    key: seen
    value: \"{{ outputs.script.vars.a }}\"
  - id: call
    type: io.kestra.plugin.core.flow.Subflow
    namespace: tests
    flowId: child
    wait: true
    transmitFailed: true
",
    )
}

fn run(sandbox: &Sandbox, data: &Path) -> Command {
    let mut command = sandbox.command();
    command.args(["run", "flows/parent.yaml", "--json", "--input", "file=@flows/child.yaml"]);
    command.env("WEFT_DATA_DIR", data);
    command
}

#[test]
fn after_a_full_disk_every_execution_gets_an_end() {
    let sandbox = Sandbox::new();
    flows(&sandbox);
    let Some(disk) = SmallDisk::mount(&sandbox, 1024) else { return };
    let mut ends = Vec::new();
    for room in [0, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128] {
        disk.fill(room);
        let run = finish(&mut run(&sandbox, disk.path()));
        let what = format!("{room} KiB of room");
        if run.status != 0 {
            // What cannot be kept is said, and is no panic. With no room at all, the input is refused before there is an
            // execution.
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!([1, 2].contains(&run.status) && said.contains("no space left"), "{what}: {run:?}");
        }
        disk.empty();
        let weft = || {
            let mut command = sandbox.command();
            command.env("WEFT_DATA_DIR", disk.path());
            command
        };
        ends = audit(weft, disk.path(), &what);
        // Values are there as a whole or not at all.
        let value = finish(weft().args(["namespace", "values", "get", "tests", "seen"]));
        assert!(!value.stderr.contains("damaged"), "{what}: {value:?}");
    }
    // There was room enough at last, and none at first.
    assert!(ends.contains(&"parent SUCCESS".to_owned()), "{ends:?}");
    assert!(ends.contains(&"parent KILLED".to_owned()), "{ends:?}");
}

/// A library that kills the process before the Nth step that changes something below a folder.
const KILLER: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long left;
static const char *below;

__attribute__((constructor)) static void begin(void) {
    char exe[4096];
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (length < 5 || memcmp(exe + length - 5, "/weft", 5) != 0) return;
    const char *at = getenv("KILL_AT"), *folder = getenv("KILL_BELOW");
    if (at && folder) { left = atol(at); below = folder; }
}

static void step(const char *path) {
    if (below && strncmp(path, below, strlen(below)) == 0 && __sync_sub_and_fetch(&left, 1) == 0)
        kill(getpid(), SIGKILL);
}

static void step_of(int fd) {
    if (!below) return;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0) { path[length] = 0; step(path); }
}

#define NEXT(name) static __typeof__(&name) next; if (!next) next = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t count) { NEXT(write); step_of(fd); return next(fd, bytes, count); }
int ftruncate64(int fd, off64_t length) { NEXT(ftruncate64); step_of(fd); return next(fd, length); }
int fdatasync(int fd) { NEXT(fdatasync); step_of(fd); return next(fd); }
int mkdir(const char *path, mode_t mode) { NEXT(mkdir); step(path); return next(path, mode); }
int rmdir(const char *path) { NEXT(rmdir); step(path); return next(path); }
int unlink(const char *path) { NEXT(unlink); step(path); return next(path); }
int rename(const char *from, const char *to) { NEXT(rename); step(from); return next(from, to); }
int open64(const char *path, int flags, ...) {
    NEXT(open64);
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    if (flags & O_CREAT) step(path);
    return next(path, flags, mode);
}
"#;

/// The library, ready to be loaded. None where there is no C compiler: then the test is skipped, unless all parts are
/// required.
fn killer(sandbox: &Sandbox) -> Option<PathBuf> {
    let (source, library) = (sandbox.file("killer.c", KILLER), sandbox.home().join("killer.so"));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-w", "-o"]).arg(&library).arg(source).arg("-ldl");
    if compiler.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return Some(library);
    }
    let message = "there is no C compiler";
    assert!(std::env::var_os("WEFT_TEST_REQUIRE_ALL").is_none(), "{message}");
    eprintln!("skipped: {message}");
    None
}

#[test]
fn after_a_kill_at_any_step_every_execution_gets_an_end() {
    let sandbox = Sandbox::new();
    flows(&sandbox);
    let Some(library) = killer(&sandbox) else { return };
    // The first use of a plugin compiles it, once for all.
    finish(&mut run(&sandbox, &sandbox.home().join("first")));
    let mut seen = std::collections::BTreeSet::new();
    for at in 1.. {
        assert!(at < 2_000, "the run never gets to its end");
        let data = sandbox.home().join(format!("data-{at}"));
        let mut command = run(&sandbox, &data);
        command.env("LD_PRELOAD", &library).env("KILL_AT", at.to_string()).env("KILL_BELOW", &data);
        let ended = finish(&mut command);
        let weft = || {
            let mut command = sandbox.command();
            command.env("WEFT_DATA_DIR", &data);
            command
        };
        seen.extend(audit(weft, &data, &format!("killed at step {at}")));
        // Before the first step there is nothing yet.
        if data.exists() {
            std::fs::remove_dir_all(&data).unwrap();
        }
        if ended.status == 0 {
            break;
        }
        assert_eq!(ended.status, -1, "killed at step {at}: {ended:?}");
    }
    // It was killed before, in, and after each of the two.
    for end in ["child KILLED", "child SUCCESS", "parent KILLED", "parent SUCCESS"] {
        assert!(seen.contains(end), "{seen:?}");
    }
}

#[test]
fn an_execution_that_nobody_marked_is_ended_when_it_is_seen() {
    let sandbox = Sandbox::new();
    flows(&sandbox);
    finish(&mut run(&sandbox, &sandbox.data()));
    // As an older engine left them: the journal says that it runs, and there is no mark.
    let executions = sandbox.data().join("executions");
    let mut changed = 0;
    for entry in std::fs::read_dir(&executions).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let journal = std::fs::read_to_string(folder.join("journal.jsonl")).unwrap();
        let first: String = journal.lines().take(1).map(|line| format!("{line}\n")).collect();
        std::fs::write(folder.join("journal.jsonl"), first).unwrap();
        std::fs::write(folder.join("engine.json"), r#"{"pid": 4194305, "started": 1, "boot": "gone"}"#)
            .unwrap();
        changed += 1;
    }
    assert_eq!(changed, 2);
    let ends = audit(|| sandbox.command(), &sandbox.data(), "no mark");
    assert_eq!(ends, ["child KILLED", "parent KILLED"]);
}
