//! What needs no server: properties that cannot be used.

use serde_json::json;
use weft_sdk::testing::Harness;

use crate::WeftPlugin;

#[test]
fn mistakes_in_properties_are_named_before_anything_is_connected() {
    let uri = "mongodb://127.0.0.1:1/";
    for (type_name, properties, code, expected) in [
        (
            "InsertOne",
            json!({"connection": {"uri": "localhost"}, "document": {}}),
            "mongodb.uri",
            "expected a connection string",
        ),
        (
            "InsertOne",
            json!({"connection": {"uri": uri}, "document": "[1]"}),
            "mongodb.document",
            "property `document`: expected a map",
        ),
        (
            "Update",
            json!({"connection": {"uri": uri}, "filter": {}, "document": {"a": 1}}),
            "mongodb.document",
            "expected operators such as `{$set: {...}}`",
        ),
        (
            "Update",
            json!({"connection": {"uri": uri}, "filter": {}, "document": {"$set": {}}, "operation": "REPLACE_ONE"}),
            "mongodb.document",
            "expected a document without operators",
        ),
        (
            "Load",
            json!({"connection": {"uri": uri}, "from": "kestra:///missing.json"}),
            "storage.not-found",
            "property `from`: ",
        ),
        (
            "InsertOne",
            json!({"connection": {"uri": "mongodb://h/?tlsCAFile=/etc/ca.pem"}, "document": {}}),
            "mongodb.uri",
            "`tlsCAFile=/etc/ca.pem` in `connection.uri`: a task sees only files in its working directory\nhint: give \
             the certificate's text as `connection.caPem`",
        ),
        (
            "InsertOne",
            json!({"connection": {"uri": "mongodb://h/?tlsCAFile=ca.pem"}, "document": {}}),
            "mongodb.uri",
            "there is no such file in the working directory\nhint: give",
        ),
    ] {
        let mut properties = properties;
        properties["database"] = json!("d");
        properties["collection"] = json!("c");
        let run =
            Harness::new().call::<WeftPlugin>(&format!("io.kestra.plugin.mongodb.{type_name}"), &properties);
        assert_eq!(run.code(), Some(code), "{type_name}: {:?}", run.message());
        assert!(run.message().unwrap().contains(expected), "{type_name}: {:?}", run.message());
        assert!(!run.message().unwrap().contains("os error"), "{type_name}: {:?}", run.message());
    }
}

#[test]
fn servers_that_name_others_for_ever_are_left() {
    // `{hosts: ["hNNN"]}` to each who asks, in BSON: another host each time.
    let hello = |number: u32| {
        let reply = bson::doc! { "ok": 1, "hosts": [format!("h{number}")] }.to_vec().unwrap();
        let mut message = i32::try_from(21 + reply.len()).unwrap().to_le_bytes().to_vec();
        for field in [1, 1, 2013, 0] {
            message.extend_from_slice(&i32::to_le_bytes(field));
        }
        message.push(0);
        message.extend(reply);
        message
    };
    let host = (0..500).fold(Harness::new(), |host, number| host.tcp(hello(number)));
    let uri = "mongodb://first/?serverSelectionTimeoutMS=1";
    let properties = json!({"connection": {"uri": uri}, "database": "d", "collection": "c"});
    let run = host.call::<WeftPlugin>("io.kestra.plugin.mongodb.Find", &properties);
    assert_eq!(run.code(), Some("mongodb.connection"));
    assert!(run.message().unwrap().contains("takes no writes"), "{:?}", run.message());
}
