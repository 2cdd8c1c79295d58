//! Logs: every line arrives, in order, bounded.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::records::{at, new_execution};
use jiff::Timestamp;
use proptest::prelude::*;
use weft_model::{Level, LogEntry, Metric, MetricKind};
use weft_state::{
    Durability, ExecutionJournal, JournalStore, LogFilter, LogWriter, MAX_MESSAGE_BYTES, Owner,
};

struct Fixture {
    dir: tempfile::TempDir,
    store: JournalStore,
    id: String,
    _journal: ExecutionJournal,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = JournalStore::new(dir.path()).with_durability(Durability::Process);
        let execution = new_execution(1);
        let journal = store.create(&execution, "", &Owner::current()).unwrap();
        Self { dir, store, id: execution.id, _journal: journal }
    }

    fn writer(&self) -> LogWriter {
        self.store.log_writer(&self.id).unwrap()
    }

    fn read(&self, filter: LogFilter) -> Vec<LogEntry> {
        self.store.log_reader(&self.id).unwrap().with_filter(filter).map(Result::unwrap).collect()
    }

    fn messages(&self, filter: LogFilter) -> Vec<String> {
        self.read(filter).into_iter().map(|entry| entry.message).collect()
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("executions").join(&self.id).join("logs.jsonl")
    }
}

#[test]
fn lines_read_back_as_entries() {
    let fixture = Fixture::new();
    let writer = fixture.writer();
    let time: Timestamp = "2026-11-23T07:00:00.123456Z".parse().unwrap();
    writer.execution().line(time, Level::Error, b"about the execution");
    writer.attempt("task", "run", 2).line(time, Level::Debug, b"\x1b[1m \"quoted\" \xff");
    assert!(!fixture.path().exists(), "buffered");
    writer.flush().unwrap();
    let execution = LogEntry {
        timestamp: time,
        level: Level::Error,
        task_id: None,
        task_run_id: None,
        attempt_number: 0,
        message: "about the execution".to_owned(),
    };
    let task = LogEntry {
        level: Level::Debug,
        task_id: Some("task".to_owned()),
        task_run_id: Some("run".to_owned()),
        attempt_number: 2,
        message: "\u{1b}[1m \"quoted\" \u{FFFD}".to_owned(),
        ..execution
    };
    let text = fs::read_to_string(fixture.path()).unwrap();
    let expected: Vec<String> =
        [&execution, &task].map(|entry| serde_json::to_string(entry).unwrap()).into_iter().collect();
    // Rust's JSON leaves the sign as it is; both are the same to a reader.
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert_eq!(fixture.read(LogFilter::default()), [execution, task]);
}

#[test]
fn filters() {
    let fixture = Fixture::new();
    let writer = fixture.writer();
    for (task, run, attempt, level, message) in [
        ("a", "1", 0, Level::Info, "first"),
        ("a", "1", 1, Level::Warn, "second"),
        ("a", "2", 0, Level::Error, "third"),
        ("b", "3", 0, Level::Trace, "fourth"),
    ] {
        writer.attempt(task, run, attempt).line(at(0), level, message.as_bytes());
    }
    writer.execution().line(at(0), Level::Info, b"fifth");
    writer.flush().unwrap();
    let text = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (LogFilter::default(), &["first", "second", "third", "fourth", "fifth"][..]),
        (LogFilter { min_level: Some(Level::Warn), ..Default::default() }, &["second", "third"]),
        (LogFilter { task_id: text("a"), ..Default::default() }, &["first", "second", "third"]),
        (LogFilter { task_run_id: text("1"), ..Default::default() }, &["first", "second"]),
        (LogFilter { task_run_id: text("1"), attempt: Some(1), ..Default::default() }, &["second"]),
        (LogFilter { task_id: text("c"), ..Default::default() }, &[]),
    ] {
        assert_eq!(fixture.messages(filter.clone()), expected, "{filter:?}");
        let mut reader = fixture.store.log_reader(&fixture.id).unwrap().with_filter(filter.clone());
        let last: Vec<_> = reader.tail(2).unwrap().into_iter().map(|entry| entry.message).collect();
        assert_eq!(last, expected[expected.len().saturating_sub(2)..], "{filter:?}");
        assert!(reader.next().is_none());
    }
}

