//! Cutting a file of items into batches for `ForEachItem`.

use std::io::{BufRead, BufReader, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use weft_executor::Event;
use weft_files::{ExecutionFiles, OpenFile, Storage, StorageUri, TaskRunFiles};
use weft_model::{Failure, Map};
use weft_worker::Access;

use crate::execution::Driver;

/// A file of storage that is to be cut, and where the batches go.
pub(crate) struct Split {
    task_run_id: String,
    source: Result<StorageUri, Failure>,
    uri: String,
    batch: Batch,
    storage: Storage,
    files: Result<TaskRunFiles, Failure>,
    temp: PathBuf,
}

/// How to cut (compat.md §2.7, ForEachItem).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Batch {
    rows: Option<u64>,
    bytes: Option<u64>,
    partitions: Option<u64>,
    separator: String,
}

impl Batch {
    fn of(batch: &Map) -> Self {
        let number = |key: &str| match batch.get(key)? {
            serde_json::Value::String(text) => size(text),
            other => other.as_u64(),
        };
        let separator = batch.get("separator").and_then(|text| text.as_str()).unwrap_or("\n");
        Self {
            rows: number("rows"),
            bytes: number("bytes"),
            partitions: number("partitions").filter(|&count| count > 0),
            separator: if separator.is_empty() { "\n".to_owned() } else { separator.to_owned() },
        }
    }

    /// Whether an item goes into a new batch, given what the current one holds.
    fn is_full(&self, rows: u64, bytes: u64, next: u64) -> bool {
        let rows_limit =
            if self.bytes.is_none() { self.rows.unwrap_or(1).max(1) } else { self.rows.unwrap_or(u64::MAX) };
        rows > 0 && (rows >= rows_limit || self.bytes.is_some_and(|limit| bytes + next > limit))
    }
}

/// `10`, `10KB`, `5 MB`: powers of 1024, as Kestra reads them.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match text[digits..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" | "KIB" => 1 << 10,
        "MB" | "MIB" => 1 << 20,
        "GB" | "GIB" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(factor)
}

/// The file of items, if the flow may read it.
fn source(driver: &Driver, uri: &str) -> Result<StorageUri, Failure> {
    let parsed = StorageUri::parse(uri).map_err(|error| Failure::new(error.code(), error.to_string()))?;
    driver.env.reach.check(&parsed, Access::Read)?;
    Ok(parsed)
}

impl Split {
    pub(crate) fn new(driver: &Driver, task_run_id: String, uri: String, batch: Map) -> Self {
        let execution = driver.machine.execution();
        let task_id = execution
            .task_run_list
            .iter()
            .find(|task_run| task_run.id == task_run_id)
            .map_or("items", |task_run| task_run.task_id.as_str());
        let files = ExecutionFiles::new(&execution.namespace, &execution.flow_id, &execution.id)
            .and_then(|files| files.task_run(task_id, &task_run_id))
            .map_err(|error| Failure::new(error.code(), error.to_string()));
        Self {
            task_run_id,
            source: source(driver, &uri),
            uri,
            batch: Batch::of(&batch),
            storage: driver.inner.storage.clone(),
            files,
            temp: driver.inner.layout.temp(),
        }
    }

    pub(crate) async fn run(self) -> Event {
        let task_run_id = self.task_run_id.clone();
        match self.split().await {
            Ok(uris) => Event::ItemsSplit { task_run_id, uris },
            Err(failure) => Event::ItemsRefused { task_run_id, failure },
        }
    }

    async fn split(self) -> Result<Vec<String>, Failure> {
        let failed = |error: weft_files::StorageError| Failure::new(error.code(), error.to_string());
        let files = self.files?;
        let source = self.source?;
        let workspace = weft_files::workdir::Workspace::create(&self.temp).map_err(failed)?;
        let items = workspace.path().join("items");
        self.storage.get_file(&source, &items).await.map_err(failed)?;
        let (directory, batch) = (workspace.path().to_owned(), self.batch);
        let parts = tokio::task::spawn_blocking(move || cut(&items, &directory, &batch, MAX_BATCHES))
            .await
            .map_err(|error| Failure::new("engine.panic", error.to_string()))?
            .map_err(|error| error.failure(&self.uri))?;
        let mut uris = Vec::with_capacity(parts.len());
        for part in parts {
            let name = part.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let uri = files.file(&name).map_err(failed)?;
            let part = OpenFile::open(&part).map_err(failed)?;
            self.storage.put_file(&uri, part).await.map_err(failed)?;
            uris.push(uri.to_string());
        }
        Ok(uris)
    }
}

