//! `weft run --watch`: triggers, and engines that are killed while they watch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::assert_seen;
use crate::harness::{Run, Sandbox, example_plugin, wait_until};

/// The example plugin with a trigger.
static INBOX: LazyLock<Vec<u8>> = LazyLock::new(|| example_plugin("inbox"));

/// `weft run --watch flow.yaml` under way.
pub struct Watch {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Drop for Watch {
    /// A test that fails leaves nothing behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Watch {
    fn start(sandbox: &Sandbox) -> Self {
        Self::with(sandbox, &["--grant", "inbox:kv"])
    }

    pub fn with(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let (stdout, stderr) = (sandbox.home().join("out.txt"), sandbox.home().join("err.txt"));
        let append = |path: &Path| std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        let child = sandbox
            .command()
            .args(["run", "--watch", "flow.yaml", "--json"])
            .args(arguments)
            .stdout(Stdio::from(append(&stdout)))
            .stderr(Stdio::from(append(&stderr)))
            .spawn()
            .unwrap();
        Self { child, stdout, stderr }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    /// Executions that were printed.
    pub fn printed(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Ends it with this signal.
    pub fn end(mut self, signal: Signal) -> Run {
        self.signal(signal);
        let status = self.child.wait().unwrap();
        Run {
            status: status.code().unwrap_or(-1),
            stdout: std::fs::read_to_string(&self.stdout).unwrap(),
            stderr: std::fs::read_to_string(&self.stderr).unwrap(),
        }
    }
}

/// A sandbox with the plugin and a flow that takes what is in the inbox.
fn inbox(tasks: &str, more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("data/plugins/inbox.wasm", &*INBOX);
    sandbox.file(
        "flow.yaml",
        format!(
            "
id: inbox
namespace: tests
inputs:
  - id: first
    type: STRING
triggers:
  - id: mail
    type: examples.Inbox
    prefix: mail-
    interval: PT0.1S
    inputs:
      first: \"{{{{ trigger.values[0] }}}}\"
    labels:
      letters: \"{{{{ trigger.values | length }}}}\"
{more}
tasks:
{tasks}"
        ),
    );
    sandbox
}

const LOG: &str = "
  - id: read
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ inputs.first }} {{ trigger.values | join(' ') }}\"
";

/// Puts a value into the key-value store.
fn post(sandbox: &Sandbox, key: &str) {
    let flow = format!(
        "id: post\nnamespace: tests\ntasks:\n  - id: put\n    type: io.kestra.plugin.core.kv.Set\n    key: mail-{key}\n    value: {key}\n"
    );
    sandbox.file("post.yaml", flow);
    sandbox.weft(["run", "post.yaml", "--quiet"]).expect(0);
}

/// Everything that executions of the flow have taken, with how often.
fn taken(sandbox: &Sandbox) -> BTreeMap<String, usize> {
    let mut taken = BTreeMap::new();
    for execution in executions(sandbox) {
        for value in execution["trigger"]["variables"]["values"].as_array().unwrap() {
            *taken.entry(value.as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    taken
}

fn executions(sandbox: &Sandbox) -> Vec<Value> {
    executions_of(sandbox, "tests.inbox")
}

pub fn executions_of(sandbox: &Sandbox, flow: &str) -> Vec<Value> {
    let list = sandbox.weft(["executions", "list", "--json", "--flow", flow, "-n", "1000"]).expect(0);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    let show = |summary: &Value| {
        let id = summary["id"].as_str().unwrap();
        let shown = sandbox.weft(["executions", "show", id, "--json"]).expect(0);
        serde_json::from_str(&shown.stdout).unwrap()
    };
    list.as_array().unwrap().iter().map(show).collect()
}

#[test]
fn an_event_starts_an_execution_with_its_inputs_and_labels() {
    let sandbox = inbox(LOG, "");
    post(&sandbox, "a");
    post(&sandbox, "b");
    let watch = Watch::start(&sandbox);
    wait_until("an execution", || watch.printed().len() == 1);
    post(&sandbox, "c");
    wait_until("another execution", || watch.printed().len() == 2);
    let printed = watch.printed();
    let run = watch.end(Signal::INT).expect(0);
    assert!(run.stderr.contains("mail 2 new") && run.stderr.contains("polled every 100ms"), "{}", run.stderr);
    assert_eq!(printed[0]["taskRunList"][0]["outputs"]["value"], "a a b");
    assert_eq!(printed[0]["trigger"]["id"], "mail");
    assert_eq!(printed[0]["trigger"]["variables"]["keys"], serde_json::json!(["mail-a", "mail-b"]));
    assert_eq!(printed[0]["labels"][0], serde_json::json!({"key": "letters", "value": "2"}));
    assert_eq!(printed[1]["taskRunList"][0]["outputs"]["value"], "c c");
    let listed = sandbox.weft(["triggers", "list"]).expect(0);
    assert!(
        listed.stdout.starts_with("tests.inbox.mail  last started an execution: 20"),
        "{}",
        listed.stdout
    );
}

/// SIGKILL again and again, at whatever moment it comes: each value is taken once, and no execution is left that has not
/// begun.
#[test]
fn exactly_once_however_often_the_engine_is_killed() {
    let sandbox = inbox(LOG, "");
    let count = 24;
    for n in 0..count {
        post(&sandbox, &format!("v{n:02}"));
        let watch = Watch::start(&sandbox);
        // From before the first poll to after the end of an execution.
        std::thread::sleep(Duration::from_millis(15 * n));
        watch.end(Signal::KILL);
    }
    let watch = Watch::start(&sandbox);
    wait_until("everything to be taken", || taken(&sandbox).len() == count as usize);
    std::thread::sleep(Duration::from_millis(500));
    watch.end(Signal::INT).expect(0);
    let taken = taken(&sandbox);
    assert!(taken.values().all(|times| *times == 1), "{taken:?}");
    for execution in executions(&sandbox) {
        let state = execution["state"]["current"].as_str().unwrap();
        assert!(state == "SUCCESS" || state == "KILLED", "{execution:#}");
    }
}

#[test]
fn no_poll_while_its_execution_runs_and_sigint_waits_for_it() {
    let sandbox = inbox(
        "  - id: slow\n    type: io.kestra.plugin.scripts.shell.Commands\n    runner: PROCESS\n    commands: [sleep 8]\n",
        "",
    );
    post(&sandbox, "a");
    let watch = Watch::start(&sandbox);
    wait_until("an execution", || watch.stderr().contains("starts execution"));
    post(&sandbox, "b");
    let run = watch.end(Signal::INT).expect(0);
    assert!(run.stderr.contains("SIGINT: waits for 1 execution under way"), "{}", run.stderr);
    assert_eq!(run.stdout.lines().count(), 1);
    assert_eq!(executions(&sandbox).len(), 1, "`b` is still there");
    assert_eq!(executions(&sandbox)[0]["state"]["current"], "SUCCESS");
}

#[test]
fn a_second_sigint_kills_what_runs() {
    let sandbox = inbox(
        "  - id: slow\n    type: io.kestra.plugin.scripts.shell.Commands\n    runner: PROCESS\n    commands: [sleep 600]\n",
        "",
    );
    post(&sandbox, "a");
    let watch = Watch::start(&sandbox);
    wait_until("an execution", || watch.stderr().contains("starts execution"));
    watch.signal(Signal::INT);
    wait_until("the first signal to be taken", || watch.stderr().contains("SIGINT"));
    watch.end(Signal::INT).expect(0);
    assert_eq!(executions(&sandbox)[0]["state"]["current"], "KILLED");
}

#[test]
fn inputs_that_do_not_fit_end_the_execution_and_lose_nothing() {
    let sandbox = inbox(LOG, "");
    let flow = std::fs::read_to_string(sandbox.home().join("flow.yaml")).unwrap();
    sandbox.file("flow.yaml", flow.replace("type: STRING", "type: INT"));
    post(&sandbox, "word");
    let watch = Watch::start(&sandbox);
    wait_until("an execution", || watch.printed().len() == 1);
    let printed = watch.printed();
    watch.end(Signal::INT).expect(0);
    assert_eq!(printed[0]["state"]["current"], "FAILED");
    assert_eq!(printed[0]["error"]["code"], "trigger.inputs");
    assert_eq!(taken(&sandbox)["word"], 1);
}

#[test]
fn stop_after_is_remembered_until_it_is_reset() {
    let sandbox =
        inbox("  - id: fail\n    type: io.kestra.plugin.core.execution.Fail\n", "    stopAfter: [FAILED]\n");
    post(&sandbox, "a");
    let mut watch = Watch::start(&sandbox);
    assert_eq!(watch.child.wait().unwrap().code(), Some(0));
    assert!(watch.stderr().contains("an execution ended as FAILED (`stopAfter`)"), "{}", watch.stderr());
    post(&sandbox, "b");
    let mut watch = Watch::start(&sandbox);
    assert_eq!(watch.child.wait().unwrap().code(), Some(0));
    assert_eq!(executions(&sandbox).len(), 1);
    sandbox.weft(["triggers", "reset", "mail"]).expect(0);
    let mut watch = Watch::start(&sandbox);
    watch.child.wait().unwrap();
    assert_eq!(executions(&sandbox).len(), 2);
}

#[test]
fn two_engines_do_not_watch_one_trigger() {
    let sandbox = inbox(LOG, "");
    let watch = Watch::start(&sandbox);
    wait_until("it to watch", || watch.stderr().contains("polled every"));
    let run = sandbox.weft(["run", "--watch", "flow.yaml"]).expect(1);
    assert!(
        run.stderr.contains("trigger `mail` is being watched by another process (pid "),
        "{}",
        run.stderr
    );
    watch.end(Signal::TERM).expect(0);
}

#[test]
fn a_schedule_runs_until_it_is_stopped() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "flow.yaml",
        "
id: clock
namespace: tests
tasks:
  - id: tell
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ trigger.date }}\"
triggers:
  - id: seconds
    type: io.kestra.core.models.triggers.types.Schedule
    cron: '* * * * * *'
    withSeconds: true
    timezone: UTC
",
    );
    let watch = Watch::start(&sandbox);
    wait_until("three executions", || watch.printed().len() >= 3);
    let printed = watch.printed();
    watch.end(Signal::INT).expect(0);
    let dates: Vec<&str> =
        printed.iter().map(|found| found["trigger"]["variables"]["date"].as_str().unwrap()).collect();
    assert_eq!(printed[0]["taskRunList"][0]["outputs"]["value"], dates[0]);
    let mut sorted = dates.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(dates, sorted, "in order, each once");
}