#[test]
fn lines_reach_the_file_without_being_asked() {
    let fixture = Fixture::new();
    let writer = fixture.writer();
    let log = writer.attempt("task", "run", 0);
    let start = Instant::now();
    log.line(at(0), Level::Info, b"soon");
    while !fixture.path().exists() {
        assert!(start.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(start.elapsed() >= Duration::from_millis(90), "lines are collected first");
    assert_eq!(fixture.messages(LogFilter::default()), ["soon"]);
    // A full buffer does not wait.
    let mut batch = log.batch();
    for _ in 0..1000 {
        batch.line(at(0), Level::Info, &[b'x'; 100]);
    }
    drop(batch);
    assert!(fs::metadata(fixture.path()).unwrap().len() > 64 * 1024);
    drop((log, writer));
    assert_eq!(fixture.messages(LogFilter::default()).len(), 1001, "the last owner writes the rest");
}

#[test]
fn eight_threads_log_whole_lines_in_their_order() {
    let fixture = Fixture::new();
    let writer = fixture.writer();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let log = writer.attempt("task", &format!("run{thread}"), 0);
            std::thread::spawn(move || {
                for batch in 0..40 {
                    let mut lines = log.batch();
                    for line in 0..50 {
                        lines.line(
                            at(0),
                            Level::Info,
                            format!("{} {}", batch * 50 + line, "é".repeat(line)).as_bytes(),
                        );
                    }
                }
                log.flush().unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    for thread in 0..8 {
        let of_run = LogFilter { task_run_id: Some(format!("run{thread}")), ..Default::default() };
        let messages = fixture.messages(of_run);
        assert_eq!(messages.len(), 2000);
        for (number, message) in messages.iter().enumerate() {
            assert_eq!(*message, format!("{number} {}", "é".repeat(number % 50)));
        }
    }
}

#[test]
fn the_log_of_an_attempt_is_bounded_and_says_so() {
    let fixture = Fixture::new();
    let writer = fixture.writer();
    let log = writer.attempt("task", "run", 0).with_max_bytes(10_000);
    for n in 0..200 {
        log.clone().line(at(n), Level::Info, format!("line {n}").as_bytes());
    }
    let other = writer.attempt("task", "run", 1).with_max_bytes(10_000);
    other.line(at(0), Level::Info, b"another attempt");
    writer.flush().unwrap();
    let entries = fixture.read(LogFilter { attempt: Some(0), ..Default::default() });
    let (cut, kept) = entries.split_last().unwrap();
    assert!(kept.iter().enumerate().all(|(n, entry)| entry.message == format!("line {n}")));
    assert_eq!(cut.level, Level::Warn);
    assert!(cut.message.contains("10000 bytes"), "{}", cut.message);
    assert_eq!(kept.len() as u64 + log.dropped_lines(), 200);
    assert!(log.stored_bytes() <= 10_000 && log.stored_bytes() > 9_800);
    assert_eq!(fixture.messages(LogFilter { attempt: Some(1), ..Default::default() }), ["another attempt"]);
    assert_eq!(other.dropped_lines(), 0);
}

#[test]
fn lines_below_the_level_are_not_stored() {
    let fixture = Fixture::new();
    let log = fixture.writer().attempt("task", "run", 0).with_min_level(Level::Warn);
    for level in [Level::Trace, Level::Info, Level::Warn, Level::Error] {
        log.line(at(0), level, level.as_str().as_bytes());
    }
    log.flush().unwrap();
    assert_eq!(fixture.messages(LogFilter::default()), ["WARN", "ERROR"]);
}

#[test]
fn a_huge_message_is_cut() {
    let fixture = Fixture::new();
    let log = fixture.writer().execution();
    log.line(at(0), Level::Info, &vec![b'x'; MAX_MESSAGE_BYTES + 5]);
    log.line(at(0), Level::Info, &vec![b'y'; MAX_MESSAGE_BYTES]);
    log.flush().unwrap();
    let messages = fixture.messages(LogFilter::default());
    assert!(messages[0].ends_with("x [5 more bytes were cut]"), "{}", &messages[0][MAX_MESSAGE_BYTES..]);
    assert!(messages[1].ends_with('y'));
}

#[test]
fn an_unwritable_log_is_reported_and_costs_no_memory() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path()).unwrap();
    let writer = fixture.writer();
    let log = writer.attempt("task", "run", 0);
    for _ in 0..10_000 {
        log.line(at(0), Level::Info, &[b'x'; 100]);
    }
    assert!(log.flush().is_err());
    let error = writer.flush().unwrap_err();
    assert_eq!(error.code(), "state.io");
    assert!(error.to_string().contains("logs.jsonl"), "{error}");
    writer.flush().unwrap();
    fs::remove_dir(fixture.path()).unwrap();
    log.line(at(0), Level::Info, b"works again");
    writer.flush().unwrap();
    assert_eq!(fixture.messages(LogFilter::default()), ["works again"]);
}

#[test]
fn readers_follow_and_skip_what_was_torn() {
    let fixture = Fixture::new();
    let mut reader = fixture.store.log_reader(&fixture.id).unwrap();
    assert!(reader.next().is_none());
    assert!(reader.tail(5).unwrap().is_empty());
    let log = fixture.writer().execution();
    log.line(at(0), Level::Info, b"one");
    log.flush().unwrap();
    let line = fs::read_to_string(fixture.path()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().message, "one");
    assert!(reader.next().is_none());
    let append = |text: &str| {
        use std::io::Write as _;
        fs::OpenOptions::new().append(true).open(fixture.path()).unwrap().write_all(text.as_bytes()).unwrap();
    };
    append(&line[..20]);
    assert!(reader.next().is_none(), "half a line is not one yet");
    append(&line[20..]);
    assert_eq!(reader.next().unwrap().unwrap().message, "one");
    append(&format!("{}\n{line}", &line[..20]));
    assert_eq!(reader.next().unwrap().unwrap().message, "one");
    assert!(reader.next().is_none());
    append(&format!("{}{}", line.replace("one", "two"), &line[..20]));
    let mut tail = fixture.store.log_reader(&fixture.id).unwrap();
    let messages: Vec<_> = tail.tail(3).unwrap().into_iter().map(|entry| entry.message).collect();
    assert_eq!(messages, ["one", "one", "two"]);
    append(&line[20..]);
    assert_eq!(tail.next().unwrap().unwrap().message, "one", "it goes on with what was unfinished");
    assert!(tail.next().is_none());
}

#[test]
fn following_ends_with_the_execution_and_misses_nothing() {
    let fixture = Fixture::new();
    let over = AtomicBool::new(false);
    let reader = fixture.store.log_reader(&fixture.id).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let log = fixture.writer().execution();
            for n in 0..300 {
                log.line(at(n), Level::Info, n.to_string().as_bytes());
                if n % 100 == 99 {
                    log.flush().unwrap();
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            log.flush().unwrap();
            over.store(true, Ordering::Release);
        });
        let followed = reader.follow(Duration::from_millis(1), || over.load(Ordering::Acquire));
        let messages: Vec<String> = followed.map(|entry| entry.unwrap().message).collect();
        assert_eq!(messages, (0..300).map(|n| n.to_string()).collect::<Vec<_>>());
    });
}

