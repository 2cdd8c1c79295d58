//! What a task leaves behind: in each containment, in each way of leaving, at each way of ending.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Lines, eventually, is_running, read_pid, script, wait};
use weft_runner::{Containment, Engine};

/// Ways to get away. `$LIVE` is a program that writes its process id to a file and lives on, deaf to polite signals.
const ESCAPES: [(&str, &str); 7] = [
    ("background", "sh -c \"$LIVE\" &"),
    ("background, without the pipes", "sh -c \"$LIVE\" >/dev/null 2>&1 &"),
    ("new session", "setsid sh -c \"$LIVE\" &"),
    ("double fork", "(setsid sh -c \"$LIVE\" </dev/null >/dev/null 2>&1 &)"),
    ("no environment", "env -i setsid sh -c \"$LIVE\" &"),
    ("double fork without environment", "(env -i setsid setsid sh -c \"$LIVE\" >/dev/null 2>&1 &)"),
    ("three generations", "(env -i setsid sh -c \"setsid sh -c '$LIVE' &\" &)"),
];

const LIVE: &str = "trap : TERM HUP INT; echo $$ >pid; while :; do sleep 1000; done";

#[derive(Debug, Clone, Copy)]
enum Ending {
    ByItself,
    Killed,
    TimedOut,
    Dropped,
}

#[tokio::test]
async fn nothing_is_left_behind() {
    for containment in Engine::available() {
        let engine = Engine::start(Some(containment)).unwrap();
        assert_eq!(engine.containment(), containment);
        for (name, escape) in ESCAPES {
            for ending in [Ending::ByItself, Ending::Killed, Ending::TimedOut, Ending::Dropped] {
                let what = format!("{containment:?}, {name}, {ending:?}");
                let directory = tempfile::tempdir().unwrap();
                let rest = match ending {
                    Ending::ByItself => "until [ -s pid ]; do sleep 0.01; done",
                    _ => "while :; do sleep 1000; done",
                };
                let mut command = script(&format!("{escape}\n{rest}"), directory.path());
                command.env.push(("LIVE".to_owned(), LIVE.to_owned()));
                command.grace = Duration::from_millis(20);
                if let Ending::TimedOut = ending {
                    command.timeout = Some(Duration::from_millis(300));
                }
                let process = engine.spawn(command, Lines::default()).await.unwrap();
                let main = process.id();
                let file = directory.path().join("pid");
                let survivor = tokio::task::spawn_blocking(move || read_pid(&file)).await.unwrap();
                assert_ne!(survivor, main, "{what}");
                match ending {
                    Ending::Dropped => drop(process),
                    _ => {
                        if let Ending::Killed = ending {
                            assert!(is_running(survivor), "{what}");
                            process.kill(libc::SIGTERM).unwrap();
                        }
                        let exit = wait(&process).await.unwrap();
                        assert!(!exit.survivors, "{what}");
                        assert!(!is_running(main) && !is_running(survivor), "{what}");
                    }
                }
                tokio::task::spawn_blocking(move || {
                    eventually(&format!("all is gone: {what}"), || {
                        !is_running(main) && !is_running(survivor)
                    });
                })
                .await
                .unwrap();
            }
        }
    }
}

/// The orphans that come to the engine are collected by it, and each by the task that it belongs to.
#[tokio::test]
async fn tasks_side_by_side_are_kept_apart() {
    for containment in Engine::available() {
        let engine = Engine::start(Some(containment)).unwrap();
        let text =
            "(env -i setsid setsid sh -c \"$LIVE\" >/dev/null 2>&1 &)\nuntil [ -s end ]; do sleep 0.01; done";
        let mut started = Vec::new();
        for _ in 0..2 {
            let directory = tempfile::tempdir().unwrap();
            let mut command = script(text, directory.path());
            command.env.push(("LIVE".to_owned(), LIVE.to_owned()));
            let process = engine.spawn(command, Lines::default()).await.unwrap();
            let file = directory.path().join("pid");
            let survivor = tokio::task::spawn_blocking(move || read_pid(&file)).await.unwrap();
            started.push((directory, process, survivor));
        }
        let [(directory, first, gone), (_, second, alive)] = &started[..] else { unreachable!() };
        std::fs::write(directory.path().join("end"), "x").unwrap();
        assert_eq!(wait(first).await.unwrap().code, Some(0), "{containment:?}");
        assert!(!is_running(*gone) && is_running(*alive), "{containment:?}");
        if containment == Containment::Marks {
            assert!(!Path::new(&format!("/proc/{gone}")).exists(), "not even a zombie");
        }
        second.kill(libc::SIGKILL).unwrap();
        assert_eq!(wait(second).await.unwrap().signal, Some(9), "{containment:?}");
        assert!(!is_running(*alive), "{containment:?}");
    }
}

/// What was started by somebody who ends while being asked to may use the whole grace.
#[tokio::test]
async fn grace_is_for_the_whole_tree() {
    for containment in Engine::available() {
        let engine = Engine::start(Some(containment)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let text = "setsid sh -c 'trap \"sleep 0.2; echo tidy >done; exit\" TERM; echo $$ >pid; while :; do sleep 0.01; done' &
            while :; do sleep 1000; done";
        let process = engine.spawn(script(text, directory.path()), Lines::default()).await.unwrap();
        let file = directory.path().join("pid");
        tokio::task::spawn_blocking(move || read_pid(&file)).await.unwrap();
        process.kill(libc::SIGTERM).unwrap();
        assert_eq!(wait(&process).await.unwrap().signal, Some(15), "{containment:?}");
        assert_eq!(
            std::fs::read_to_string(directory.path().join("done")).unwrap(),
            "tidy\n",
            "{containment:?}"
        );
    }
}
