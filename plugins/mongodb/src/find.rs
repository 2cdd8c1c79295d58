//! The task that looks for documents.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use bson::{Bson, Document, doc};
use weft_sdk::prelude::*;

use crate::client::Client;
use crate::connection::Connection;
use crate::error;
use crate::values::{DocumentValue, object};

/// Finds documents of a collection.
///
/// Ids, dates and decimals (`Decimal128`, which has more digits than a number of JSON) become text; other numbers stay
/// numbers.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Find {
    /// The server.
    connection: Connection,
    /// The database.
    database: String,
    /// The collection.
    collection: String,
    /// Which documents: a map, or its text in JSON; every one where it is left out.
    #[serde(default)]
    filter: DocumentValue,
    /// Which fields: a map, or its text in JSON.
    #[serde(default)]
    projection: DocumentValue,
    /// In which order: a map, or its text in JSON.
    #[serde(default)]
    sort: DocumentValue,
    /// How many at most.
    limit: Option<u32>,
    /// How many of the first are left out.
    skip: Option<u32>,
    /// Whether they are put into a file, one in each line, instead of the output `rows`.
    #[serde(default)]
    store: bool,
}

/// What `Find` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Found {
    /// The documents, unless they are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<Value>>,
    /// How many documents were found.
    size: u64,
    /// The file, where they are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
}

impl Task for Find {
    const TYPE: &'static str = "io.kestra.plugin.mongodb.Find";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Find documents and put them into a file",
        yaml: r#"id: find
type: io.kestra.plugin.mongodb.Find
connection:
  uri: "mongodb://localhost:27017/"
database: local
collection: pokemon
store: true
filter:
  base_experience:
    $gt: 100
"#,
    }];
    const NEEDS: weft_sdk::Needs = weft_sdk::Needs { hosts: &["*"], ..weft_sdk::Needs::NOTHING };

    fn run(self, cx: &Context) -> Result<impl Output> {
        let command = self.command()?;
        let mut client = self.connection.open(cx)?;
        let found = if self.store {
            let name = format!(".weft-find-{}", cx.task_run_id());
            let mut file = BufWriter::new(File::create(cx.path(&name))?);
            let size = self.each(cx, &mut client, &command, |row| {
                serde_json::to_writer(&mut file, &row)?;
                Ok(file.write_all(b"\n")?)
            })?;
            file.flush()?;
            drop(file);
            // JSON lines are Ion text, which is what the name promises.
            let uri = cx.storage().put(&name, "rows.ion");
            let _ = std::fs::remove_file(cx.path(&name));
            Found { rows: None, size, uri: Some(uri?) }
        } else {
            let mut rows = Vec::new();
            let size = self.each(cx, &mut client, &command, |row| {
                rows.push(row);
                Ok(())
            })?;
            Found { rows: Some(rows), size, uri: None }
        };
        let tags = [("database", self.database.as_str()), ("collection", self.collection.as_str())];
        cx.counter("records", found.size as f64, &tags);
        Ok(found)
    }
}

impl Find {
    fn command(&self) -> Result<Document> {
        let mut command = doc! { "find": &self.collection, "filter": self.filter.document("filter")? };
        for (name, value) in [("projection", &self.projection), ("sort", &self.sort)] {
            let document = value.document(name)?;
            if !document.is_empty() {
                command.insert(name, document);
            }
        }
        for (name, number) in [("limit", self.limit), ("skip", self.skip)] {
            if let Some(number) = number {
                command.insert(name, i64::from(number));
            }
        }
        command.insert("$db", &self.database);
        Ok(command)
    }

    /// Hands on each document, batch after batch; how many there are.
    fn each(
        &self,
        cx: &Context,
        client: &mut Client,
        command: &Document,
        mut each: impl FnMut(Value) -> Result<()>,
    ) -> Result<u64> {
        let mut reply = client.run("find", command)?;
        let mut size = 0;
        loop {
            let cursor =
                reply.get_document_mut("cursor").map_err(|_| error::connection("the reply has no cursor"))?;
            let batch = cursor.remove("firstBatch").or_else(|| cursor.remove("nextBatch"));
            let id = error::number(cursor, "id");
            if let Some(Bson::Array(documents)) = batch {
                for document in documents {
                    if let Bson::Document(document) = document {
                        each(object(document))?;
                        size += 1;
                    }
                }
            }
            if id == 0 {
                return Ok(size);
            }
            if cx.cancelled() {
                return Err(Error::new("task.killed", "the search was given up"));
            }
            let more = doc! { "getMore": id, "collection": &self.collection, "$db": &self.database };
            reply = client.run("getMore", &more)?;
        }
    }
}
