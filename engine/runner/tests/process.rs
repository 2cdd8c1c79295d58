//! Starting processes, their output and their ends.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Lines, eventually, is_running, run, script, wait};
use weft_runner::{Command, Engine, Line, LineSink, Process, Stream};

fn engine() -> &'static Engine {
    Engine::shared().unwrap()
}

#[tokio::test]
async fn exits_and_lines() {
    for (text, code, signal, stdout, stderr) in [
        ("exit 0", Some(0), None, &[][..], &[][..]),
        ("echo 0; echo 1; >&2 echo 2; >&2 echo 3", Some(0), None, &["0", "1"], &["2", "3"]),
        ("echo 1 1>&2\nexit 66\necho 2", Some(66), None, &[], &["1"]),
        ("set -e\nfalse\necho 1", Some(1), None, &[], &[]),
        ("kill -9 $$", None, Some(9), &[], &[]),
        ("kill -15 $$", None, Some(15), &[], &[]),
        ("printf 'a\\n\\nb'", Some(0), None, &["a", "", "b"], &[]),
        ("printf '10%%\\r100%%\\r\\ndone\\n'", Some(0), None, &["10%", "100%", "done"], &[]),
        ("printf '\\377\\376\\n'", Some(0), None, &["\u{fffd}\u{fffd}"], &[]),
        ("exec 1>&- 2>&-; exit 3", Some(3), None, &[], &[]),
    ] {
        let (exit, lines) = run(engine(), script(text, Path::new("/"))).await;
        assert_eq!((exit.code, exit.signal), (code, signal), "{text}");
        assert_eq!(lines.of(Stream::Stdout), stdout, "{text}");
        assert_eq!(lines.of(Stream::Stderr), stderr, "{text}");
        assert_eq!(
            (exit.stdout_lines, exit.stderr_lines),
            (stdout.len() as u64, stderr.len() as u64),
            "{text}"
        );
        assert!(!exit.timed_out && !exit.killed && !exit.survivors, "{text}");
    }
}

#[tokio::test]
async fn bytes_are_handed_over_as_they_are() {
    let (_, lines) = run(engine(), script("printf '\\377\\000 x\\t\\n'", Path::new("/"))).await;
    assert_eq!(lines.raw(), [(Stream::Stdout, b"\xff\x00 x\t".to_vec(), None)]);
}