/// Stores JSON lines at a URI, before anything else goes on. Where that fails, whoever reads the file says that it is
/// not there; the log says why.
pub(crate) fn store_lines(driver: &Driver, uri: &str, lines: &[serde_json::Value]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let stored = StorageUri::parse(uri).and_then(|uri| {
        let put = driver.inner.storage.put_bytes(&uri, text);
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(put))
    });
    if let Err(error) = stored {
        let message = format!("the outputs of the subflows cannot be stored: {error}");
        driver.records.say(weft_model::Level::Error, message);
    }
}

/// Why a file was not cut.
#[derive(Debug, thiserror::Error)]
enum CutError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("an item has more than {} MiB", MAX_ITEM >> 20)]
    Item,
    #[error("there are more than {MAX_BATCHES} batches")]
    Batches,
}

impl CutError {
    fn failure(&self, uri: &str) -> Failure {
        let (code, hint) = match self {
            Self::Io(error) if error.kind() == ErrorKind::StorageFull => ("storage.full", ""),
            Self::Io(_) => ("storage.io", ""),
            Self::Item => {
                ("storage.too-large", "\nhint: does the file have the `separator` that the task names?")
            }
            Self::Batches => {
                ("subflow.too-many", "\nhint: make them larger with `rows` or `bytes`, or name `partitions`")
            }
        };
        Failure::new(code, format!("cannot split `{uri}`: {self}{hint}"))
    }
}

/// Bytes of one item, which is held in memory.
const MAX_ITEM: usize = 64 << 20;

/// Batches of one file: each is an execution.
const MAX_BATCHES: usize = 100_000;

/// Bytes that are collected before they are written, of all batches together.
const BUFFER: usize = 16 << 20;

/// Writes the batches as files into `directory`; their paths in order.
fn cut(items: &Path, directory: &Path, batch: &Batch, most: usize) -> Result<Vec<PathBuf>, CutError> {
    let mut parts = Parts { directory, parts: Vec::new(), most };
    let (mut rows, mut bytes, mut turn) = (0u64, 0u64, 0usize);
    let mut reader = BufReader::new(std::fs::File::open(items)?);
    let separator = batch.separator.as_bytes();
    let mut item = Vec::new();
    while read_item(&mut reader, separator, &mut item)? {
        if item == separator {
            continue;
        }
        if !item.ends_with(separator) {
            item.extend_from_slice(separator);
        }
        match batch.partitions {
            // Round robin, so that the partitions are of about one size.
            Some(count) => {
                let place = usize::try_from(turn as u64 % count).unwrap_or(usize::MAX);
                turn += 1;
                if place >= parts.parts.len() {
                    parts.open()?;
                }
                parts.write(place, &item, count)?;
            }
            None => {
                if parts.parts.is_empty() || batch.is_full(rows, bytes, item.len() as u64) {
                    parts.finish_last()?;
                    parts.open()?;
                    (rows, bytes) = (0, 0);
                }
                rows += 1;
                bytes += item.len() as u64;
                parts.write(parts.parts.len() - 1, &item, 1)?;
            }
        }
    }
    parts.finish()
}

/// The batches while they are written. None is open longer than it takes to write what was collected, for there may be
/// more of them than files can be open.
struct Parts<'d> {
    directory: &'d Path,
    parts: Vec<Part>,
    /// How many there may be.
    most: usize,
}

struct Part {
    path: PathBuf,
    collected: Vec<u8>,
}

