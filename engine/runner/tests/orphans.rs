//! What an engine leaves behind that was itself killed.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Lines, eventually, groups, is_running, read_pid, script};
use weft_runner::{Containment, Engine};

const TEXT: &str = "setsid sh -c 'echo $$ >survivor; exec sleep 1000' >/dev/null 2>&1 &
    (env -i setsid setsid sh -c 'echo $$ >nameless; exec sleep 1000' >/dev/null 2>&1 &)
    echo $$ >main; while :; do sleep 1000; done";

/// Not a test, but the engine that is killed by one: this binary, started again with two variables.
#[test]
fn engine_of_another_process() {
    let (Ok(directory), Ok(wanted)) = (std::env::var("TEST_DIRECTORY"), std::env::var("TEST_CONTAINMENT"))
    else {
        return;
    };
    let containment = Engine::available().into_iter().find(|found| format!("{found:?}") == wanted);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = Engine::start(containment).unwrap();
        let mut command = script(TEXT, Path::new(&directory));
        command.marker = marker(Path::new(&directory));
        let process = engine.spawn(command, Lines::default()).await.unwrap();
        process.wait().await.unwrap();
    });
}

fn marker(directory: &Path) -> String {
    format!("orphan-test/{}/1", directory.file_name().unwrap().to_string_lossy().replace('.', ""))
}

struct Other {
    engine: Child,
    directory: tempfile::TempDir,
    main: i32,
    survivors: [i32; 2],
}

impl Other {
    fn start(containment: Containment) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "engine_of_another_process"])
            .env("TEST_DIRECTORY", directory.path())
            .env("TEST_CONTAINMENT", format!("{containment:?}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = |name: &str| read_pid(&directory.path().join(name));
        let (main, survivors) = (pid("main"), [pid("survivor"), pid("nameless")]);
        Self { engine, directory, main, survivors }
    }

    fn marker(&self) -> String {
        marker(self.directory.path())
    }

    /// As the kernel does when memory is short.
    fn crash(&mut self) {
        self.engine.kill().unwrap();
        let (engine, main) = (self.engine.id() as i32, self.main);
        eventually("the direct child ends with its engine", || !is_running(main) && !is_running(engine));
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.engine.kill();
        let _ = self.engine.wait();
    }
}

#[test]
fn what_a_crashed_engine_left_is_found() {
    for containment in Engine::available() {
        let what = format!("{containment:?}");
        let mut dead = Other::start(containment);
        let mut alive = Other::start(containment);
        dead.crash();
        assert!(dead.survivors.into_iter().all(is_running), "{what}");
        let engine = Engine::start(Some(containment)).unwrap();

        // Somebody may want them kept; other engines' markers are nobody's business here.
        let foreign = |marker: &str| !marker.starts_with("orphan-test/");
        if containment != Containment::Marks {
            assert_eq!(engine.reap_orphans(false, |_| true), [], "{what}");
            assert!(dead.survivors.into_iter().all(is_running), "{what}");
        }
        // The engine is a zombie until its parent, this test, collects it; that counts as dead.
        let found = engine.reap_orphans(false, foreign);
        let named = found.iter().find(|orphan| orphan.marker.as_ref() == Some(&dead.marker())).unwrap();
        assert!(named.processes.contains(&dead.survivors[0]), "{what}: {found:?}");
        assert!(
            found.iter().any(|orphan| orphan.processes.contains(&dead.survivors[1])),
            "{what}: {found:?}"
        );
        assert!(!dead.survivors.into_iter().any(is_running), "{what}");
        assert_eq!(groups(dead.engine.id()), Vec::<std::path::PathBuf>::new(), "{what}");

        // A living engine's processes are left alone, however hard is looked for orphans.
        engine.reap_orphans(true, foreign);
        assert!(is_running(alive.main) && alive.survivors.into_iter().all(is_running), "{what}");
        alive.crash();
        let found = engine.reap_orphans(true, foreign);
        assert!(
            found.iter().any(|orphan| orphan.marker.as_ref() == Some(&alive.marker())),
            "{what}: {found:?}"
        );
        assert!(!alive.survivors.into_iter().any(is_running), "{what}");
    }
}
