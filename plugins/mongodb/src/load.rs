//! The task that loads a file.

use std::fs::File;

use bson::{Document, doc};
use weft_sdk::Text;
use weft_sdk::prelude::*;

use crate::client::Client;
use crate::connection::Connection;
use crate::encode::IdRule;
use crate::error;
use crate::input::Records;
use crate::wire::Sequence;

/// What a command takes beside its documents, at most.
const COMMAND: usize = 16 << 10;
/// How many writes lie between two lines about how far it is.
const PROGRESS: u64 = 100;

/// Inserts the documents of a file into a collection.
///
/// The file holds JSON values (one in each line, or one after the other), one JSON list of documents, or Ion text. Values
/// in extended JSON, such as `{"$oid": "..."}` and `{"$date": "..."}`, become what they stand for. Documents without
/// `_id` get one from the server.
///
/// Documents are written in the order of the file, `chunk` of them at a time. Where one cannot be read, or is refused, the
/// task fails with its number, and says how many were written before.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// The server.
    connection: Connection,
    /// The database.
    database: String,
    /// The collection.
    collection: String,
    /// The file's `kestra://` URI.
    from: Text,
    /// How many documents are sent at a time.
    #[serde(default = "chunk")]
    #[schemars(range(min = 1))]
    chunk: u32,
    /// The field whose value becomes `_id`: 24 hexadecimal digits, which are read as an ObjectId.
    id_key: Option<String>,
    /// Whether that field itself is left out.
    #[serde(default = "yes")]
    remove_id_key: bool,
}

fn chunk() -> u32 {
    1000
}

fn yes() -> bool {
    true
}

/// What `Load` puts out.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Loaded {
    /// How many records the file has.
    size: u64,
    /// How many documents were inserted.
    inserted_count: u64,
    /// Always 0: nothing is updated.
    matched_count: u64,
    /// Always 0: nothing is updated.
    modified_count: u64,
    /// Always 0: nothing is deleted.
    deleted_count: u64,
}

impl Task for Load {
    const TYPE: &'static str = "io.kestra.plugin.mongodb.Load";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Load a file of JSON lines",
        yaml: r#"id: mongodb_load
namespace: company.team
inputs:
  - id: file
    type: FILE
tasks:
  - id: load
    type: io.kestra.plugin.mongodb.Load
    connection:
      uri: "mongodb://root:{{ secret('MONGODB_PASSWORD') }}@localhost:27017/?authSource=admin"
    database: my_database
    collection: my_collection
    from: "{{ inputs.file }}"
"#,
    }];
    const NEEDS: weft_sdk::Needs = weft_sdk::Needs { hosts: &["*"], ..weft_sdk::Needs::NOTHING };

    fn run(self, cx: &Context) -> Result<impl Output> {
        let file = format!(".weft-load-{}", cx.task_run_id());
        cx.storage().get(&self.from, &file).map_err(|error| error.context("property `from`"))?;
        let loaded = self.load(cx, &file);
        // A copy; others may share the directory.
        let _ = std::fs::remove_file(cx.path(&file));
        loaded
    }
}

/// A command that is under way.
struct Sent {
    /// The number of its first record, from 1.
    first: u64,
    count: u64,
}

/// How far it is.
#[derive(Default)]
struct Progress {
    requests: u64,
    /// Documents that the server has confirmed; they are the first ones of the file.
    written: u64,
}

impl Load {
    fn load(&self, cx: &Context, file: &str) -> Result<Loaded> {
        let ion = self.from.ends_with(".ion");
        let source = File::open(cx.path(file))?;
        let mut records = Records::new(source, ion);
        let mut client = self.connection.open(cx)?;
        let mut progress = Progress::default();
        let done = self.write_all(cx, &mut client, &mut records, &mut progress);
        let tags = [("database", self.database.as_str()), ("collection", self.collection.as_str())];
        cx.counter("requests.count", progress.requests as f64, &tags);
        cx.counter("records", progress.written as f64, &tags);
        let loaded = Loaded { size: records.count(), inserted_count: progress.written, ..Loaded::default() };
        match done {
            Ok(()) => {
                cx.log().info(format!(
                    "{} documents were written with {} requests",
                    progress.written, progress.requests
                ));
                Ok(loaded)
            }
            Err(error) => {
                // Known to later tasks although this one fails.
                cx.output("size", loaded.size)?;
                cx.output("insertedCount", loaded.inserted_count)?;
                let before = match progress.written {
                    0 => "no document was written".to_owned(),
                    1 => "record 1 was written".to_owned(),
                    written => format!("records 1 to {written} were written"),
                };
                let retryable = error.is_retryable() && progress.written == 0;
                let told = Error::new(error.code(), format!("{}\n{before}", error.message()));
                Err(if retryable { told.retryable() } else { told })
            }
        }
    }

