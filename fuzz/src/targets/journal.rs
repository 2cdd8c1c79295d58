//! Any bytes as what a data directory holds of an execution, of a value and of a trigger: they are read, or said to be
//! corrupt; and an execution that was read is the same one when it was written again.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use tempfile::TempDir;
use weft_model::Execution;
use weft_state::{Durability, JournalStore, KvStore, Owner, StateError, TriggerStore};

use crate::scratch;

pub fn run(input: &[u8]) -> Option<()> {
    thread_local! {
        static DATA: TempDir = scratch();
    }
    DATA.with(|data| {
        let data = data.path();
        let store = JournalStore::new(data).with_durability(Durability::Process);
        let directory = data.join("executions/e");
        for file in ["journal.jsonl", "logs.jsonl", "engine.json"] {
            put(&directory.join(file), input);
        }
        put(&data.join("executions/index.jsonl"), input);
        put(&data.join("kv/n/k.json"), input);
        put(&data.join("triggers/n/f/t.json"), input);

        let loaded = said(store.load("e"));
        said(store.list_all());
        said(store.flow_source("e"));
        logs(&store);
        said(KvStore::new(data).get("n", "k", Timestamp::UNIX_EPOCH));
        said(TriggerStore::new(data).load("n", "f", "t"));

        if let Some(execution) = loaded.flatten() {
            // Half a line at the end is what a crash leaves: nothing of it counts.
            let mut torn = input.to_vec();
            torn.extend_from_slice(b"{\"v\":1,\"header\":{\"id\"");
            if input.ends_with(b"\n") {
                put(&directory.join("journal.jsonl"), &torn);
                assert_eq!(said(store.load("e")).flatten().as_ref(), Some(&execution));
            }
            again(&store, data, execution);
        }
    });
    Some(())
}

fn put(file: &Path, bytes: &[u8]) {
    let folder = file.parent().expect("a file is in a folder");
    fs::create_dir_all(folder).expect("the temporary directory takes a folder");
    fs::write(file, bytes).expect("the temporary directory takes a small file");
}

/// An error that says something, or the value.
fn said<T>(result: Result<T, StateError>) -> Option<T> {
    result.map_err(|error| assert!(!error.to_string().is_empty() && !error.code().is_empty())).ok()
}

/// From the front and from the back, there are the same lines.
fn logs(store: &JournalStore) {
    let (Some(reader), Some(mut backward)) = (said(store.log_reader("e")), said(store.log_reader("e"))) else { return };
    let forward: Vec<_> = reader.filter_map(said).collect();
    let last = forward.len().saturating_sub(5);
    if let Some(tail) = said(backward.tail(5)) {
        assert_eq!(tail, forward[last..], "the last lines");
    }
}

fn again(store: &JournalStore, data: &Path, mut execution: Execution) {
    execution.id = "again".to_owned();
    let directory = data.join("executions/again");
    let _ = fs::remove_dir_all(&directory);
    if let Some(journal) = said(store.create(&execution, "id: f", &Owner::current())) {
        drop(journal);
        assert_eq!(said(store.load("again")).flatten().as_ref(), Some(&execution), "as it was written");
        assert_eq!(said(store.flow_source("again")).flatten().as_deref(), Some("id: f"));
    }
    let _ = fs::remove_dir_all(&directory);
}
