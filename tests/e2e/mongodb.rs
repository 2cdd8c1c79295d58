//! The MongoDB tasks against a real `mongod` with users, TLS and a replica set; `pymongo` looks at what arrived.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Execution, Sandbox, finish, peer, peer_value};

/// The server, and the client that looks at it.
struct Server {
    uri: String,
    ca: PathBuf,
    python: PathBuf,
    /// Each test has a database of its own, empty at first.
    database: String,
}

impl Server {
    fn find(test: &str) -> Option<Self> {
        let (uri, ca, python) =
            (peer_value("WEFT_PEER_MONGODB")?, peer("WEFT_PEER_MONGODB_CA")?, peer("WEFT_PEER_PYMONGO")?);
        let server = Self { uri, ca, python, database: format!("weft_{test}") };
        server.python("client.drop_database(db.name); print('null')");
        Some(server)
    }

    /// Runs a script with `client`, `db` and `c` (the collection); what it prints, as JSON.
    fn python(&self, script: &str) -> Value {
        let head = format!(
            "import pymongo, bson, json\nfrom bson.json_util import dumps\n\
             client = pymongo.MongoClient({:?})\ndb = client[{:?}]\nc = db.c\n",
            self.uri, self.database
        );
        let run = finish(Command::new(&self.python).args(["-c", &(head + script)])).expect(0);
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
    }

    /// The collection's documents without `_id`, in the order of their insertion.
    fn documents(&self) -> Value {
        self.python("print(dumps(list(c.find({}, {'_id': 0}).sort('$natural', 1))))")
    }

    /// A task's head, up to the collection.
    fn task(&self, id: &str, type_name: &str) -> String {
        self.task_at(id, type_name, &self.uri)
    }

    fn task_at(&self, id: &str, type_name: &str, uri: &str) -> String {
        format!(
            "  - id: {id}\n    type: io.kestra.plugin.mongodb.{type_name}\n    connection:\n      uri: {uri:?}\n    \
             database: {}\n    collection: c\n",
            self.database
        )
    }
}

fn flow(tasks: &str) -> String {
    format!(
        "id: mongo\nnamespace: tests\ninputs:\n  - id: file\n    type: FILE\n    required: false\ntasks:\n{tasks}"
    )
}

/// Loads a file of this name and content.
fn load(server: &Server, name: &str, content: &str, more: &str) -> (Sandbox, Execution) {
    let sandbox = Sandbox::new();
    sandbox.file(name, content);
    let task = server.task("load", "Load") + "    from: \"{{ inputs.file }}\"\n" + more;
    let execution = sandbox.run_flow_with(&flow(&task), &["-i", &format!("file=@{name}")]);
    (sandbox, execution)
}

#[test]
fn files_of_every_form_are_loaded() {
    let Some(server) = Server::find("forms") else { return };
    let expected = json!([
        {"name": "größe \"1\"", "n": 1, "list": [1.5, null, {"x": true}]},
        {"when": {"$date": "2026-01-01T00:00:00Z"}, "big": 5_000_000_000_i64, "ref": {"$oid": "60930c39a982931c20ef6cd6"}},
    ]);
    let first = r#"{"name": "größe \"1\"", "n": 1, "list": [1.5, null, {"x": true}]}"#;
    let second = r#"{"when": {"$date": "2026-01-01T00:00:00Z"}, "big": 5000000000, "ref": {"$oid": "60930c39a982931c20ef6cd6"}}"#;
    let ion = "$ion_1_0 {name:'''größe \"1\"''', n:1, list:[1.5e0, null, {x:true}]}\n{when:{'$date':\"2026-01-01T00:00:00Z\"}, big:5000000000, ref:{'$oid':\"60930c39a982931c20ef6cd6\"}}";
    for (name, content) in [
        ("lines.json", format!("{first}\n{second}\n")),
        ("list.json", format!("[{first},\n {second}]")),
        ("one-after-the-other.txt", format!("{first}{second}")),
        ("rows.ion", ion.to_owned()),
    ] {
        server.python("c.drop(); print('null')");
        let (_, execution) = load(&server, name, &content, "");
        let execution = execution.expect("SUCCESS");
        assert_eq!(server.documents(), expected, "{name}");
        assert_eq!(
            *execution.outputs("load"),
            json!({"size": 2, "insertedCount": 2, "matchedCount": 0, "modifiedCount": 0, "deletedCount": 0})
        );
        let tags = format!("{{database:{},collection:c}}", server.database);
        let other = format!("{{collection:c,database:{}}}", server.database);
        let metrics = execution.metrics();
        for metric in ["requests.count counter 1.0", "records counter 2.0"] {
            let known = metrics
                .iter()
                .any(|found| *found == format!("{metric} {tags}") || *found == format!("{metric} {other}"));
            assert!(known, "{metric}: {metrics:?}");
        }
    }
}