#[test]
fn tails_of_long_logs() {
    let fixture = Fixture::new();
    let log = fixture.writer().execution();
    for n in 0..5000 {
        log.line(at(n), Level::Info, format!("{n} {}", "x".repeat(n as usize % 300)).as_bytes());
    }
    log.flush().unwrap();
    for count in [0, 1, 2, 1000, 5000, 6000] {
        let mut reader = fixture.store.log_reader(&fixture.id).unwrap();
        let times: Vec<_> = reader.tail(count).unwrap().into_iter().map(|entry| entry.timestamp).collect();
        let first = 5000_usize.saturating_sub(count);
        assert_eq!(times, (first..5000).map(|n| at(n as i64)).collect::<Vec<_>>(), "{count}");
        assert!(reader.next().is_none());
    }
}

#[test]
fn metrics_are_appended_and_read() {
    let fixture = Fixture::new();
    let metrics = fixture.store.metrics(&fixture.id).unwrap();
    assert_eq!(metrics.read().unwrap(), []);
    metrics.append(&[]).unwrap();
    let all: Vec<Metric> = (0..4)
        .map(|n| Metric {
            task_id: "task".to_owned(),
            task_run_id: "run".to_owned(),
            name: format!("m{n}"),
            kind: MetricKind::Timer,
            value: -947.385 * f64::from(n),
            tags: [("a".to_owned(), "b \" c".to_owned())].into(),
            timestamp: at(i64::from(n)),
        })
        .collect();
    metrics.append(&all[..1]).unwrap();
    metrics.append(&all[1..]).unwrap();
    assert_eq!(metrics.read().unwrap(), all);
}

