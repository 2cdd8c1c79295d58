//! Components to run, and an engine that writes down what they ask for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use weft_host::{Capabilities, Child, Command, Exit, FilePlace, Host, HostOptions, Invocation, Located};
use weft_model::{Failure, Level, Map, MetricKind};
use weft_network::Network;

/// The components of `tests/guests`, built once.
pub static GUESTS: LazyLock<Guests> = LazyLock::new(Guests::build);

pub struct Guests {
    pub behaviours: Vec<u8>,
    pub lying: Vec<u8>,
    pub foreign: Vec<u8>,
}

impl Guests {
    fn build() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap();
        let (source, target) = (package.join("tests/guests"), package.join("../../target/guests"));
        let mut cargo = Process::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--release", "--target", "wasm32-wasip2"]);
        cargo.current_dir(source).arg("--target-dir").arg(&target);
        // Flags for the host's code are not for the guests'.
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "RUSTC_WORKSPACE_WRAPPER"] {
            cargo.env_remove(name);
        }
        let status = cargo.status().expect("cargo runs");
        assert!(status.success(), "the guests do not build; is the target wasm32-wasip2 installed? {status}");
        let wasm = |name: &str| {
            std::fs::read(target.join("wasm32-wasip2/release").join(name).with_extension("wasm")).unwrap()
        };
        Self { behaviours: wasm("behaviours"), lying: wasm("lying"), foreign: wasm("foreign") }
    }
}

/// The component `lying` with this answer to `describe`.
pub fn lying(answer: &str) -> Vec<u8> {
    with_answer(GUESTS.lying.clone(), answer)
}

/// The same for a component made from `lying`.
pub fn with_answer(mut wasm: Vec<u8>, answer: &str) -> Vec<u8> {
    const MARK: &[u8] = b"@@ the test writes the answer of `describe` here @@";
    let at = wasm.windows(MARK.len()).position(|bytes| bytes == MARK).expect("the mark is in the component");
    wasm[at..at + MARK.len()].fill(b' ');
    wasm[at..at + answer.len()].copy_from_slice(answer.as_bytes());
    wasm
}

/// A valid description of one task type.
pub fn description(type_name: &str) -> String {
    json!({
        "apiVersion": 1,
        "plugin": {"name": "lying", "version": "1.0.0"},
        "tasks": [{"type": type_name, "properties": {"type": "object"}}],
    })
    .to_string()
}

