//! A home of its own for each test, the binary in it, and snapshots of what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A home directory with a data directory, gone at the end of the test.
pub struct Sandbox {
    home: TempDir,
}

/// A plugin of `examples/plugins`, built with nothing but cargo, as its author would.
pub fn example_plugin(name: &str) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugins").join(name);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-plugin"));
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir"])
        .arg(&target)
        .current_dir(&source)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .unwrap();
    assert!(built.success());
    std::fs::read(target.join("wasm32-wasip2/release").join(name).with_extension("wasm")).unwrap()
}

/// What one run of the binary came to.
#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The folder of compiled plugins that all tests share: a fresh one for each would compile them each time.
static CACHE: LazyLock<PathBuf> = LazyLock::new(|| {
    // The engine makes it, for its eyes only.
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache")
});

impl Sandbox {
    pub fn new() -> Self {
        let sandbox = Self { home: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(sandbox.data()).unwrap();
        sandbox
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Writes a file below the home.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The binary, ready to be started in this home.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
        command
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("WEFT_DATA_DIR", self.data())
            .env("WEFT_CACHE_DIR", &*CACHE)
            .env("TZ", "UTC")
            .env_remove("WEFT_PLUGINS")
            .env_remove("WEFT_RUNNER")
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub fn weft<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        finish(self.command().args(args))
    }

    /// Writes a flow and runs it with `--json`; panics unless it prints an execution.
    pub fn run_flow(&self, flow: &str) -> Execution {
        self.run_flow_with(flow, &[])
    }

    /// The same with more arguments.
    pub fn run_flow_with(&self, flow: &str, args: &[&str]) -> Execution {
        let path = self.file("flow.yaml", flow);
        let mut all = vec!["run", path.to_str().unwrap(), "--json"];
        all.extend(args);
        let run = self.weft(all);
        let json = serde_json::from_str(&run.stdout)
            .unwrap_or_else(|error| panic!("no execution on stdout ({error}): {run:?}"));
        Execution { json, run }
    }
}

/// A file system of its own, so small that it can be filled. Gone at the end of the test.
pub struct SmallDisk {
    place: PathBuf,
}

impl SmallDisk {
    /// One of so many KiB in the home of a sandbox. None where it cannot be mounted, which only root can: then the test is
    /// skipped, unless all parts are required.
    pub fn mount(sandbox: &Sandbox, kibibytes: usize) -> Option<Self> {
        let place = sandbox.home().join("small");
        std::fs::create_dir(&place).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kibibytes}k"), "tmpfs"]).arg(&place);
        let disk = Self { place };
        if mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Some(disk);
        }
        let message = "a small file system can only be mounted by root";
        assert!(std::env::var_os("WEFT_TEST_REQUIRE_ALL").is_none(), "{message}");
        eprintln!("skipped: {message}");
        None
    }

    pub fn path(&self) -> &Path {
        &self.place
    }

    /// Fills it up, but for so many KiB.
    pub fn fill(&self, leave_kibibytes: u64) {
        let (filler, spare) = (self.place.join("filler"), self.place.join("spare"));
        std::fs::write(&spare, vec![0; usize::try_from(leave_kibibytes).unwrap() * 1024]).unwrap();
        let mut file = std::fs::File::create(filler).unwrap();
        // Until there is no room for another page.
        while std::io::Write::write(&mut file, &[1; 4096]).is_ok() {}
        drop(file);
        std::fs::remove_file(spare).unwrap();
    }

    /// Makes room again.
    pub fn empty(&self) {
        std::fs::remove_file(self.place.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.place).stderr(Stdio::null()).status();
    }
}

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

