//! Any bytes of a server to the tasks of MongoDB, and any file to load: what comes of it is an output or an error with a
//! code. The first byte says what the rest is: all that the server sends, documents that it sends as replies, a file of
//! records, or a connection string.

use serde_json::{Value, json};
use weft_fuzz_mongodb::WeftPlugin;
use weft_sdk::Error;
use weft_sdk::testing::{Harness, Run};

const OP_MSG: i32 = 2013;
/// `{isWritablePrimary: true}` in BSON.
const HELLO: &[u8] = b"\x19\0\0\0\x08isWritablePrimary\0\x01\0";
/// `{ok: 1, n: 1}` in BSON.
const DONE: &[u8] = b"\x15\0\0\0\x10ok\0\x01\0\0\0\x10n\0\x01\0\0\0\0";
/// Waits for nobody, and has a user.
const URI: &str = "mongodb://h/?serverSelectionTimeoutMS=1&directConnection=true";
const SIGNED_IN: &str = "mongodb://user:hush-hush@h/?serverSelectionTimeoutMS=1";

pub fn run(input: &[u8]) -> Option<()> {
    let (&kind, rest) = input.split_first()?;
    match kind % 8 {
        0 => find(rest.to_vec(), URI),
        1 => find(rest.to_vec(), SIGNED_IN),
        2 => find(replies(true, rest), URI),
        3 => find(replies(false, rest), SIGNED_IN),
        4 => write(replies(true, rest)),
        5 => load(rest, "rows.json"),
        6 => load(rest, "rows.ion"),
        _ => {
            let uri = std::str::from_utf8(rest).ok()?;
            check(&call("Find", &json!({"connection": {"uri": uri}}), Vec::new(), &[], 0));
        }
    }
    Some(())
}

fn find(server: Vec<u8>, uri: &str) {
    check(&call("Find", &json!({"connection": {"uri": uri}, "filter": {}}), server, &[], 3));
}

fn write(server: Vec<u8>) {
    let update = json!({"connection": {"uri": URI}, "filter": {}, "document": {"$set": {"a": 1}}});
    check(&call("Update", &update, server, &[], 3));
}

/// Loads a file into a server that takes everything.
pub fn load(file: &[u8], name: &str) {
    let mut server = message(1, HELLO);
    for request in 2..40 {
        server.extend(message(request, DONE));
    }
    let from = format!("kestra:///{name}");
    let load = json!({"connection": {"uri": URI}, "from": from, "chunk": 2});
    check(&call("Load", &load, server, &[(&from, file)], 1_000));
}

/// Documents one after the other, by the lengths at their beginnings, each as a reply.
fn replies(hello: bool, mut documents: &[u8]) -> Vec<u8> {
    let mut server = if hello { message(1, HELLO) } else { Vec::new() };
    let mut request = if hello { 2 } else { 1 };
    while !documents.is_empty() {
        let length = documents.first_chunk().map_or(usize::MAX, |size| i32::from_le_bytes(*size) as usize);
        let (document, rest) = documents.split_at(length.clamp(1, documents.len()));
        server.extend(message(request, document));
        request += 1;
        documents = rest;
    }
    server
}

fn message(answers: i32, document: &[u8]) -> Vec<u8> {
    let length = i32::try_from(16 + 5 + document.len()).expect("inputs are small");
    let mut bytes = length.to_le_bytes().to_vec();
    for number in [7, answers, OP_MSG, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(document);
    bytes
}

/// Runs a task, which is told to stop when it has asked often enough.
fn call(task: &str, properties: &Value, server: Vec<u8>, files: &[(&str, &[u8])], patience: u32) -> Run {
    let mut all = json!({"database": "d", "collection": "c"});
    if let (Value::Object(all), Value::Object(properties)) = (&mut all, properties) {
        all.extend(properties.clone());
    }
    let host = Harness::new().tcp(server).cancel_after(patience);
    let host = files.iter().fold(host, |host, (uri, content)| host.stored(uri, *content));
    host.call::<WeftPlugin>(&format!("io.kestra.plugin.mongodb.{task}"), &all)
}

fn check(run: &Run) {
    if let Err(error) = &run.result {
        said(error);
    }
}

fn said(error: &Error) {
    assert!(!error.code().is_empty() && !error.message().is_empty(), "{error}");
    assert!(!error.message().contains("hush-hush"), "{error}");
}
