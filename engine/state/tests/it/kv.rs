//! The key-value store, and moving everything elsewhere.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::records::{at, new_execution, task_run};
use serde_json::{Value, json};
use weft_model::{Execution, Level, LogEntry, Metric, MetricKind, State};
use weft_state::{
    Counts, Durability, JournalStore, KeptExecution, KvKind, KvStore, KvValue, LogFilter, Owner, export,
    export_masked, import,
};

fn value(value: Value) -> KvValue {
    KvValue { value, kind: KvKind::Json, expires: None, updated: at(0) }
}

#[test]
fn values_keep_type_and_times() {
    let dir = tempfile::tempdir().unwrap();
    let store = KvStore::new(dir.path());
    assert_eq!(store.get("company.team", "key", at(0)).unwrap(), None);
    assert_eq!(store.keys("company.team", "", at(0)).unwrap(), [""; 0]);
    assert!(!dir.path().join("kv").exists());
    for (kind, content) in [
        (KvKind::String, json!("größe \"x\"")),
        (KvKind::Number, json!(1.5)),
        (KvKind::Boolean, json!(false)),
        (KvKind::Datetime, json!("2026-11-23T00:00:00Z")),
        (KvKind::Date, json!("2026-11-23")),
        (KvKind::Duration, json!("PT1H")),
        (KvKind::Json, json!({"z": [1, null], "a": {}})),
        (KvKind::Json, Value::Null),
    ] {
        let set = KvValue { value: content, kind, expires: Some(at(100)), updated: at(1) };
        store.set("company.team", "key", &set, true).unwrap();
        assert_eq!(store.get("company.team", "key", at(2)).unwrap(), Some(set));
    }
    assert_eq!(store.get("company", "key", at(2)).unwrap(), None, "namespaces do not share keys");
    let file = fs::read_to_string(dir.path().join("kv/company.team/key.json")).unwrap();
    let expected = json!({"v": 1, "value": null, "type": "JSON",
        "expires": "2027-01-15T08:01:40Z", "updated": "2027-01-15T08:00:01Z"});
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), expected);
}

#[test]
fn values_expire_and_may_then_be_set_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = KvStore::new(dir.path());
    let short = KvValue { expires: Some(at(10)), ..value(json!(1)) };
    store.set("n", "key", &short, false).unwrap();
    for (now, there) in [(9, true), (10, false), (11, false)] {
        assert_eq!(store.get("n", "key", at(now)).unwrap().is_some(), there, "at {now}");
        assert_eq!(store.keys("n", "", at(now)).unwrap().len(), usize::from(there), "at {now}");
    }
    let early = KvValue { updated: at(9), ..value(json!(2)) };
    let error = store.set("n", "key", &early, false).unwrap_err();
    assert_eq!(error.code(), "kv.key-exists");
    assert!(error.to_string().contains("`key`") && error.to_string().contains("overwrite"), "{error}");
    store.set("n", "key", &KvValue { updated: at(10), ..value(json!(3)) }, false).unwrap();
    assert_eq!(store.get("n", "key", at(1000)).unwrap().unwrap().value, json!(3));
    store.set("n", "key", &value(json!(4)), true).unwrap();
    assert!(store.delete("n", "key", at(0)).unwrap());
    assert!(!store.delete("n", "key", at(0)).unwrap());
    store.set("n", "key", &short, false).unwrap();
    assert!(!store.delete("n", "key", at(50)).unwrap(), "what expired was not there");
    assert!(!dir.path().join("kv/n/key.json").exists());
}

#[test]
fn keys_are_listed_by_their_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let store = KvStore::new(dir.path());
    for key in ["b", "a.x", "a.y", "A", "größe", ".hidden"] {
        store.set("n", key, &value(json!(1)), false).unwrap();
    }
    for (prefix, expected) in [
        ("", &[".hidden", "A", "a.x", "a.y", "b", "größe"][..]),
        ("a.", &["a.x", "a.y"]),
        ("gr", &["größe"]),
        ("x", &[]),
    ] {
        assert_eq!(store.keys("n", prefix, at(0)).unwrap(), expected, "{prefix}");
    }
    assert_eq!(store.namespaces().unwrap(), ["n"]);
    for (namespace, key) in [("", "k"), ("n", ""), ("n", &"é".repeat(100)[..])] {
        assert_eq!(store.get(namespace, key, at(0)).unwrap_err().code(), "kv.invalid-key");
    }
    store.set("../..", "../../x", &value(json!(1)), true).unwrap();
    assert!(dir.path().join("kv/%2E.%2F..").is_dir());
}