impl Run {
    /// Panics unless it ended with this status.
    #[track_caller]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Everything that was seen, with what differs from run to run replaced.
    pub fn seen(&self) -> String {
        format!("status: {}\n--- stdout\n{}--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

/// An execution as `--json` prints it.
pub struct Execution {
    pub json: Value,
    pub run: Run,
}

impl Execution {
    pub fn state(&self) -> &str {
        self.json["state"]["current"].as_str().unwrap()
    }

    /// Panics unless it ended so.
    #[track_caller]
    pub fn expect(self, state: &str) -> Self {
        assert_eq!(self.state(), state, "{:#}\n{}", self.json, self.run.stderr);
        self
    }

    /// `task=STATE` for each task run, in the order of their creation.
    pub fn states(&self) -> Vec<String> {
        let runs = self.json["taskRunList"].as_array().unwrap();
        runs.iter()
            .map(|run| {
                format!("{}={}", run["taskId"].as_str().unwrap(), run["state"]["current"].as_str().unwrap())
            })
            .collect()
    }

    /// The outputs of a task's first run.
    pub fn outputs(&self, task: &str) -> &Value {
        &self.task_run(task)["outputs"]
    }

    /// A task's first run.
    #[track_caller]
    pub fn task_run(&self, task: &str) -> &Value {
        let runs = self.json["taskRunList"].as_array().unwrap();
        runs.iter()
            .find(|run| run["taskId"] == task)
            .unwrap_or_else(|| panic!("no run of `{task}`: {:#}", self.json))
    }

    /// Why a task's last attempt failed.
    pub fn failure(&self, task: &str) -> &Value {
        &self.task_run(task)["attempts"].as_array().unwrap().last().unwrap()["failure"]
    }

    /// `name type value {tags}` for each metric.
    pub fn metrics(&self) -> Vec<String> {
        let metrics = self.json["metrics"].as_array().unwrap();
        metrics
            .iter()
            .map(|metric| {
                format!("{} {} {} {}", metric["name"], metric["type"], metric["value"], metric["tags"])
                    .replace('"', "")
            })
            .collect()
    }

    /// The messages of the log, with the level.
    pub fn log(&self, sandbox: &Sandbox) -> Vec<String> {
        let id = self.json["id"].as_str().unwrap();
        let logs = sandbox.weft(["executions", "logs", id, "--json"]).expect(0);
        logs.stdout
            .lines()
            .map(|line| {
                let entry: Value = serde_json::from_str(line).unwrap();
                format!("{} {}", entry["level"].as_str().unwrap(), entry["message"].as_str().unwrap())
            })
            .collect()
    }
}

/// Snapshots of what was seen, with what differs from run to run replaced.
#[macro_export]
macro_rules! assert_seen {
    ($sandbox:expr, $run:expr, @$expected:literal) => {{
        let home = $crate::harness::regex_escape(&$sandbox.home().display().to_string());
        insta::with_settings!({filters => vec![
            (home.as_str(), "[HOME]"),
            (r"\b[0-9A-Za-z]{22}\b", "[ID]"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[DATE]"),
            (r"\d\d:\d\d:\d\d\.\d{3}", "[TIME]"),
            (r"\b(\d+h \d\dm|\d+m \d\ds|\d+\.\d+s|\d+ms)\b", "[TOOK]"),
            (r" {2,}", "  "),
        ]}, { insta::assert_snapshot!($run.seen(), @$expected) });
    }};
}

/// Text as a regular expression that matches it.
pub fn regex_escape(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_alphanumeric() || c == '/' { vec![c] } else { vec!['\\', c] }).collect()
}

/// Waits until `ready` holds; panics after a minute.
#[track_caller]
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !ready() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What `cargo xtask peers up` made ready and `cargo xtask test` names in this variable; none skips the test, unless all
/// parts are required.
pub fn peer(variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.exists());
    if found.is_none() {
        let message = format!("{variable} names nothing; run the tests with `cargo xtask test`");
        assert!(std::env::var_os("WEFT_TEST_REQUIRE_ALL").is_none(), "{message}");
        eprintln!("skipped: {message}");
    }
    found
}

/// The same for a variable that holds something else than a path: the address of a server.
pub fn peer_value(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if found.is_none() {
        let message = format!("{variable} is not set; run the tests with `cargo xtask test`");
        assert!(std::env::var_os("WEFT_TEST_REQUIRE_ALL").is_none(), "{message}");
        eprintln!("skipped: {message}");
    }
    found
}
