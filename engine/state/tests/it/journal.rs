//! Executions: what is committed is there, whatever happens afterwards.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::records::{at, execution, new_execution, task_run};
use weft_model::{Execution, ExecutionError, Label, Map, State, StateHistory, TriggerContext};
use weft_state::{Durability, JournalStore, KeptExecution, KvKind, KvStore, KvValue, Owner, StateError};

fn store(data: &Path) -> JournalStore {
    JournalStore::new(data).with_durability(Durability::Process)
}

fn journal_path(data: &Path, id: &str) -> std::path::PathBuf {
    data.join("executions").join(id).join("journal.jsonl")
}

/// An execution in which every optional field has a value.
fn full(id: &str) -> Execution {
    let mut full = execution(id, 5);
    let map: Map = serde_json::from_str(r#"{"z":1,"a":{"b":[1.5,"x"]}}"#).unwrap();
    full.outputs = Some(map.clone());
    full.labels = vec![Label { key: "k".to_owned(), value: "v".to_owned() }];
    full.variables = map.clone();
    full.parent_id = Some("parent".to_owned());
    full.trigger = Some(TriggerContext { id: "t".to_owned(), type_name: "T".to_owned(), variables: map });
    full.schedule_date = Some(at(9));
    full.error = Some(ExecutionError { code: "a.b".to_owned(), message: "m".to_owned() });
    full.state.enter(State::Failed, at(10));
    full
}

/// A value that nests so deep: a script can put out one of 125 levels, and subflows put others around it.
fn nested(levels: usize) -> Map {
    let value = (0..levels).fold(serde_json::Value::Null, |inner, _| serde_json::json!([inner]));
    Map::from_iter([("deep".to_owned(), value)])
}

#[test]
fn what_nests_deep_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    for levels in [1, 120, 121, 122, 123, 124, 125, 126, 127, 128, 300] {
        let mut expected = new_execution(1);
        let mut journal = store(dir.path()).create(&expected, "id: flow\n", &Owner::current()).unwrap();
        expected.task_run_list = vec![task_run(&expected, "a")];
        expected.task_run_list[0].outputs = Some(nested(levels));
        expected.task_run_list[0].state.enter(State::Success, at(2));
        journal.commit(None, &[&expected.task_run_list[0]]).unwrap();
        (expected.variables, expected.outputs) = (nested(levels), Some(nested(levels)));
        expected.state.enter(State::Success, at(3));
        journal.commit(Some(&expected), &[]).unwrap();
        drop(journal);
        assert_eq!(store(dir.path()).load(&expected.id).unwrap().as_ref(), Some(&expected), "{levels}");
        let listed = store(dir.path()).list().unwrap();
        assert!(listed.iter().any(|summary| summary.id == expected.id && summary.state == State::Success));

        let values = KvStore::new(dir.path());
        let value = nested(levels).remove("deep").unwrap();
        let value = KvValue { value, kind: KvKind::Json, expires: None, updated: at(0) };
        values.set("n", "deep", &value, true).unwrap();
        assert_eq!(values.get("n", "deep", at(1)).unwrap(), Some(value), "{levels}");
    }
}

#[test]
fn commits_are_merged_on_loading() {
    let dir = tempfile::tempdir().unwrap();
    for durability in [Durability::Process, Durability::Disk] {
        let store = JournalStore::new(dir.path()).with_durability(durability);
        let mut expected = new_execution(1);
        let mut journal = store.create(&expected, "id: flow\n", &Owner::current()).unwrap();
        assert_eq!(store.load(&expected.id).unwrap().as_ref(), Some(&expected));

        expected.task_run_list = vec![task_run(&expected, "a"), task_run(&expected, "b")];
        journal.commit(None, &[&expected.task_run_list[0], &expected.task_run_list[1]]).unwrap();
        assert_eq!(store.load(&expected.id).unwrap().as_ref(), Some(&expected));

        expected.task_run_list[0].state.enter(State::Running, at(2));
        expected.task_run_list[0].outputs = Some(expected.inputs.clone());
        journal.commit(None, &[&expected.task_run_list[0]]).unwrap();
        assert_eq!(store.load(&expected.id).unwrap().as_ref(), Some(&expected));

        let later = Execution { task_run_list: expected.task_run_list.clone(), ..full(&expected.id) };
        journal.commit(Some(&later), &[]).unwrap();
        assert_eq!(store.load(&expected.id).unwrap().as_ref(), Some(&later));

        expected.task_run_list.remove(0);
        journal.replace(&expected).unwrap();
        assert_eq!(store.load(&expected.id).unwrap().as_ref(), Some(&expected));
        let added = task_run(&expected, "c");
        journal.commit(None, &[&added]).unwrap();
        expected.task_run_list.push(added);
        assert_eq!(store.load(&expected.id).unwrap().as_ref(), Some(&expected));
        assert_eq!(store.flow_source(&expected.id).unwrap().as_deref(), Some("id: flow\n"));
    }
}