/// The same bytes with every `from` replaced by `to`, which is as long.
pub fn patched(wasm: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut wasm = wasm.to_vec();
    let mut at = 0;
    while let Some(found) = wasm[at..].windows(from.len()).position(|bytes| bytes == from.as_bytes()) {
        at += found;
        wasm[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    wasm
}

/// A plugin directory and a cache, gone when dropped.
pub struct Place {
    pub directory: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.plugins()).unwrap();
        place
    }

    /// With the component `behaviours` as `behaviours.wasm`, and its code in the cache.
    pub fn with_behaviours() -> Self {
        static COMPILED: LazyLock<Place> = LazyLock::new(|| {
            let place = Place::new();
            place.add("behaviours", &GUESTS.behaviours);
            let host = place.host();
            let compile = async move { assert!(host.precompile().await.is_empty()) };
            // A runtime cannot be started inside another one's thread.
            let runtime = || tokio::runtime::Runtime::new().unwrap().block_on(compile);
            std::thread::scope(|scope| scope.spawn(runtime).join()).unwrap();
            place
        });
        let place = Self::new();
        place.add("behaviours", &GUESTS.behaviours);
        for folder in ["code", "describe"] {
            let (from, to) = (COMPILED.cache().join(folder), place.cache().join(folder));
            std::fs::create_dir_all(&to).unwrap();
            for entry in std::fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        place
    }

    pub fn plugins(&self) -> PathBuf {
        self.directory.path().join("plugins")
    }

    pub fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    pub fn add(&self, name: &str, wasm: &[u8]) -> PathBuf {
        let path = self.plugins().join(name).with_extension("wasm");
        std::fs::write(&path, wasm).unwrap();
        path
    }

    pub fn options(&self) -> HostOptions {
        HostOptions { directories: vec![self.plugins().into()], ..HostOptions::new(self.cache()) }
    }

    pub fn host(&self) -> Host {
        Host::new(self.options())
    }
}

pub fn call(properties: Value) -> Invocation {
    Invocation {
        execution_id: "e".into(),
        task_run_id: "r".into(),
        task_id: "t".into(),
        attempt: 2,
        properties,
        context: json!({"namespace": "n"}),
    }
}

/// Runs a task to its end; what it did and how it ended.
pub async fn run(host: &Host, type_name: &str, properties: Value) -> (Arc<Engine>, Result<Map, Failure>) {
    let engine = Arc::new(Engine::new());
    let result =
        host.run(type_name, call(properties), Arc::clone(&engine) as _, std::future::pending()).await;
    (engine, result)
}

/// The failure that a task ends with.
pub async fn fail(host: &Host, type_name: &str, properties: Value) -> Failure {
    run(host, type_name, properties).await.1.expect_err(type_name)
}

/// Name, kind, value and tags.
pub type Metric = (String, MetricKind, f64, Vec<(String, String)>);

/// What stands behind the capabilities in these tests.
pub struct Engine {
    pub work: TempDir,
    pub logs: Mutex<Vec<(Level, String, Option<Value>)>>,
    pub outputs: Mutex<Map>,
    pub metrics: Mutex<Vec<Metric>>,
    pub updates: Mutex<Vec<Value>>,
    /// Bounds that were met.
    pub exceeded: Mutex<Vec<Failure>>,
    pub kv: Mutex<BTreeMap<String, Value>>,
    pub spawned: Mutex<Vec<Command>>,
    /// Children that were dropped.
    pub dropped: Arc<Mutex<usize>>,
    /// Whether its turn has come.
    pub begun: AtomicBool,
}

impl Engine {
    pub fn new() -> Self {
        Self {
            work: tempfile::tempdir().unwrap(),
            logs: Mutex::default(),
            outputs: Mutex::default(),
            metrics: Mutex::default(),
            updates: Mutex::default(),
            exceeded: Mutex::default(),
            kv: Mutex::default(),
            spawned: Mutex::default(),
            dropped: Arc::default(),
            begun: AtomicBool::default(),
        }
    }

    pub fn logged(&self) -> Vec<(Level, String)> {
        let logs = self.logs.lock().unwrap();
        logs.iter().map(|(level, message, _)| (*level, message.clone())).collect()
    }
}

#[async_trait]
impl Capabilities for Engine {
    fn log(&self, level: Level, message: &str, fields: Option<Value>) {
        self.logs.lock().unwrap().push((level, message.to_owned(), fields));
    }

    fn emit_output(&self, key: &str, value: Value) -> Result<(), Failure> {
        self.outputs.lock().unwrap().insert(key.to_owned(), value);
        Ok(())
    }

    fn emit_metric(&self, name: &str, kind: MetricKind, value: f64, tags: Vec<(String, String)>) {
        self.metrics.lock().unwrap().push((name.to_owned(), kind, value, tags));
    }

    fn mark_warning(&self, _: &str) {}

    fn working_dir(&self) -> &Path {
        self.work.path()
    }

    fn namespace(&self) -> &str {
        "n"
    }

    /// `kestra:///run/...` is the task run's own, `kestra:///flow/...` of its execution or namespace, and
    /// `kestra:///in/NAMESPACE/...` of a namespace.
    fn locate(&self, uri: &str) -> Result<Located, Failure> {
        let uri = uri.to_owned();
        let path =
            uri.strip_prefix("kestra:///").ok_or_else(|| Failure::new("storage.invalid-uri", &*uri))?;
        let (place, namespace) = match path.split('/').collect::<Vec<_>>().as_slice() {
            ["run", ..] => (FilePlace::TaskRun, Some("n")),
            ["flow", ..] => (FilePlace::Flow, Some("n")),
            ["in", namespace, ..] => (FilePlace::Elsewhere, Some(*namespace)),
            _ => (FilePlace::Elsewhere, None),
        };
        let namespace = namespace.map(str::to_owned);
        Ok(Located { uri, place, namespace })
    }

    fn names(&self, text: &str, uri: &str) -> bool {
        text.split(['"', ' ']).any(|word| word == uri)
    }

    fn flow_may_read(&self, uri: &str) -> Result<(), Failure> {
        match uri.contains("/of-a-stranger/") {
            true => Err(Failure::new("storage.not-allowed", "of a stranger")),
            false => Ok(()),
        }
    }

    fn flow_may_remove(&self, uri: &str) -> Result<(), Failure> {
        self.flow_may_read(uri)
    }

    fn begins(&self) {
        self.begun.store(true, Ordering::Release);
    }

    fn cancel_requested(&self) -> bool {
        false
    }

    fn update_execution(&self, change: Value) -> Result<(), Failure> {
        self.updates.lock().unwrap().push(change);
        Ok(())
    }

    fn exceed(&self, failure: &Failure) {
        self.exceeded.lock().unwrap().push(failure.clone());
    }

    async fn secret(&self, name: &str) -> Result<String, Failure> {
        tokio::task::yield_now().await;
        Ok(format!("secret of {name}"))
    }

    async fn kv_get(&self, _: Option<&str>, key: &str) -> Result<Option<Value>, Failure> {
        Ok(self.kv.lock().unwrap().get(key).cloned())
    }

    async fn kv_set(
        &self,
        _: Option<&str>,
        key: &str,
        value: Value,
        ttl: Option<Duration>,
        _: bool,
    ) -> Result<(), Failure> {
        assert!(ttl.is_none_or(|ttl| ttl == Duration::from_secs(5)));
        self.kv.lock().unwrap().insert(key.to_owned(), value);
        Ok(())
    }

    async fn kv_delete(&self, _: Option<&str>, key: &str) -> Result<bool, Failure> {
        Ok(self.kv.lock().unwrap().remove(key).is_some())
    }

    async fn kv_keys(&self, _: Option<&str>, _: &str) -> Result<Vec<String>, Failure> {
        Ok(self.kv.lock().unwrap().keys().cloned().collect())
    }

    async fn put_file(&self, path: &str, name: &str) -> Result<String, Failure> {
        Ok(format!("kestra:///run/{path}/{name}"))
    }

    async fn move_file(&self, path: &str, name: &str) -> Result<String, Failure> {
        self.put_file(path, name).await
    }

    async fn get_file(&self, _: &str, _: &str) -> Result<u64, Failure> {
        Ok(0)
    }

    async fn file_size(&self, _: &str) -> Result<u64, Failure> {
        Ok(0)
    }

    async fn delete_file(&self, _: &str) -> Result<bool, Failure> {
        Ok(false)
    }

    async fn digest(&self, path: &str, algorithm: &str, _: Option<(u64, u64)>) -> Result<String, Failure> {
        Ok(format!("{algorithm} of {path}"))
    }

    fn hide(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn git_clone(&self, request: Value, network: &Network) -> Result<Value, Failure> {
        // As far as a clone is the network's.
        let url = request["url"].as_str().unwrap_or_default();
        if let Some(host) = url.strip_prefix("https://").and_then(|rest| rest.split('/').next()) {
            let connected = network.connect(host, 9, Duration::from_secs(5)).await;
            connected.map_err(|error| Failure::new(error.code(), error.to_string()))?;
        }
        Ok(json!({"cloned": request}))
    }

    async fn spawn(&self, command: Command) -> Result<Box<dyn Child>, Failure> {
        let forever = command.argv == ["forever"];
        self.spawned.lock().unwrap().push(command);
        Ok(Box::new(FakeChild { forever, dropped: Arc::clone(&self.dropped) }))
    }

    async fn run_container(&self, image: &str, command: Command) -> Result<Box<dyn Child>, Failure> {
        assert!(!image.is_empty());
        self.spawn(command).await
    }
}

struct FakeChild {
    forever: bool,
    dropped: Arc<Mutex<usize>>,
}

#[async_trait]
impl Child for FakeChild {
    async fn wait(&mut self) -> Result<Exit, Failure> {
        if self.forever {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(Exit { code: 7, signal: None, timed_out: false, stdout_lines: 1, stderr_lines: 0 })
    }

    fn outputs(&self) -> Value {
        json!({"answer": 42})
    }

    fn kill(&self, _: i32) -> Result<(), Failure> {
        Ok(())
    }
}

impl Drop for FakeChild {
    fn drop(&mut self) {
        *self.dropped.lock().unwrap() += 1;
    }
}