impl Parts<'_> {
    fn open(&mut self) -> Result<(), CutError> {
        if self.parts.len() >= self.most {
            return Err(CutError::Batches);
        }
        let path = self.directory.join(format!("batch-{:06}", self.parts.len()));
        std::fs::File::create_new(&path)?;
        self.parts.push(Part { path, collected: Vec::new() });
        Ok(())
    }

    /// Adds to one of so many batches that are written at the same time.
    fn write(&mut self, place: usize, item: &[u8], at_once: u64) -> Result<(), CutError> {
        let part = &mut self.parts[place];
        part.collected.extend_from_slice(item);
        if part.collected.len() as u64 >= BUFFER as u64 / at_once.max(16) {
            part.write_out()?;
        }
        Ok(())
    }

    /// Nothing is added to the last batch any more.
    fn finish_last(&mut self) -> Result<(), CutError> {
        if let Some(last) = self.parts.last_mut() {
            last.write_out()?;
            last.collected = Vec::new();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<PathBuf>, CutError> {
        for part in &mut self.parts {
            part.write_out()?;
        }
        Ok(self.parts.into_iter().map(|part| part.path).collect())
    }
}

impl Part {
    /// Each write is told of: a batch that is cut short must not go on as if it were whole.
    fn write_out(&mut self) -> std::io::Result<()> {
        if !self.collected.is_empty() {
            let mut file = std::fs::OpenOptions::new().append(true).open(&self.path)?;
            file.write_all(&self.collected)?;
            self.collected.clear();
        }
        Ok(())
    }
}

/// The next item with its separator; false at the end.
fn read_item(reader: &mut impl BufRead, separator: &[u8], item: &mut Vec<u8>) -> Result<bool, CutError> {
    item.clear();
    let last = separator[separator.len() - 1];
    loop {
        let room = MAX_ITEM.saturating_sub(item.len()) as u64;
        if reader.by_ref().take(room).read_until(last, item)? == 0 {
            return if room == 0 { Err(CutError::Item) } else { Ok(!item.is_empty()) };
        }
        if item.ends_with(separator) {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn batches(text: &str, batch: serde_json::Value) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let items = directory.path().join("items");
        std::fs::write(&items, text).unwrap();
        let batch = Batch::of(batch.as_object().unwrap());
        let parts = cut(&items, directory.path(), &batch, MAX_BATCHES).unwrap();
        parts.iter().map(|part| std::fs::read_to_string(part).unwrap()).collect()
    }

    #[test]
    fn items_are_cut_by_rows_bytes_and_partitions() {
        for (text, batch, expected) in [
            ("a\nb\nc\n", json!({}), vec!["a\n", "b\n", "c\n"]),
            ("a\nb\nc", json!({"rows": 2}), vec!["a\nb\n", "c\n"]),
            ("a\n\nb\n", json!({"rows": "5"}), vec!["a\nb\n"]),
            ("aaaa\nbb\ncc\n", json!({"bytes": 6}), vec!["aaaa\n", "bb\ncc\n"]),
            ("a\nb\nc\n", json!({"partitions": 2}), vec!["a\nc\n", "b\n"]),
            ("a\nb\n", json!({"partitions": 5}), vec!["a\n", "b\n"]),
            ("a;b;c", json!({"rows": 2, "separator": ";"}), vec!["a;b;", "c;"]),
            ("", json!({"rows": 2}), vec![]),
        ] {
            assert_eq!(batches(text, batch.clone()), expected, "{text:?} {batch}");
        }
    }

    #[test]
    fn there_are_as_many_partitions_as_are_asked_for() {
        let rows: String = (0..3_000).map(|row| format!("{row}\n")).collect();
        let found = batches(&rows, json!({"partitions": 2_000}));
        assert_eq!((found.len(), found[0].as_str(), found[1_999].as_str()), (2_000, "0\n2000\n", "1999\n"));
    }

    #[test]
    fn what_is_too_much_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let cut = |text: &[u8], most: usize, file: &str| {
            let (items, folder) = (directory.path().join(file), directory.path().join(format!("{file}.d")));
            std::fs::write(&items, text).unwrap();
            std::fs::create_dir(&folder).unwrap();
            cut(&items, &folder, &Batch::of(&Map::new()), most).map_err(|error| error.failure("kestra:///x"))
        };
        assert_eq!(cut(b"a\nb\n", 2, "few").unwrap().len(), 2);
        assert_eq!(cut(b"a\nb\nc\n", 2, "many").unwrap_err().code, "subflow.too-many");
        let mut long = vec![b'x'; MAX_ITEM - 1];
        long.push(b'\n');
        assert_eq!(cut(&long, 2, "long").unwrap().len(), 1);
        long.insert(0, b'x');
        assert_eq!(cut(&long, 2, "longer").unwrap_err().code, "storage.too-large");
    }

    #[test]
    fn sizes_have_units() {
        for (text, expected) in
            [("10", Some(10)), ("1KB", Some(1024)), ("2 MB", Some(2 << 20)), ("x", None), ("1 XB", None)]
        {
            assert_eq!(size(text), expected, "{text}");
        }
    }
}