#[test]
fn what_cannot_be_watched_is_said() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "flow.yaml",
        "
id: none
namespace: tests
tasks:
  - id: tell
    type: io.kestra.plugin.core.log.Log
    message: hello
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: k
  - id: after
    type: io.kestra.plugin.core.trigger.Flow
  - id: off
    type: io.kestra.plugin.core.trigger.Schedule
    cron: '@daily'
    disabled: true
  - id: holiday
    type: io.kestra.plugin.core.trigger.Schedule
    cron: '@daily'
    conditions:
      - type: io.kestra.plugin.core.condition.PublicHoliday
",
    );
    let run = sandbox.weft(["run", "--watch", "flow.yaml"]);
    assert_seen!(sandbox, run, @"
    status: 2
    --- stdout
    --- stderr
    warning: trigger `hook` of flow `none` (9:5) is not watched: it needs a server: somebody has to take its HTTP requests
    warning: trigger `after` of flow `none` (12:5) is not watched: it needs a server: somebody has to see the ends of other flows
    note: trigger `off` is disabled
    warning: trigger `holiday` of flow `none` (18:5) is not watched: property `conditions[0].type`: public holidays are not known here
    error: flow `none` has no trigger to watch: none of them can be watched
    hint: run it once with `weft run` without `--watch`
    ");
}