#[test]
fn many_documents_go_in_chunks_and_in_order() {
    let Some(server) = Server::find("chunks") else { return };
    let lines: String = (0..2_345).map(|n| format!("{{\"n\": {n}}}\n")).collect();
    let (_, execution) = load(&server, "many.json", &lines, "    chunk: 500\n");
    let execution = execution.expect("SUCCESS");
    assert_eq!(execution.outputs("load")["insertedCount"], 2345);
    assert!(execution.metrics().iter().any(|metric| metric.starts_with("requests.count counter 5.0")));
    let ordered = server
        .python("print(json.dumps([d['n'] for d in c.find().sort('$natural', 1)] == list(range(2345))))");
    assert_eq!(ordered, true);
}

#[test]
fn a_field_becomes_the_id() {
    let Some(server) = Server::find("ids") else { return };
    let content = r#"{"key": "60930c39a982931c20ef6cd6", "a": 1}"#;
    for (more, expected) in [
        ("    idKey: key\n", json!([{"_id": {"$oid": "60930c39a982931c20ef6cd6"}, "a": 1}])),
        (
            "    idKey: key\n    removeIdKey: false\n",
            json!([{"_id": {"$oid": "60930c39a982931c20ef6cd6"}, "key": "60930c39a982931c20ef6cd6", "a": 1}]),
        ),
    ] {
        server.python("c.drop(); print('null')");
        load(&server, "one.json", content, more).1.expect("SUCCESS");
        assert_eq!(server.python("print(dumps(list(c.find())))"), expected);
    }
}

#[test]
fn a_bad_record_is_named_with_what_was_written() {
    let Some(server) = Server::find("bad") else { return };
    let good =
        |from: usize, to: usize| (from..=to).map(|n| format!("{{\"_id\": {n}}}\n")).collect::<String>();
    let large = format!("{{\"_id\": 26, \"text\": \"{}\"}}\n", "x".repeat(17 << 20));
    for (name, content, code, said, written) in [
        (
            "malformed",
            good(1, 25) + "{\"_id\": 26, }\n" + &good(27, 30),
            "mongodb.document",
            vec!["record 26 (line 26): not valid JSON", "records 1 to 20 were written"],
            20,
        ),
        (
            "no document",
            good(1, 3) + "17\n",
            "mongodb.document",
            vec!["record 4 (line 4): invalid type: integer `17`", "no document was written"],
            0,
        ),
        (
            "large",
            good(1, 25) + &large,
            "mongodb.too-large",
            vec!["record 26 has", "records 1 to 20 were written"],
            20,
        ),
        (
            "duplicate",
            good(1, 25) + &good(5, 5) + &good(27, 30),
            "mongodb.write",
            vec!["record 26 was refused: E11000 duplicate key", "records 1 to 25 were written"],
            25,
        ),
        (
            "bad extended JSON",
            "{\"a\": {\"$oid\": \"1\"}}".to_owned(),
            "mongodb.document",
            vec!["record 1 (line 1): `$oid`"],
            0,
        ),
        (
            "truncated",
            good(1, 2) + "{\"_id\": 3",
            "mongodb.document",
            vec!["record 3 (line 3): not valid JSON: EOF"],
            0,
        ),
    ] {
        server.python("c.drop(); print('null')");
        let (_, execution) = load(&server, "bad.json", &content, "    chunk: 10\n");
        let execution = execution.expect("FAILED");
        let failure = execution.failure("load");
        assert_eq!(failure["code"], code, "{name}: {failure:#}");
        for part in said {
            assert!(failure["message"].as_str().unwrap().contains(part), "{name}: {failure:#}");
        }
        assert_eq!(server.python("print(c.count_documents({}))"), json!(written), "{name}");
        assert_eq!(execution.outputs("load")["insertedCount"], written, "{name}");
    }
}