#[test]
fn headers_have_every_field_but_the_task_runs() {
    let dir = tempfile::tempdir().unwrap();
    for execution in [full("full"), execution("sparse", 1)] {
        drop(store(dir.path()).create(&execution, "id: x", &Owner::current()).unwrap());
        let line = fs::read_to_string(journal_path(dir.path(), &execution.id)).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let mut expected = serde_json::to_value(&execution).unwrap();
        expected.as_object_mut().unwrap().shift_remove("taskRunList");
        assert_eq!(line, serde_json::json!({"v": 1, "header": expected, "flow": "id: x"}));
    }
}

#[test]
fn a_commit_torn_at_any_byte_never_happened() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut before = new_execution(1);
    let mut journal = store.create(&before, "", &Owner::current()).unwrap();
    before.task_run_list.push(task_run(&before, "a"));
    journal.commit(None, &[&before.task_run_list[0]]).unwrap();
    let path = journal_path(dir.path(), &before.id);
    let complete = fs::read(&path).unwrap();
    let mut after = before.clone();
    after.state.enter(State::Success, at(9));
    after.task_run_list[0].state.enter(State::Success, at(8));
    journal.commit(Some(&after), &[&after.task_run_list[0]]).unwrap();
    drop(journal);
    let with_last = fs::read(&path).unwrap();
    assert_eq!(store.load(&before.id).unwrap().as_ref(), Some(&after));

    let file = fs::File::options().write(true).open(&path).unwrap();
    for length in (complete.len()..with_last.len()).rev() {
        file.set_len(length as u64).unwrap();
        assert_eq!(store.load(&before.id).unwrap().as_ref(), Some(&before), "cut at {length}");
        assert_eq!(store.list().unwrap()[0].state, State::Running, "cut at {length}");
    }
    // Power failed before all of the last line was on the disk.
    let mut holes = with_last.clone();
    holes[complete.len()..with_last.len() - 10].fill(0);
    fs::write(&path, &holes).unwrap();
    assert_eq!(store.load(&before.id).unwrap().as_ref(), Some(&before));

    // Whoever takes it up goes on behind the last commit.
    let cut = |length: usize| with_last[..length].to_vec();
    for left in [cut(complete.len()), cut(complete.len() + 1), cut(with_last.len() - 1), holes] {
        fs::write(&path, left).unwrap();
        let (kept, mut journal) = store.resume(&before.id, &Owner::current()).unwrap();
        assert_eq!(kept, KeptExecution { execution: before.clone(), hidden: Vec::new() });
        journal.commit(Some(&after), &[&after.task_run_list[0]]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), with_last);
    }
}

