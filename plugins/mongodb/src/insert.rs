//! The task that inserts one document.

use bson::oid::ObjectId;
use bson::{Bson, doc};
use weft_sdk::prelude::*;

use crate::connection::Connection;
use crate::load::refused;
use crate::values::{DocumentValue, id_text};

/// Inserts a document into a collection.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InsertOne {
    /// The server.
    connection: Connection,
    /// The database.
    database: String,
    /// The collection.
    collection: String,
    /// The document: a map, or its text in JSON. Values may be in extended JSON, such as `{$oid: ...}`.
    document: DocumentValue,
}

/// What `InsertOne` puts out.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inserted {
    /// The document's `_id`.
    inserted_id: String,
    /// Whether the server has confirmed it.
    was_acknowledged: bool,
}

impl Task for InsertOne {
    const TYPE: &'static str = "io.kestra.plugin.mongodb.InsertOne";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Insert a document",
        yaml: r#"id: insert
type: io.kestra.plugin.mongodb.InsertOne
connection:
  uri: "mongodb://localhost:27017/"
database: my_database
collection: my_collection
document:
  _id:
    $oid: 60930c39a982931c20ef6cd6
  name: John Doe
  city: Paris
"#,
    }];
    const NEEDS: weft_sdk::Needs = weft_sdk::Needs { hosts: &["*"], ..weft_sdk::Needs::NOTHING };

    fn run(self, cx: &Context) -> Result<impl Output> {
        let mut document = self.document.document("document")?;
        if !document.contains_key("_id") {
            let rest = std::mem::replace(&mut document, doc! { "_id": ObjectId::new() });
            document.extend(rest);
        }
        let inserted_id = id_text(document.get("_id").unwrap_or(&Bson::Null));
        let mut client = self.connection.open(cx)?;
        let command = client.writing(doc! {
            "insert": &self.collection, "documents": [document], "$db": &self.database,
        });
        let reply = client.run("insert", &command)?;
        refused(&reply, 1)?;
        let tags = [("database", self.database.as_str()), ("collection", self.collection.as_str())];
        cx.counter("inserted.count", 1.0, &tags);
        cx.log().info(format!("inserted `{inserted_id}`"));
        Ok(Inserted { inserted_id, was_acknowledged: client.is_acknowledged() })
    }
}