    /// Reads the next documents while the server is busy with the ones before.
    fn write_all(
        &self,
        cx: &Context,
        client: &mut Client,
        records: &mut Records<File>,
        progress: &mut Progress,
    ) -> Result<()> {
        let rule = self.id_key.clone().map(|key| IdRule { key, remove: self.remove_id_key });
        let limits = client.limits();
        let command = client.writing(doc! {
            "insert": &self.collection, "ordered": true, "$db": &self.database,
        });
        let at_a_time = (self.chunk as usize).clamp(1, limits.batch);
        let mut sent: Option<Sent> = None;
        // The documents to send next; behind them one that had no room.
        let (mut batch, mut next, mut rest) = (Vec::new(), Vec::new(), false);
        let mut problem = None;
        loop {
            let (mut count, first) = (0, records.count() + u64::from(!rest));
            std::mem::swap(&mut batch, &mut next);
            next.clear();
            if std::mem::take(&mut rest) {
                count = 1;
            }
            while count < at_a_time as u64 && problem.is_none() {
                let start = batch.len();
                match records.next(&mut batch, rule.as_ref()) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        problem = Some(error);
                        break;
                    }
                }
                let size = batch.len() - start;
                if size > limits.document {
                    let number = records.count();
                    let message = format!(
                        "record {number} has {size} bytes; the server takes documents of {} at most",
                        limits.document
                    );
                    problem = Some(Error::new("mongodb.too-large", message));
                    batch.truncate(start);
                    break;
                }
                if batch.len() + COMMAND > limits.message && count > 0 {
                    next.extend_from_slice(&batch[start..]);
                    batch.truncate(start);
                    rest = true;
                    break;
                }
                count += 1;
            }
            if let Some(sent) = sent.take() {
                self.confirm(client, &sent, progress)?;
                if progress.requests.is_multiple_of(PROGRESS) {
                    cx.log().debug(format!("{} documents so far", progress.written));
                }
            }
            // What stands before a record that cannot be read, and was not sent yet, is not sent: whoever mends the file
            // goes on at a multiple of `chunk`.
            if let Some(problem) = problem.take() {
                return Err(problem);
            }
            if count == 0 {
                return Ok(());
            }
            if cx.cancelled() {
                return Err(Error::new("task.killed", "the load was given up"));
            }
            let sequence = Sequence { name: "documents", documents: &batch };
            client.send(&command, Some(sequence))?;
            sent = Some(Sent { first, count });
        }
    }

    /// Takes the reply to what was sent.
    fn confirm(&self, client: &mut Client, sent: &Sent, progress: &mut Progress) -> Result<()> {
        let reply = client.reply("insert")?;
        progress.requests += 1;
        if !client.is_acknowledged() {
            // The server confirms nothing but that it is there.
            progress.written += sent.count;
            return Ok(());
        }
        progress.written += u64::try_from(error::number(&reply, "n")).unwrap_or_default();
        refused(&reply, sent.first)
    }
}

/// Whether the server refused a document, or could not keep the promise about writes.
pub fn refused(reply: &Document, first: u64) -> Result<()> {
    if let Some(found) = reply.get_array("writeErrors").ok().and_then(|errors| errors.first()?.as_document())
    {
        let number = first + u64::try_from(error::number(found, "index")).unwrap_or_default();
        let (text, code) =
            (found.get_str("errmsg").unwrap_or("no reason was given"), error::number(found, "code"));
        return Err(Error::new(
            "mongodb.write",
            format!("record {number} was refused: {text} (code {code})"),
        ));
    }
    if let Ok(found) = reply.get_document("writeConcernError") {
        let text = found.get_str("errmsg").unwrap_or("no reason was given");
        return Err(Error::new("mongodb.write-concern", format!("written, but not as `w` asks for: {text}")));
    }
    Ok(())
}