#[test]
fn what_is_not_to_be_shown_is_kept_with_the_commit_that_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut execution = new_execution(1);
    let hidden = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let kept = |store: &JournalStore, id: &str| store.load_kept(id).unwrap().unwrap().hidden;
    let mut journal = store.create_hiding(&execution, "", &hidden(&["a"]), &Owner::current()).unwrap();
    assert_eq!(kept(&store, &execution.id), ["a"]);
    journal.hide(hidden(&["b"]));
    assert_eq!(kept(&store, &execution.id), ["a"], "nothing was committed");
    journal.commit(None, &[]).unwrap();
    journal.commit(Some(&execution), &[]).unwrap();
    assert_eq!(kept(&store, &execution.id), ["a", "b"]);
    journal.hide(hidden(&["c", "d"]));
    execution.state.enter(State::Failed, at(9));
    journal.replace(&execution).unwrap();
    drop(journal);
    let (resumed, _journal) = store.resume(&execution.id, &Owner::current()).unwrap();
    assert_eq!(resumed, KeptExecution { execution, hidden: hidden(&["a", "b", "c", "d"]) });
}

#[test]
fn an_execution_whose_first_commit_was_torn_does_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let execution = new_execution(1);
    drop(store.create(&execution, "", &Owner::current()).unwrap());
    let path = journal_path(dir.path(), &execution.id);
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(store.load(&execution.id).unwrap(), None);
        assert_eq!(store.list().unwrap(), []);
        assert_eq!(store.resume(&execution.id, &Owner::current()).unwrap_err().code(), "state.not-found");
    }
}

#[test]
fn damage_and_newer_formats_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let execution = new_execution(1);
    drop(store.create(&execution, "", &Owner::current()).unwrap());
    let path = journal_path(dir.path(), &execution.id);
    let good = fs::read_to_string(&path).unwrap();
    for (content, code, text) in [
        (format!("{good}garbage\n{good}"), "state.corrupt", "line 2,"),
        (format!("{good}{{\"v\":2,\"other\":1}}\n"), "state.newer-version", "format 2"),
        ("{\"v\":7}\n".to_owned(), "state.newer-version", "format 7"),
        ("{\"v\":1,\"taskRuns\":[]}\n".to_owned(), "state.corrupt", "no `header`"),
    ] {
        fs::write(&path, content).unwrap();
        let error = store.load(&execution.id).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.to_string().contains("journal.jsonl"), "{error}");
    }
    // One that cannot be read does not hide the others.
    let other = new_execution(2);
    drop(store.create(&other, "", &Owner::current()).unwrap());
    let listing = store.list_all().unwrap();
    assert_eq!(listing.executions.iter().map(|one| &one.id).collect::<Vec<_>>(), [&other.id]);
    assert_eq!(listing.unreadable[0].0, execution.id);
    let (mut out, values) = (Vec::new(), KvStore::new(dir.path()));
    let counts = weft_state::export(&store, &values, &mut out).unwrap();
    assert_eq!((counts.executions, counts.skipped), (1, 1));
}

#[test]
fn lists_are_newest_first_with_and_without_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    assert_eq!(store.list().unwrap(), []);
    assert!(!dir.path().join("executions").exists());
    let mut expected = Vec::new();
    for (second, end) in [(1, Some(State::Success)), (2, None), (3, Some(State::Failed)), (4, None)] {
        let mut execution = new_execution(second);
        let mut journal = store.create(&execution, "", &Owner::current()).unwrap();
        for n in 0..200 {
            journal.commit(None, &[&task_run(&execution, &format!("{n:01000}"))]).unwrap();
        }
        if let Some(end) = end {
            execution.state.enter(end, at(second + 10));
            journal.commit(Some(&execution), &[]).unwrap();
        }
        expected.insert(0, (execution.id.clone(), execution.current(), false));
    }
    let listed = || -> Vec<_> {
        store.list().unwrap().into_iter().map(|one| (one.id, one.state, one.interrupted)).collect()
    };
    let index = dir.path().join("executions/index.jsonl");
    assert_eq!(fs::read_to_string(&index).unwrap().lines().count(), 2);
    assert_eq!(listed(), expected);
    fs::remove_file(&index).unwrap();
    assert_eq!(listed(), expected);
    assert_eq!(fs::read_to_string(&index).unwrap().lines().count(), 2, "it is built again");
    fs::write(&index, "torn{\n\n{\"v\":9}\n").unwrap();
    assert_eq!(listed(), expected);

    // Restarted after it ended: the index is outdated.
    let (KeptExecution { mut execution, .. }, mut journal) =
        store.resume(&expected[1].0, &Owner::current()).unwrap();
    execution.state.enter(State::Restarted, at(20));
    journal.commit(Some(&execution), &[]).unwrap();
    expected[1].1 = State::Restarted;
    assert_eq!(listed(), expected);

    // The process of another one is gone.
    let engine = dir.path().join("executions").join(&expected[0].0).join("engine.json");
    fs::write(&engine, r#"{"pid":4294967295}"#).unwrap();
    expected[0].2 = true;
    assert_eq!(listed(), expected);
    fs::remove_file(&engine).unwrap();
    assert_eq!(listed(), expected);

    assert!(store.delete(&expected[3].0).unwrap());
    assert!(!store.delete(&expected[3].0).unwrap());
    expected.remove(3);
    assert_eq!(listed(), expected);
}

