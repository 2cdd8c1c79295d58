//! A fake host, so that plain `cargo test` runs a plugin's logic natively.
//!
//! ```
//! # use weft_sdk::prelude::*;
//! # use weft_sdk::testing::Harness;
//! # /// Asks a service.
//! # #[derive(Deserialize, JsonSchema)]
//! # struct Ask { question: String }
//! # impl Task for Ask {
//! #     const TYPE: &'static str = "examples.ask";
//! #     fn run(self, cx: &Context) -> Result<impl Output> {
//! #         let token = cx.secrets().get("TOKEN")?;
//! #         Ok(json!({ "answer": self.question.len() + token.len() }))
//! #     }
//! # }
//! let run = Harness::new().secret("TOKEN", "abc").run(Ask { question: "why?".to_owned() });
//! assert_eq!(run.output("answer"), &json!(7));
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Map, Value, json};

use crate::context::Facts;
use crate::host::{Host, World};
use crate::pack::pack;
use crate::{Command, Context, Error, Exit, Level, Plugin, Poll, PollContext, Result, Task, Trigger};

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The text.
    pub message: String,
    /// Facts for a program.
    pub fields: Option<Value>,
}

/// One metric, as emitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// `counter`, `timer` or `gauge`.
    pub kind: String,
    /// Its value; seconds for a timer.
    pub value: f64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A process or container that the plugin started.
#[derive(Debug, Clone, PartialEq)]
pub struct Spawned {
    /// The image; none for a process.
    pub image: Option<String>,
    /// What was started.
    pub command: Command,
}

/// A request that the plugin sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Its method.
    pub method: String,
    /// Its URL, without user and password.
    pub url: String,
    /// The header fields that the plugin gave.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Sent {
    /// The first header field with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What the test's server answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) breaks: Option<Error>,
}

impl Answer {
    /// This status and body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), breaks: None }
    }

    /// No answer, but this error.
    pub fn fails(error: Error) -> Self {
        Self { status: 0, headers: Vec::new(), body: Vec::new(), breaks: Some(error) }
    }

    /// With one more header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The connection fails with this after the body.
    #[must_use]
    pub fn breaks(mut self, error: Error) -> Self {
        self.breaks = Some(error);
        self
    }
}

/// What a plugin did in one run.
#[derive(Debug)]
pub struct Run {
    /// What the task returned.
    pub result: Result<Value>,
    /// All outputs: those emitted, and those returned merged over them.
    pub outputs: Map<String, Value>,
    /// The log.
    pub logs: Vec<LogLine>,
    /// Metrics in the order of emission.
    pub metrics: Vec<Metric>,
    /// Reasons to end as WARNING.
    pub warnings: Vec<String>,
    /// Changes to the execution, as JSON.
    pub updates: Vec<Value>,
    /// Processes and containers started.
    pub commands: Vec<Spawned>,
    /// HTTP requests sent.
    pub requests: Vec<Sent>,
    /// Repositories to clone, as JSON.
    pub clones: Vec<Value>,
}

impl Run {
    /// One output; null where there is none.
    pub fn output(&self, key: &str) -> &Value {
        self.outputs.get(key).unwrap_or(&Value::Null)
    }

    /// The error's code, where the run failed.
    pub fn code(&self) -> Option<&str> {
        self.result.as_ref().err().map(Error::code)
    }

    /// The error's message, where the run failed.
    pub fn message(&self) -> Option<&str> {
        self.result.as_ref().err().map(Error::message)
    }

    /// The text of each log line.
    pub fn messages(&self) -> Vec<&str> {
        self.logs.iter().map(|line| line.message.as_str()).collect()
    }
}

/// A host made of what a test needs. Each harness has a working directory of its own, removed with it.
#[derive(Debug)]
pub struct Harness {
    world: Rc<World>,
    context: Map<String, Value>,
    attempt: u32,
}

impl Default for Harness {
    fn default() -> Self {
        Self::new()
    }
}