#[test]
fn damage_and_newer_formats_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = KvStore::new(dir.path());
    store.set("n", "key", &value(json!(1)), true).unwrap();
    for (content, code) in [
        ("{", "state.corrupt"),
        ("{\"v\":1}", "state.corrupt"),
        ("{\"v\":2,\"new\":1}", "state.newer-version"),
    ] {
        fs::write(dir.path().join("kv/n/key.json"), content).unwrap();
        let error = store.get("n", "key", at(0)).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains("kv/n/key.json"), "{error}");
    }
}

#[test]
fn one_of_many_threads_sets_a_key_that_must_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    let store = KvStore::new(dir.path());
    for round in 0..20 {
        // In every second round an expired value is there.
        if round % 2 == 1 {
            let expired = KvValue { expires: Some(at(-1)), ..value(json!("old")) };
            store.set("n", &format!("key{round}"), &expired, false).unwrap();
        }
        let winners: Vec<i32> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let store = &store;
                    scope.spawn(move || store.set("n", &format!("key{round}"), &value(json!(thread)), false))
                })
                .collect();
            let results = threads.into_iter().map(|thread| thread.join().unwrap());
            results
                .enumerate()
                .filter(|(_, result)| result.is_ok())
                .map(|(thread, _)| thread as i32)
                .collect()
        });
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        let stored = store.get("n", &format!("key{round}"), at(0)).unwrap().unwrap();
        assert_eq!(stored.value, json!(winners[0]));
    }
}

/// Not a test of its own: a process of [`one_of_many_processes_sets_a_key_that_must_not_exist`].
#[test]
fn race_for_keys() {
    let Some(data) = std::env::var_os("WEFT_TEST_DATA") else { return };
    let data = Path::new(&data);
    while !data.join("go").exists() {
        std::thread::sleep(Duration::from_micros(200));
    }
    let me = std::process::id();
    for key in 0..100 {
        if KvStore::new(data).set("n", &format!("k{key}"), &value(json!(me)), false).is_ok() {
            fs::write(data.join(format!("won-{key}-{me}")), "").unwrap();
        }
    }
}

#[test]
fn one_of_many_processes_sets_a_key_that_must_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "kv::race_for_keys"])
                .env("WEFT_TEST_DATA", dir.path())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    fs::write(dir.path().join("go"), "").unwrap();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let won: Vec<String> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("won-"))
        .collect();
    assert_eq!(won.len(), 100);
    for key in 0..100 {
        let owner = KvStore::new(dir.path()).get("n", &format!("k{key}"), at(0)).unwrap().unwrap().value;
        assert!(won.contains(&format!("won-{key}-{owner}")), "{key}");
    }
}

#[test]
fn everything_moves_to_another_directory() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let executions =
        |dir: &tempfile::TempDir| JournalStore::new(dir.path()).with_durability(Durability::Process);
    let (old, old_kv) = (executions(&from), KvStore::new(from.path()));
    let mut ids = Vec::new();
    for second in [1, 2] {
        let mut execution = new_execution(second);
        execution.task_run_list.push(task_run(&execution, "a"));
        let mut journal = old.create(&execution, "id: flow # größe\n", &Owner::current()).unwrap();
        execution.state.enter(State::Success, at(50));
        journal.commit(Some(&execution), &[]).unwrap();
        let writer = old.log_writer(&execution.id).unwrap();
        writer.execution().line(at(1), Level::Info, b"execution");
        writer.attempt("task", "a", 0).line(at(2), Level::Warn, b"first \"try\"");
        writer.attempt("task", "a", 1).line(at(3), Level::Error, b"second");
        writer.flush().unwrap();
        let metric = Metric {
            task_id: "task".to_owned(),
            task_run_id: "a".to_owned(),
            name: "rows".to_owned(),
            kind: MetricKind::Counter,
            value: 2.5,
            tags: Default::default(),
            timestamp: at(4),
        };
        old.metrics(&execution.id).unwrap().append(&[metric]).unwrap();
        ids.push(execution.id);
    }
    old_kv.set("company.team", "key", &value(json!({"a": [1.5, null]})), true).unwrap();

    let mut exported = Vec::new();
    let counts = export(&old, &old_kv, &mut exported).unwrap();
    assert_eq!(counts, Counts { executions: 2, logs: 6, metrics: 2, values: 1, ..Counts::default() });
    let (new, new_kv) = (executions(&to), KvStore::new(to.path()));
    assert_eq!(import(&new, &new_kv, &mut exported.as_slice()).unwrap(), counts);
    assert_eq!(new.list().unwrap(), old.list().unwrap());
    for id in &ids {
        assert_eq!(new.load(id).unwrap(), old.load(id).unwrap());
        assert_eq!(new.flow_source(id).unwrap(), old.flow_source(id).unwrap());
        let logs = |store: &JournalStore| -> Vec<_> {
            let reader = store.log_reader(id).unwrap().with_filter(LogFilter::default());
            reader.map(Result::unwrap).collect()
        };
        assert_eq!(logs(&new), logs(&old));
        assert_eq!(new.metrics(id).unwrap().read().unwrap(), old.metrics(id).unwrap().read().unwrap());
    }
    let key = |store: &KvStore| store.get("company.team", "key", at(0)).unwrap();
    assert_eq!(key(&new_kv), key(&old_kv));

    let again = import(&new, &new_kv, &mut exported.as_slice()).unwrap();
    assert_eq!(again, Counts { skipped: 3, ..Counts::default() });
    let mut exported_again = Vec::new();
    export(&new, &new_kv, &mut exported_again).unwrap();
    assert!(exported_again == exported, "moving changes nothing");

    for (line, code) in [
        ("{\"v\":2}", "state.newer-version"),
        ("nonsense", "state.corrupt"),
        ("{\"v\":1,\"kind\":\"new\"}", "state.corrupt"),
    ] {
        let error = import(&new, &new_kv, &mut line.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains("import"), "{error}");
    }
}