#[test]
fn a_useless_index_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut execution = new_execution(1);
    let mut journal = store.create(&execution, "", &Owner::current()).unwrap();
    execution.state.enter(State::Success, at(2));
    journal.commit(Some(&execution), &[]).unwrap();
    let index = dir.path().join("executions/index.jsonl");
    let line = fs::read_to_string(&index).unwrap();
    fs::write(&index, line.repeat(2000)).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
    assert_eq!(fs::read_to_string(&index).unwrap(), line);
}

#[test]
fn executions_are_found_by_a_unique_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for id in ["abc1", "abc2", "abd", "abd9"] {
        store.create(&execution(id, 1), "", &Owner::current()).unwrap();
    }
    for (prefix, id) in [("abc1", "abc1"), ("abd", "abd"), ("abd9", "abd9")] {
        assert_eq!(store.find(prefix).unwrap(), id);
    }
    for (prefix, code, text) in [
        ("abc", "state.ambiguous-id", "`abc1`, `abc2`"),
        ("a", "state.ambiguous-id", "4 execution ids"),
        ("x", "state.not-found", "`x`"),
        ("", "state.invalid-id", ""),
        ("../x", "state.invalid-id", "`../x`"),
        ("index.jsonl", "state.invalid-id", ""),
    ] {
        let error = store.find(prefix).unwrap_err();
        assert_eq!(error.code(), code, "{prefix}");
        assert!(error.to_string().contains(text), "{error}");
    }
    for id in ["..", "a/b", "", "a.b", &"a".repeat(65)] {
        assert_eq!(store.load(id).unwrap_err().code(), "state.invalid-id", "{id}");
        assert_eq!(store.delete(id).unwrap_err().code(), "state.invalid-id", "{id}");
    }
}

#[test]
fn an_execution_has_one_journal_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let execution = new_execution(1);
    let journal = store.create(&execution, "", &Owner::current()).unwrap();
    assert_eq!(store.create(&execution, "", &Owner::current()).unwrap_err().code(), "state.exists");
    let in_use = [
        store.resume(&execution.id, &Owner::current()).unwrap_err(),
        store.delete(&execution.id).unwrap_err(),
    ];
    for error in in_use {
        assert!(
            matches!(error, StateError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
            "{error}"
        );
    }
    drop(journal);
    let (resumed, journal) = store.resume(&execution.id, &Owner::current()).unwrap();
    assert_eq!(resumed.execution, execution);
    drop(journal);
    assert!(store.delete(&execution.id).unwrap());
    assert_eq!(store.load(&execution.id).unwrap(), None);
    assert_eq!(store.resume(&execution.id, &Owner::current()).unwrap_err().code(), "state.not-found");
}

/// Not a test of its own: the process that [`a_killed_process_loses_nothing_it_was_told_of`] kills.
#[test]
fn commit_until_killed() {
    let Some(data) = std::env::var_os("WEFT_TEST_DATA") else { return };
    let data = Path::new(&data);
    let execution = execution("victim", 1);
    let mut journal = store(data).create(&execution, "", &Owner::current()).unwrap();
    for n in 0_u32.. {
        let mut run = task_run(&execution, "a");
        run.iteration = Some(n);
        run.value = Some("x".repeat(20_000));
        journal.commit(None, &[&run]).unwrap();
        fs::write(data.join("told.tmp"), n.to_string()).unwrap();
        fs::rename(data.join("told.tmp"), data.join("told")).unwrap();
    }
}

