//! What the tests that run real processes share.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use weft_runner::{Command, Engine, Exit, Line, LineSink, Process, RunnerError, Stream};

/// Long enough for a loaded machine; no test depends on how long anything takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A shell script with a marker of its own.
pub fn script(text: &str, cwd: &Path) -> Command {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let argv = ["sh", "-c", text].map(str::to_owned).to_vec();
    Command::new(argv, cwd, format!("test-{}/{count}/1", std::process::id()))
}

/// A [`Line`] that is kept.
pub type Kept = (Stream, Vec<u8>, Option<u64>);

/// Keeps every line.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<Kept>>>);

impl LineSink for Lines {
    fn line(&mut self, line: Line<'_>) {
        self.0.lock().unwrap().push((line.stream, line.bytes.to_vec(), line.truncated));
    }
}

impl Lines {
    pub fn of(&self, stream: Stream) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let lines = lines.iter().filter(|line| line.0 == stream);
        lines.map(|line| String::from_utf8_lossy(&line.1).into_owned()).collect()
    }

    pub fn raw(&self) -> Vec<Kept> {
        self.0.lock().unwrap().clone()
    }
}

/// Waits, but not for ever.
pub async fn wait(process: &Process) -> Result<Exit, RunnerError> {
    tokio::time::timeout(PATIENCE, process.wait()).await.expect("the process ends")
}

/// Runs a command to its end.
pub async fn run(engine: &Engine, command: Command) -> (Exit, Lines) {
    let lines = Lines::default();
    let process = engine.spawn(command, lines.clone()).await.unwrap();
    let exit = wait(&process).await.unwrap();
    (exit, lines)
}

/// Whether a process exists and is more than an entry in the table.
pub fn is_running(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Waits until something is so.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The process id that a script has written to a file, once it is there.
pub fn read_pid(file: &Path) -> i32 {
    let mut pid = None;
    eventually("the script writes its process id", || {
        let text = fs::read_to_string(file).unwrap_or_default();
        pid = text.strip_suffix('\n').and_then(|text| text.parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

/// Control groups of the engines in a process.
pub fn groups(engine: u32) -> Vec<PathBuf> {
    fn collect(directory: &Path, depth: u32, text: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(text) {
                    found.push(entry.path());
                } else if depth > 0 {
                    collect(&entry.path(), depth - 1, text, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    collect(Path::new("/sys/fs/cgroup"), 8, &format!("weft-{engine}."), &mut found);
    found
}