#[test]
fn ways_in() {
    let Some(server) = Server::find("ways") else { return };
    server.python(
        "for name, mechanism in (('sha1', 'SCRAM-SHA-1'), ('sha256', 'SCRAM-SHA-256')):\n  \
         db.command('dropUser', name) if db.command('usersInfo', name)['users'] else None\n  \
         db.command('createUser', name, pwd='p:w/d?#@ü', roles=['readWrite'], mechanisms=[mechanism])\nprint('null')",
    );
    let (_, rest) = server.uri.split_once('@').unwrap();
    let hosts = rest.split('/').next().unwrap();
    let (user, database) = ("p%3Aw%2Fd%3F%23%40%C3%BC", &server.database);
    let sandbox = Sandbox::new();
    sandbox.file("ca.crt", std::fs::read(&server.ca).unwrap());
    let ca = std::fs::read_to_string(&server.ca).unwrap().replace('\n', "\n        ");
    for (n, (uri, more)) in [
        (server.uri.clone(), String::new()),
        (format!("{}&replicaSet=rs0", server.uri), String::new()),
        (server.uri.replace("localhost", "127.0.0.1") + "&directConnection=true", String::new()),
        (format!("mongodb://sha1:{user}@{hosts}/{database}"), String::new()),
        (
            format!("mongodb://sha1:{user}@{hosts}/?authSource={database}&authMechanism=SCRAM-SHA-1"),
            String::new(),
        ),
        (
            format!("mongodb://sha256:{user}@{hosts}/?authSource={database}&authMechanism=SCRAM-SHA-256"),
            String::new(),
        ),
        (format!("{}&tls=true", server.uri), format!("      caPem: |\n        {ca}\n")),
        (format!("{}&tls=true&tlsInsecure=true", server.uri), String::new()),
        // A host that is not there before the one that is.
        (server.uri.replace("localhost", "localhost:1,localhost"), String::new()),
    ]
    .into_iter()
    .enumerate()
    {
        let mut task = server.task_at("insert", "InsertOne", &uri);
        task = task.replace("    database:", &(more + "    database:"));
        task += &format!("    document:\n      way: {n}\n");
        sandbox.run_flow(&flow(&task)).expect("SUCCESS");
        assert_eq!(server.python(&format!("print(c.count_documents({{'way': {n}}}))")), 1, "{uri}");
    }
}

#[test]
fn ways_that_lead_nowhere_are_explained() {
    let Some(server) = Server::find("nowhere") else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent_port, web_port) = (silent.local_addr().unwrap().port(), web.local_addr().unwrap().port());
    // Not a MongoDB server: it speaks HTTP.
    std::thread::spawn(move || {
        for connection in web.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 64]);
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    // One that takes the connection away at once.
    std::thread::spawn(move || silent.incoming().for_each(drop));
    let quick = "serverSelectionTimeoutMS=300";
    for (uri, code, said) in [
        (
            server.uri.replace("s3cret", "wrong"),
            "mongodb.authentication",
            "hint: look at user, password, `authSource` and `authMechanism` in `connection.uri`",
        ),
        (server.uri.replace("s3cret", "wrong"), "mongodb.authentication", "`localhost:"),
        (server.uri.replace("root:s3cret", "root:s3@cr/et"), "mongodb.uri", "must be percent-encoded"),
        (server.uri.replace("authSource=admin", "authSource=local"), "mongodb.authentication", "authSource"),
        (
            format!("{}&replicaSet=other", server.uri),
            "mongodb.uri",
            "is no member of the replica set `other`, but of `rs0`",
        ),
        (
            format!("mongodb://localhost:1/?{quick}"),
            "network.connect",
            "cannot connect to `localhost:1`: connection refused\nhint: look at host, port and `tls` in `connection.uri`",
        ),
        (format!("mongodb://nowhere.invalid/?{quick}"), "network.", "nowhere.invalid"),
        (format!("mongodb://localhost:{web_port}/?{quick}"), "mongodb.connection", "is not a MongoDB server"),
        (
            format!("mongodb://localhost:{silent_port}/?{quick}"),
            "mongodb.connection",
            "closed the connection",
        ),
        (
            format!("{}&tls=true&{quick}", server.uri),
            "network.certificate",
            "hint: give the authority's certificate as `connection.caPem` or",
        ),
        (
            format!("{}&tlsCAFile=/nope.pem", server.uri),
            "mongodb.uri",
            "sees only files in its working directory",
        ),
        ("mongodb+srv://cluster.example/".to_owned(), "mongodb.uri", "hint: name the hosts"),
        (server.uri.replace("root:s3cret@", ""), "mongodb.unauthorized", "the server refused `insert`"),
    ] {
        let task = server.task_at("insert", "InsertOne", &uri) + "    document: {a: 1}\n";
        let sandbox = Sandbox::new();
        let execution = sandbox.run_flow(&flow(&task)).expect("FAILED");
        let failure = execution.failure("insert");
        let (found, message) = (failure["code"].as_str().unwrap(), failure["message"].as_str().unwrap());
        assert!(found.starts_with(code) && message.contains(said), "{uri}: {failure:#}");
        assert!(
            !execution.json.to_string().contains("s3cret") || uri.contains("s3cret"),
            "no password of others"
        );
    }
    assert_eq!(server.documents(), json!([]));
}

