//! Tasks that change documents.

use bson::doc;
use weft_sdk::prelude::*;

use crate::connection::Connection;
use crate::error;
use crate::load::refused;
use crate::values::{DocumentValue, id_text};

/// What `Update` does with the documents it finds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UpdateOperation {
    /// Puts another document in place of the first one.
    ReplaceOne,
    /// Changes the first one.
    #[default]
    UpdateOne,
    /// Changes all of them.
    UpdateMany,
}

/// Changes or replaces documents of a collection.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// The server.
    connection: Connection,
    /// The database.
    database: String,
    /// The collection.
    collection: String,
    /// What to do to the documents (`{$set: {...}}`), or the one to put in place: a map, or its text in JSON.
    document: DocumentValue,
    /// Which documents: a map, or its text in JSON.
    filter: DocumentValue,
    /// Whether one or all are changed, or one is replaced.
    #[serde(default)]
    operation: UpdateOperation,
}

/// What `Update` puts out.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Updated {
    /// The `_id` of a document that was made; nothing is made so far.
    upserted_id: Option<String>,
    /// Whether the server has confirmed it.
    was_acknowledged: bool,
    /// How many documents the filter found.
    matched_count: i64,
    /// How many were changed.
    modified_count: i64,
}

impl Task for Update {
    const TYPE: &'static str = "io.kestra.plugin.mongodb.Update";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Change a document",
        yaml: r#"id: update
type: io.kestra.plugin.mongodb.Update
connection:
  uri: "mongodb://localhost:27017/"
database: my_database
collection: my_collection
filter:
  _id:
    $oid: 60930c39a982931c20ef6cd6
document: '{"$set": {"tags": ["blue", "green"]}}'
"#,
    }];
    const NEEDS: weft_sdk::Needs = weft_sdk::Needs { hosts: &["*"], ..weft_sdk::Needs::NOTHING };

    fn run(self, cx: &Context) -> Result<impl Output> {
        let (filter, document) = (self.filter.document("filter")?, self.document.document("document")?);
        let replaces = self.operation == UpdateOperation::ReplaceOne;
        let operators = document.keys().next().is_some_and(|key| key.starts_with('$'));
        if replaces == operators {
            let problem = if replaces {
                "to replace a document, expected a document without operators such as `$set`"
            } else {
                "to change documents, expected operators such as `{$set: {...}}`"
            };
            return Err(error::document(format!("property `document`: {problem}")));
        }
        let mut client = self.connection.open(cx)?;
        let many = self.operation == UpdateOperation::UpdateMany;
        let command = client.writing(doc! {
            "update": &self.collection,
            "updates": [{ "q": filter, "u": document, "multi": many }],
            "$db": &self.database,
        });
        let reply = client.run("update", &command)?;
        refused(&reply, 1)?;
        let upserted =
            reply.get_array("upserted").ok().and_then(|made| made.first()?.as_document()?.get("_id"));
        let updated = Updated {
            upserted_id: upserted.map(id_text),
            was_acknowledged: client.is_acknowledged(),
            matched_count: error::number(&reply, "n"),
            modified_count: error::number(&reply, "nModified"),
        };
        let tags = [("database", self.database.as_str()), ("collection", self.collection.as_str())];
        cx.counter("updated.count", updated.modified_count as f64, &tags);
        Ok(updated)
    }
}

/// What `Delete` does with the documents it finds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeleteOperation {
    /// Deletes the first one.
    #[default]
    DeleteOne,
    /// Deletes all of them.
    DeleteMany,
}

/// Deletes documents of a collection.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delete {
    /// The server.
    connection: Connection,
    /// The database.
    database: String,
    /// The collection.
    collection: String,
    /// Which documents: a map, or its text in JSON; every one where it is left out.
    #[serde(default)]
    filter: DocumentValue,
    /// Whether one or all are deleted.
    #[serde(default)]
    operation: DeleteOperation,
}

/// What `Delete` puts out.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// Whether the server has confirmed it.
    was_acknowledged: bool,
    /// How many documents were deleted.
    deleted_count: i64,
}

impl Task for Delete {
    const TYPE: &'static str = "io.kestra.plugin.mongodb.Delete";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Delete a document",
        yaml: r#"id: delete
type: io.kestra.plugin.mongodb.Delete
connection:
  uri: "mongodb://localhost:27017/"
database: my_database
collection: my_collection
operation: DELETE_ONE
filter:
  _id:
    $oid: 60930c39a982931c20ef6cd6
"#,
    }];
    const NEEDS: weft_sdk::Needs = weft_sdk::Needs { hosts: &["*"], ..weft_sdk::Needs::NOTHING };

    fn run(self, cx: &Context) -> Result<impl Output> {
        let filter = self.filter.document("filter")?;
        let mut client = self.connection.open(cx)?;
        let limit = i32::from(self.operation == DeleteOperation::DeleteOne);
        let command = client.writing(doc! {
            "delete": &self.collection, "deletes": [{ "q": filter, "limit": limit }], "$db": &self.database,
        });
        let reply = client.run("delete", &command)?;
        refused(&reply, 1)?;
        let deleted =
            Deleted { was_acknowledged: client.is_acknowledged(), deleted_count: error::number(&reply, "n") };
        let tags = [("database", self.database.as_str()), ("collection", self.collection.as_str())];
        cx.counter("deleted.count", deleted.deleted_count as f64, &tags);
        Ok(deleted)
    }
}
