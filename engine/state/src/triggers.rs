//! What is remembered of triggers: one file for each, written as a whole.
//!
//! The executions that an evaluation starts are in the record itself until they have ended, so that state and executions
//! are committed in one write: whoever opens the record after a crash makes those that do not exist yet, under the ids
//! that they have here.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weft_model::{Map, State};

use crate::journal::VERSION;
use crate::kv::{decode, encode};
use crate::{Owner, Result, StateError, disk, json};

const EXTENSION: &str = ".json";
const LOCK: &str = ".lock";

/// What is remembered of one trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerRecord {
    /// What the trigger's plugin remembers; null at first.
    #[serde(default)]
    pub state: Value,
    /// Whether the plugin has been told that the executions of its last events are stored.
    pub acknowledged: bool,
    /// The id that the next execution will have. Files that are stored for it before it exists stand under this id, so
    /// that they are found again after a crash.
    pub next_id: String,
    /// The date that is due next, for a trigger that goes by a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_date: Option<Timestamp>,
    /// The state of an execution after which the trigger starts nothing more (`stopAfter`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<State>,
    /// When it last started executions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired: Option<Timestamp>,
    /// Executions it started that have not ended yet, as far as is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub executions: Vec<TriggeredExecution>,
    /// What is not to be shown of all this, sealed: secrets that became known while the trigger was evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
}

impl TriggerRecord {
    /// The record of a trigger that was never evaluated.
    pub fn new() -> Self {
        Self {
            state: Value::Null,
            acknowledged: true,
            next_id: weft_model::new_id(),
            next_date: None,
            stopped: None,
            fired: None,
            executions: Vec::new(),
            hidden: Vec::new(),
        }
    }
}

impl Default for TriggerRecord {
    fn default() -> Self {
        Self::new()
    }
}

/// An execution that a trigger starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggeredExecution {
    /// Its id, settled before it exists.
    pub id: String,
    /// What its expressions see as `trigger`.
    pub variables: Map,
    /// The date for which it is, where the trigger goes by a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Timestamp>,
    /// Why the trigger could not be evaluated, where the execution only stands for that (`failOnTriggerError`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct Content<R> {
    v: u32,
    #[serde(flatten)]
    record: R,
}

/// The triggers in one data directory.
#[derive(Debug, Clone)]
pub struct TriggerStore {
    root: PathBuf,
}

impl TriggerStore {
    /// The triggers in the data directory `data`. Nothing is touched before the first is opened.
    pub fn new(data: &Path) -> Self {
        Self { root: data.join("triggers") }
    }

    /// Takes a trigger for this process. Fails with [`StateError::TriggerInUse`] while another process has it.
    pub fn open(&self, namespace: &str, flow: &str, trigger: &str) -> Result<TriggerFile> {
        let directory = self.root.join(encode(namespace, "namespace")?).join(encode(flow, "flow id")?);
        let name = encode(trigger, "trigger id")?;
        disk::create_folders(&directory)?;
        let lock = lock(&directory.join(name.clone() + LOCK), trigger)?;
        let path = directory.join(name + EXTENSION);
        let record = read(&path)?.unwrap_or_default();
        Ok(TriggerFile { path, record, _lock: lock })
    }

    /// What is remembered of a trigger; none if it was never evaluated.
    pub fn load(&self, namespace: &str, flow: &str, trigger: &str) -> Result<Option<TriggerRecord>> {
        let directory = self.root.join(encode(namespace, "namespace")?).join(encode(flow, "flow id")?);
        read(&directory.join(encode(trigger, "trigger id")? + EXTENSION))
    }

    /// Namespace, flow and id of every trigger of which something is remembered, in order.
    pub fn list(&self) -> Result<Vec<(String, String, String)>> {
        let mut found = Vec::new();
        for namespace in disk::names(&self.root)? {
            let Some(namespace_name) = decode(&namespace) else { continue };
            for flow in disk::names(&self.root.join(&namespace))? {
                let Some(flow_name) = decode(&flow) else { continue };
                for name in disk::names(&self.root.join(&namespace).join(&flow))? {
                    let Some(trigger) = name.strip_suffix(EXTENSION).and_then(decode) else { continue };
                    found.push((namespace_name.clone(), flow_name.clone(), trigger));
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// One trigger, held by this process until the value is dropped.
#[derive(Debug)]
pub struct TriggerFile {
    path: PathBuf,
    record: TriggerRecord,
    _lock: File,
}

impl TriggerFile {
    /// The record as last committed.
    pub fn record(&self) -> &TriggerRecord {
        &self.record
    }

    /// Commits `record` in place of the one before: all of it or nothing is there after a crash, also one of the machine.
    /// A record that is as it was costs nothing.
    pub fn commit(&mut self, record: TriggerRecord) -> Result<()> {
        if record == self.record && self.path.exists() {
            return Ok(());
        }
        let json = serde_json::to_vec(&Content { v: VERSION, record: &record })
            .map_err(|error| StateError::io("encode for", &self.path, error.into()))?;
        disk::write_atomically(&self.path, &json, true)?;
        self.record = record;
        Ok(())
    }
}

fn read(path: &Path) -> Result<Option<TriggerRecord>> {
    let Some(bytes) = disk::read_if_there(path)? else { return Ok(None) };
    let corrupt = |error: serde_json::Error| StateError::Corrupt {
        path: path.to_owned(),
        line: None,
        reason: error.to_string(),
    };
    let content: Content<Value> = json::read(&bytes).map_err(corrupt)?;
    if content.v != VERSION {
        return Err(StateError::NewerVersion { path: path.to_owned(), found: content.v, known: VERSION });
    }
    serde_json::from_value(content.record).map(Some).map_err(corrupt)
}

/// Takes the lock, which names its holder for others.
fn lock(path: &Path, trigger: &str) -> Result<File> {
    let failed = |action| move |error| StateError::io(action, path, error);
    let mut file = disk::private()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(failed("open"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = Vec::new();
            // The name is a courtesy.
            let _ = file.read_to_end(&mut text);
            let pid = serde_json::from_slice::<Owner>(&text).ok().map(|owner| owner.pid);
            return Err(StateError::TriggerInUse { id: trigger.to_owned(), pid });
        }
        Err(error) => return Err(StateError::io("lock", path, error.into())),
    }
    let owner = serde_json::to_vec(&Owner::current()).unwrap_or_default();
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(&owner))
        .map_err(failed("write"))?;
    Ok(file)
}