/// It may take half a minute, so that somebody who watches learns at once what is waited for.
#[test]
fn a_server_that_is_not_there_is_named_before_the_time_is_up() {
    let uri = "mongodb://localhost:1/?serverSelectionTimeoutMS=1500";
    let sandbox = Sandbox::new();
    let execution = sandbox
        .run_flow(&flow(&format!(
            "  - id: find\n    type: io.kestra.plugin.mongodb.Find\n    connection:\n      uri: {uri}\n    database: d\n    \
             collection: c\n"
        )))
        .expect("FAILED");
    let log = execution.log(&sandbox).join("\n");
    let said = "cannot connect to `localhost:1`: connection refused; it is tried again for 1.5s (`serverSelectionTimeoutMS`";
    assert_eq!(log.matches(said).count(), 1, "{log}");
}

#[test]
fn documents_are_found_changed_and_deleted() {
    let Some(server) = Server::find("crud") else { return };
    let sandbox = Sandbox::new();
    let tasks = [
        server.task("insert", "InsertOne"),
        "    document:\n      _id:\n        $oid: 60930c39a982931c20ef6cd6\n      name: Ada\n      born: {$date: '1815-12-10T00:00:00Z'}\n".to_owned(),
        server.task("more", "InsertOne"),
        "    document: \"{name: 'Bob', age: 3}\"\n".to_owned(),
        server.task("found", "Find"),
        "    filter:\n      _id:\n        $oid: 60930c39a982931c20ef6cd6\n    projection: {name: 1, born: 1}\n".to_owned(),
        server.task("update", "Update"),
        "    filter: '{}'\n    document: '{\"$set\": {\"tags\": [\"blue\"]}}'\n    operation: UPDATE_MANY\n".to_owned(),
        server.task("replace", "Update"),
        "    filter: {name: Bob}\n    document: {name: Eve}\n    operation: REPLACE_ONE\n".to_owned(),
        server.task("stored", "Find"),
        "    sort: {name: -1}\n    store: true\n    projection: {_id: 0, name: 1}\n".to_owned(),
        "  - id: read\n    type: io.kestra.plugin.core.debug.Return\n    format: \"{{ read(outputs.stored.uri) }}\"\n".to_owned(),
        server.task("again", "Load"),
        "    from: \"{{ outputs.stored.uri }}\"\n".to_owned(),
        server.task("delete", "Delete"),
        "    filter: {name: Eve}\n    operation: DELETE_ONE\n".to_owned(),
        server.task("clear", "Delete"),
        "    filter: {}\n    operation: DELETE_MANY\n".to_owned(),
    ];
    let execution = sandbox.run_flow(&flow(&tasks.concat())).expect("SUCCESS");
    assert_eq!(
        *execution.outputs("insert"),
        json!({"insertedId": "60930c39a982931c20ef6cd6", "wasAcknowledged": true})
    );
    assert_eq!(
        *execution.outputs("found"),
        json!({
            "size": 1,
            "rows": [{"_id": "60930c39a982931c20ef6cd6", "name": "Ada", "born": "1815-12-10T00:00:00Z"}],
        })
    );
    let changed = |task: &str| {
        let outputs = execution.outputs(task);
        (outputs["matchedCount"].as_i64(), outputs["modifiedCount"].as_i64())
    };
    assert_eq!((changed("update"), changed("replace")), ((Some(2), Some(2)), (Some(1), Some(1))));
    assert_eq!(execution.outputs("read")["value"], "{\"name\":\"Eve\"}\n{\"name\":\"Ada\"}\n");
    assert_eq!(execution.outputs("again")["insertedCount"], 2);
    assert_eq!(execution.outputs("delete")["deletedCount"], 1);
    assert_eq!(execution.outputs("clear")["deletedCount"], 3);
    assert_eq!(server.documents(), json!([]));
    let metrics = execution.metrics();
    for metric in ["inserted.count counter 1.0", "updated.count counter 2.0", "deleted.count counter 3.0"] {
        assert!(metrics.iter().any(|found| found.starts_with(metric)), "{metric}: {metrics:?}");
    }
}

#[test]
fn more_than_one_batch_is_found() {
    let Some(server) = Server::find("batches") else { return };
    server.python("c.insert_many([{'n': n} for n in range(3000)]); print('null')");
    let sandbox = Sandbox::new();
    let task = server.task("find", "Find")
        + "    sort: {n: 1}\n    skip: 10\n    limit: 2500\n    projection: {_id: 0}\n";
    let execution = sandbox.run_flow(&flow(&task)).expect("SUCCESS");
    let rows = execution.outputs("find")["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["n"], &rows[2499]["n"]), (2500, &json!(10), &json!(2509)));
}