#[test]
fn a_state_is_followed_without_reading_all_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut execution = new_execution(1);
    let mut follower = store.follow(&execution.id).unwrap();
    assert_eq!(follower.look().unwrap(), None);
    let mut journal = store.create(&execution, "", &Owner::current()).unwrap();
    assert_eq!(follower.look().unwrap(), Some(State::Running));
    journal.commit(None, &[&task_run(&execution, "a")]).unwrap();
    assert_eq!(follower.look().unwrap(), Some(State::Running));
    // What was read is not looked at any more.
    let path = journal_path(dir.path(), &execution.id);
    let length = fs::metadata(&path).unwrap().len();
    fs::write(&path, "x".repeat(length as usize)).unwrap();
    execution.state.enter(State::Paused, at(2));
    journal.commit(Some(&execution), &[]).unwrap();
    assert_eq!(follower.look().unwrap(), Some(State::Paused));
    // Half a line is not read, and a journal that has become shorter is read anew.
    execution.state.enter(State::Success, at(3));
    journal.replace(&execution).unwrap();
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len() - 1]).unwrap();
    assert_eq!(follower.look().unwrap(), Some(State::Paused));
    let last = text[..text.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    fs::write(&path, &text[last..]).unwrap();
    assert_eq!(follower.look().unwrap(), Some(State::Success));
    fs::remove_file(&path).unwrap();
    assert_eq!(follower.look().unwrap(), None);
}

#[test]
fn only_what_is_under_way_can_be_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let gone: Owner = serde_json::from_str(r#"{"pid": 4194305, "started": 1, "boot": "gone"}"#).unwrap();
    for (state, trigger, expected) in [
        (State::Running, false, true),
        (State::Paused, false, false),
        (State::Success, false, false),
        (State::Running, true, true),
    ] {
        let mut execution = full(&weft_model::new_id());
        (execution.parent_id, execution.state) = (None, StateHistory::new(State::Created, at(1)));
        execution.state.enter(state, at(2));
        if !trigger {
            execution.trigger = None;
        }
        drop(store.create(&execution, "", &gone).unwrap());
        let listed = store.list().unwrap().into_iter().find(|one| one.id == execution.id).unwrap();
        assert_eq!(listed.interrupted, expected, "{state}");
        assert_eq!(store.is_interrupted(&execution).unwrap(), expected, "{state}");
    }
}

#[test]
fn a_killed_process_loses_nothing_it_was_told_of() {
    for delay in [5, 20, 37] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::commit_until_killed"])
            .env("WEFT_TEST_DATA", dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !dir.path().join("told").exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let store = store(dir.path());
        assert_eq!(store.resume("victim", &Owner::current()).unwrap_err().code(), "state.in-use");
        assert!(!store.list().unwrap()[0].interrupted);
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        let told: u32 = fs::read_to_string(dir.path().join("told")).unwrap().parse().unwrap();
        assert!(store.list().unwrap()[0].interrupted);
        let (KeptExecution { execution, .. }, _journal) = store.resume("victim", &Owner::current()).unwrap();
        assert!(execution.task_run_list[0].iteration.unwrap() >= told);
        assert!(!store.list().unwrap()[0].interrupted, "this process has it now");
    }
}

#[test]
fn processes_share_a_directory_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let store = store(dir.path());
            std::thread::spawn(move || {
                for second in 0..20 {
                    let mut execution = new_execution(n * 100 + second);
                    let mut journal = store.create(&execution, "", &Owner::current()).unwrap();
                    execution.state.enter(State::Success, at(second + 1));
                    journal.commit(Some(&execution), &[&task_run(&execution, "a")]).unwrap();
                    assert!(store.list().unwrap().iter().any(|one| one.id == execution.id));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let listed = store(dir.path()).list().unwrap();
    assert_eq!(listed.len(), 160);
    assert!(listed.iter().all(|one| one.state == State::Success));
}