/// A full disk and a kill leave the beginning of a line, or all of it but its end.
#[test]
fn what_was_cut_short_stays_a_line_of_its_own() {
    let metric = |name: &str| Metric {
        task_id: "task".to_owned(),
        task_run_id: "run".to_owned(),
        name: name.to_owned(),
        kind: MetricKind::Counter,
        value: 1.0,
        tags: [].into(),
        timestamp: at(1),
    };
    for (left, before) in
        [("{\"na", &[][..]), ("", &["whole"][..]), ("{\"name\": \"x\"", &["whole", "whole"][..])]
    {
        let fixture = Fixture::new();
        let path = fixture.path().with_file_name("metrics.jsonl");
        let metrics = || fixture.store.metrics(&fixture.id).unwrap();
        metrics().append(&before.iter().map(|name| metric(name)).collect::<Vec<_>>()).unwrap();
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, left.as_bytes()))
            .unwrap();
        // As another process that goes on with the execution.
        let again = metrics();
        again.append(&[metric("next")]).unwrap();
        again.append(&[metric("last")]).unwrap();
        let names: Vec<String> = metrics().read().unwrap().into_iter().map(|metric| metric.name).collect();
        let expected: Vec<&str> = before.iter().copied().chain(["next", "last"]).collect();
        assert_eq!(names, expected, "{left:?}");

        let log = |text: &str| {
            let writer = fixture.writer();
            writer.execution().line(at(1), Level::Info, text.as_bytes());
            writer.flush().unwrap();
        };
        log("first");
        let text = fs::read(fixture.path()).unwrap();
        fs::write(fixture.path(), &text[..text.len() - 1]).unwrap();
        log("second");
        // All of the first line was there but its end.
        assert_eq!(fixture.messages(LogFilter::default()), ["first", "second"]);
    }
}

#[test]
fn ids_of_executions_cannot_lead_elsewhere() {
    let store = JournalStore::new(Path::new("/nowhere"));
    assert_eq!(store.log_writer("../x").unwrap_err().code(), "state.invalid-id");
    assert_eq!(store.log_reader("a/b").unwrap_err().code(), "state.invalid-id");
    assert_eq!(store.metrics("").unwrap_err().code(), "state.invalid-id");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]
    #[test]
    fn any_message_reads_back(messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 1..20)) {
        let fixture = Fixture::new();
        let log = fixture.writer().attempt("tâche \"x\"", "run\n", 1);
        for message in &messages {
            log.line(at(0), Level::Info, message);
        }
        log.flush().unwrap();
        let entries = fixture.read(LogFilter { task_id: Some("tâche \"x\"".to_owned()), ..Default::default() });
        prop_assert_eq!(entries.len(), messages.len());
        for (entry, message) in entries.iter().zip(&messages) {
            prop_assert_eq!(&entry.message, &String::from_utf8_lossy(message));
            prop_assert_eq!(entry.task_run_id.as_deref(), Some("run\n"));
        }
    }
}