#[tokio::test]
async fn what_a_process_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let cwd = directory.path().canonicalize().unwrap();
    let marker = script("", &cwd).marker;
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    for (text, expected) in [
        ("pwd", cwd.display().to_string()),
        ("echo $GREETING $TWICE", "hello 2".to_owned()),
        ("echo $WEFT_TASK", marker.clone()),
        ("echo $HOME", variable("HOME")),
        ("cat; echo end", "end".to_owned()),
        // Rust programs ignore SIGPIPE, and a shell passes on what it was given.
        ("sh -c 'kill -PIPE $$'; echo $?", "141".to_owned()),
        ("grep SigBlk /proc/self/status", "SigBlk:\t0000000000000000".to_owned()),
        ("ls /proc/self/fd | tr '\\n' ' '", "0 1 2 3 ".to_owned()), // 3 is the directory that `ls` reads
    ] {
        let mut command = script(text, &cwd);
        command.marker.clone_from(&marker);
        command.env = [("TWICE", "1"), ("GREETING", "hello"), ("TWICE", "2"), ("WEFT_TASK", "no")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let (exit, lines) = run(engine(), command).await;
        assert_eq!(exit.code, Some(0), "{text}");
        assert_eq!(lines.of(Stream::Stdout), [expected], "{text}");
    }
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let cwd = directory.path();
    let file = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        fs::write(cwd.join(name), text).unwrap();
        fs::set_permissions(cwd.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    file("plain", "#!/bin/sh\n", 0o644);
    file("lost", "#!/no/such/interpreter\n", 0o755);
    file("text", "echo hello\n", 0o755);
    let long = "x".repeat(200_000);
    for (argv, cwd, code, texts) in [
        (
            &["weft-python"][..],
            cwd,
            "process.not-found",
            &["`weft-python`", "PATH (/bin:/usr/bin)", "hint: install"][..],
        ),
        (&["./absent"], cwd, "process.not-found", &["`./absent` does not exist"]),
        (&["./lost"], cwd, "process.not-found", &["interpreter", "hint: check"]),
        (&["./plain"], cwd, "process.permission-denied", &["`./plain`", "chmod +x"]),
        (&["./text"], cwd, "process.not-executable", &["`./text`", "#!/bin/sh"]),
        (&["sh"], Path::new("/no/such"), "process.working-directory", &["`/no/such`", "No such file"]),
        (&["sh"], Path::new("/etc/passwd"), "process.working-directory", &["Not a directory"]),
        (
            &["sh", "-c", &long],
            cwd,
            "process.arguments-too-long",
            &["200001 bytes", "hint: put long text", "`inputFiles`"],
        ),
        (&[], cwd, "process.invalid-command", &["no program"]),
    ] {
        let mut command =
            Command::new(argv.iter().map(|&text| text.to_owned()).collect(), cwd, "test/errors/1");
        command.env.push(("PATH".to_owned(), "/bin:/usr/bin".to_owned()));
        let error = engine().spawn(command, Lines::default()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        for text in texts {
            assert!(error.to_string().contains(text), "{text:?} in {error}");
        }
    }
}

#[tokio::test]
async fn timeouts() {
    for (text, code, signal) in [
        ("sleep 1000", None, Some(15)),
        ("trap '' TERM; while :; do sleep 0.01; done", None, Some(9)),
        ("trap 'exit 3' TERM; while :; do sleep 0.01; done", Some(3), None),
    ] {
        let mut command = script(text, Path::new("/"));
        // The trap must be set by then.
        command.timeout = Some(Duration::from_millis(700));
        command.grace = Duration::from_millis(300);
        let (exit, _) = run(engine(), command).await;
        assert_eq!(
            (exit.code, exit.signal, exit.timed_out, exit.killed),
            (code, signal, true, false),
            "{text}"
        );
    }
    let mut command = script("exit 4", Path::new("/"));
    command.timeout = Some(Duration::MAX);
    let (exit, _) = run(engine(), command).await;
    assert_eq!((exit.code, exit.timed_out), (Some(4), false));
}

#[tokio::test]
async fn kills() {
    let ignoring = "trap '' TERM; echo ready; while :; do sleep 0.01; done";
    // Not SIGINT: a shell that was started with that ignored (in the background, by `nohup`) cannot trap it.
    let handling = "trap 'exit 7' USR1; echo ready; while :; do sleep 0.01; done";
    for (text, sent, code, signal) in [
        ("echo ready; exec sleep 1000", 15, None, Some(15)),
        ("echo ready; exec sleep 1000", 9, None, Some(9)),
        (ignoring, 15, None, Some(9)),
        (ignoring, 9, None, Some(9)),
        (handling, 10, Some(7), None),
    ] {
        let mut command = script(text, Path::new("/"));
        // Short only where it is to run out: on a busy machine a script may take a while to end by itself.
        command.grace = Duration::from_millis(if text == ignoring { 300 } else { 30_000 });
        let lines = Lines::default();
        let process = engine().spawn(command, lines.clone()).await.unwrap();
        while lines.of(Stream::Stdout).is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for wrong in [0, -1, 1000] {
            assert_eq!(process.kill(wrong).unwrap_err().code(), "process.invalid-command");
        }
        process.kill(sent).unwrap();
        let exit = wait(&process).await.unwrap();
        assert_eq!(
            (exit.code, exit.signal, exit.killed, exit.timed_out),
            (code, signal, true, false),
            "{text} {sent}"
        );
        process.kill(sent).unwrap();
        assert_eq!(wait(&process).await.unwrap(), exit, "the end is remembered");
    }
}

/// Counts, and looks at its own process's memory.
#[derive(Clone, Default)]
struct Meter {
    lines: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl LineSink for Meter {
    fn line(&mut self, line: Line<'_>) {
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(line.bytes.len() as u64, Ordering::Relaxed);
    }
}

/// The most memory that this process ever had, in kB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn memory_stays_flat() {
    let before = peak_memory();
    let meter = Meter::default();
    let command = script("yes 0123456789012345678 | head -c 50000000", Path::new("/"));
    let process = engine().spawn(command, meter.clone()).await.unwrap();
    let exit = wait(&process).await.unwrap();
    assert_eq!((exit.code, exit.stdout_lines), (Some(0), 2_500_000));
    assert_eq!(meter.bytes.load(Ordering::Relaxed), 47_500_000);

    let (exit, lines) =
        run(engine(), script("head -c 100000000 /dev/zero; echo end >&2", Path::new("/"))).await;
    assert_eq!((exit.stdout_lines, exit.stderr_lines), (1, 1));
    let (_, bytes, truncated) = lines.raw().into_iter().find(|line| line.0 == Stream::Stdout).unwrap();
    assert_eq!((bytes.len(), truncated), (Command::DEFAULT_MAX_LINE, Some(100_000_000)));

    let grown = peak_memory() - before;
    assert!(grown < 24 * 1024, "{grown} kB more");
}

#[tokio::test]
async fn the_bound_on_lines_is_the_commands() {
    let mut command = script("echo 123456; echo 1234", Path::new("/"));
    command.max_line = 4;
    let (_, lines) = run(engine(), command).await;
    let expected = [(Stream::Stdout, b"1234".to_vec(), Some(6)), (Stream::Stdout, b"1234".to_vec(), None)];
    assert_eq!(lines.raw(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_sink_loses_nothing() {
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    // The process has ended long before its output has been taken.
    let slow = move |_: Line<'_>| {
        std::thread::sleep(Duration::from_micros(100));
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let process = engine().spawn(script("seq 10000", Path::new("/")), slow).await.unwrap();
    assert_eq!(wait(&process).await.unwrap().stdout_lines, 10_000);
    assert_eq!(count.load(Ordering::Relaxed), 10_000);
}

#[tokio::test]
async fn a_panic_of_the_sink_ends_the_process() {
    let command = script("echo hello; exec sleep 1000", Path::new("/"));
    let process = engine().spawn(command, |_: Line<'_>| panic!("on purpose")).await.unwrap();
    assert_eq!(wait(&process).await.unwrap_err().code(), "process.lost");
    assert!(!is_running(process.id()));
}

/// A writer that nothing knows of: this test itself.
#[tokio::test]
async fn a_pipe_that_somebody_keeps_open_does_not_hang() {
    let command = script("echo one; exec sleep 1000", Path::new("/"));
    let lines = Lines::default();
    let process = engine().spawn(command, lines.clone()).await.unwrap();
    while lines.raw().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let file = format!("/proc/{}/fd/1", process.id());
    let mut pipe = fs::File::options().write(true).open(file).unwrap();
    assert!(pipe.as_raw_fd() > 2);
    process.kill(15).unwrap();
    std::io::Write::write_all(&mut pipe, b"two").unwrap();
    let exit = wait(&process).await.unwrap();
    assert_eq!((exit.signal, exit.stdout_lines), (Some(15), 2));
    assert_eq!(lines.of(Stream::Stdout), ["one", "two"]);
    drop(pipe);
}

#[test]
fn the_end_of_the_runtime_ends_the_process() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let command = script("exec sleep 1000", Path::new("/"));
    let process = runtime.block_on(engine().spawn(command, Lines::default())).unwrap();
    drop(runtime);
    let waiting = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(waiting.block_on(process.wait()).unwrap_err().code(), "process.lost");
    let pid = process.id();
    drop(process);
    eventually("the process is gone", || !is_running(pid));
}

#[tokio::test]
async fn the_short_way() {
    let process = Process::spawn(script("exit 5", Path::new("/")), Lines::default()).await.unwrap();
    assert_eq!(wait(&process).await.unwrap().code, Some(5));
}