impl Harness {
    /// A host with nothing in it: namespace `test`, flow `test`, task `task`.
    ///
    /// # Panics
    /// When no temporary directory can be made.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("weft-sdk-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a temporary directory can be made");
        let world = World::default();
        *world.directory.borrow_mut() = directory;
        *world.namespace.borrow_mut() = "test".to_owned();
        let context =
            Map::from_iter([("namespace".to_owned(), json!("test")), ("flowId".to_owned(), json!("test"))]);
        Self { world: Rc::new(world), context, attempt: 0 }
    }

    /// With a secret.
    #[must_use]
    pub fn secret(self, name: &str, value: &str) -> Self {
        self.world.secrets.borrow_mut().insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a value in the key-value store of a namespace; `test` is the flow's own.
    #[must_use]
    pub fn kv(self, namespace: &str, key: &str, value: Value) -> Self {
        self.world.kv.borrow_mut().insert((namespace.to_owned(), key.to_owned()), value);
        self
    }

    /// With a variable in the engine's environment.
    #[must_use]
    pub fn variable(self, name: &str, value: &str) -> Self {
        self.world.variables.borrow_mut().insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a file of the engine's user, by the path that the plugin asks for.
    #[must_use]
    pub fn user_file(self, path: &str, text: &str) -> Self {
        self.world.user_files.borrow_mut().insert(path.to_owned(), text.to_owned());
        self
    }

    /// With a file in internal storage.
    #[must_use]
    pub fn stored(self, uri: &str, content: impl Into<Vec<u8>>) -> Self {
        self.world.files.borrow_mut().insert(uri.to_owned(), content.into());
        self
    }

    /// With a file in the working directory.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.directory().join(path), content).expect("the working directory is writable");
        self
    }

    /// The next process or container ends like this, having put out these outputs. Without it, each ends with exit
    /// code 0 and no outputs.
    #[must_use]
    pub fn exit(self, exit: Exit, outputs: Value) -> Self {
        self.world.exits.borrow_mut().push_back((exit, outputs));
        self
    }

    /// With something that answers HTTP requests. Without it, nobody can be reached.
    #[must_use]
    pub fn http(self, server: impl FnMut(&Sent) -> Answer + 'static) -> Self {
        self.world.server.borrow_mut().0 = Some(Box::new(server));
        self
    }

    /// On the next connection, the server sends these bytes, whatever it is sent, and closes. Once this was called, there
    /// are no other connections; without it, they are real ones.
    #[must_use]
    pub fn tcp(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.world.peers.borrow_mut().get_or_insert_default().push_back(bytes.into());
        self
    }

    /// The next clone of a repository ends like this. Without it, each succeeds with nothing.
    #[must_use]
    pub fn cloned(self, answer: Result<Value>) -> Self {
        self.world.clone_answers.borrow_mut().push_back(answer);
        self
    }

    /// The task is told to stop after it has asked this many times.
    #[must_use]
    pub fn cancel_after(self, times: u32) -> Self {
        self.world.cancel_after.set(Some(times));
        self
    }

    /// With one more fact in the invocation's context.
    #[must_use]
    pub fn fact(mut self, name: &str, value: Value) -> Self {
        self.context.insert(name.to_owned(), value);
        self
    }

    /// As an attempt after this many others.
    #[must_use]
    pub fn attempt(mut self, finished: u32) -> Self {
        self.attempt = finished;
        self
    }

    /// The working directory: what the plugin sees as `/work`.
    pub fn directory(&self) -> PathBuf {
        self.world.directory.borrow().clone()
    }

    /// A file in internal storage, as text.
    pub fn stored_text(&self, uri: &str) -> Option<String> {
        let files = self.world.files.borrow();
        files.get(uri).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The options that the plugin set for HTTP, as JSON.
    pub fn http_options(&self) -> Value {
        self.world.http_options.borrow().clone()
    }

    /// A value in the key-value store.
    pub fn kv_value(&self, namespace: &str, key: &str) -> Option<Value> {
        self.world.kv.borrow().get(&(namespace.to_owned(), key.to_owned())).cloned()
    }

    /// How long a key was set for, in milliseconds.
    pub fn kv_ttl(&self, key: &str) -> Option<u64> {
        self.world.ttls.borrow().get(key).copied()
    }

    /// Runs a task.
    pub fn run<T: Task>(&self, task: T) -> Run {
        let cx = self.context(T::TYPE);
        let result = task.run(&cx).and_then(|outputs| Ok(serde_json::to_value(outputs)?));
        self.finish(result)
    }

    /// Runs a plugin's task from JSON, the way the engine does, but without validation against the schema.
    pub fn call<P: Plugin>(&self, type_name: &str, properties: &Value) -> Run {
        let cx = self.context(type_name);
        let outputs = P::run(type_name, &properties.to_string(), &cx);
        self.finish(outputs.and_then(|outputs| Ok(serde_json::from_str(&outputs)?)))
    }

    /// Polls a trigger.
    pub fn poll<T: Trigger>(&self, trigger: T, state: T::State) -> Result<Poll<T::State, T::Event>> {
        trigger.poll(&self.poll_context(T::TYPE), state)
    }

    /// Lets a trigger follow up on its last poll's events.
    pub fn acknowledge<T: Trigger>(&self, trigger: T, state: T::State) -> Result<T::State> {
        trigger.acknowledge(&self.poll_context(T::TYPE), state)
    }

    /// Polls a plugin's trigger from JSON, the way the engine does.
    pub fn call_trigger<P: Plugin>(
        &self,
        type_name: &str,
        properties: &Value,
        state: &str,
    ) -> Result<Poll<String>> {
        P::poll(type_name, &properties.to_string(), state, &self.poll_context(type_name))
    }

    /// Lets a plugin's trigger follow up on its last poll's events, the way the engine does.
    pub fn call_acknowledge<P: Plugin>(
        &self,
        type_name: &str,
        properties: &Value,
        state: &str,
    ) -> Result<String> {
        P::acknowledge(type_name, &properties.to_string(), state, &self.poll_context(type_name))
    }

    /// The names of the files in internal storage.
    pub fn stored_uris(&self) -> Vec<String> {
        self.world.files.borrow().keys().cloned().collect()
    }

    fn poll_context(&self, type_name: &str) -> PollContext {
        PollContext {
            host: Host(Rc::clone(&self.world)),
            trigger_id: "trigger".to_owned(),
            type_name: type_name.to_owned(),
            facts: Facts::new(Value::Object(self.context.clone()).to_string()),
        }
    }

    fn context(&self, type_name: &str) -> Context {
        Context {
            host: Host(Rc::clone(&self.world)),
            execution_id: "execution".to_owned(),
            task_run_id: "taskrun".to_owned(),
            task_id: "task".to_owned(),
            type_name: type_name.to_owned(),
            attempt: self.attempt,
            facts: Facts::new(Value::Object(self.context.clone()).to_string()),
        }
    }

    /// Takes what was recorded, so that one harness can run several tasks after each other.
    fn finish(&self, result: Result<Value>) -> Run {
        let world = &self.world;
        let mut outputs = world.outputs.take();
        if let Ok(Value::Object(returned)) = &result {
            outputs.extend(returned.clone());
        }
        Run {
            result,
            outputs,
            logs: world.logs.take(),
            metrics: world.metrics.take(),
            warnings: world.warnings.take(),
            updates: world.updates.take(),
            commands: world.commands.take(),
            requests: world.requests.take(),
            clones: world.clones.take(),
        }
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        // A directory left behind in the system's temporary directory fails no test.
        let _ = std::fs::remove_dir_all(self.directory());
    }
}

/// Compares a plugin's descriptor with the file it is embedded from; `plugin!` makes a test of it.
///
/// # Panics
/// When the file is not current. With the environment variable `WEFT_UPDATE_DESCRIPTOR` it is written instead.
pub fn check_descriptor(descriptor: &Value, file: &Path) {
    let current = pack(descriptor);
    if std::env::var_os("WEFT_UPDATE_DESCRIPTOR").is_some() {
        std::fs::write(file, current).expect("the descriptor file is writable");
        return;
    }
    let stored = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        stored == current,
        "{} is not current\nhint: run `WEFT_UPDATE_DESCRIPTOR=1 cargo test` for this crate and check the change in",
        file.display()
    );
}