#[test]
fn an_export_without_secrets_says_where_it_has_none() {
    /// Masks whatever it is handed, and takes one key for its own.
    struct Stars;
    impl weft_state::Mask for Stars {
        fn execution(&mut self, execution: &mut Execution) {
            execution.inputs.insert("a".to_owned(), json!("***"));
        }
        fn line(&mut self, entry: &mut LogEntry) {
            entry.message = "***".to_owned();
        }
        fn metric(&mut self, metric: &mut Metric) {
            metric.name = "***".to_owned();
        }
    }
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let executions =
        |dir: &tempfile::TempDir| JournalStore::new(dir.path()).with_durability(Durability::Process);
    let (old, old_kv) = (executions(&from), KvStore::new(from.path()));
    let mut ids = Vec::new();
    for (second, hidden) in [(1, None), (2, Some("sealed")), (3, Some("of another key"))] {
        let mut execution = new_execution(second);
        execution.inputs.insert("a".to_owned(), json!("plain"));
        let hidden: Vec<String> = hidden.into_iter().map(str::to_owned).collect();
        drop(old.create_hiding(&execution, "", &hidden, &Owner::current()).unwrap());
        let writer = old.log_writer(&execution.id).unwrap();
        writer.execution().line(at(1), Level::Info, b"plain");
        writer.flush().unwrap();
        ids.push(execution.id);
    }
    let masks = |kept: &KeptExecution| {
        (kept.hidden == ["sealed"]).then(|| Box::new(Stars) as Box<dyn weft_state::Mask>)
    };
    let mut masked = Vec::new();
    let counts = export_masked(&old, &old_kv, &masks, &mut masked).unwrap();
    assert_eq!(counts, Counts { executions: 2, logs: 2, masked: 1, skipped: 1, ..Counts::default() });
    let (new, new_kv) = (executions(&to), KvStore::new(to.path()));
    let imported = import(&new, &new_kv, &mut masked.as_slice()).unwrap();
    assert_eq!(imported, Counts { executions: 2, logs: 2, masked: 1, ..Counts::default() });
    for (id, expected) in ids.iter().zip(["plain", "***"]) {
        let kept = new.load_kept(id).unwrap().unwrap();
        assert_eq!((&kept.execution.inputs["a"], kept.hidden), (&json!(expected), Vec::new()));
        let lines: Vec<_> = new.log_reader(id).unwrap().map(|entry| entry.unwrap().message).collect();
        assert_eq!(lines, [expected]);
    }
    // What is exported as it is keeps what is sealed.
    let (whole, third) = (tempfile::tempdir().unwrap(), &ids[2]);
    let mut exported = Vec::new();
    export(&old, &old_kv, &mut exported).unwrap();
    let (store, kv) = (executions(&whole), KvStore::new(whole.path()));
    assert_eq!(import(&store, &kv, &mut exported.as_slice()).unwrap().masked, 0);
    assert_eq!(store.load_kept(third).unwrap(), old.load_kept(third).unwrap());
}
